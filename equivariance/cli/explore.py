"""`equivariance explore`: serve the page on the loopback interface until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equivariance.bad_input import BadInput

if TYPE_CHECKING:
    import uvicorn

ADDRESS = "127.0.0.1"
#: Seconds that requests under way have to end, once the server is told to stop.
GRACE = 10


@dataclass(frozen=True)
class ExploreSettings:
    """Drag a translation on a local web page, and see whether the diagram commutes.

    It answers this machine only, and stops on Ctrl-C.
    """

    port: int = 0
    """Port of 127.0.0.1; 0 takes a free one."""

    open: bool = True
    """Open the page in a browser."""


def run(settings: ExploreSettings) -> str:
    """Serve until interrupted; what to say then."""
    with _listening(settings.port) as listener:
        url = _url(listener)
        server = _server(listener)
        print(f"The explorer is at {url} (Ctrl-C stops it)", flush=True)
        if settings.open:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):  # passed on once all is shut down in order
            server.run(sockets=[listener])
    return "The explorer has stopped."


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve at a free port, in a thread, while the context lasts: the URL."""
    with _listening(0) as listener:
        server = _server(listener)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def _server(listener: socket.socket) -> uvicorn.Server:
    try:
        import uvicorn

        from equivariance.explorer.server import application
    except ModuleNotFoundError as error:
        raise BadInput(
            f"the explorer needs the package {error.name}: pip install 'feature-fields[explore]'"
        ) from error
    config = uvicorn.Config(
        application(listener.getsockname()[1], lambda: server.should_exit),
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)
    return server


def _url(listener: socket.socket) -> str:
    return f"http://{ADDRESS}:{listener.getsockname()[1]}/"


def _listening(port: int) -> socket.socket:
    if not 0 <= port < 2**16:
        raise BadInput(f"a port is a number from 0 to 65535, got {port}")
    try:  # with SO_REUSEADDR, but not on Windows, where that lets two programs share a port
        return socket.create_server((ADDRESS, port), backlog=128)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise BadInput(
            f"port {port} can't be used ({reason}): choose another one, or 0 for a free one"
        ) from error
