"""The browser of the tests: it is found, its absence is told or is an error, and it hears what pages do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.equivariance.browser import (
    NAMES,
    REQUIRED,
    browser,
    executable,
    listen,
    reason_to_skip,
)


def test_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever name it has, the first of them first."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(REQUIRED, "1")
    for name in reversed(NAMES):
        (tmp_path / name).touch(0o755)
        assert executable() == str(tmp_path / name)
        assert reason_to_skip() is None


def test_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason to skip, which is an error where a browser is required."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / NAMES[0]).touch(0o644)  # that can't be executed
    monkeypatch.delenv(REQUIRED, raising=False)
    assert executable() is None
    assert "no Chromium on this machine (chromium, " in (reason_to_skip() or "")
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(RuntimeError, match=f"no Chromium .* and {REQUIRED} is set"):
        reason_to_skip()


@pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "")
def test_hears(tmp_path: Path) -> None:
    """A script that fails, a warning, a picture that is fetched, and a socket: what tests of pages forbid."""
    file = tmp_path / "bad.html"
    file.write_text(
        "<img src='http://127.0.0.1:9/x.png'>"
        "<script>console.warn('careful'); console.log('nothing');"
        "new WebSocket('ws://127.0.0.1:9/s'); absent();</script>"
    )
    with browser() as chromium:
        page = chromium.new_page()
        heard = listen(page)
        with (  # events arrive when they like
            page.expect_websocket(),
            page.expect_event("pageerror"),
            page.expect_console_message(lambda message: "ERR_" in message.text),
        ):
            page.goto(file.as_uri())
    assert any("absent is not defined" in said for said in heard.said)
    assert "careful" in heard.said
    assert "nothing" not in heard.said
    assert any("ERR_CONNECTION_REFUSED" in said or "ERR_UNSAFE_PORT" in said for said in heard.said)
    assert set(heard.asked) == {file.as_uri(), "http://127.0.0.1:9/x.png", "ws://127.0.0.1:9/s"}
