"""The lesson: frames that say what the packages compute, on a page that needs nothing else."""

from __future__ import annotations

import base64
import dataclasses
import errno
import json
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Page

from equivariance import lesson
from equivariance.bad_input import BadInput
from equivariance.cli import lesson as command
from equivariance.cli import main
from equivariance.cli.lesson import LessonSettings, render, run
from equivariance.explorer.views import view
from tests.equivariance.browser import browser, listen, reason_to_skip
from tests.equivariance.painted import canvas, check_painted

#: Frames at fewer translations and strides than in the page that users get: these are many.
FEW = {"STEP": 1.5, "REACH": 4.5, "STRIDES": (2,)}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for name, value in FEW.items():
        monkeypatch.setattr(lesson, name, value)
    return lesson.frames()


def test_frames(few: dict[str, Any]) -> None:
    """Zeros where theory has them, at half-pixel steps; bytes within half a level of the values."""
    assert few["positions"] == [-4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 4.5]
    zeros = {
        name: [
            t
            for t, f in zip(few["positions"], few["outputs"][f"{name} 2"], strict=True)
            if f["error"] <= few["rounding"]
        ]
        for name in lesson.METHODS
    }
    assert zeros["stride"] == zeros["blurpool"] == [0.0]
    assert zeros["xu"] == [-3.0, 0.0, 3.0]
    assert zeros["comoving"] == few["positions"]
    last = few["outputs"]["stride 2"][-1]
    expected = view(dataclasses.replace(lesson.PICTURE, t=(0.0, 4.5)))
    levels = np.frombuffer(base64.b64decode(last["one"]), np.uint8).reshape(last["shape"])
    values = (levels.astype(float) - 128) / 127 * few["scale"]
    clipped = expected.discrete.values[0].clamp(-few["scale"], few["scale"]).numpy()
    assert np.abs(values - clipped).max() <= few["scale"] / 254 * (1 + 1e-9)
    assert math.isclose(last["error"], expected.error or 0)


@pytest.mark.usefixtures("few")
def test_page(tmp_path: Path) -> None:
    """One file that names no other."""
    text, files = run(LessonSettings(tmp_path / "lesson.html"))
    page = files[0].read_text("utf-8")
    assert "MiB" in text
    assert not re.search(r"""(src|href)=|https?://|@import|url\(""", page)


def drag(page: Page, pixels: float) -> None:
    """Drag the picture to the right."""
    box = page.locator("#picture").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels * box["width"] / lesson.PICTURE.size, y, steps=3)
    page.mouse.up()


def check_frame(page: Page, name: str, t: float) -> None:
    """The page shows the values of a frame where they lie."""
    data = json.loads(page.evaluate("document.getElementById('frames').textContent"))
    frame = data["outputs"][name][data["positions"].index(t)]
    rows, columns = frame["shape"]
    points = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1)
    points = np.array(frame["origin"]) + points * data["size"] / rows
    for one in ("one", "other", "difference"):
        levels = np.frombuffer(base64.b64decode(frame[one]), np.uint8).reshape(rows, columns)
        values = (levels.astype(float) - 128) / 127
        check_painted(canvas(page, one), points, values, 1.0, data["size"])


@pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "")
def test_in_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class predicts, drags, guesses and swaps; the file opens without a server, and asks for nothing."""
    for name, value in (FEW | {"STEP": 0.5, "REACH": 8.0}).items():
        monkeypatch.setattr(lesson, name, value)
    file = tmp_path / "lesson.html"
    file.write_bytes(render())
    with browser() as chromium:
        page = chromium.new_page()
        heard = listen(page)
        page.goto(file.as_uri())
        assert page.is_hidden("#drag")
        page.check("input[value=whole]")
        picture = "document.getElementById('one').toDataURL()"
        still = page.evaluate(picture)
        drag(page, pixels=2.6)
        assert page.inner_text("#t-out") == "2.5 pixels"
        assert page.inner_text("#error").endswith("both ways differ.")
        assert page.evaluate(picture) != still
        drag(page, pixels=-2.6)
        page.focus("#t")
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        assert page.inner_text("#t-out") == "4 pixels"
        assert "Zero at: 0, 2, 4." in page.inner_text("#seen")
        page.click(".stride[value='8']")
        assert page.inner_text("#judged").startswith("Not 8")
        assert page.is_hidden("#swap")
        page.click(".stride[value='2']")
        assert "Whole pixels are not enough" in page.inner_text("#judged")
        page.select_option("#method", "comoving")
        page.focus("#t")
        page.keyboard.press("ArrowLeft")
        assert page.inner_text("#error").startswith("Error 0")
        check_frame(page, "comoving 2", 3.5)
        assert page.is_visible("#judged")  # though little has been tried with this method
        page.click(".stride[value='4']")
        assert page.inner_text("#judged").startswith("Not 4")
        assert page.is_visible("#swap")  # what has been guessed stays so
        page.hover("#picture")
        page.mouse.down(button="right")
        page.mouse.move(0, 300)
        assert page.inner_text("#t-out") == "3.5 pixels"
        page.mouse.up(button="right")
        for width in (1280, 400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page)
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []
    assert heard.said == []
    assert heard.asked == [file.as_uri()]


def test_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="can't be written: give a file in a folder that there is"):
        run(LessonSettings(tmp_path / "none" / "lesson.html"))
    assert main(["lesson", "--out", str(tmp_path)]) == 2
    assert "can't be written" in capsys.readouterr().err


def test_a_file_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(command, "render", lambda: b"page")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BadInput, match=r"lesson\.html can't be written: No space left on device"):
        run(LessonSettings(tmp_path / "lesson.html"))
