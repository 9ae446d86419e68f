"""The command `equivariance`.

Results go to stdout, progress and messages to stderr. It exits with 0 when done, and with 2 where what was typed, or
what it names, can't be worked with.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from equivariance.bad_input import BadInput
from equivariance.experiments import EXPERIMENTS

USAGE = 2
INTERRUPTED = 130


@dataclass(frozen=True)
class List:
    """Name the experiments, a line each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of this process unless given.

    Returns
    -------
    int
        The exit code. Where the arguments themselves are wrong, SystemExit is raised with it.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _set_up_streams()
    try:
        _check_name(words)
        command = _parse(words)
        if isinstance(command, List):
            _say(listing())
            return 0
        experiment = next(
            e for e in EXPERIMENTS.values() if isinstance(command.experiment, type(e.settings))
        )
        outcome = experiment.run(command.experiment)
    except BadInput as error:
        print(f"equivariance: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("equivariance: interrupted", file=sys.stderr)
        return INTERRUPTED
    files = "".join(f"\n  {file}" for file in outcome.files)
    _say(f"{outcome.text}\n\nWritten:{files}")
    return 0


def listing() -> str:
    """All experiments, a line each."""
    width = max(map(len, EXPERIMENTS))
    return "\n".join(f"{e.name.ljust(width)}  {e.summary}" for e in EXPERIMENTS.values())


def _parse(words: list[str]) -> Any:
    """The command as a dataclass; what tyro can't read ends in SystemExit(2) and a message."""
    experiment = tyro.extras.subcommand_type_from_defaults(
        {e.name: e.settings for e in EXPERIMENTS.values()},
        {e.name: e.summary for e in EXPERIMENTS.values()},
        prefix_names=False,
    )
    run = dataclasses.make_dataclass(
        "Run",
        [("experiment", experiment)],
        namespace={"__doc__": "Run an experiment."},
        frozen=True,
    )
    commands: Any = Annotated[run, subcommand("run")] | Annotated[List, subcommand("list")]
    return tyro.cli(
        commands,
        prog="equivariance",
        description="Measure how far layers and networks are translation equivariant.",
        args=words,
        config=(OmitArgPrefixes, OmitSubcommandPrefixes, FlagCreatePairsOff),
    )


def _check_name(words: list[str]) -> None:
    """Raise where an experiment is named that there isn't, in one line."""
    name = words[1] if words[:1] == ["run"] and len(words) > 1 else "-"
    if not name.startswith("-") and name not in EXPERIMENTS:
        raise BadInput(f"there is no experiment {name!r}, but: {', '.join(EXPERIMENTS)}")


def _say(text: str) -> None:
    """Print results, to a reader that may have gone."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _set_up_streams() -> None:
    """Messages to stderr; signs that a terminal doesn't know become "?"."""
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
