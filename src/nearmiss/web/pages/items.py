"""One text: all of it, what everyone said of it, and how each answer came about."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.history import Event, EventKind, events_of_item
from nearmiss.session.origins import Origin
from nearmiss.session.project import Project
from nearmiss.web.context import Context
from nearmiss.web.reasons import Reason, reason_of
from nearmiss.web.rows import FEW_LABELS, fresh_key, guesses_told, rows
from nearmiss.web.sight import done_with, seen
from nearmiss.web.visits import Visit, reading

__all__ = ["routes"]

_GUESSES = 5


@dataclass(frozen=True, slots=True)
class _Said:
    """One thing that somebody said of the text.

    Attributes
    ----------
    person, at, words, note
        Who, when, what in words, and the note beside it.
    settles
        Whether it settled a disagreement.
    standing
        Whether it is what the person says today.
    taken_back
        Who took it back and when; empty when nobody did.
    reason
        How the text came before the person; None for what settles, and while that must not be told.
    facts
        The rest of the provenance, as names and values.
    """

    person: str
    at: str
    words: str
    note: str
    settles: bool
    standing: bool
    taken_back: str
    reason: Reason | None
    facts: tuple[tuple[str, str], ...]


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [reading(context, "/items/{item:int}", _show)]


def _show(visit: Visit) -> Response:
    project, number = visit.project, visit.request.path_params["item"]
    found = project.browser.find(number)
    row = rows(project, visit.person, [found])[0]
    is_open = number in seen(project, visit.person, [number])
    is_done = number in done_with(project, visit.person, [number])
    labels = project.labels.offered()
    guesses = guesses_told(project, [number], _GUESSES, closed={number} if is_done else set())
    facts = {
        "row": row,
        "said": [
            said for said in _history(project, number, reveal=is_done) if is_open or said.person == visit.person.name
        ],
        "is_done": is_done,
        "hidden": found.answers > 0 and not is_open,
        "guesses": guesses.get(number, ()),
        "model": project.models.latest(),
        "labels": labels,
        "few": len(labels) <= FEW_LABELS,
        "key": fresh_key(),
        "last": project.texts.count(),
    }
    return visit.page("item.html", facts)


def _history(project: Project, item: int, *, reveal: bool) -> list[_Said]:
    """List everything ever said of a text, newest first; how each came about, only where that may be revealed.

    Whoever may yet be asked, or took an answer back and is about to give another, must not learn of a random check.
    """
    names = {label.id: label.name for label in project.labels.every()}
    with project.database.reading() as connection:
        events = [event for event in events_of_item(connection, item) if event.kind in _SAYINGS]
        undone = {event.seq: _undoing(connection, event.seq) for event in events}
    told = [event for event in events if reveal and "origin" in event.body]
    origins = {event.seq: Origin.from_json(event.body["origin"]) for event in told}
    near = project.texts.many(neighbor.item for origin in origins.values() for neighbor in origin.neighbors)
    standing = {answer.event for answer in project.answers.of_item(item)}
    history = []
    for event in reversed(events):
        origin = origins.get(event.seq)
        history.append(
            _Said(
                event.person,
                event.at,
                _words(event, names),
                event.body["note"],
                event.kind is EventKind.SETTLED,
                event.seq in standing,
                undone[event.seq],
                None if origin is None else reason_of(origin, names, near, revealed=True),
                () if origin is None else _facts(event, origin),
            )
        )
    return history


_SAYINGS = (EventKind.ANSWERED, EventKind.SETTLED)


def _undoing(connection: sqlite3.Connection, event: int) -> str:
    row = connection.execute(
        "SELECT event.person, event.at FROM undone JOIN event ON event.seq = undone.by WHERE undone.event = ?", (event,)
    ).fetchone()
    return "" if row is None else f"{row['person']}, {row['at'][:16].replace('T', ' ')}"


def _words(event: Event, names: Mapping[int, str]) -> str:
    if event.body["label"] is not None:
        return names.get(event.body["label"], "?")
    return "skipped" if event.body["kind"] == AnswerKind.SKIP else "unsure"


def _facts(event: Event, origin: Origin) -> tuple[tuple[str, str], ...]:
    body = event.body
    seconds, guideline = body["seconds"], body["guideline"]
    return (
        ("strategy", origin.strategy),
        ("score", "" if origin.score is None else f"{origin.score:.4g}"),
        ("model", "" if origin.model is None else f"version {origin.model}"),
        ("guidelines", f"version {guideline}" if guideline else "none yet"),
        ("time taken", "" if seconds is None else f"{seconds:.1f} s"),
        ("guesses in sight", "yes" if body["suggestion_visible"] else "no"),
        ("event", str(event.seq)),
    )
