"""Signing in: by the link that the server prints, or by name and password; and signing out."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from nearmiss.web.security.rate import AttemptLimit
from nearmiss.web.security.sessions import SessionStore, session_cookie, token_of

__all__ = ["Door", "login_routes"]

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Door:
    """How people get in.

    Attributes
    ----------
    store
        The sessions.
    owner, token
        Who the start-up link signs in, and the secret in it.
    verify
        Says whether a name and a password belong together; takes as long for a name that nobody has.
    anyone_signs_in
        Says whether there is anyone with a password.
    limit
        Slows guesses down.
    cookie, secure
        The session cookie's name, and whether it travels under TLS alone.
    templates
        Holds ``login.html`` and ``enter.html``.
    """

    store: SessionStore
    owner: str
    token: str
    verify: Callable[[str, str], bool]
    anyone_signs_in: Callable[[], bool]
    limit: AttemptLimit
    cookie: str
    secure: bool
    templates: Jinja2Templates


def login_routes(door: Door) -> list[Route]:
    """List the routes by which people get in and out."""

    def enter(request: Request) -> Response:
        given = request.query_params.get("token", "")
        if not hmac.compare_digest(given.encode(), door.token.encode()):
            told = "This link is old or incomplete. Open the one that the server printed when it started."
            return _page(door, request, told, 403)
        # A page that goes on by itself, not a redirect: after a link from elsewhere, a redirect would not carry a
        # SameSite=Strict cookie, and the token would stay in the address.
        answer = door.templates.TemplateResponse(request, "enter.html")
        _begin(door, answer, door.owner)
        return answer

    def show(request: Request) -> Response:
        return _page(door, request, "", 200)

    async def sign_in(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=10) as form:
            name, password = str(form.get("name", ""))[:_LONGEST_NAME], str(form.get("password", ""))
            onward = str(form.get("next", "/"))
        address = f"address {request.client.host if request.client else ''}"
        account = f"name {name.casefold()}"
        wait = door.limit.wait(address, account)
        if wait > 0:
            answer = _page(door, request, f"Too many attempts. Try again in {wait:.0f} seconds.", 429)
            answer.headers["Retry-After"] = str(max(1, round(wait)))
            return answer
        if not await run_in_threadpool(door.verify, name, password):
            door.limit.failed(address, account)
            return _page(door, request, "Name and password do not belong together.", 403)
        door.limit.succeeded(address, account)
        answer = RedirectResponse(_inside(onward), status_code=303)
        await run_in_threadpool(_begin, door, answer, name)
        return answer

    def sign_out(request: Request) -> Response:
        token = token_of(request.headers.get("cookie", ""), door.cookie)
        if token is not None:
            door.store.end(token)
        answer = RedirectResponse("/login", status_code=303)
        answer.headers["Set-Cookie"] = session_cookie(door.cookie, "", secure=door.secure, ends=True)
        return answer

    return [
        Route("/enter", enter),
        Route("/login", show),
        Route("/login", sign_in, methods=["POST"]),
        Route("/logout", sign_out, methods=["POST"]),
    ]


def _begin(door: Door, answer: Response, person: str) -> None:
    answer.headers["Set-Cookie"] = session_cookie(door.cookie, door.store.create(person), secure=door.secure)


def _page(door: Door, request: Request, error: str, status: int) -> Response:
    told = {
        "error": error,
        "with_password": door.anyone_signs_in(),
        "next": _inside(request.query_params.get("next", "/")),
    }
    return door.templates.TemplateResponse(request, "login.html", told, status_code=status)


def _inside(path: str) -> str:
    r"""Return a path of this server; anything that could lead elsewhere becomes the first page.

    Examples
    --------
    >>> _inside("/browse"), _inside("//elsewhere.example"), _inside("/\\elsewhere.example")
    ('/browse', '/', '/')
    """
    sound = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if sound else "/"
