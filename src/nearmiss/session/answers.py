"""What people say of texts: labelled, skipped, unsure, settled, undone; each one transaction, each safe once told."""

from __future__ import annotations

import math
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.database import Database
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.history import Event, EventKind, event_by_key, events_of_item
from nearmiss.session.origins import Origin, Source
from nearmiss.session.projection import happen, resolved_label

__all__ = ["MOST_AT_ONCE", "Answer", "AnswerSheet", "Given", "Receipt", "Submission"]

_LONGEST_NOTE = 10_000
_LONGEST_KEY = 200
#: Answers that one act may hold.
MOST_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class Submission:
    """An answer on its way in.

    Attributes
    ----------
    item, kind, label
        The text, what is said of it, and the label's number where one is given.
    key
        The sender's own name for this answer: sent twice, it counts once.
    note
        Words beside it.
    seconds
        How long the text was looked at.
    suggestion_visible
        Whether the model's guesses were in sight.
    """

    item: int
    kind: AnswerKind
    label: int | None = None
    key: str | None = None
    note: str = ""
    seconds: float | None = None
    suggestion_visible: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """The promise that something is saved.

    Attributes
    ----------
    event, at
        Its number in the history, and when.
    items
        The texts it is about.
    repeated
        Whether it had been saved before, under the same key.
    """

    event: int
    at: str
    items: tuple[int, ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says of a text today.

    Attributes
    ----------
    item, person, kind, label, note, seconds, at
        As submitted; the label is the one that stands for it today, None where that is retired.
    event
        Its number in the history.
    """

    item: int
    person: str
    kind: AnswerKind
    label: int | None
    note: str
    seconds: float | None
    at: str
    event: int


@dataclass(frozen=True, slots=True)
class Given:
    """An answer with its provenance, from the history.

    Attributes
    ----------
    origin
        How the text came before the person.
    guideline
        The version of the guidelines in force, 0 for none.
    suggestion_visible
        Whether the model's guesses were in sight.
    """

    event: int
    at: str
    person: str
    origin: Origin
    guideline: int
    suggestion_visible: bool


class AnswerSheet:
    """Everything people said, and the ways to say it.

    Parameters
    ----------
    database
        The project's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, person: str, said: Submission, origin: Origin | None = None) -> Receipt:
        """Save one answer; when this returns, it is on the disk.

        An answer to a text the person has answered before replaces that one. The text's lease says how it came before
        the person; ``origin`` says so where there was none.

        Raises
        ------
        InvalidInput
            There is no such text, a label is missing or not called for, or the key was used for another answer.
        UnknownName
            There is no such label, or it is retired.
        """
        _check(said)
        with self._database.writing() as connection:
            if said.key is not None and (before := event_by_key(connection, said.key)) is not None:
                return _repeated(connection, before, EventKind.ANSWERED, person, said)
            return self._answer(connection, person, said, origin, None)

    def submit_all(self, person: str, said: Sequence[Submission], origin: Origin | None = None) -> Receipt:
        """Save many answers as one act, all or none, undone as one.

        Raises
        ------
        InvalidInput, UnknownName
            As ``submit``; or there are none, or more than 100,000.
        """
        if not 1 <= len(said) <= MOST_AT_ONCE:
            raise InvalidInput(f"{len(said)} answers at once; give 1 to {MOST_AT_ONCE}")
        for each in said:
            _check(each)
        keys = [each.key for each in said if each.key is not None]
        if len(set(keys)) < len(keys):
            raise InvalidInput("two of the answers have the same key; send each answer under a key of its own")
        batch = secrets.token_hex(8)
        with self._database.writing() as connection:
            before = [None if each.key is None else event_by_key(connection, each.key) for each in said]
            if any(before):
                known = [
                    _repeated(connection, event, EventKind.ANSWERED, person, each)
                    for event, each in zip(before, said, strict=True)
                    if event is not None
                ]
                if len(known) < len(said):
                    raise InvalidInput(f"{len(known)} of {len(said)} answers were sent before; send the others alone")
                return Receipt(known[-1].event, known[-1].at, tuple(each.item for each in said), repeated=True)
            receipts = [self._answer(connection, person, each, origin, batch) for each in said]
        return Receipt(receipts[-1].event, receipts[-1].at, tuple(each.items[0] for each in receipts))

    def settle(
        self,
        person: str,
        item: int,
        label: int,
        *,
        key: str | None = None,
        note: str = "",
        origin: Origin | None = None,
    ) -> Receipt:
        """Decide which label holds, whatever was said of the text.

        Parameters
        ----------
        origin
            How the text came before the person, guesses in sight, where it was not a disagreement.

        Raises
        ------
        InvalidInput, UnknownName
            As ``submit``.
        """
        said = Submission(item, AnswerKind.LABEL, label, key, note, suggestion_visible=origin is not None)
        _check(said)
        with self._database.writing() as connection:
            if key is not None and (before := event_by_key(connection, key)) is not None:
                return _repeated(connection, before, EventKind.SETTLED, person, said)
            _require_item(connection, item)
            body = _body(connection, said, origin)
            event = happen(connection, Event(EventKind.SETTLED, person, body, item=item, key=key))
        return Receipt(event.seq, event.at, (item,))

    def undo(self, person: str, *, key: str | None = None) -> Receipt | None:
        """Take back the person's last act that still stands; again, the one before it; None when none is left.

        Raises
        ------
        InvalidInput
            The key was used for something else.
        """
        _check_key(key)
        with self._database.writing() as connection:
            if key is not None and (before := event_by_key(connection, key)) is not None:
                if before.kind is not EventKind.UNDONE or before.person != person:
                    raise InvalidInput(f"key {key!r} was used for something else; send each act under a key of its own")
                return replace(self._undo_receipt(connection, before), repeated=True)
            row = connection.execute(
                "SELECT seq, batch FROM event WHERE person = ? AND kind IN ('answered', 'settled')"
                " AND seq NOT IN (SELECT event FROM undone) ORDER BY seq DESC LIMIT 1",
                (person,),
            ).fetchone()
            if row is None:
                return None
            events = [row["seq"]]
            if row["batch"] is not None:
                found = connection.execute("SELECT seq FROM event WHERE batch = ? ORDER BY seq", (row["batch"],))
                events = [each["seq"] for each in found]
            event = happen(connection, Event(EventKind.UNDONE, person, {"events": events}, key=key))
            return self._undo_receipt(connection, event)

    def take_back(self, person: str, prefix: str) -> Receipt | None:
        """Take back the answers that were sent under keys that begin so; None when none of them stands.

        For tools that know what they sent by names of their own; ``undo`` is for people.

        Raises
        ------
        InvalidInput
            The prefix is empty.
        """
        _check_key(prefix)
        with self._database.writing() as connection:
            rows = connection.execute(
                "SELECT seq FROM event WHERE substr(key, 1, length(:prefix)) = :prefix AND key >= :prefix"
                " AND kind = 'answered' AND seq NOT IN (SELECT event FROM undone)",
                {"prefix": prefix},
            ).fetchall()
            if not rows:
                return None
            event = happen(connection, Event(EventKind.UNDONE, person, {"events": [row["seq"] for row in rows]}))
            return self._undo_receipt(connection, event)

    def recent(self, person: str, n: int = 10) -> tuple[Answer, ...]:
        """List a person's last answers that stand, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM answer WHERE person = ? ORDER BY event DESC LIMIT ?", (person, n)
            ).fetchall()
            return tuple(_as_answer(connection, row) for row in rows)

    def of_item(self, item: int) -> tuple[Answer, ...]:
        """List what each person says of a text, in the order they said it."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM answer WHERE item = ? ORDER BY event", (item,)).fetchall()
            return tuple(_as_answer(connection, row) for row in rows)

    def provenance(self, item: int) -> tuple[Given, ...]:
        """List how each answer to a text that was ever given came about, oldest first, undone ones left out."""
        with self._database.reading() as connection:
            undone = {row["event"] for row in connection.execute("SELECT event FROM undone")}
            return tuple(
                _as_given(event)
                for event in events_of_item(connection, item)
                if event.kind is EventKind.ANSWERED and event.seq not in undone
            )

    def _answer(
        self, connection: sqlite3.Connection, person: str, said: Submission, origin: Origin | None, batch: str | None
    ) -> Receipt:
        _require_item(connection, said.item)
        lease = connection.execute(
            "SELECT origin FROM lease WHERE item = ? AND person = ?", (said.item, person)
        ).fetchone()
        if lease is not None:
            origin = Origin.from_json(lease["origin"])
        elif origin is None:  # said again, after an undo or to correct it: it came before them as it did at first
            origin = self._last_origin(connection, person, said.item)
        body = _body(connection, said, origin or Origin(Source.PERSON))
        event = happen(connection, Event(EventKind.ANSWERED, person, body, item=said.item, batch=batch, key=said.key))
        connection.execute("DELETE FROM lease WHERE item = ? AND person = ?", (said.item, person))
        return Receipt(event.seq, event.at, (said.item,))

    def _last_origin(self, connection: sqlite3.Connection, person: str, item: int) -> Origin | None:
        row = connection.execute(
            "SELECT json_extract(body, '$.origin') AS origin FROM event WHERE item = ? AND person = ?"
            " AND kind = 'answered' ORDER BY seq DESC LIMIT 1",
            (item, person),
        ).fetchone()
        return None if row is None else Origin.from_json(row["origin"])

    def _undo_receipt(self, connection: sqlite3.Connection, event: Event) -> Receipt:
        rows = connection.execute(
            "SELECT DISTINCT item FROM event WHERE seq IN (SELECT value FROM json_each(?))",
            (str(event.body["events"]),),
        ).fetchall()
        return Receipt(event.seq, event.at, tuple(row["item"] for row in rows))


