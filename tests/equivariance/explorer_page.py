"""The explorer's page, driven as a user drives it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from playwright.sync_api import Page, Route

PANELS = ("field", "output", "discrete", "moved", "difference")
SMALL = "size=32"


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


def hold(page: Page, what: str) -> Callable[[], Route]:
    """Keep the next such request from the server: what waits for it."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        if held:
            route.continue_()
        held.append(route)

    def first() -> Route:
        while not held:
            page.wait_for_timeout(20)
        return held[0]

    page.route(f"**/api/{what}", keep)
    return first
