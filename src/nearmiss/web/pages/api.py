"""What the labelling page asks for while somebody labels: all of it JSON, all of it quick."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.origins import Origin, Source
from nearmiss.web.context import Context
from nearmiss.web.reasons import reason_of
from nearmiss.web.views import item_view, labels_version, labels_view, picks_view, standing

__all__ = ["routes"]

_MOST_HELD = 20
Body = Mapping[str, Any]


def routes(context: Context) -> Sequence[Route]:
    """List what the page may ask."""
    desk = _Desk(context)

    def posted(path: str, handler: Callable[[str, Body], dict[str, Any]]) -> Route:
        async def endpoint(request: Request) -> Response:
            person = await run_in_threadpool(context.person, request)
            return JSONResponse(await run_in_threadpool(handler, person.name, await _body(request)))

        return Route(path, endpoint, methods=["POST"])

    def why(request: Request) -> Response:
        return JSONResponse(desk.why(context.person(request).name, request.path_params["item"]))

    def state(request: Request) -> Response:
        return JSONResponse(desk.state(context.person(request).name))

    def whole(request: Request) -> Response:
        item = context.project.texts.get(request.path_params["item"])
        return PlainTextResponse(item.text if item.pair is None else f"{item.text}\n\n{item.pair}")

    async def leave(request: Request) -> Response:
        person = await run_in_threadpool(context.person, request)
        await run_in_threadpool(context.project.queue.leave, person.name)
        return Response(status_code=204)

    return [
        posted("/api/next", desk.more),
        posted("/api/answers", desk.answer),
        posted("/api/undo", desk.undo),
        posted("/api/held", desk.hold),
        Route("/api/leave", leave, methods=["POST"]),
        Route("/api/why/{item:int}", why),
        Route("/api/state", state),
        Route("/api/items/{item:int}/text", whole),
    ]


class _Desk:
    """Answers the page."""

    def __init__(self, context: Context) -> None:
        self._project = context.project
        self._trainings = context.trainings

    def state(self, person: str) -> dict[str, Any]:
        labels = self._project.labels.offered()
        return {"labels_version": labels_version(labels), **standing(self._project, person, self._trainings.state())}

    def more(self, person: str, body: Body) -> dict[str, Any]:
        held, wanted = _held(body), _wanted(body)
        picks = self._project.queue.next(person, wanted, held) if wanted else ()
        labels = self._project.labels.offered()
        return {"items": picks_view(self._project, picks), "labels": labels_view(labels), **self.state(person)}

    def answer(self, person: str, body: Body) -> dict[str, Any]:
        """Save an answer and send what is needed next, in one round trip."""
        said = _submission(body)
        receipt = self._project.answers.submit(person, said)
        saved = {"event": receipt.event, "at": receipt.at, "item": said.item, "repeated": receipt.repeated}
        return {**saved, **self.more(person, body)}

    def undo(self, person: str, body: Body) -> dict[str, Any]:
        receipt = self._project.answers.undo(person, key=_key(body))
        if receipt is None:
            return {"event": None, "items": [], **self.state(person)}
        shown = [self._shown(item) for item in receipt.items[:1]]
        return {"event": receipt.event, "undone": list(receipt.items), "shown": shown, **self.state(person)}

    def hold(self, person: str, body: Body) -> dict[str, Any]:
        self._project.queue.renew(person, _held(body))
        return self.state(person)

    def why(self, person: str, item: int) -> dict[str, Any]:
        origin, answered = self._origin(person, item)
        names = {label.id: label.name for label in self._project.labels.every()}
        items = self._project.texts.many(neighbor.item for neighbor in origin.neighbors)
        return asdict(reason_of(origin, names, items, revealed=answered))

    def _origin(self, person: str, item: int) -> tuple[Origin, bool]:
        """Find how a text came before a person, and whether they have answered it."""
        given = [each for each in self._project.answers.provenance(item) if each.person == person]
        if given:
            return given[-1].origin, True
        return self._project.queue.origin(person, item) or Origin(Source.PERSON), False

    def _shown(self, item: int) -> dict[str, Any]:
        offered = self._project.settings.read().suggestions == "offered"
        guess = self._project.models.guess(item) if offered else None
        return item_view(self._project.texts.get(item), guess)


async def _body(request: Request) -> Body:
    try:
        body = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"that is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "a JSON object is expected")
    return body


def _submission(body: Body) -> Submission:
    kind, seconds, label = body.get("kind"), body.get("seconds"), body.get("label")
    if kind not in tuple(AnswerKind):
        raise InvalidInput(f"kind {kind!r}; it must be one of {', '.join(AnswerKind)}")
    return Submission(
        _whole(body, "item"),
        AnswerKind(kind),
        None if label is None else _whole(body, "label"),
        _key(body),
        str(body.get("note") or ""),
        float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None,
        body.get("suggestion_visible") is True,
    )


def _key(body: Body) -> str:
    key = body.get("key")
    if not isinstance(key, str):
        raise InvalidInput('each act needs a key of its own, a text; send one under "key"')
    return key


def _whole(body: Body, name: str) -> int:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{name} is {value!r}; it must be a whole number")
    return value


def _held(body: Body) -> list[int]:
    held = body.get("held", [])
    sound = isinstance(held, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in held)
    if not sound or len(held) > _MOST_HELD:
        raise InvalidInput(f"held must be a list of at most {_MOST_HELD} numbers of texts")
    return list(held)


def _wanted(body: Body) -> int:
    want = body.get("want", 0)
    if isinstance(want, bool) or not isinstance(want, int) or not 0 <= want <= _MOST_HELD:
        raise InvalidInput(f"want is {want!r}; it must be from 0 to {_MOST_HELD}")
    return want
