"""The application: its pages, its errors, its templates, behind the gate."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Scope

from nearmiss._version import __version__
from nearmiss.errors import NearmissError
from nearmiss.session.people import Person
from nearmiss.session.project import Project
from nearmiss.web.context import Context, Trainings
from nearmiss.web.pages import PAGES
from nearmiss.web.security.gate import CSRF, PERSON, Gate, GatePolicy
from nearmiss.web.security.login import Door, login_routes
from nearmiss.web.security.passwords import verify_password
from nearmiss.web.security.rate import AttemptLimit
from nearmiss.web.security.sessions import cookie_name
from nearmiss.web.server import Address

__all__ = ["create_app"]

_HERE = Path(__file__).parent


def create_app(project: Project, trainings: Trainings, address: Address, *, owner: str, token: str) -> ASGIApp:
    """Build the application of a project.

    Parameters
    ----------
    address
        Where it is served: what the gate answers to.
    owner, token
        Whom the start-up link signs in, and the secret in it.
    """
    templates = Jinja2Templates(
        directory=_HERE / "templates", context_processors=[lambda request: _shared(request, project)]
    )
    templates.env.globals["static"] = _static
    templates.env.globals["version"] = __version__
    cookie = cookie_name(address.port)
    context = Context(project, trainings, templates, lambda request: _person(request, project))
    door = Door(
        store=project.people,
        owner=owner,
        token=token,
        verify=lambda name, password: verify_password(password, project.people.password_hash(name)),
        anyone_signs_in=lambda: any(person.signs_in for person in project.people.every()),
        limit=AttemptLimit(time.monotonic),
        cookie=cookie,
        secure=address.secure,
        templates=templates,
    )
    app = Starlette(
        routes=[
            *login_routes(door),
            *(route for page in PAGES for route in page(context)),
            Mount("/static", _Static(directory=_HERE / "static"), name="static"),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1000)],
        exception_handlers={
            NearmissError: _teller(templates),
            HTTPException: _teller(templates),
            Exception: _teller(templates),
        },
    )
    return Gate(
        app,
        project.people,
        GatePolicy(hosts=address.hosts, scheme=address.scheme, cookie=cookie, any_address=address.any_address),
    )


def _shared(request: Request, project: Project) -> dict[str, Any]:
    """Give what every template may use."""
    person = None if request.scope.get(PERSON) is None else _person(request, project)
    return {"project": project.name, "csrf_token": request.scope.get(CSRF, ""), "person": person}


def _person(request: Request, project: Project) -> Person:
    name: str = request.scope[PERSON]
    return project.people.get(name)


class _Static(StaticFiles):
    """Our files: kept for good under the address that names their content, asked for anew under any other."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = HTTPStatus.OK,
    ) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        named = _static(Path(full_path).name).endswith(f"?{scope['query_string'].decode('latin-1')}")
        answer.headers["Cache-Control"] = "max-age=31536000, immutable" if named else "no-cache"
        return answer


@cache
def _static(name: str) -> str:
    """Give a static file's address; it changes with the file, so that browsers may keep it."""
    digest = hashlib.sha256((_HERE / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def _teller(templates: Jinja2Templates) -> Callable[[Request, Exception], Response]:
    """Make a handler that tells an error in the form that was asked for, without a traceback."""

    def tell(request: Request, error: Exception) -> Response:
        code, told = _status(error), str(error)
        if isinstance(error, HTTPException):
            told = error.detail
        elif not isinstance(error, NearmissError):
            told = "Something went wrong here; what was saved is safe. The terminal has the details."
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": told}, status_code=code)
        facts = {"title": code.phrase, "told": told}
        return templates.TemplateResponse(request, "error.html", facts, status_code=code)

    return tell


def _status(error: Exception) -> HTTPStatus:
    if isinstance(error, HTTPException):
        return HTTPStatus(error.status_code)
    if type(error) is NearmissError:  # a full disk, a locked file: it may pass, and the page tries again
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.BAD_REQUEST if isinstance(error, NearmissError) else HTTPStatus.INTERNAL_SERVER_ERROR
