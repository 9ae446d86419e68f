"""A served explorer and a page of it; what they need is imported by tests that have it only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The explorer, served."""
    from equivariance.cli.explore import serving

    with serving() as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from tests.equivariance.browser import browser

    with browser() as running:
        yield running


@pytest.fixture
def page(chromium: Browser, url: str) -> Iterator[Page]:
    """A page of a new visitor; it must not complain, nor ask anybody else for anything."""
    from tests.equivariance.browser import listen

    context = chromium.new_context(viewport={"width": 1300, "height": 900})
    page = context.new_page()
    heard = listen(page)
    yield page
    context.close()
    refusal = "the server responded with a status of 422"  # the page shows its reason
    assert [said for said in heard.said if refusal not in said] == []
    assert all(asked.startswith((url, "blob:", "data:")) for asked in heard.asked)
