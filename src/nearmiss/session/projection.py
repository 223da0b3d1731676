"""From the history to the present: what each event changes, and the present rebuilt from nothing.

Everything here runs inside the transaction that appended the event, so history and present never disagree.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable

from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.history import Event, EventKind, append, as_event

__all__ = ["happen", "rebuild", "resolved_label"]

_PRESENT = ("answer", "decision", "undone", "setting", "guideline", "label")
#: Events that say something of a text, and can be undone.
_SAYINGS = (EventKind.ANSWERED, EventKind.SETTLED)


def happen(connection: sqlite3.Connection, event: Event) -> Event:
    """Append an event and change the present accordingly."""
    written = append(connection, event)
    _record(connection, written)
    _follow(connection, written)
    return written


def rebuild(connection: sqlite3.Connection) -> None:
    """Forget the present and derive it again from the whole history."""
    for table in _PRESENT:
        connection.execute(f"DELETE FROM {table}")
    # First what answers are read by, labels above all; each answer is then derived once, from the whole history.
    said: set[tuple[int, str]] = set()
    for row in connection.execute("SELECT * FROM event ORDER BY seq").fetchall():
        event = as_event(row)
        _record(connection, event)
        if event.kind in _SAYINGS and event.item is not None:
            said.add((event.item, event.person))
    for item, person in said:
        _refresh_answer(connection, item, person)
    _decide_all(connection, {item for item, _ in said})


def resolved_label(connection: sqlite3.Connection, label: int) -> int | None:
    """Follow merges to the label that stands for this one today; None when that one is retired."""
    while True:
        row = connection.execute("SELECT merged_into, retired FROM label WHERE id = ?", (label,)).fetchone()
        if row["merged_into"] is None:
            return None if row["retired"] else label
        label = row["merged_into"]


def _record(connection: sqlite3.Connection, event: Event) -> None:
    """Write down what the event itself says."""
    if event.kind in _RECORDS:
        _RECORDS[event.kind](connection, event)


def _follow(connection: sqlite3.Connection, event: Event) -> None:
    """Derive anew what follows from it for answers and decisions."""
    if event.kind in _CONSEQUENCES:
        _CONSEQUENCES[event.kind](connection, event)


def _label_added(connection: sqlite3.Connection, event: Event) -> None:
    body = event.body
    connection.execute(
        "INSERT INTO label (id, name, description, color, key, position, retired, seeds)"
        " VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
        (
            body["label"],
            body["name"],
            body["description"],
            body["color"],
            body["key"],
            body["position"],
            body.get("seeds", ""),  # older projects knew none
        ),
    )


def _label_changed(connection: sqlite3.Connection, event: Event) -> None:
    for column in ("name", "description", "color", "key", "position", "seeds"):
        if column in event.body:
            connection.execute(f"UPDATE label SET {column} = ? WHERE id = ?", (event.body[column], event.body["label"]))


def _label_merged(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute("UPDATE label SET merged_into = ? WHERE id = ?", (event.body["into"], event.body["label"]))


def _label_retired(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute("UPDATE label SET retired = 1 WHERE id = ?", (event.body["label"],))


def _label_restored(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute("UPDATE label SET merged_into = NULL, retired = 0 WHERE id = ?", (event.body["label"],))


def _label_stands_otherwise(connection: sqlite3.Connection, event: Event) -> None:
    label = event.body["label"]
    # Labels merged into this one stand and fall with it.
    family = "WITH RECURSIVE f (id) AS (SELECT ? UNION SELECT label.id FROM label JOIN f ON label.merged_into = f.id) "
    stands = resolved_label(connection, label) is not None
    connection.execute(family + "UPDATE answer SET stands = ? WHERE label IN f", (label, stands))
    for source in (
        "SELECT item FROM answer WHERE label IN f",
        "SELECT item FROM event WHERE kind = 'settled' AND json_extract(body, '$.label') IN f",
    ):
        items = connection.execute(family + source, (label,)).fetchall()
        _decide_all(connection, (row["item"] for row in items))


def _said(connection: sqlite3.Connection, event: Event) -> None:
    if event.item is None:
        return
    if event.kind is EventKind.ANSWERED:
        _refresh_answer(connection, event.item, event.person)
    _decide(connection, event.item)


def _strike(connection: sqlite3.Connection, event: Event) -> None:
    for seq in event.body["events"]:
        connection.execute("INSERT OR IGNORE INTO undone (event, by) VALUES (?, ?)", (seq, event.seq))


def _taken_back(connection: sqlite3.Connection, event: Event) -> None:
    touched: set[tuple[int, str]] = set()
    for seq in event.body["events"]:
        row = connection.execute("SELECT item, person FROM event WHERE seq = ?", (seq,)).fetchone()
        touched.add((row["item"], row["person"]))
    for item, person in sorted(touched):
        _refresh_answer(connection, item, person)
        _decide(connection, item)


def _settings_changed(connection: sqlite3.Connection, event: Event) -> None:
    for name, value in event.body.items():
        connection.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, json.dumps(value)))


def _guidelines_changed(connection: sqlite3.Connection, event: Event) -> None:
    connection.execute(
        "INSERT INTO guideline (version, text, at, person) VALUES (?, ?, ?, ?)",
        (event.body["version"], event.body["text"], event.at, event.person),
    )


def _refresh_answer(connection: sqlite3.Connection, item: int, person: str) -> None:
    """Make a person's answer to a text the last one that was not undone."""
    row = connection.execute(
        "SELECT seq, at, body FROM event WHERE item = ? AND person = ? AND kind = 'answered'"
        " AND seq NOT IN (SELECT event FROM undone) ORDER BY seq DESC LIMIT 1",
        (item, person),
    ).fetchone()
    if row is None:
        connection.execute("DELETE FROM answer WHERE item = ? AND person = ?", (item, person))
        return
    body = json.loads(row["body"])
    label = body["label"]
    stands = label is None or resolved_label(connection, label) is not None
    connection.execute(
        "INSERT OR REPLACE INTO answer (item, person, event, at, kind, label, stands, note, seconds)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (item, person, row["seq"], row["at"], body["kind"], label, stands, body["note"], body["seconds"]),
    )


