"""Where results come from: versions, date, commit, command, configuration, and processor threads."""

from __future__ import annotations

import contextlib
import datetime
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

#: Distributions whose versions are recorded, under their names with "_" for "-".
DISTRIBUTIONS = ("feature-fields", "torch", "numpy", "xarray")
#: All that is recorded, where there is one of it.
RECORD = (
    *(name.replace("-", "_") for name in DISTRIBUTIONS),
    *("python", "platform", "threads", "date", "command", "configuration", "seed", "git_commit"),
)


def provenance(
    configuration: Mapping[str, Any], command: str | None = None, commit: str | None = None
) -> dict[str, str]:
    """Say what made a result, as flat text that any file's attributes can hold.

    Parameters
    ----------
    configuration : mapping
        All that the result depends on; values that JSON doesn't know are written as text. Its "seed", where it has
        one, is repeated on its own.
    command : str, optional
        What to type for the same result; the command line of this process unless given.
    commit : str, optional
        Of this program, empty where there is none; git is asked unless given.

    Returns
    -------
    dict of str to str
        feature_fields, torch, numpy, xarray, python, platform, threads, date (ISO 8601, UTC), command, configuration
        (JSON), and seed and git_commit where there is one.
    """
    if not isinstance(configuration, Mapping):
        raise TypeError(f"configuration must be a mapping, got {type(configuration).__name__}")
    if not isinstance(command, str | None):
        raise TypeError(f"command must be what to type, a text, got {type(command).__name__}")
    record = {name.replace("-", "_"): _version(name) for name in DISTRIBUTIONS}
    record |= {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": str(torch.get_num_threads()),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": command or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "configuration": as_json(configuration),
    }
    if configuration.get("seed") is not None:
        record["seed"] = str(configuration["seed"])
    commit = git_commit() if commit is None else commit
    if commit:
        record["git_commit"] = commit
    return record


def recorded(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Of the attributes of results, those that say where they come from."""
    return {key: attributes[key] for key in RECORD if key in attributes}


def as_json(configuration: Mapping[str, Any]) -> str:
    """The configuration as JSON with sorted keys, so that equal ones are equal text."""
    return json.dumps(configuration, sort_keys=True, default=str, ensure_ascii=False)


def git_commit(file: Path = Path(__file__)) -> str | None:
    """The commit of the checkout that has a file, "-dirty" after it where the checkout differs; None where none has."""
    if _git(file, "ls-files", "--error-unmatch", file.name) is None:
        return None  # installed, perhaps below another project's checkout
    return _git(file, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")


def _git(file: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(file.parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """As many processor threads for torch, as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
