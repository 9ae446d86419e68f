"""The explorer's page in headless Chromium: as a user meets it, with a mouse and with a keyboard alone."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from axe_core_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page

from equivariance.explorer.command import serving
from tests.equivariance.browser import browser, listen, reason_to_skip

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "")

PANELS = ("field", "output", "discrete", "moved", "difference")
SMALL = "size=32"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    """A page of a new visitor; it must not complain, nor ask anybody else for anything."""
    context = chromium.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    heard = listen(page)
    yield page
    context.close()
    refusal = "the server responded with a status of 422"  # the page shows its reason
    assert [said for said in heard.said if refusal not in said] == []
    assert all(asked.startswith((url, "blob:", "data:")) for asked in heard.asked)


def until(page: Page, condition: str, seconds: float = 20.0) -> None:
    """Wait for what a line of JavaScript tells; the page's own policy keeps its timers from evaluating strings."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"{condition} never came true"
        page.wait_for_timeout(20)


def visit(page: Page, url: str, words: str = SMALL) -> None:
    page.goto(f"{url}#{words}")
    until(page, "document.body.dataset.updates > 0 && document.body.dataset.curve")


def settle(page: Page, t: str | None = None) -> None:
    """Wait until nothing more is asked for, and the translation is as expected."""
    if t is not None:
        until(page, f"document.body.dataset.t === {json.dumps(t)}")
    page.wait_for_timeout(50)
    until(page, "document.querySelector('main').ariaBusy === 'false'")


def error(page: Page) -> float:
    return float(page.get_attribute("#error", "data-value") or "nan")


def pictures(page: Page) -> dict[str, str]:
    return {n: page.evaluate(f"document.getElementById('{n}-panel').toDataURL()") for n in PANELS}


def move_to(page: Page, t1: str, t2: str) -> None:
    page.fill("#t1", t1)
    page.fill("#t2", t2)
    settle(page, f"{t1},{t2}")


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


def test_link(chromium: Browser, page: Page, url: str) -> None:
    """A link restores everything, to the last pixel."""
    visit(
        page, url, f"{SMALL}&method=polyphase&field=coins&stride=4&network=residual&boundary=zero"
    )
    move_to(page, "1.25", "-2")
    page.select_option("#line", "down")
    page.click("#copy")
    settle(page)
    link = page.url
    assert "t=1.25%2C-2" in link
    again = chromium.new_page(viewport={"width": 1300, "height": 900})
    again.goto(link)
    until(again, "document.body.dataset.curve")
    settle(again)
    assert pictures(again) == pictures(page)
    for name in ("field", "method", "stride", "network", "boundary", "line", "t1", "t2"):
        assert again.input_value(f"#{name}") == page.input_value(f"#{name}")
    assert error(again) == error(page)
    assert again.inner_text("#zeros") == page.inner_text("#zeros")
    again.evaluate(f"location.hash = '{SMALL}'")
    settle(again, "0,0")
    assert again.input_value("#method") == "stride"
    again.close()


def test_bad_link(page: Page, url: str) -> None:
    """What a link asks for and can't have is said, and can be mended."""
    page.goto(f"{url}#{SMALL}&method=nonsense&unknown=1")
    page.wait_for_selector("#problem:not([hidden])")
    assert "method must be one of stride" in page.inner_text("#problem")
    page.select_option("#method", "xu")
    page.wait_for_selector("#problem", state="hidden")


def test_uploads(page: Page, url: str, tmp_path: Path) -> None:
    """A bad file shows the reason; a good one becomes the field, and part of the link."""
    visit(page, url)
    page.select_option("#field", "upload")
    assert "Choose an image file" in page.inner_text("#problem")
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"this is no picture")
    page.set_input_files("#file", bad)
    until(page, "document.getElementById('problem').textContent.includes('no PNG')")
    good = tmp_path / "good.png"
    ramp = np.add.outer(np.arange(200) % 37 * 6, np.arange(300) % 23 * 5) % 256
    Image.fromarray(ramp.astype(np.uint8)).save(good)
    page.set_input_files("#file", good)
    page.wait_for_selector("#problem", state="hidden")
    settle(page)
    before = pictures(page)
    page.click("#copy")
    page.reload()
    until(page, "document.body.dataset.curve")
    assert pictures(page) == before
    page.select_option("#field", "noise")
    settle(page)
    until(page, "!location.href.includes('picture')")


def test_files(page: Page, url: str) -> None:
    """The data as NetCDF, the page as PNG."""
    visit(page, url, f"{SMALL}&method=xu&t=1,2")
    with page.expect_download() as saved:
        page.click("#save-netcdf")
    assert saved.value.suggested_filename == "equivariance.nc"
    with xr.open_dataset(saved.value.path(), engine="scipy") as stored:
        assert json.loads(stored.attrs["configuration"])["t"] == [1.0, 2.0]
        assert float(stored["error"]) == error(page)
    with page.expect_download() as saved:
        page.click("#save-png")
    with Image.open(saved.value.path()) as image:
        assert image.format == "PNG"
        assert len(image.convert("RGB").getcolors(2**20) or []) > 50


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
