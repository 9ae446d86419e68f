"""What the server refuses before it looks at a request: other hosts' names, other sites' pages, long bodies."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
