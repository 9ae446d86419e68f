"""What all experiments share: each thing is made once, and promises are held against what was measured."""

import math
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import equivariance.experiments
from equivariance.cli import main
from equivariance.experiments import EXPERIMENTS, stride
from equivariance.experiments.study import Promises, signs


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["run", "strude"]])
def test_help_imports_no_torch(words):
    code = (
        "import sys, contextlib; from equivariance.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({words})\n"
        "sys.exit(sum(m in sys.modules for m in ('torch', 'xarray', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_what_a_run_needs_is_made_once(tmp_path, monkeypatch):
    counts = dict.fromkeys(["pixels", "networks", "verdicts"], 0)

    def counted(name):
        made = getattr(stride, name)

        def count(*given):
            counts[name] += 1
            return made(*given)

        return count

    for name in counts:
        monkeypatch.setattr(stride, name, counted(name))
    monkeypatch.setattr(stride, "error_curves", lambda *_: Figure((1, 1)))
    monkeypatch.setattr(stride, "diagrams", lambda *_: Figure((1, 1)))
    flags = ["--size", "8", "--steps", "1", "--points", "20", "--out", str(tmp_path)]
    assert main(["run", "stride", *flags]) == 0
    assert counts == dict.fromkeys(counts, 1)


def test_settings_are_found_by_their_names():
    for experiment in EXPERIMENTS.values():
        kind = type(experiment.settings)
        assert getattr(equivariance.experiments, kind.__name__) is kind
    with pytest.raises(AttributeError, match="no attribute 'StrudeSettings'"):
        _ = equivariance.experiments.StrudeSettings


@pytest.mark.parametrize(
    ("error", "expected"),
    [(0.0, "="), (1e-12, "="), (1e-9, "≈"), (1e-3, "≠"), (math.inf, "≠"), (math.nan, "?")],
)
def test_signs(error, expected):
    assert signs(np.array(error), 1e-12, 1e-3) == expected


def test_promises_are_held_against_the_errors():
    errors = np.array([[0.0, 1e-9, 0.5], [1e-13, math.nan, 1e-2]])
    theory = np.array([["=", "=", "≠"], ["=", "", "="]])
    promises = Promises(["one", "other"], errors, theory, 1e-12, 1e-3)
    assert promises.kept.tolist() == [[True, False, True], [True, True, False]]
    assert promises.worst == 1e-2
    assert promises.least == 0.5
    assert promises.of(["one"]).worst == 1e-9
    table = promises.table(["a", "b", "c"])
    assert table.header == ["layer", "a", "b", "c"]
    assert table.rows == [
        ["one", "0", "1.0e-09 !", "5.0e-01"],
        ["other", "1.0e-13", "–", "1.0e-02 !"],
    ]
    looser = Promises(["one", "other"], errors, theory, np.array([[1e-8], [1e-12]]), 1e-3)
    assert looser.kept.tolist() == [[True, True, True], [True, True, False]]
    assert looser.of(["other"]).kept.tolist() == [[True, True, False]]


def test_what_is_no_number_is_the_worst_and_the_least():
    theory = np.array([["=", "≠"]])
    lost = Promises(["one"], np.full((1, 2), math.nan), theory, 1e-12, 1e-3)
    assert math.isnan(lost.worst)
    assert math.isnan(lost.least)
    assert not lost.kept.any()
