"""The gate before every route: nothing reaches the application that did not come from its own pages.

It refuses other hosts (DNS rebinding), other origins and other sites (forged requests, also from other ports of this
machine), writes without the session's CSRF token, bodies over a bound, and whoever has not signed in. Every answer gets
the headers that keep a browser from doing more than our pages need.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nearmiss.web.security.sessions import SessionStore, csrf_token, token_of

__all__ = ["CSRF", "CSRF_FIELD", "PERSON", "Gate", "GatePolicy"]

#: Where routes find who sent a request, and the token that forms must carry.
PERSON, CSRF = "nearmiss.person", "nearmiss.csrf"
CSRF_FIELD, _CSRF_HEADER = "csrf_token", "x-csrf-token"
_METHODS = ("GET", "HEAD", "POST")
_READS = ("GET", "HEAD")
_FORM = "application/x-www-form-urlencoded"
#: An upload must hold the CSRF token as its first field, within so many bytes.
_UPLOAD_START = 4096
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it, browsers send "Origin: null" with the forms of our own pages.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """What the gate lets through.

    Attributes
    ----------
    hosts
        Values of ``Host`` that are answered, ports included.
    scheme
        ``http`` or ``https``: our origins are this and a host.
    cookie
        The session cookie's name.
    any_address
        Whether the address a connection arrived at is answered too; no foreign page has such an origin.
    public
        Path prefixes that need no session.
    uploads
        Path prefixes that take large bodies.
    most_bytes, most_upload_bytes
        Bounds of a body.
    """

    hosts: frozenset[str]
    scheme: str
    cookie: str
    any_address: bool = False
    public: tuple[str, ...] = ("/login", "/enter", "/static/")
    uploads: tuple[str, ...] = ("/import",)
    most_bytes: int = 2**20
    most_upload_bytes: int = 200 * 2**20


class Gate:
    """Middleware that refuses what must not reach the application.

    Parameters
    ----------
    app
        What lies behind it.
    store
        The sessions.
    policy
        What is let through.
    """

    def __init__(self, app: ASGIApp, store: SessionStore, policy: GatePolicy) -> None:
        self._app = app
        self._store = store
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no web sockets here
        headers = Headers(scope=scope)
        answer = _with_headers(send, static=scope["path"].startswith("/static/"))
        token = token_of("; ".join(headers.getlist("cookie")), self._policy.cookie)
        refusal = self._refusal(scope, headers)
        if refusal is None:
            receive = _Bounded(receive, self._bound(scope["path"]))
            person = None if token is None else self._store.find(token)
            scope[PERSON], scope[CSRF] = person, "" if token is None or person is None else csrf_token(token)
            if person is None and not scope["path"].startswith(self._policy.public):
                refusal = _sign_in_first(scope, headers)
            elif person is not None and scope["method"] == "POST":
                try:
                    receive, refusal = await self._check_token(scope, headers, receive)
                except _TooLarge as error:
                    refusal = PlainTextResponse(error.detail, status_code=error.status_code)
        await (refusal or self._app)(scope, receive, answer)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Judge what can be judged by the headers alone."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(scope, hosts[0]):
            return PlainTextResponse("This server does not answer to that name.", status_code=421)
        if scope["method"] not in _METHODS:
            return PlainTextResponse("Only GET, HEAD and POST are answered.", status_code=405)
        origins = headers.getlist("origin")
        ours = f"{self._policy.scheme}://{hosts[0]}"
        if any(origin != ours for origin in origins):
            return PlainTextResponse("Requests from other sites are refused.", status_code=403)
        site = headers.get("sec-fetch-site", "none")
        navigates = scope["method"] in _READS and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("none", "same-origin") and not navigates:
            return PlainTextResponse("Requests from other sites are refused.", status_code=403)
        if scope["method"] == "POST" and not origins and "sec-fetch-site" in headers and site != "same-origin":
            return PlainTextResponse("Requests from other sites are refused.", status_code=403)
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self._bound(scope["path"]):
            return PlainTextResponse("That is too large.", status_code=413)
        return None

    def _is_ours(self, scope: Scope, host: str) -> bool:
        if host in self._policy.hosts:
            return True
        server: Sequence[object] | None = scope.get("server")
        if not self._policy.any_address or server is None:
            return False
        address = f"[{server[0]}]" if ":" in str(server[0]) else str(server[0])
        return host == f"{address}:{server[1]}"

    def _bound(self, path: str) -> int:
        return self._policy.most_upload_bytes if path.startswith(self._policy.uploads) else self._policy.most_bytes

    async def _check_token(self, scope: Scope, headers: Headers, receive: Receive) -> tuple[Receive, Response | None]:
        """Look for the CSRF token in a header or a form, and give back a body that is still whole."""
        given = headers.get(_CSRF_HEADER)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if given is None and kind == _FORM:
            start, receive = await _read_ahead(receive, None)
            given = parse_qs(start.decode("latin-1")).get(CSRF_FIELD, [""])[0]
        elif given is None and kind == "multipart/form-data":
            start, receive = await _read_ahead(receive, _UPLOAD_START)
            found = _FIRST_FIELD.match(start)
            given = found[1].decode("latin-1") if found else ""
        if given is None or not hmac.compare_digest(given.encode(), str(scope[CSRF]).encode()):
            return receive, _refused_write(scope)
        return receive, None


_FIRST_FIELD = re.compile(
    rb'--[^\r\n]{1,200}\r\ncontent-disposition: form-data; name="' + CSRF_FIELD.encode() + rb'"\r\n\r\n([^\r\n]*)\r\n',
    re.IGNORECASE,
)


class _TooLarge(HTTPException):
    """A body went over its bound while it was read, here or by a route: the application answers as to any error."""

    def __init__(self) -> None:
        super().__init__(413, "That is too large.")


class _Bounded:
    """Reads a body and stops at its bound, whatever its Content-Length said."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLarge
        return message


async def _read_ahead(receive: Receive, at_least: int | None) -> tuple[bytes, Receive]:
    """Read the start of a body (None: all of it), and give it with a ``receive`` that begins at the start again."""
    kept: list[Message] = []
    size = 0
    while True:
        message = await receive()
        kept.append(message)
        size += len(message.get("body", b""))
        ended = message["type"] != "http.request" or not message.get("more_body", False)
        if ended or (at_least is not None and size >= at_least):
            break
    start = b"".join(message.get("body", b"") for message in kept)
    waiting = iter(kept)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return start, again


def _sign_in_first(scope: Scope, headers: Headers) -> Response:
    if scope["path"].startswith("/api/") or "text/html" not in headers.get("accept", "*/*").replace("*/*", "text/html"):
        return JSONResponse({"error": "Sign in first: open the link that the server printed."}, status_code=401)
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = f"{scope['path']}?{query}" if query else scope["path"]
    return RedirectResponse(f"/login?next={quote(wanted, safe='/')}", status_code=303)


def _refused_write(scope: Scope) -> Response:
    told = "This form is out of date; go back, load the page again and repeat what you did."
    if scope["path"].startswith("/api/"):
        return JSONResponse({"error": told}, status_code=403)
    return PlainTextResponse(told, status_code=403)


def _with_headers(send: Send, *, static: bool) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            if not static:
                headers["Cache-Control"] = "no-store"
        await send(message)

    return sending
