"""The append-only history: everything that ever happened to a project's labels, in order."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

__all__ = ["Event", "EventKind", "append", "event_by_key", "events_of_item", "now"]


class EventKind(StrEnum):
    """What can happen."""

    TEXTS_ADDED = "texts-added"
    LABEL_ADDED = "label-added"
    LABEL_CHANGED = "label-changed"
    LABEL_MERGED = "label-merged"
    LABEL_RETIRED = "label-retired"
    LABEL_RESTORED = "label-restored"
    ANSWERED = "answered"
    SETTLED = "settled"
    UNDONE = "undone"
    SETTINGS_CHANGED = "settings-changed"
    GUIDELINES_CHANGED = "guidelines-changed"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    kind, person
        What, and who did it.
    body
        The particulars, as JSON.
    item
        The text it is about.
    batch
        Shared by events that were one act, and are undone as one.
    key
        The sender's own name for the act: the same act sent twice happens once.
    seq, at
        Its number, and the time in UTC; given when it is appended.
    """

    kind: EventKind
    person: str
    body: Mapping[str, Any] = field(default_factory=dict)
    item: int | None = None
    batch: str | None = None
    key: str | None = None
    seq: int = 0
    at: str = ""


def now() -> str:
    """Give the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(connection: sqlite3.Connection, event: Event) -> Event:
    """Write an event down and return it with its number and time. The present does not change by this alone."""
    at = event.at or now()
    row = connection.execute(
        "INSERT INTO event (at, person, kind, item, batch, key, body) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING seq",
        (
            at,
            event.person,
            event.kind,
            event.item,
            event.batch,
            event.key,
            json.dumps(event.body, ensure_ascii=False, separators=(",", ":")),
        ),
    ).fetchone()
    return Event(event.kind, event.person, event.body, event.item, event.batch, event.key, int(row[0]), at)


def event_by_key(connection: sqlite3.Connection, key: str) -> Event | None:
    """Find the event that was sent under this key."""
    row = connection.execute("SELECT * FROM event WHERE key = ?", (key,)).fetchone()
    return None if row is None else as_event(row)


def events_of_item(connection: sqlite3.Connection, item: int) -> tuple[Event, ...]:
    """List what happened to one text, oldest first."""
    rows = connection.execute("SELECT * FROM event WHERE item = ? ORDER BY seq", (item,))
    return tuple(as_event(row) for row in rows)


def as_event(row: sqlite3.Row) -> Event:
    """Read an event from its row."""
    return Event(
        EventKind(row["kind"]),
        row["person"],
        json.loads(row["body"]),
        row["item"],
        row["batch"],
        row["key"],
        row["seq"],
        row["at"],
    )
