"""One request to one of the plain pages: who sent it, what the form said, and how it is answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput
from nearmiss.session.people import Person
from nearmiss.session.project import Project
from nearmiss.web.charts import share_bar, swatch
from nearmiss.web.context import Context

__all__ = ["Form", "Notice", "Visit", "number_in", "owners_only", "reading", "writing"]

_COOKIE = "nearmiss-notice"
#: A browser drops cookies of more than about 4000 bytes.
_LONGEST_NOTICE = 1500
_NOTICE_SECONDS = 60
_MOST_FIELDS = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told once, at the top of the next page.

    Attributes
    ----------
    text
        What was done.
    undo
        The event that a button beside it takes back; None for no button.
    """

    text: str
    undo: int | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form that was sent."""

    fields: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Give a field; empty when it was not sent."""
        return self.fields.get(name, "")

    def number(self, name: str) -> int:
        """Give a field that must hold a whole number.

        Raises
        ------
        InvalidInput
            It holds something else.
        """
        return number_in(name, self.text(name))


@dataclass(frozen=True, slots=True)
class Visit:
    """One request.

    Attributes
    ----------
    request, person, form
        What was sent, and by whom.
    context
        What every page is handed.
    """

    request: Request
    context: Context
    person: Person
    form: Form = field(default_factory=Form)

    @property
    def project(self) -> Project:
        """The project."""
        return self.context.project

    @property
    def is_owner(self) -> bool:
        """Whether the visitor may change labels, settings and people."""
        return self.person.role == "owner"

    def page(self, template: str, facts: Mapping[str, Any], status: int = 200) -> Response:
        """Answer with a page, which tells the notice that waits, if one does."""
        notice = _read_notice(self.request)
        drawing = {"share_bar": share_bar, "swatch": swatch}
        shown = {**drawing, **facts, "notice": notice, "is_owner": self.is_owner}
        answer = self.context.templates.TemplateResponse(self.request, template, shown, status_code=status)
        if notice is not None:
            answer.headers["Set-Cookie"] = _cookie("", 0, secure=self.request.url.scheme == "https")
        return answer

    def onward(self, address: str, notice: Notice | None = None) -> Response:
        """Answer a write: go to another page, and tell there what was done."""
        answer = RedirectResponse(address, status_code=303)
        if notice is not None:
            secure = self.request.url.scheme == "https"
            answer.headers["Set-Cookie"] = _cookie(_written(notice), _NOTICE_SECONDS, secure=secure)
        return answer


Handler = Callable[[Visit], Response]


def reading(context: Context, path: str, handler: Handler) -> Route:
    """Make the route of a page that is looked at."""

    def endpoint(request: Request) -> Response:
        return handler(Visit(request, context, context.person(request)))

    return Route(path, endpoint)


def writing(context: Context, path: str, handler: Handler) -> Route:
    """Make the route of a form that is sent, without files."""

    async def endpoint(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=_MOST_FIELDS) as sent:
            form = Form({name: value for name, value in sent.items() if isinstance(value, str)})
        person = await run_in_threadpool(context.person, request)
        return await run_in_threadpool(handler, Visit(request, context, person, form))

    return Route(path, endpoint, methods=["POST"])


def owners_only(handler: Handler) -> Handler:
    """Refuse whoever does not own the project."""

    def guarded(visit: Visit) -> Response:
        if not visit.is_owner:
            raise HTTPException(403, "Only an owner of the project can do this.")
        return handler(visit)

    return guarded


def number_in(name: str, text: str) -> int:
    """Read a whole number that came with a form or an address.

    Raises
    ------
    InvalidInput
        It is none.

    Examples
    --------
    >>> number_in("page", " 12 ")
    12
    """
    cleaned = text.strip()
    if not (cleaned.isascii() and cleaned.isdigit() and len(cleaned) < 16):
        raise InvalidInput(f"{name} is {text[:40]!r}; it must be a whole number")
    return int(cleaned)


def _written(notice: Notice) -> str:
    body = json.dumps([notice.text[:_LONGEST_NOTICE], notice.undo]).encode()
    return base64.urlsafe_b64encode(body).decode()


def _read_notice(request: Request) -> Notice | None:
    try:
        text, undo = json.loads(base64.urlsafe_b64decode(request.cookies.get(_COOKIE, "")))
    except (ValueError, TypeError):
        return None
    return Notice(str(text), undo if isinstance(undo, int) else None) if text else None


def _cookie(value: str, seconds: int, *, secure: bool) -> str:
    cookie: SimpleCookie = SimpleCookie()
    cookie[_COOKIE] = value
    cookie[_COOKIE] |= {"path": "/", "httponly": True, "samesite": "Strict", "max-age": seconds}
    if secure:
        cookie[_COOKIE]["secure"] = True
    return cookie[_COOKIE].OutputString()
