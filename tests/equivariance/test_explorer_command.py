"""`equivariance explore`: where it listens, how it stops, what it says."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator

import pytest

from equivariance.bad_input import BadInput
from equivariance.cli import explore as command
from equivariance.cli.explore import ExploreSettings


@contextlib.contextmanager
def running(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command in a process of its own, and its URL."""
    command = [sys.executable, "-m", "equivariance", "explore", "--no-open", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as run:
        try:
            assert run.stdout is not None
            assert run.stderr is not None
            said = run.stdout.readline()
            assert said, run.stderr.read()
            yield said.split()[4], run
        finally:
            run.kill()


def test_command() -> None:
    """It answers at the port that was chosen, on the loopback interface only, and ends on Ctrl-C with 0."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    with running("--port", str(port)) as (url, run):
        assert url == f"http://127.0.0.1:{port}/"
        with urllib.request.urlopen(f"{url}api/choices", timeout=300) as answer:
            assert "noise" in json.load(answer)["menus"]["field"]
        asked = urllib.request.Request(url, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="421"):
            urllib.request.urlopen(asked, timeout=300)
        run.send_signal(signal.SIGINT)
        out, errors = run.communicate(timeout=300)
    assert run.returncode == 0
    assert "has stopped" in out
    assert errors == ""


def test_stopped_at_work() -> None:
    """Ctrl-C while requests are under way, and with a connection that idles: it ends as cleanly."""
    body = json.dumps({"size": 128, "depth": 3, "kernel": 7, "network": "residual"}).encode()
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with running() as (url, run), contextlib.ExitStack() as stack:
        host, port = url.removeprefix("http://").strip("/").split(":")
        for path in ("curve", "view", "curve", None):
            line = stack.enter_context(socket.create_connection((host, int(port)), timeout=300))
            if path is not None:
                asked = f"POST /api/{path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
                line.sendall(asked.encode() + head + body)
        with urllib.request.urlopen(f"{url}api/choices", timeout=300):
            run.send_signal(signal.SIGINT)
        out, errors = run.communicate(timeout=300)
    assert run.returncode == 0
    assert "has stopped" in out
    assert "Traceback" not in errors


class Idle:
    """A server that has nothing to do."""

    def run(self, sockets: list[socket.socket]) -> None:
        """Nothing."""
        assert len(sockets) == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_opened_in_a_browser(
    wanted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(webbrowser, "open", opened.put)
    monkeypatch.setattr(command, "_server", lambda listener: Idle())
    command.run(ExploreSettings(open=wanted))
    url = capsys.readouterr().out.split()[4]
    if wanted:
        assert opened.get(timeout=300) == url
    assert opened.empty()


def test_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port} can't be used"):
            command.run(ExploreSettings(port=port, open=False))
    with pytest.raises(BadInput, match="from 0 to 65535, got 70000"):
        command.run(ExploreSettings(port=70000, open=False))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(BadInput, match=r"pip install 'feature-fields\[explore\]'"):
        command.run(ExploreSettings(open=False))
