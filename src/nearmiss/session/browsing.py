"""Looking things up: full-text search and filters that fit into an address, a page at a time."""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from nearmiss.errors import InvalidInput
from nearmiss.session.database import Database
from nearmiss.session.items import Item, as_item
from nearmiss.session.published import PublishedModels
from nearmiss.session.settings import SettingsStore

__all__ = ["Browser", "Filter", "Found", "Page", "State"]

_MOST_PER_PAGE = 1000
_WORD = re.compile(r"\w+")
#: A label is suspicious when the model gives it less than this, although it may have learned from it.
_SUSPICIOUS = 0.2


class State(StrEnum):
    """Where a text stands."""

    LABELED = "labelled"
    UNLABELED = "unlabelled"
    SKIPPED = "skipped"
    DISPUTED = "disputed"
    SETTLED = "settled"
    AUDIT = "audit"
    SUSPICIOUS = "suspicious"
    REPEATED = "repeated"


_CONDITIONS = {
    State.LABELED: "decision.label IS NOT NULL",
    State.UNLABELED: "decision.item IS NULL",
    State.SKIPPED: "EXISTS (SELECT 1 FROM answer WHERE answer.item = item.id AND answer.kind = 'skip')",
    State.DISPUTED: "decision.disputed = 1",
    State.SETTLED: "decision.settled = 1",
    State.AUDIT: "decision.audit = 1",
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which texts to look at; what is left out does not matter.

    Attributes
    ----------
    words
        Words that all occur; the last may be the beginning of one.
    label
        The label that holds, by number.
    state
        Where the text stands.
    person
        Who has answered it.
    """

    words: str = ""
    label: int | None = None
    state: State | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A text that was found.

    Attributes
    ----------
    item
        The text.
    label
        The label that holds; None while there is none.
    disputed, settled, audit
        Whether people differ, whether that was settled, and whether it measures the model.
    answers
        How many people have answered.
    """

    item: Item
    label: int | None
    disputed: bool
    settled: bool
    audit: bool
    answers: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the texts found.

    Attributes
    ----------
    found
        Those of this page.
    total
        How many there are on all pages.
    number, size
        This page, from 1, and texts a page.
    """

    found: tuple[Found, ...]
    total: int
    number: int
    size: int


class Browser:
    """Looks through a project.

    Parameters
    ----------
    database, settings, models
        The project's.
    """

    def __init__(self, database: Database, settings: SettingsStore, models: PublishedModels) -> None:
        self._database = database
        self._settings = settings
        self._models = models

    def page(self, wanted: Filter, number: int = 1, size: int = 50) -> Page:
        """Give one page of the texts that pass a filter; by their numbers, or the most suspicious first.

        Raises
        ------
        InvalidInput
            A page below 1, or of more than 1000 texts.
        """
        if number < 1 or not 1 <= size <= _MOST_PER_PAGE:
            raise InvalidInput(f"page {number} of {size} texts; pages count from 1 and hold 1 to {_MOST_PER_PAGE}")
        with self._database.reading() as connection:
            ids = self._ids(connection, wanted)
            shown = ids[(number - 1) * size : number * size]
            found = tuple(_found(connection, item) for item in shown)
        return Page(found, len(ids), number, size)

    def ids(self, wanted: Filter) -> tuple[int, ...]:
        """Give the numbers of all texts that pass a filter, in the order of ``page``."""
        with self._database.reading() as connection:
            return tuple(self._ids(connection, wanted))

    def find(self, item: int) -> Found:
        """Give one text and where it stands.

        Raises
        ------
        InvalidInput
            There is none of that number.
        """
        with self._database.reading() as connection:
            if connection.execute("SELECT 1 FROM item WHERE id = ?", (item,)).fetchone() is None:
                raise InvalidInput(f"no text number {item} in this project")
            return _found(connection, item)

    def _ids(self, connection: sqlite3.Connection, wanted: Filter) -> list[int]:
        conditions, values = ["1"], dict[str, object]()
        if words := _WORD.findall(wanted.words):
            # Quoted, so that nothing a person types is taken for an operator of FTS5.
            values["words"] = " ".join(f'"{word}"' for word in words) + "*"
            conditions.append("item.id IN (SELECT rowid FROM item_words WHERE item_words MATCH :words)")
        elif wanted.words.strip():
            return []
        if wanted.label is not None:
            values["label"] = wanted.label
            conditions.append("decision.label = :label")
        if wanted.person is not None:
            values["person"] = wanted.person
            conditions.append("EXISTS (SELECT 1 FROM answer WHERE answer.item = item.id AND answer.person = :person)")
        if wanted.state in _CONDITIONS:
            conditions.append(_CONDITIONS[wanted.state])
        rows = connection.execute(
            "SELECT item.id FROM item LEFT JOIN decision ON decision.item = item.id"
            f" WHERE {' AND '.join(conditions)} ORDER BY item.id",
            values,
        )
        ids = [row["id"] for row in rows]
        if wanted.state is State.SUSPICIOUS:
            return self._suspicious(connection, set(ids))
        if wanted.state is State.REPEATED:
            return _repeated(connection, set(ids))
        return ids

    def _suspicious(self, connection: sqlite3.Connection, among: set[int]) -> list[int]:
        """List labelled texts whose label the model gives little, the least first."""
        facts = self._models.latest()
        values = None if facts is None else self._models.probabilities(facts.version)
        if facts is None or values is None:
            return []
        column = {label: position for position, label in enumerate(facts.labels)}
        doubts = []
        for row in connection.execute("SELECT item, label FROM decision WHERE label IS NOT NULL AND NOT settled"):
            if row["item"] in among and row["item"] <= len(values) and row["label"] in column:
                given = float(values[row["item"] - 1, column[row["label"]]])
                if given < _SUSPICIOUS:
                    doubts.append((given, row["item"]))
        return [item for _, item in sorted(doubts)]


def _repeated(connection: sqlite3.Connection, among: set[int]) -> list[int]:
    """List texts that differ in no letter or digit from another, likes together, those that differ in label first."""
    likes: dict[str, list[tuple[int, int | None]]] = defaultdict(list)
    rows = connection.execute(
        "SELECT item.id, text, pair, decision.label FROM item LEFT JOIN decision ON decision.item = item.id ORDER BY id"
    )
    for row in rows:
        if row["id"] in among:
            bare = " ".join(_WORD.findall(f"{row['text']} \x1f {row['pair'] or ''}".casefold()))
            if bare:
                likes[bare].append((row["id"], row["label"]))
    groups = [group for group in likes.values() if len(group) > 1]
    groups.sort(key=lambda group: -len({label for _, label in group if label is not None}))
    return [item for group in groups for item, _ in group]


def _found(connection: sqlite3.Connection, item: int) -> Found:
    row = connection.execute("SELECT * FROM item WHERE id = ?", (item,)).fetchone()
    known = connection.execute("SELECT * FROM decision WHERE item = ?", (item,)).fetchone()
    if known is None:
        return Found(as_item(row), None, disputed=False, settled=False, audit=False, answers=0)
    return Found(
        as_item(row),
        known["label"],
        disputed=bool(known["disputed"]),
        settled=bool(known["settled"]),
        audit=bool(known["audit"]),
        answers=known["answers"],
    )
