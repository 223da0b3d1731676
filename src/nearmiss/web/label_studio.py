"""A Label Studio ML backend over a project: its tasks ordered by what is worth labelling, and labelled beforehand.

Label Studio calls ``/health``, ``/setup``, ``/predict`` and ``/webhook`` under the link that is printed. It waits for
the answer whenever somebody opens a task, so a prediction is looked up, never computed, and training runs in its own
process. What people label there is labelled in the project too.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nearmiss.errors import NearmissError
from nearmiss.session.project import Project
from nearmiss.session.training_process import TrainingProcess
from nearmiss.web.label_studio_tasks import TaskDesk
from nearmiss.web.server import Address, ServerSettings, serve

__all__ = ["label_studio_app", "serve_label_studio"]

_MOST_BYTES = 50 * 2**20  # tasks travel whole, a hundred at a time


def serve_label_studio(
    project: Project,
    *,
    host: str,
    port: int | None,
    allowed_hosts: tuple[str, ...],
    on_ready: Callable[[str], None],
) -> None:
    """Serve the backend until told to stop, with a training process beside it.

    Parameters
    ----------
    on_ready
        Called with the link to give to Label Studio; who knows it may read and label.

    Raises
    ------
    NearmissError
        The port is taken.
    """
    token = secrets.token_urlsafe(24)

    def ready(address: Address) -> None:
        on_ready(f"Add this in Label Studio under Settings, Model: {address.link}/{token}")

    # The secret in the path guards it as a password would: Label Studio may run on another machine.
    settings = ServerSettings(host=host, port=port, allowed_hosts=allowed_hosts, guarded=True)
    with TrainingProcess(project):
        serve(lambda address: label_studio_app(project, token, address.hosts), settings, on_ready=ready)


def label_studio_app(project: Project, token: str, hosts: frozenset[str]) -> Starlette:
    """Build the backend.

    Parameters
    ----------
    token
        The first part of every path: the secret by which Label Studio is known.
    hosts
        The values of ``Host`` that are answered, so that no page can reach it by a name of its own.
    """
    desk = TaskDesk(project)

    def guarded(handler: Callable[[Any], dict[str, Any]], status: int = 200) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("host", "") not in hosts:
                raise HTTPException(421, "unknown host")
            if not secrets.compare_digest(request.path_params["token"].encode(), token.encode()):
                raise HTTPException(404)
            body = {} if request.method == "GET" else await _body(request)
            return JSONResponse(await run_in_threadpool(handler, body), status_code=status)

        return endpoint

    def refuse(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status_code=400)

    routes = [
        Route("/{token}/health", guarded(lambda body: {"status": "UP", "model_class": "nearmiss"})),
        Route("/{token}/", guarded(lambda body: {"status": "UP", "model_class": "nearmiss"})),
        Route("/{token}/setup", guarded(desk.set_up), methods=["POST"]),
        Route("/{token}/validate", guarded(desk.validate), methods=["POST"]),
        Route("/{token}/versions", guarded(lambda body: desk.versions())),
        Route("/{token}/predict", guarded(desk.predict), methods=["POST"]),
        Route("/{token}/webhook", guarded(desk.hear, status=201), methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={NearmissError: refuse})


async def _body(request: Request) -> Mapping[str, Any]:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _MOST_BYTES:
            raise HTTPException(413, f"more than {_MOST_BYTES} bytes")
        parts.append(part)
    try:
        body = json.loads(b"".join(parts) or b"{}")
    except ValueError as error:
        raise HTTPException(400, f"no JSON: {error}") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "a JSON object is expected")
    return body
