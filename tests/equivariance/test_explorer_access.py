"""The explorer's page in headless Chromium by the keyboard alone, for screen readers, and on narrow screens."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_core_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page

from tests.equivariance.browser import reason_to_skip
from tests.equivariance.explorer_page import SMALL, error, settle, until, visit

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "")


def tab_to(page: Page, name: str) -> None:
    """Reach a control by the Tab key alone."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == name:
            return
    raise AssertionError(f"{name} can't be reached by Tab")


def test_keyboard(page: Page, url: str) -> None:
    """Every control is reached and worked without a mouse."""
    visit(page, url)
    controls = page.evaluate(
        "[...document.querySelectorAll('select, button, input, [tabindex]')]"
        ".filter((e) => e.offsetParent && !e.disabled).map((e) => e.id)"
    )
    seen = []
    for _ in range(len(controls) + 2):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
    assert set(controls) <= set(seen)

    tab_to(page, "field-panel")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+ArrowRight")
    settle(page, "0.3,1")
    assert error(page) > 0.1
    tab_to(page, "method")
    page.keyboard.type("Comoving")
    until(page, "Number(document.getElementById('error').dataset.value) < 1e-13")
    tab_to(page, "points")
    page.keyboard.press("Space")
    assert not page.is_checked("#points")
    tab_to(page, "t1")
    page.keyboard.press("Control+A")
    page.keyboard.type("2.5")
    settle(page, "2.5,1")
    tab_to(page, "home")
    page.keyboard.press("Enter")
    settle(page, "0,0")
    tab_to(page, "save-png")
    with page.expect_download():
        page.keyboard.press("Enter")
    tab_to(page, "field-panel")
    page.keyboard.press("ArrowLeft")
    settle(page, "0,-0.1")
    page.keyboard.press("Home")
    settle(page, "0,0")
    page.keyboard.press("Control+ArrowDown")  # the browser's own
    settle(page, "0,0")


def test_keyboard_in_and_out(page: Page, url: str, tmp_path: Path) -> None:
    """A file is chosen, the link copied and the data saved without a mouse, too."""
    page.on("filechooser", lambda chooser: None)  # from now on: interception takes a while to begin
    visit(page, url)
    good = tmp_path / "good.png"
    Image.linear_gradient("L").save(good)
    tab_to(page, "field")
    page.keyboard.press("End")  # the last one; letters typed slowly would choose several
    until(page, "!document.getElementById('upload-row').hidden")
    tab_to(page, "file")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(good)
    settle(page)
    assert page.is_hidden("#problem")
    tab_to(page, "copy")
    page.keyboard.press("Enter")
    assert "picture=" in page.url
    until(page, "document.getElementById('said').textContent.startsWith('The link is')")
    tab_to(page, "save-netcdf")
    with page.expect_download():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("words", ["", f"{SMALL}&t=1,0.3&boundary=zero", "method=nonsense"])
@pytest.mark.parametrize("width", [1300, 700])
def test_accessibility(page: Page, url: str, words: str, width: int) -> None:
    """axe-core finds nothing, contrast included."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{url}#{words}")
    until(page, "document.body.dataset.curve || !document.getElementById('problem').hidden")
    found = Axe().run(page)
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []
    assert any(p["id"] == "color-contrast" for p in found["passes"])


def test_narrow_pages(page: Page, url: str) -> None:
    """Nothing is cut off at the side."""
    for width in (400, 700, 1000, 1300):
        page.set_viewport_size({"width": width, "height": 900})
        visit(page, url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
