"""The explorer's page in headless Chromium: what it shows, and how the mouse moves it."""

from __future__ import annotations

import base64
import contextlib
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as PlaywrightError

from equivariance.explorer.command import serving
from equivariance.explorer.state import State
from equivariance.explorer.views import view
from tests.equivariance.browser import reason_to_skip
from tests.equivariance.explorer_page import (
    PANELS,
    SMALL,
    error,
    hold,
    move_to,
    pictures,
    settle,
    until,
    visit,
)
from tests.equivariance.painted import canvas, check_painted

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "")


def test_loads(page: Page, url: str) -> None:
    """At once it shows a diagram at t = 0, where it commutes."""
    visit(page, url, "")
    assert page.inner_text("#verdict") == "The diagram commutes."
    assert error(page) == 0
    assert "Zero at −4, −2, 0, 2, 4 pixels" in page.inner_text("#zeros")
    assert page.is_hidden("#problem")


def drag(page: Page, right: float, down: float, steps: int = 8) -> None:
    box = page.locator("#field-panel").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=steps)
    page.mouse.up()


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "comoving", "place": "front", "stride": 4},
        {"field": "sprites", "boundary": "zero", "method": "xu"},
    ],
)
def test_painted_values(page: Page, url: str, settings: dict[str, Any]) -> None:
    """Every value has its colour, at the point where it lies: x₁ goes down, x₂ to the right, from the top left."""
    state = State(size=32, t=(1.3, -4.6), **settings)
    words = "&".join(f"{k}={v}" for k, v in ({"size": 32, "t": "1.3,-4.6"} | settings).items())
    visit(page, url, words)
    page.uncheck("#points")
    shown = view(state)
    maps = {
        "field": (shown.field.values, shown.field.grid),
        "output": (shown.output.values, shown.output.grid),
        "discrete": (shown.discrete.values, shown.discrete.grid),
        "moved": (shown.moved, shown.discrete.grid),
        "difference": (shown.difference, shown.discrete.grid),
    }
    for name, (values, grid) in maps.items():
        drawn = canvas(page, f"{name}-panel")
        check_painted(drawn, grid.points().numpy(), values[0].numpy(), shown.scale, 32)


def test_dragging(page: Page, url: str) -> None:
    """Panels follow the mouse: as far as it goes, in pixels of the grid."""
    visit(page, url)
    before = pictures(page)
    box = page.locator("#field-panel").bounding_box()
    assert box is not None
    unit = box["width"] / 32
    drag(page, right=3 * unit, down=-5 * unit)
    settle(page, "-5,3")
    after = pictures(page)
    assert all(before[name] != after[name] for name in PANELS)
    assert error(page) > 0.1
    assert page.inner_text("#verdict") == "The diagram does not commute."
    drag(page, right=1 * unit, down=1 * unit)
    settle(page, "-4,4")
    assert error(page) < 1e-13
    assert page.inner_text("#error").startswith("0")
    assert pictures(page)["difference"] != after["difference"]


def test_other_buttons(page: Page, url: str) -> None:
    """Only the first button of a mouse drags: a menu swallows what the others do."""
    visit(page, url)
    page.hover("#field-panel")
    page.mouse.down(button="right")
    page.mouse.move(400, 400, steps=3)
    page.mouse.up(button="right")
    page.mouse.move(500, 300, steps=3)
    settle(page, "0,0")


def test_far_translations(page: Page, url: str) -> None:
    """What is typed is taken modulo the window; a link may lead so far out that nothing can be compared."""
    visit(page, url)
    page.fill("#t1", "1000")
    settle(page, "8,0")
    assert page.is_hidden("#problem")
    assert error(page) < 1e-13
    page.evaluate(f"location.hash = '{SMALL}&boundary=zero&t=40,0'")
    settle(page, "40,0")
    assert page.inner_text("#verdict") == "So far out, no point is known both ways."


def test_real_translations(page: Page, url: str) -> None:
    """With "any real" as step, the mouse reaches what no multiple of a tenth is."""
    visit(page, url)
    page.select_option("#step", "0")
    drag(page, right=37.0, down=11.0)
    until(page, "document.body.dataset.t !== '0,0'")
    settle(page)
    t = page.evaluate("document.body.dataset.t.split(',').map(Number)")
    assert all(abs(10 * x - round(10 * x)) > 1e-6 for x in t)


