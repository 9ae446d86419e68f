"""The scripts in examples/ and the code in README.md run, and their own assertions hold."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_example_reaches_its_verdict(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(script))
    assert capsys.readouterr().out.strip(), "an example says what it found"


def test_readme_shows_what_it_promises(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert code is not None
    exec(compile(code[1], "README.md", "exec"), {})
    numbers = [
        float(n) for n in re.findall(r"-?\d\.\d+e[+-]\d+|-?\d+\.\d*", capsys.readouterr().out)
    ]
    accuracy, continuous, stride, xu = numbers[2], numbers[3:6], numbers[6:9], numbers[9:12]
    assert accuracy == 0, "a Gaussian convolved with Gaussians is known in closed form"
    assert max(continuous) <= 1e-12
    assert min(stride[:2]) > 1e-3, "a stride breaks 0.3 and 1.0"
    assert stride[2] <= 1e-13, "and keeps 2.0"
    assert xu[0] > 1e-3, "no subsampling to a fixed lattice is equivariant between the pixels"
    assert max(xu[1:]) <= 1e-13, "whole pixels are"
