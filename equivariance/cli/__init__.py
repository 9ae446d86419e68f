"""The command `equivariance`.

Results go to stdout, progress and messages to stderr. It exits with 0 when done, with 1 where a measured model exceeds
the tolerance it was given, with 2 where what was typed, or what it names, can't be worked with, with 3 where a sweep is
left incomplete, and with 130 after Ctrl-C.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import operator
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, OmitSubcommandPrefixes, subcommand

from equivariance.bad_input import BadInput
from equivariance.cli import explore, lesson, measure, report, sweep
from equivariance.experiments import EXPERIMENTS, RUNNABLE
from equivariance.experiments.settings import with_file

USAGE = 2
INTERRUPTED = 130
RUN = """Run an experiment, or all of them.

Settings may also come from a TOML file, by --config FILE; flags beside it have the last word.
"""


@dataclass(frozen=True)
class List:
    """Name the experiments, a line each."""


COMMANDS = {
    "measure": measure.MeasureSettings,
    "explore": explore.ExploreSettings,
    "lesson": lesson.LessonSettings,
    "sweep": sweep.SweepSettings,
    "report": report.ReportSettings,
    "list": List,
}


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
        text, code = _done(_parse(*with_file(words, RUNNABLE)), words)
    except BadInput as error:
        print(f"equivariance: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("equivariance: interrupted", file=sys.stderr)
        return INTERRUPTED
    _say(text)
    return code


def _done(command: Any, words: list[str]) -> tuple[str, int]:
    """Do what was asked: what there is to say, and the exit code."""
    match command:
        case List():
            return listing(), 0
        case explore.ExploreSettings():
            return explore.run(command), 0
        case lesson.LessonSettings():
            return told(*lesson.run(command)), 0
        case report.ReportSettings():
            return told(*report.run(command)), 0
        case sweep.SweepSettings():
            return sweep.run(command)
        case measure.MeasureSettings():
            text, files, code = measure.run(command)
            return told(text, files), code
    outcome = RUNNABLE[words[1]].run(command.experiment)
    return told(outcome.text, outcome.files), 0


def told(text: str, files: Sequence[Path]) -> str:
    """Results, and where they were written."""
    return f"{text}\n\nWritten:" + "".join(f"\n  {file}" for file in files)


def listing() -> str:
    """All experiments, a line each."""
    width = max(map(len, EXPERIMENTS))
    return "\n".join(f"{e.name.ljust(width)}  {e.summary}" for e in EXPERIMENTS.values())


def _parse(words: list[str], settings: Mapping[str, Any]) -> Any:
    """The command as a dataclass; what tyro can't read ends in SystemExit(2) and a message."""
    experiment = tyro.extras.subcommand_type_from_defaults(
        dict(settings),
        {e.name: e.summary for e in RUNNABLE.values()},
        prefix_names=False,
    )
    run = dataclasses.make_dataclass(
        "Run",
        [("experiment", experiment)],
        namespace={"__doc__": RUN},
        frozen=True,
    )
    kinds = {"run": run, **COMMANDS}
    each: Any = (Annotated[kind, subcommand(name)] for name, kind in kinds.items())
    return tyro.cli(
        functools.reduce(operator.or_, each),
        prog="equivariance",
        description="Measure how far layers and networks are translation equivariant.",
        args=words,
        config=(OmitArgPrefixes, OmitSubcommandPrefixes, FlagCreatePairsOff),
    )


def _check_name(words: list[str]) -> None:
    """Raise where an experiment is named that there isn't, in one line."""
    name = words[1] if words[:1] == ["run"] and len(words) > 1 else "-"
    if not name.startswith("-") and name not in RUNNABLE:
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
