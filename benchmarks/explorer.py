"""The explorer: updates per second at 64 × 64, and eight browser tabs that drag for half a minute.

The first part times what one update takes in this process, on one thread: both ways round the diagram, the continuous
output, and the answer's bytes. The second one drags the field in eight tabs of a headless Chromium at once, with other
settings in each, and reports the rate and the slowest update of each, as the page measures it from asking to drawing,
and the server's resident memory meanwhile. Chromium runs on the same cores as the server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]
import torch
from playwright.sync_api import Page

from benchmarks.harness import alternate, show
from equivariance.explorer.answers import packed
from equivariance.explorer.state import State
from equivariance.explorer.views import curve, view
from tests.equivariance.browser import browser, reason_to_skip

TABS, SECONDS, WARM = 8, 30.0, 6.0
#: Promised: seconds per update, updates per second of one user, and growth of memory.
SLOWEST, RATE, GROWTH = 1.0, 10.0, 1.05
#: Drags in circles, 30 moves a second, until the page is closed: input that goes through the driver comes too slowly.
DRAG = """
() => {
  const panel = document.getElementById("field-panel");
  const { left, top, width } = panel.getBoundingClientRect();
  const at = (angle) => ({ pointerId: 1, bubbles: true,
    clientX: left + width * (0.5 + 0.3 * Math.cos(angle)), clientY: top + width * (0.5 + 0.3 * Math.sin(angle)) });
  panel.setPointerCapture = () => {};
  panel.dispatchEvent(new PointerEvent("pointerdown", at(0)));
  setInterval(() => panel.dispatchEvent(new PointerEvent("pointermove", at(performance.now() / 800))), 33);
}
"""
STATES = {
    "CNN, stride": State(),
    "CNN, Xu et al.": State(method="xu"),
    "CNN, comoving grid": State(method="comoving", place="front"),
    "residual, depth 3, 7 × 7": State(network="residual", depth=3, kernel=7),
    "maxima, photograph": State(network="maxpool", field="cat"),
    "alias-free, low-pass": State(method="lowpass", nonlinearity="polynomial"),
    "sprites, polyphase": State(field="sprites", method="polyphase", stride=4),
    "zero boundary, BlurPool": State(boundary="zero", method="blurpool"),
}


def main() -> None:
    """Both parts."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    steps = iter(range(10**9))

    def update(state: State) -> None:
        t = (0.1 * (next(steps) % 300), 0.37)
        packed(view(dataclasses.replace(state, t=t)))

    runs = {name: (lambda state=state: update(state)) for name, state in STATES.items()}
    medians = alternate(runs)
    show("one update at 64 × 64", medians)
    worst = 1 / max(medians.values())
    print(f"  the slowest: {worst:.0f} updates per second (promised: at least {RATE:g})")
    curves = {name: (lambda state=state: curve(state)) for name, state in STATES.items()}
    show("a whole curve", alternate(curves, rounds=3))
    torch.set_num_threads(threads)
    reason = reason_to_skip()
    if reason is None:
        _load()
    else:
        print(f"\nno load test: {reason}")


@contextlib.contextmanager
def _server() -> Iterator[tuple[str, psutil.Process]]:
    words = [sys.executable, "-m", "equivariance", "explore", "--no-open"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        try:
            yield run.stdout.readline().split()[4], psutil.Process(run.pid)
        finally:
            run.terminate()


def _load() -> None:
    print(f"\n{TABS} tabs dragging for {SECONDS:g} s  ({psutil.cpu_count()} cores)")
    with _server() as (url, server), browser() as chromium:
        pages = [chromium.new_page() for _ in range(TABS)]
        for page, state in zip(pages, STATES.values(), strict=True):
            words = "&".join(f"{k}={v}" for k, v in state.as_json().items() if k not in "t picture")
            page.goto(f"{url}#{words}")
        for page in pages:
            page.wait_for_selector("main[aria-busy=false]")
            page.evaluate(DRAG)
        time.sleep(WARM)
        for page in pages:
            page.evaluate("Object.assign(document.body.dataset, { updates: 0, slowest: 0 })")
        begun, memory = time.monotonic(), []
        while time.monotonic() < begun + SECONDS:
            memory.append(server.memory_info().rss)
            time.sleep(1.0)
        seconds = time.monotonic() - begun
        _report(pages, seconds, memory)


def _report(pages: list[Page], seconds: float, memory: list[int]) -> None:
    slowest = []
    for page, name in zip(pages, STATES, strict=True):
        counted = page.evaluate("[document.body.dataset.updates, document.body.dataset.slowest]")
        updates, milliseconds = map(float, counted)
        slowest.append(milliseconds / 1e3)
        print(f"  {name:<26}{updates / seconds:6.1f} updates/s, slowest {milliseconds:6.0f} ms")
    third = len(memory) // 3
    early, late = (sum(part) / len(part) / 2**20 for part in (memory[:third], memory[-third:]))
    print(f"  slowest of all: {max(slowest):.2f} s (promised: at most {SLOWEST:g})")
    print(
        f"  server's memory: {early:.0f} MiB in the first third, {late:.0f} MiB in the last: "
        f"{late / early:.3f} (promised: at most {GROWTH:g})"
    )
