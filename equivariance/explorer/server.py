"""The web application: every request carries the state that it asks about; between requests only caches are kept."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from equivariance.bad_input import BadInput
from equivariance.explorer.answers import (
    Guard,
    TooLong,
    body,
    commit,
    curve_as_json,
    netcdf,
    packed,
)
from equivariance.explorer.fields_and_networks import FILE_BOUND, decoded
from equivariance.explorer.state import State, menus, parse
from equivariance.explorer.views import Curve, curve_of, errors_at, parts, view

#: Bytes of a state: a picture in base64 and some words.
STATE_BOUND = 2**16
#: Threads that compute: several wait for each other, since what they do is many small steps of the interpreter.
WORKERS = 1
#: Requests that may wait.
WAITING = 64
#: Types of what the browser may load, and all of that.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOLDER = resources.files(__package__) / "page"
PAGE = {f.name: TYPES[suffix] for f in FOLDER.iterdir() if (suffix := Path(f.name).suffix) in TYPES}

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Busy(Exception):
    """More requests wait than allowed."""


class Gone(Exception):
    """Who asked has gone before the work began."""


class Stopping(Exception):
    """The server is to stop: nothing new is begun."""


class Workers:
    """A few threads that compute, and a bound on what waits for them.

    Parameters
    ----------
    stopping : callable
        Whether the server is to stop.
    count, waiting : int
        Threads, and requests that may wait for them.
    """

    def __init__(
        self, stopping: Callable[[], bool], count: int = WORKERS, waiting: int = WAITING
    ) -> None:
        self.stopping = stopping
        self.pool = ThreadPoolExecutor(
            count, "explorer", initializer=torch.set_num_threads, initargs=(1,)
        )
        self.free = asyncio.Semaphore(count)
        self.waiting, self.bound = 0, waiting

    async def do(self, request: Request, work: Callable[[], Answer]) -> Answer:
        """What the work gives."""
        if self.waiting >= self.bound:
            raise Busy
        self.waiting += 1
        try:
            await self.free.acquire()
        finally:
            self.waiting -= 1
        try:
            if self.stopping():
                raise Stopping
            if await request.is_disconnected():
                raise Gone
            return await asyncio.get_running_loop().run_in_executor(self.pool, work)
        finally:
            self.free.release()


def application(port: int, stopping: Callable[[], bool] = lambda: False) -> Guard:
    """The explorer at a port of the loopback interface.

    Parameters
    ----------
    port : int
        That of its URL: the only Host and Origin that it answers are those of 127.0.0.1 and localhost there.
    stopping : callable
        Whether the server is to stop: requests that wait are then sent away.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.workers = Workers(stopping)
        app.state.workers.pool.submit(commit)  # now, so that no request starts a process
        yield
        app.state.workers.pool.shutdown(wait=True, cancel_futures=True)

    page = {name: (FOLDER / name).read_bytes() for name in PAGE}

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            return Response("there is no such page", 404, media_type="text/plain")
        return Response(page[name], headers={"Content-Type": PAGE[name]})

    async def choices(request: Request) -> Response:
        return JSONResponse({"menus": menus(), "state": State().as_json()})

    app = Starlette(
        routes=[
            Route("/", file),
            Route("/page/{name}", file),
            Route("/api/choices", choices),
            Route("/api/view", _about_state(_view), methods=["POST"]),
            Route("/api/curve", _about_state(_curve), methods=["POST"]),
            Route("/api/netcdf", _about_state(_netcdf), methods=["POST"]),
            Route("/api/upload", _upload, methods=["POST"]),
        ],
        lifespan=lifespan,
    )
    return Guard(app, port)  # around all of it, so that answers to errors pass it as well


async def _view(request: Request, state: State) -> Response:
    content = await _work(request, lambda: packed(view(state)))
    return Response(content, media_type="application/octet-stream")


async def _curve(request: Request, state: State) -> Response:
    return JSONResponse(curve_as_json(await _in_parts(request, state)))


async def _netcdf(request: Request, state: State) -> Response:
    curve = await _in_parts(request, state)
    return Response(
        await _work(request, lambda: netcdf(view(state), curve)),
        media_type="application/x-netcdf",
        headers={"Content-Disposition": 'attachment; filename="equivariance.nc"'},
    )


async def _in_parts(request: Request, state: State) -> Curve:
    """A curve, part by part: between them others take their turn, and the server can stop."""
    errors = [
        await _work(request, functools.partial(errors_at, state, part)) for part in parts(state)
    ]
    return curve_of(state, errors)


def _about_state(
    answer: Callable[[Request, State], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        async def work(data: bytes) -> Response:
            return await answer(request, _state(request, data))

        return await _answered(request, STATE_BOUND, work)

    return endpoint


async def _upload(request: Request) -> Response:
    async def work(data: bytes) -> Response:
        picture = await _work(request, lambda: decoded(data))
        return JSONResponse({"picture": base64.b64encode(picture).decode()})

    return await _answered(request, FILE_BOUND, work)


async def _work(request: Request, work: Callable[[], Answer]) -> Answer:
    workers: Workers = request.app.state.workers
    return await workers.do(request, work)


async def _answered(
    request: Request, bound: int, work: Callable[[bytes], Awaitable[Response]]
) -> Response:
    """The answer to a body, or the reason why there is none."""
    try:
        return await work(await body(request, bound))
    except (Gone, ClientDisconnect):
        return Response(status_code=499)
    except (Stopping, asyncio.CancelledError):  # the latter where its grace is over
        return _refused("the server is stopping", 503)
    except TooLong:
        return _refused(f"at most {bound // 1024} KiB are taken: choose a smaller file", 413)
    except Busy:
        return _refused("too many requests are waiting: try again in a moment", 503)
    except BadInput as error:
        return _refused(str(error), 422)
    except ValueError as error:  # what the packages refuse, with their reason
        log.warning("refused: %s", error)
        return _refused(str(error), 422)


def _state(request: Request, data: bytes) -> State:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise BadInput("a state is sent as application/json")
    return parse(_json(data))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput("the state is no JSON") from error


def _refused(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status)