def _decide_all(connection: sqlite3.Connection, items: Iterable[int]) -> None:
    for item in items:
        _decide(connection, item)


def _decide(connection: sqlite3.Connection, item: int) -> None:
    """Work out which label holds for a text: what was settled, else what most people said."""
    rows = connection.execute("SELECT event, kind, label FROM answer WHERE item = ?", (item,)).fetchall()
    votes: Counter[int] = Counter()
    unsure = 0
    for row in rows:
        label = None if row["label"] is None else resolved_label(connection, row["label"])
        if label is not None:
            votes[label] += 1
        elif row["kind"] == AnswerKind.UNSURE:
            unsure += 1
    settled = _settled(connection, item)
    first = votes.most_common(2)
    agreed = first[0][0] if first and (len(first) == 1 or first[0][1] > first[1][1]) else None
    if not votes and not unsure and settled is None:
        connection.execute("DELETE FROM decision WHERE item = ?", (item,))
        return
    connection.execute(
        "INSERT OR REPLACE INTO decision (item, label, answers, disputed, settled, audit, event)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            item,
            agreed if settled is None else settled[0],
            sum(votes.values()) + unsure,
            settled is None and (len(votes) > 1 or unsure > 0),
            settled is not None,
            _is_audit(connection, item),
            max([row["event"] for row in rows] + ([] if settled is None else [settled[1]])),
        ),
    )


def _settled(connection: sqlite3.Connection, item: int) -> tuple[int, int] | None:
    """Give the label a disagreement was settled on, and the event; None where nobody settled it."""
    row = connection.execute(
        "SELECT seq, json_extract(body, '$.label') AS label FROM event WHERE item = ? AND kind = 'settled'"
        " AND seq NOT IN (SELECT event FROM undone) ORDER BY seq DESC LIMIT 1",
        (item,),
    ).fetchone()
    if row is None:
        return None
    label = resolved_label(connection, row["label"])
    return None if label is None else (label, row["seq"])


def _is_audit(connection: sqlite3.Connection, item: int) -> bool:
    """Say whether the text was first answered as an audit: its label then estimates, and never trains."""
    row = connection.execute(
        "SELECT json_extract(body, '$.origin.source') AS source FROM event WHERE item = ? AND kind = 'answered'"
        " AND seq NOT IN (SELECT event FROM undone) ORDER BY seq LIMIT 1",
        (item,),
    ).fetchone()
    return row is not None and row["source"] == "audit"


_Step = Callable[[sqlite3.Connection, Event], None]
#: Texts added leave no record here: the texts themselves are part of the history.
_RECORDS: dict[EventKind, _Step] = {
    EventKind.LABEL_ADDED: _label_added,
    EventKind.LABEL_CHANGED: _label_changed,
    EventKind.LABEL_MERGED: _label_merged,
    EventKind.LABEL_RETIRED: _label_retired,
    EventKind.LABEL_RESTORED: _label_restored,
    EventKind.UNDONE: _strike,
    EventKind.SETTINGS_CHANGED: _settings_changed,
    EventKind.GUIDELINES_CHANGED: _guidelines_changed,
}
_CONSEQUENCES: dict[EventKind, _Step] = {
    EventKind.LABEL_MERGED: _label_stands_otherwise,
    EventKind.LABEL_RETIRED: _label_stands_otherwise,
    EventKind.LABEL_RESTORED: _label_stands_otherwise,
    EventKind.ANSWERED: _said,
    EventKind.SETTLED: _said,
    EventKind.UNDONE: _taken_back,
}
