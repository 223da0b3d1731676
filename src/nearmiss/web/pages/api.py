"""What the labelling page asks for while somebody labels: all of it JSON, all of it quick."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.labels import Label
from nearmiss.session.origins import Origin, Source
from nearmiss.web.context import Context
from nearmiss.web.reasons import KEPT_BACK, reason_of
from nearmiss.web.views import item_view, labels_version, labels_view, picks_view, standing

__all__ = ["MOST_HELD", "routes"]

#: Texts that a page may hold.
MOST_HELD = 20
#: Seconds; beyond, nobody was looking.
_LONGEST_LOOK = 86_400
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
        return JSONResponse({"text": item.text, "pair": item.pair})

    async def leave(request: Request) -> Response:
        person = await run_in_threadpool(context.person, request)
        async with request.form(max_files=0, max_fields=10) as form:
            page = str(form.get("page", ""))
        if context.pages.is_latest(person.name, page):
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
        self._pages = context.pages

    def state(self, person: str) -> dict[str, Any]:
        return self._state(person, self._project.labels.menu())

    def more(self, person: str, body: Body) -> dict[str, Any]:
        held, wanted, latest = _held(body), _wanted(body), self._is_latest(person, body)
        picks = self._project.queue.next(person, wanted, held) if wanted and latest else ()
        labels = self._project.labels.menu()
        shown = {"items": picks_view(self._project, picks), "superseded": not latest, **self._state(person, labels)}
        # The labels themselves travel only to a page that has others.
        return (
            shown if body.get("labels_version") == shown["labels_version"] else {**shown, "labels": labels_view(labels)}
        )

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
        if self._is_latest(person, body):
            self._project.queue.renew(person, _held(body))
        return self.state(person)

    def why(self, person: str, item: int) -> dict[str, Any]:
        origin, answered = self._origin(person, item)
        if not answered:
            if self._project.settings.read().suggestions == "never":
                return asdict(KEPT_BACK)
            origin = self._with_guess(origin, item)
        names = {label.id: label.name for label in self._project.labels.every()}
        items = self._project.texts.many(neighbor.item for neighbor in origin.neighbors)
        return asdict(reason_of(origin, names, items, revealed=answered))

    def _is_latest(self, person: str, body: Body) -> bool:
        """Say whether the page that asks may hold texts; who asks without a page, a program, may."""
        page = body.get("page")
        return not isinstance(page, str) or self._pages.is_latest(person, page)

    def _state(self, person: str, labels: Sequence[Label]) -> dict[str, Any]:
        return {"labels_version": labels_version(labels), **standing(self._project, person, self._trainings.state())}

    def _origin(self, person: str, item: int) -> tuple[Origin, bool]:
        """Find how a text came before a person, and whether they have answered it."""
        given = [each for each in self._project.answers.provenance(item) if each.person == person]
        if given:
            return given[-1].origin, True
        return self._project.queue.origin(person, item) or Origin(Source.PERSON), False

    def _with_guess(self, origin: Origin, item: int) -> Origin:
        """Let the model in use speak of a text that was handed out before there was one, or drawn beyond what it told.

        Without this, such texts would be told in other words than the rest, random checks among them.
        """
        guess = None if origin.labels or origin.source is Source.PERSON else self._project.models.guess(item)
        return origin if guess is None else replace(origin, labels=guess.labels, probabilities=guess.probabilities)

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
    kind, label = body.get("kind"), body.get("label")
    if kind not in tuple(AnswerKind):
        raise InvalidInput(f"kind {kind!r}; it must be one of {', '.join(AnswerKind)}")
    return Submission(
        _whole(body, "item"),
        AnswerKind(kind),
        None if label is None else _whole(body, "label"),
        _key(body),
        str(body.get("note") or ""),
        _seconds(body),
        body.get("suggestion_visible") is True,
    )


def _seconds(body: Body) -> float | None:
    """Read how long the text was looked at; no answer is refused for a time that says nothing."""
    seconds = body.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return float(seconds) if 0 <= seconds < _LONGEST_LOOK else None


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
    if not sound or len(held) > MOST_HELD:
        raise InvalidInput(f"held must be a list of at most {MOST_HELD} numbers of texts")
    return list(held)


def _wanted(body: Body) -> int:
    want = body.get("want", 0)
    if isinstance(want, bool) or not isinstance(want, int) or not 0 <= want <= MOST_HELD:
        raise InvalidInput(f"want is {want!r}; it must be from 0 to {MOST_HELD}")
    return want