def _body(connection: sqlite3.Connection, said: Submission, origin: Origin | None) -> dict[str, Any]:
    """Write down what was said and, where it has an origin, how it came about."""
    label = None if said.label is None else _current(connection, said.label)
    body: dict[str, Any] = {"kind": said.kind, "label": label, "note": said.note.strip()}
    if origin is None:
        return body
    guideline = connection.execute("SELECT coalesce(max(version), 0) FROM guideline").fetchone()[0]
    return body | {
        "seconds": said.seconds,
        "suggestion_visible": said.suggestion_visible,
        "guideline": guideline,
        "origin": origin.as_json(),
    }


def _check(said: Submission) -> None:
    if (said.kind is AnswerKind.LABEL) != (said.label is not None):
        raise InvalidInput(
            f"an answer of kind {said.kind!r} with label {said.label!r}; give a label with {AnswerKind.LABEL!r} alone"
        )
    if len(said.note) > _LONGEST_NOTE:
        raise InvalidInput(f"a note of {len(said.note)} characters; keep it to {_LONGEST_NOTE}")
    _check_key(said.key)
    if said.seconds is not None and not (math.isfinite(said.seconds) and said.seconds >= 0):
        raise InvalidInput(f"seconds is {said.seconds}; it must be a time of at least 0")


