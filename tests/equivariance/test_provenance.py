"""Provenance is flat text, true, and silent about commits of other people's repositories."""

import datetime
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy
import pytest
import torch
import xarray

from equivariance.records import git_commit, provenance


def test_versions_are_those_that_run():
    record = provenance({})
    assert record["torch"] == torch.__version__
    assert record["numpy"] == numpy.__version__
    assert record["xarray"] == xarray.__version__
    assert record["feature_fields"] == metadata.version("feature-fields")
    assert record["python"] == ".".join(map(str, sys.version_info[:3]))
    assert record["threads"] == str(torch.get_num_threads())


def test_it_is_flat_text():
    record = provenance({"seed": 3, "path": Path("a"), "deep": {"none": None, "yes": True}})
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in record.items())
    assert json.loads(record["configuration"]) == {
        "seed": 3,
        "path": "a",
        "deep": {"none": None, "yes": True},
    }
    assert record["seed"] == "3"


def test_equal_configurations_are_equal_text():
    one, other = provenance({"a": 1, "b": 2}), provenance({"b": 2, "a": 1})
    assert one["configuration"] == other["configuration"]


def test_a_seed_of_zero_is_a_seed_and_none_is_not():
    assert provenance({"seed": 0})["seed"] == "0"
    assert "seed" not in provenance({"seed": None})


def test_the_date_is_now_in_utc():
    date = datetime.datetime.fromisoformat(provenance({})["date"])
    assert date.utcoffset() == datetime.timedelta(0)
    assert abs(datetime.datetime.now(datetime.UTC) - date) < datetime.timedelta(minutes=1)


def test_the_command_is_quoted(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/equivariance", "run", "stride", "--out", "a b"])
    assert provenance({})["command"] == "equivariance run stride --out 'a b'"
    assert provenance({}, command="make demo")["command"] == "make demo"


@pytest.fixture
def checkout(tmp_path):
    """A repository with one commit; gives the function that runs git in it."""

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    (tmp_path / "tracked.py").write_text("1")
    git("add", "tracked.py")
    git("commit", "--quiet", "-m", "first")
    git("tag", "v1")
    return git


def test_the_commit_is_that_of_the_checkout(tmp_path, checkout):
    commit = checkout("rev-parse", "HEAD")
    assert git_commit(tmp_path / "tracked.py") == commit
    (tmp_path / "tracked.py").write_text("2")
    assert git_commit(tmp_path / "tracked.py") == f"{commit}-dirty"


def test_a_repository_that_does_not_have_the_file_is_not_its_origin(tmp_path, checkout):
    """As where the packages are installed into an environment below another project."""
    installed = tmp_path / "lib" / "installed.py"
    installed.parent.mkdir()
    installed.write_text("")
    assert git_commit(installed) is None


def test_no_git_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() is None
    assert "git_commit" not in provenance({})


def test_a_library_that_is_not_installed_is_said_to_be(monkeypatch):
    module = sys.modules["equivariance.records"]
    monkeypatch.setattr(module, "DISTRIBUTIONS", ("torch", "no-such-library"))
    record = provenance({})
    assert (record["torch"], record["no_such_library"]) == (torch.__version__, "not installed")
