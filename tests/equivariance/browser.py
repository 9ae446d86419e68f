"""A headless Chromium for tests, benchmarks and screenshots: the one that the system has."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Set where tests that need a browser must fail rather than be skipped without one.
REQUIRED = "REQUIRE_CHROMIUM"


def executable() -> str | None:
    """Where Chromium is; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def reason_to_skip() -> str | None:
    """Why tests in a browser can't run here; an error where they have to."""
    if executable() is not None:
        return None
    reason = f"there is no Chromium on this machine ({', '.join(NAMES)})"
    if os.environ.get(REQUIRED):
        raise RuntimeError(f"{reason}, and {REQUIRED} is set")
    return reason


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium."""
    arguments = ["--disable-gpu", "--disable-dev-shm-usage"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # it doesn't start for root otherwise
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable(), args=arguments)
        try:
            yield running
        finally:
            running.close()


@dataclass(frozen=True)
class Heard:
    """What a page said on its console, errors and warnings, and the addresses that it asked for."""

    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def listen(page: Page) -> Heard:
    """Begin to listen to a page, before it goes anywhere."""
    heard = Heard()

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            heard.said.append(message.text)

    page.on("pageerror", lambda error: heard.said.append(str(error)))
    page.on("console", hear)
    page.on("request", lambda request: heard.asked.append(request.url))
    page.on("websocket", lambda socket: heard.asked.append(socket.url))
    return heard