def test_multiples_of_the_stride(page: Page, url: str) -> None:
    visit(page, url, f"{SMALL}&stride=4")
    for t in [("4", "-8"), ("-4", "0"), ("12", "4")]:
        move_to(page, *t)
        assert page.inner_text("#error").startswith("0")
        assert error(page) < 1e-13
    move_to(page, "2", "-8")
    assert error(page) > 0.1


def test_methods_that_move_along(page: Page, url: str) -> None:
    """Switching on Xu et al. brings the error at whole pixels to 0, a comoving grid that at all reals."""
    visit(page, url)
    move_to(page, "1", "3")
    assert error(page) > 0.1
    page.select_option("#method", "xu")
    until(page, "Number(document.getElementById('error').dataset.value) < 1e-13")
    move_to(page, "1.3", "3")
    assert error(page) > 0.1
    page.select_option("#method", "comoving")
    until(page, "Number(document.getElementById('error').dataset.value) < 1e-13")
    assert page.input_value("#place") == "front"
    settle(page)
    assert "Zero at all 33 translations" in page.inner_text("#zeros")


@pytest.mark.parametrize("method", ["stride", "comoving"])
def test_kept_points(page: Page, url: str, method: str) -> None:
    """A plain stride's points stand still while the field moves; a comoving grid's go with it."""
    visit(page, url, f"{SMALL}&method={method}&place=front&stride=4")
    script = """
      (show) => {
        const box = document.getElementById("points");
        box.checked = show;
        box.dispatchEvent(new Event("change"));
        return document.getElementById("field-panel").toDataURL().split(",")[1];
      }
    """

    def mask() -> np.ndarray:
        drawn = [base64.b64decode(page.evaluate(script, show)) for show in (True, False)]
        pixels = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in drawn]
        return (pixels[0] != pixels[1]).any(-1)

    before = mask()
    move_to(page, "1.5", "0")
    after = mask()
    assert before.any()
    changed = (before != after).mean()
    assert changed < 0.003 if method == "stride" else changed > 0.01


def test_curves_of_other_settings(page: Page, url: str) -> None:
    """While the curve of new settings is computed, that of the old ones isn't shown as theirs."""
    visit(page, url)
    held = hold(page, "curve")
    page.select_option("#method", "xu")
    until(page, "document.getElementById('zeros').textContent === '…'")
    assert canvas(page, "curve").max() == 0
    first = held()
    page.select_option("#method", "lowpass")
    until(page, "document.body.dataset.curve?.includes('lowpass')")
    with contextlib.suppress(PlaywrightError):  # the page has given it up
        first.continue_()
    settle(page)
    assert "lowpass" in page.evaluate("document.body.dataset.curve")
    assert page.is_hidden("#problem")


@pytest.mark.parametrize(
    ("words", "zeros", "hint"),
    [
        ("network=unshared", "Zero at 0 pixels, of 33 tried.", "The bias depends on the place"),
        ("line=down&t=0,0.5", "Not zero at any of 33 translations tried.", ""),
        ("boundary=zero&network=identity&t=2,0", "Zero at −4, −2, 0, 2, 4 pixels", ""),
        ("boundary=zero&t=2,0", "Zero at 0 pixels", "At the border the network sees"),
    ],
)
def test_words(page: Page, url: str, words: str, zeros: str, hint: str) -> None:
    """What is said of zeros is said of those tried, and a hint only where it holds."""
    visit(page, url, f"{SMALL}&{words}")
    assert page.inner_text("#zeros").startswith(zeros)
    assert page.inner_text("#hint").startswith(hint)
    assert bool(page.inner_text("#hint")) == bool(hint)


def test_tabs(chromium: Browser, url: str) -> None:
    """Two users at once see their own settings only."""
    pages = [chromium.new_page() for _ in range(2)]
    for one, words in zip(pages, (f"{SMALL}&method=stride", f"{SMALL}&method=xu"), strict=True):
        visit(one, url, words)
    for k in (1, 2, 3):
        for one in pages:
            one.fill("#t1", str(k))
    for one, method in zip(pages, ("stride", "xu"), strict=True):
        settle(one, "3,0")
        assert one.input_value("#method") == method
    assert error(pages[0]) > 0.1
    assert error(pages[1]) < 1e-13
    for one in pages:
        one.close()


def test_server_gone(chromium: Browser) -> None:
    """Where the server has stopped, the page says so."""
    page = chromium.new_page()
    with serving() as url:
        visit(page, url)
    page.fill("#t1", "1")
    page.wait_for_selector("#problem:not([hidden])")
    assert "server doesn't answer" in page.inner_text("#problem")
    page.close()
