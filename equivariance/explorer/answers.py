"""What the server refuses before it looks at a request, and what it answers: views as bytes, and as files.

Refused are other hosts' names, other sites' pages, and long bodies.
"""

from __future__ import annotations

import functools
import json
import math
import platform
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from torch import Tensor

from discretize import Grid, Samples
from equivariance.explorer.state import METHODS, State
from equivariance.explorer.views import ROUNDING, Curve, View
from equivariance.records import as_json, git_commit, provenance
from equivariance.results import as_bytes
from equivariance.verdicts import COLUMNS, of_compared

_LENGTH = struct.Struct("<I")


def packed(view: View) -> bytes:
    """A view as the page reads it: length of the header (4 bytes), header (JSON), then all panels as float32."""
    panels = {
        "field": (view.field.values, view.field.grid),
        "output": (view.output.values, view.output.grid),
        "discrete": (view.discrete.values, view.discrete.grid),
        "moved": (view.moved, view.discrete.grid),
        "difference": (view.difference, view.discrete.grid),
    }
    header = {
        "t": list(view.state.t),
        "error": view.error,
        "rounding": ROUNDING,
        "scale": view.scale,
        "approximate": view.approximate,
        "panels": [{"name": name, **_place(grid)} for name, (_, grid) in panels.items()],
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)  # the browser reads numbers at multiples of their size
    arrays = [_array(values) for values, _ in panels.values()]
    return b"".join([_LENGTH.pack(len(text)), text, *arrays])


def _place(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "spacing": list(grid.spacing),
        "origin": grid.origin.tolist(),
    }


def _array(values: Tensor) -> bytes:
    return values[0].numpy().astype("<f4").tobytes()


def curve_as_json(curve: Curve) -> dict[str, Any]:
    """A curve as the page reads it."""
    found = of_compared(np.array(curve.translations), np.array([_number(e) for e in curve.errors]))
    return {
        "verdict": None if found is None else dict(zip(COLUMNS, found.words, strict=True)),
        "positions": list(curve.positions),
        "translations": [list(t) for t in curve.translations],
        "errors": list(curve.errors),
        "rounding": ROUNDING,
    }


def dataset(view: View, curve: Curve) -> xr.Dataset:
    """All that the page shows, in double precision, with where it comes from."""
    maps = {
        "field": ("_fine", view.field),
        "continuous_output": ("_fine", view.output),
        "sampled_field": ("", view.sampled),
        "output_of_moved": ("_kept", view.discrete),
    }
    variables: dict[str, Any] = {}
    for name, (suffix, samples) in maps.items():
        variables[name] = _labelled(samples, suffix, _LONG_NAMES[name])
    for name, values in (("moved_output", view.moved), ("difference", view.difference)):
        like = variables["output_of_moved"]
        variables[name] = like.copy(data=values[0].numpy())
        variables[name].attrs = {"long_name": _LONG_NAMES[name], "units": "1"}
    variables["error"] = xr.DataArray(
        _number(view.error), attrs={"long_name": "relative L2 norm of the difference", "units": "1"}
    )
    variables |= _curve_variables(curve)
    return xr.Dataset(variables, attrs=_attributes(view.state))


_LONG_NAMES = {
    "field": "t▷F, the translated field",
    "continuous_output": "the network without subsampling, of the translated field as a function",
    "sampled_field": "t▷F on the sampling grid",
    "output_of_moved": "L(t▷F) on the kept points",
    "moved_output": "t▷L(F) on the same points, NaN where it isn't known",
    "difference": "L(t▷F) − t▷L(F)",
}


def _labelled(samples: Samples, suffix: str, name: str) -> xr.DataArray:
    axes = [
        o + h * np.arange(n)
        for n, h, o in zip(
            samples.grid.shape, samples.grid.spacing, samples.grid.origin.tolist(), strict=True
        )
    ]
    names = [f"x1{suffix}", f"x2{suffix}"]
    coordinates = {
        dim: xr.DataArray(values, dims=dim, attrs={"units": "pixel"})
        for dim, values in zip(names, axes, strict=True)
    }
    return xr.DataArray(
        samples.values[0].numpy(), coordinates, names, attrs={"long_name": name, "units": "1"}
    )


def _curve_variables(curve: Curve) -> dict[str, Any]:
    errors = [_number(e) for e in curve.errors]
    pixel = {"units": "pixel"}
    return {
        "line": xr.DataArray(list(curve.positions), dims="line", attrs=pixel),
        "line_translation": xr.DataArray(
            np.array(curve.translations), dims=("line", "axis"), attrs=pixel
        ),
        "line_error": xr.DataArray(
            errors, dims="line", attrs={"long_name": "error along the line", "units": "1"}
        ),
    }


def _number(error: float | None) -> float:
    return math.nan if error is None else error


def _attributes(state: State) -> Mapping[str, str]:
    configuration = state.as_json()
    if not state.picture:
        configuration.pop("picture")
    return provenance(configuration, command="equivariance explore", commit=commit()) | {
        "title": f"Translation equivariance: {METHODS[state.method].label}, stride {state.stride}",
        "configuration": as_json(configuration),
    }


@functools.cache
def commit() -> str:
    """The commit of this program, empty where there is none: asked once, since git is another process."""
    platform.platform()  # which provenance asks for as well, and which asks another process the first time only
    return git_commit() or ""


def netcdf(view: View, curve: Curve) -> bytes:
    """The dataset as a file."""
    return as_bytes(dataset(view, curve))


#: The page loads nothing but what this server gives, and no other page may show it in a frame.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Lets through what the page itself asks of the server at this port, and adds `HEADERS` to every answer.

    A name that merely resolves to 127.0.0.1 (DNS rebinding) fails by its Host header, another site's page by Origin
    or Sec-Fetch-Site.

    Parameters
    ----------
    app : ASGI application
    port : int
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"no {scope['type']} here, http only")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return PlainTextResponse("this server answers to 127.0.0.1 only", 421)
        origins = headers.getlist("origin")
        if any(origin.lower() not in self.origins for origin in origins):
            return PlainTextResponse("requests of other sites are refused", 403)
        reading = method in ("GET", "HEAD")  # a link on another site may lead here
        if not reading and headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return PlainTextResponse("requests of other sites are refused", 403)
        return None


class TooLong(Exception):
    """The body of a request is longer than allowed."""


async def body(request: Request, bound: int) -> bytes:
    """The body of a request, of at most `bound` bytes; TooLong before more of it is read."""
    said = request.headers.get("content-length", "0")
    if not said.isdecimal() or int(said) > bound:
        raise TooLong
    parts, length = [], 0
    async for part in request.stream():
        length += len(part)
        if length > bound:
            raise TooLong
        parts.append(part)
    return b"".join(parts)
