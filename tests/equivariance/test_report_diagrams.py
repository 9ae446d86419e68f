"""Diagrams of a report: which are drawn, and the reason why one isn't, whoever wrote the results."""

import re

import pytest

from equivariance.records import as_json
from equivariance.reporting import figures as frames
from equivariance.reporting.figures import diagrams
from equivariance.sweeping.configuration import TOP, read
from tests.equivariance.test_report_command import CODE, CONFIGURATION


def attributes(folder, text: str, **changes) -> dict[str, str]:
    """What the results of a sweep say of it."""
    (folder / "sweep.toml").write_text(text)
    record = read(folder / "sweep.toml").record | changes
    return {"configuration": as_json(record), "folder": str(folder)}


ONE = CONFIGURATION.format(reach=[4.0], shape=[8])
FIELD = "random = { bandlimit = 0.4, period = 8.0 }"
NOT_DRAWN = {
    "a field that is made by code": (ONE.replace(FIELD, 'make = "mine.py:f"'),
                                     ["noise is made by code, which --code runs"]),
    "no grid": (ONE.replace("shape = [8]", "points = 3\nextent = [8.0]"), ["no layer was sampled"]),
    "another boundary": (ONE.replace("shape = [8]", 'shape = [8]\nboundary = "none"'),
                         ["stride_: only periodic grids are drawn at every translation",
                          "equivariant & <i>: only periodic grids are drawn at every translation",
                          "mean: only periodic grids are drawn at every translation"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), NOT_DRAWN.values(), ids=NOT_DRAWN.keys())
def test_what_is_not_drawn_is_said_with_the_reason(tmp_path, text, why) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    assert diagrams(attributes(tmp_path, text)) == ([], why)


def test_files_that_changed_or_went_since_the_sweep(tmp_path) -> None:
    """What they make now was not measured."""
    (tmp_path / "mine.py").write_text(CODE)
    said = attributes(tmp_path, ONE + '[layers.mine]\nmake = "mine.py:layer"\n')
    assert [d.name for d in diagrams(said, code=True)[0]] == [
        "stride_",
        "equivariant & <i>",
        "mine",
    ]
    (tmp_path / "mine.py").write_text(CODE + "# longer")
    assert diagrams(said, code=True) == ([], ["mine.py changed since the sweep was made"])
    (tmp_path / "mine.py").unlink()
    drawn, (why,) = diagrams(said, code=True)
    assert drawn == []
    assert why.startswith(f"can't read {tmp_path / 'mine.py'}: No such file")


def test_no_more_diagrams_than_a_page_holds(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(frames, "DIAGRAMS", 3)
    drawn, why = diagrams(attributes(tmp_path, ONE.replace("[2]", "[2, 4]")))
    assert [d.name for d in drawn] == [
        "stride_, stride 2",
        "stride_, stride 4",
        "equivariant & <i>, stride 2",
    ]
    assert why[0] == "equivariant & <i>, stride 4: more than 3 diagrams"


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, [3], {"a": 3}], ids=repr)
@pytest.mark.parametrize("key", ["order", "files", *TOP])
def test_results_that_anybody_wrote_are_refused_in_words(tmp_path, key: str, value) -> None:
    drawn, why = diagrams(attributes(tmp_path, ONE, **{key: value}))
    fine = {"files": [[], {}], "seeds": [[3]], "strides": [[3]]}
    if value not in fine.get(key, []):
        assert drawn == []
        assert len(why) == 1
        assert re.match("the results|a changed", why[0])
