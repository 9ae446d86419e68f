"""The explorer over HTTP: what it answers, what it refuses, that users don't mix."""

import asyncio
import base64
import concurrent.futures
import dataclasses
import functools
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import Message

from equivariance.explorer import server
from equivariance.explorer.answers import packed
from equivariance.explorer.fields_and_networks import FILE_BOUND
from equivariance.explorer.server import PAGE, STATE_BOUND, application
from equivariance.explorer.state import State
from equivariance.explorer.views import curve, parts, view
from equivariance.explorer.views import errors_at as errors
from tests.equivariance.test_explorer import bomb

PORT = 8123
BASE = f"http://127.0.0.1:{PORT}"
SMALL = State(size=32)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(application(PORT), base_url=BASE, raise_server_exceptions=False) as client:
        yield client


def header(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:4], "little")
    answer: dict[str, Any] = json.loads(data[4 : 4 + length])
    return answer


def test_page(client: TestClient) -> None:
    """The page loads nothing from elsewhere, and says so to the browser."""
    for name in PAGE:
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == PAGE[name]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        for far in ("http://", "https://", "//cdn"):
            assert far not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert client.get("/").text == client.get("/page/index.html").text


@pytest.mark.parametrize(
    "path", ["/page/server.py", "/page/../server.py", "/page/%2e%2e/server.py", "/etc/passwd", "/x"]
)
def test_no_other_files(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_choices(client: TestClient) -> None:
    answer = client.get("/api/choices").json()
    assert answer["state"] == State().as_json()
    assert "comoving" in answer["menus"]["method"]


def test_view(client: TestClient) -> None:
    """The answer is the view of the state that was sent."""
    state = dataclasses.replace(SMALL, t=(0.3, 1.7), method="xu")
    answer = client.post("/api/view", json=state.as_json())
    assert answer.status_code == 200
    assert answer.content == packed(view(state))
    assert header(answer.content)["t"] == [0.3, 1.7]


def test_curve(client: TestClient) -> None:
    answer = client.post("/api/curve", json=SMALL.as_json()).json()
    assert answer["errors"] == list(curve(SMALL).errors)
    assert answer["positions"][0] == -4.0


def test_netcdf(client: TestClient) -> None:
    answer = client.post("/api/netcdf", json=SMALL.as_json())
    assert answer.headers["content-disposition"] == 'attachment; filename="equivariance.nc"'
    with xr.open_dataset(io.BytesIO(answer.content), engine="scipy") as stored:
        assert stored["field"].shape == (192, 192)
        assert stored.attrs["command"] == "equivariance explore"


def test_upload(client: TestClient) -> None:
    """A picture comes back to who sent it, and travels with the state from then on."""
    out = io.BytesIO()
    Image.fromarray(np.arange(200 * 200, dtype=np.uint8).reshape(200, 200)).save(out, "PNG")
    sent = client.post("/api/upload", content=out.getvalue()).json()["picture"]
    assert len(base64.b64decode(sent)) == 128**2
    state = SMALL.as_json() | {"field": "upload", "picture": sent}
    assert client.post("/api/view", json=state).status_code == 200
    assert client.post("/api/view", json=state | {"picture": ""}).status_code == 422


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"hello", 422, "no PNG, JPEG, WebP image"),
        (b"", 422, "the file is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(300), 422, "damaged"),
        (bytes(FILE_BOUND + 1), 413, "8192 KiB"),
        (bomb(), 422, "900000000 pixels"),
    ],
)
def test_refused_uploads(client: TestClient, data: bytes, status: int, said: str) -> None:
    answer = client.post("/api/upload", content=data)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_long_bodies(client: TestClient) -> None:
    """A body is read up to its bound, whatever its header says of it."""

    def parts() -> Iterator[bytes]:
        for _ in range(FILE_BOUND // 2**16 + 2):
            yield bytes(2**16)

    assert client.post("/api/upload", content=parts()).status_code == 413
    long = b"[" + b" " * STATE_BOUND
    json_type = {"content-type": "application/json"}
    assert client.post("/api/view", content=long, headers=json_type).status_code == 413


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the state is no JSON"),
        (b"\xff", "the state is no JSON"),
        (b"[" * 30000, "the state is no JSON"),
        (b"[]", "a state is an object"),
        (b'{"size": 7}', "size must be one of"),
        (b'{"t": [NaN, 0]}', "t must be two numbers"),
        (b'{"method": "comoving", "boundary": "zero"}', "needs a periodic boundary"),
    ],
)
def test_refused_states(client: TestClient, body: bytes, said: str) -> None:
    answer = client.post("/api/view", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": f"evil.example:{PORT}"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": f"127.0.0.1:{PORT + 1}"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"https://127.0.0.1:{PORT}"}, 403),
        ({"origin": f"http://localhost:{PORT + 1}"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 422),
        ({"host": f"localhost:{PORT}"}, 200),
        ({"origin": BASE}, 200),
        ({"origin": f"http://localhost:{PORT}"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_who_may_ask(client: TestClient, headers: dict[str, str], status: int) -> None:
    """Only this server's own page, under its own name."""
    sent = {"content-type": "application/json"} | headers
    answer = client.post("/api/view", content=json.dumps(SMALL.as_json()), headers=sent)
    assert answer.status_code == status
    assert "content-security-policy" in answer.headers


def test_links_from_elsewhere(client: TestClient) -> None:
    """The page itself may be opened from a link in a mail, but not shown in a frame."""
    answer = client.get("/", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_get_is_not_post(client: TestClient) -> None:
    assert client.get("/api/view").status_code == 405
    assert client.post("/").status_code == 405


def test_users(client: TestClient) -> None:
    """Many at once, with settings of their own: everybody gets what they asked for, bit for bit."""
    states = [
        dataclasses.replace(SMALL, seed=user % 4, method=method, t=(0.1 * user, step))
        for user in range(8)
        for method in ("stride", "xu")
        for step in (1.0, 0.7)
    ]
    expected = [packed(view(state)) for state in states]

    def ask(state: State) -> bytes:
        return client.post("/api/view", json=state.as_json()).content

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, states)) == expected


AUDITED: list[list[tuple[str, tuple[Any, ...]]]] = []


ACTS = (
    *("subprocess", "shutil", "tempfile", "socket.connect", "socket.bind"),
    *("os.system", "os.exec", "os.fork", "os.posix_spawn"),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
)


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is done to files, processes and networks, while there is a list for it."""
    for events in AUDITED:
        events.append((event, arguments))


def test_nothing_outside_the_request(client: TestClient) -> None:
    """Answering writes no file, starts nothing, and connects to nobody."""
    out = io.BytesIO()
    Image.new("L", (300, 200), 99).save(out, "JPEG")
    state = SMALL.as_json()
    client.post("/api/view", json=state)  # what is done at the start is done by now
    sys.addaudithook(audit)
    events: list[tuple[str, tuple[Any, ...]]] = []
    AUDITED.append(events)
    try:
        for path in ("view", "curve", "netcdf"):
            assert client.post(f"/api/{path}", json=state | {"field": "coins"}).status_code == 200
        assert client.post("/api/upload", content=out.getvalue()).status_code == 200
        assert client.get("/").status_code == 200
    finally:
        AUDITED.remove(events)
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    written = [a for e, a in events if e == "open" and a[2] & writing and a[0] != "/dev/null"]
    assert written == []
    assert [(e, a) for e, a in events if e.startswith(ACTS)] == []


def test_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than may wait are sent away, with the reason."""
    monkeypatch.setattr(server, "Workers", functools.partial(server.Workers, waiting=0))
    with TestClient(application(PORT), base_url=BASE) as client:
        answer = client.post("/api/view", json=SMALL.as_json())
    assert answer.status_code == 503
    assert "too many requests" in answer.json()["error"]


@pytest.mark.parametrize("what", ["curve", "netcdf"])
def test_stopping_between_parts(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is computed in parts: a server that is to stop begins no further one."""
    begun: list[object] = []

    def errors_at(state: State, part: Sequence[tuple[float, float]]) -> list[float | None]:
        begun.append(part)
        return errors(state, part)

    monkeypatch.setattr(server, "errors_at", errors_at)
    state = dataclasses.replace(SMALL, size=96)
    stopping = application(PORT, lambda: len(begun) > 0)
    with TestClient(stopping, base_url=BASE) as client:
        answer = client.post(f"/api/{what}", json=state.as_json())
    assert answer.status_code == 503
    assert "stopping" in answer.json()["error"]
    assert len(begun) == 1 < len(parts(state))


@pytest.mark.parametrize("sent", [b"", json.dumps(SMALL.as_json()).encode()])
def test_who_has_gone(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is computed for who has closed the connection, amid the body or behind it."""
    monkeypatch.setattr(server, "errors_at", lambda *_: pytest.fail("computed"))
    app = application(PORT)
    headers = {"host": f"127.0.0.1:{PORT}", "content-type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/curve",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    incoming: list[Message] = [
        {"type": "http.request", "body": sent, "more_body": not sent},
        {"type": "http.disconnect"},
    ]
    answered: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0) if len(incoming) > 1 else incoming[0]

    async def send(message: Message) -> None:
        answered.append(message)

    async def ask() -> None:
        workers = server.Workers(lambda: False)
        app.app.state.workers = workers  # type: ignore[attr-defined]
        await app(scope, receive, send)
        workers.pool.shutdown()

    asyncio.run(ask())
    assert answered[0]["status"] == 499


def test_own_errors(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the program itself says nothing of its inside, and is as guarded as all answers."""
    monkeypatch.setattr(server, "packed", lambda _: [][99])
    answer = client.post("/api/view", json=SMALL.as_json())
    assert answer.status_code == 500
    assert answer.text == "Internal Server Error"
    assert "content-security-policy" in answer.headers