def _check_key(key: str | None) -> None:
    if key is not None and not 1 <= len(key) <= _LONGEST_KEY:
        raise InvalidInput(f"a key of {len(key)} characters; give 1 to {_LONGEST_KEY}")


def _repeated(connection: sqlite3.Connection, before: Event, kind: EventKind, person: str, said: Submission) -> Receipt:
    """Give the receipt of what was sent before, refusing anything else under its key."""
    same = (before.kind, before.person, before.item) == (kind, person, said.item)
    if same and said.label is not None and before.body["label"] is not None:
        # The label may have been merged since: then the two are the same by another name.
        same = resolved_label(connection, before.body["label"]) == resolved_label(connection, said.label)
    if not same or before.body["kind"] != said.kind:
        raise InvalidInput(f"key {said.key!r} was used for another answer; send each answer under a key of its own")
    return Receipt(before.seq, before.at, (said.item,), repeated=True)


def _require_item(connection: sqlite3.Connection, item: int) -> None:
    if connection.execute("SELECT 1 FROM item WHERE id = ?", (item,)).fetchone() is None:
        raise InvalidInput(f"no text number {item} in this project")


def _current(connection: sqlite3.Connection, label: int) -> int:
    """Give the label that stands for this one, refusing one that is not offered."""
    row = connection.execute("SELECT name FROM label WHERE id = ?", (label,)).fetchone()
    current = None if row is None else resolved_label(connection, label)
    if row is None:
        raise UnknownName(f"no label number {label} in this project")
    if current is None:
        raise UnknownName(f"label {row['name']!r} is retired; choose another, or restore it")
    return current


def _as_answer(connection: sqlite3.Connection, row: sqlite3.Row) -> Answer:
    label = None if row["label"] is None else resolved_label(connection, row["label"])
    return Answer(
        row["item"],
        row["person"],
        AnswerKind(row["kind"]),
        label,
        row["note"],
        row["seconds"],
        row["at"],
        row["event"],
    )


def _as_given(event: Event) -> Given:
    body = event.body
    return Given(
        event.seq,
        event.at,
        event.person,
        Origin.from_json(body["origin"]),
        body["guideline"],
        body["suggestion_visible"],
    )
