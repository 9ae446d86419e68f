"""What goes into the explorer's page and what is taken away, in headless Chromium: links, uploads, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.equivariance.browser import reason_to_skip
from tests.equivariance.explorer_page import (
    SMALL,
    error,
    hold,
    move_to,
    pictures,
    settle,
    until,
    visit,
)
from tests.equivariance.painted import STOPS

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "")


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
    settle(page)
    page.fill("#seed", "-1")
    page.keyboard.press("Tab")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.locator(".panels.stale").count() == 1
    assert page.is_hidden("#verdict")  # that of other settings
    page.fill("#seed", "1")
    page.keyboard.press("Tab")
    page.wait_for_selector("#problem", state="hidden")
    assert page.is_visible("#verdict")


def test_refused_file(page: Page, url: str) -> None:
    """Where a file can't be had, what is shown is as right as before."""
    visit(page, url)
    page.route("**/api/netcdf", lambda route: route.fulfill(status=422, json={"error": "full"}))
    page.click("#save-netcdf")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.inner_text("#problem") == "full."
    assert page.locator(".panels.stale").count() == 0


def test_uploads(page: Page, url: str, tmp_path: Path) -> None:
    """A bad file shows the reason; a good one becomes the field, and part of the link."""
    visit(page, url)
    page.select_option("#field", "upload")
    until(page, "document.getElementById('problem').textContent.includes('choose an image file')")
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
    page.select_option("#field", "upload")
    settle(page)
    assert pictures(page) == before


def test_two_uploads(page: Page, url: str, tmp_path: Path) -> None:
    """The file chosen last is the field, whichever answer comes first."""
    visit(page, url, f"{SMALL}&field=noise")
    page.select_option("#field", "upload")
    files = [tmp_path / "first.png", tmp_path / "last.png"]
    for file, angle in zip(files, (0, 90), strict=True):
        Image.linear_gradient("L").rotate(angle).save(file)
    held = hold(page, "upload")
    page.set_input_files("#file", files[0])
    first = held()
    page.set_input_files("#file", files[1])
    page.wait_for_selector("#problem", state="hidden")
    settle(page)
    last = pictures(page)
    with page.expect_response("**/api/upload"):
        first.continue_()
    settle(page)
    assert pictures(page) == last


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
        width, height = image.size
        lowest = np.asarray(image.convert("RGB").crop((0, height - 240, width, height))).astype(int)
    for end in (STOPS[0], STOPS[-1]):  # the scale of the colours is in it
        assert np.abs(lowest - end).max(-1).min() <= 4
