"""The texts of a project: added at any time, never changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nearmiss.errors import InvalidInput
from nearmiss.session.database import Database
from nearmiss.session.history import Event, EventKind
from nearmiss.session.projection import happen
from nearmiss.text.corpus import Texts

__all__ = ["Added", "Item", "NewItem", "TextShelf", "as_item"]

_LARGEST_DRAW = 2**62


@dataclass(frozen=True, slots=True)
class Item:
    """One text of a project.

    Attributes
    ----------
    id
        Its number in the project, from 1.
    ref
        Its name in the file it came from; unique in the project.
    text, pair
        The text, and its partner in tasks over pairs.
    meta
        Its other columns.
    """

    id: int
    ref: str
    text: str
    pair: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewItem:
    """A text to be added; without a ``ref`` it gets its number."""

    text: str
    pair: str | None = None
    ref: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of texts that were handed in.

    Attributes
    ----------
    ids
        The project's number of each text handed in, in order: new, or the one that was there already.
    added, known
        How many are new, and how many were there (the same ``ref`` and text, or the same text without a ``ref``).
    notes
        What was changed on the way in, in sentences for the user.
    """

    ids: tuple[int, ...]
    added: int
    known: int
    notes: tuple[str, ...] = ()


class TextShelf:
    """The texts of a project.

    Parameters
    ----------
    database
        The project's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, person: str, items: Sequence[NewItem], *, source: str, rng: np.random.Generator) -> Added:
        """Add texts, all or none; a text that is there already is recognised, not doubled.

        Parameters
        ----------
        source
            Where they come from, for the history.
        rng
            Draws each text's place in the random order that audits follow.

        Raises
        ------
        InvalidInput
            A text is empty, some are pairs and some are not, or a ``ref`` names another text already.
        """
        notes: list[str] = []
        cleaned = [_cleaned(item, position, notes) for position, item in enumerate(items, start=1)]
        digests = _digests(cleaned)
        draws = rng.integers(_LARGEST_DRAW, size=len(cleaned))
        with self._database.writing() as connection:
            _refuse_mixture(connection, cleaned)
            catalog = _Catalog(connection, cleaned, digests)
            ids = [
                catalog.number(item, digest) or catalog.enter(item, digest, draw)
                for item, digest, draw in zip(cleaned, digests, draws.tolist(), strict=True)
            ]
            added = catalog.write()
            body = {"source": source, "texts": added, "known": len(ids) - added}
            happen(connection, Event(EventKind.TEXTS_ADDED, person, body))
        return Added(tuple(ids), added, len(ids) - added, tuple(notes[:20]))

    def find(self, items: Sequence[NewItem]) -> tuple[int | None, ...]:
        """Recognise texts as ``add`` would: the number of each, None for those that are new.

        Raises
        ------
        InvalidInput
            A text is empty, or a ``ref`` names another text already.
        """
        cleaned = [_cleaned(item, position, []) for position, item in enumerate(items, start=1)]
        digests = _digests(cleaned)
        with self._database.reading() as connection:
            catalog = _Catalog(connection, cleaned, digests)
            return tuple(catalog.number(item, digest) for item, digest in zip(cleaned, digests, strict=True))

    def count(self) -> int:
        """Count the texts."""
        with self._database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM item").fetchone()[0])

    def get(self, item: int) -> Item:
        """Find a text by its number.

        Raises
        ------
        InvalidInput
            There is none.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM item WHERE id = ?", (item,)).fetchone()
        if row is None:
            raise InvalidInput(f"no text number {item} in this project; texts run from 1 to {self.count()}")
        return as_item(row)

    def named(self, ref: str) -> Item:
        """Find a text by its name in the file it came from.

        Raises
        ------
        InvalidInput
            There is none.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM item WHERE ref = ?", (ref,)).fetchone()
        if row is None:
            raise InvalidInput(f"no text named {ref!r} in this project; nearmiss ask PROJECT lists names")
        return as_item(row)

    def many(self, items: Iterable[int]) -> dict[int, Item]:
        """Find several texts by their numbers."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT * FROM item WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(items)),)
            )
            return {row["id"]: as_item(row) for row in found}

    def corpus(self, after: int = 0) -> Texts:
        """Give the texts in the order of their numbers, those after a number alone if one is given."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT text, pair FROM item WHERE id > ? ORDER BY id", (after,)).fetchall()
        first = tuple(row["text"] for row in rows)
        paired = bool(rows) and rows[0]["pair"] is not None
        return Texts(first, tuple(row["pair"] for row in rows) if paired else None)


def as_item(row: sqlite3.Row) -> Item:
    """Read a text from its row."""
    return Item(row["id"], row["ref"], row["text"], row["pair"], json.loads(row["meta"]))


def _cleaned(item: NewItem, position: int, notes: list[str]) -> NewItem:
    if not item.text.strip() and not (item.pair or "").strip():
        raise InvalidInput(f"text {position} is empty; leave it out (--on-missing drop)")
    return NewItem(
        _encodable(item.text, position, notes) or "",
        _encodable(item.pair, position, notes),
        _encodable(None if item.ref is None else item.ref.replace("\0", "\N{REPLACEMENT CHARACTER}"), position, notes),
        {
            _encodable(name, position, notes) or "": _encodable(value, position, notes) or ""
            for name, value in item.meta.items()
        },
    )


def _encodable(text: str | None, position: int, notes: list[str]) -> str | None:
    """Replace halves of surrogate pairs, which no file in UTF-8 can hold."""
    if text is None or text.isascii():
        return text
    sound = text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )  # which joins halves that belong together
    if sound != text:
        notes.append(f"text {position} holds half a character (a lone surrogate), which is replaced")
    return sound


def _digests(items: Sequence[NewItem]) -> tuple[str, ...]:
    paired = any(item.pair is not None for item in items)
    second = tuple(item.pair or "" for item in items) if paired else None
    return Texts(tuple(item.text for item in items), second).digests


def _refuse_mixture(connection: sqlite3.Connection, items: Sequence[NewItem]) -> None:
    row = connection.execute("SELECT pair IS NOT NULL FROM item LIMIT 1").fetchone()
    paired = bool(row[0]) if row is not None else bool(items) and items[0].pair is not None
    for position, item in enumerate(items, start=1):
        if (item.pair is not None) != paired:
            raise InvalidInput(
                f"text {position} {'has no partner' if paired else 'is one of a pair'}, but the project holds "
                f"{'text pairs' if paired else 'single texts'}; name the pair column or leave it out (--pair-column)"
            )


class _Catalog:
    """The names and contents that some texts may share with the project's: looked up at once, and added at once."""

    def __init__(self, connection: sqlite3.Connection, items: Sequence[NewItem], digests: Sequence[str]) -> None:
        self._connection = connection
        last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'item'").fetchone()
        self._next = 1 if last is None else int(last[0]) + 1
        self._rows: list[tuple[int, str, str, str | None, str, str, int]] = []
        # Names that texts without one would get are looked up too.
        given = [item.ref for item in items if item.ref is not None]
        numbers = [str(number) for number in range(self._next, self._next + len(items))]
        self._by_ref: dict[str, tuple[int, str]] = {
            row["ref"]: (row["id"], row["digest"])
            for row in connection.execute(
                "SELECT ref, id, digest FROM item WHERE ref IN (SELECT value FROM json_each(?))",
                (json.dumps([*given, *numbers]),),
            )
        }
        self._by_digest: dict[str, int] = {
            row["digest"]: row["id"]
            for row in connection.execute(
                "SELECT digest, min(id) AS id FROM item WHERE digest IN (SELECT value FROM json_each(?))"
                " GROUP BY digest",
                (json.dumps(list(digests)),),
            )
        }

    def number(self, item: NewItem, digest: str) -> int | None:
        """Give the number of a text that is known, None for a new one."""
        if item.ref is None:
            return self._by_digest.get(digest)
        found = self._by_ref.get(item.ref)
        if found is None:
            return None
        if found[1] != digest:
            raise InvalidInput(
                f"{item.ref!r} names another text in this project already; give the new text another id (--id-column), "
                "or leave the id column out"
            )
        return found[0]

    def enter(self, item: NewItem, digest: str, draw: int) -> int:
        """Note a new text and give its number."""
        number = self._next
        self._next += 1
        ref = str(number) if item.ref is None else item.ref
        while item.ref is None and (ref in self._by_ref or self._is_taken(ref)):
            ref += "'"
        self._by_ref[ref] = (number, digest)
        self._by_digest.setdefault(digest, number)
        meta = json.dumps(dict(item.meta), ensure_ascii=False)
        self._rows.append((number, ref, item.text, item.pair, meta, digest, draw))
        return number

    def write(self) -> int:
        """Write the new texts down and say how many they are."""
        self._connection.executemany(
            "INSERT INTO item (id, ref, text, pair, meta, digest, draw) VALUES (?, ?, ?, ?, ?, ?, ?)", self._rows
        )
        # Not by a trigger: with trusted_schema off, a trigger may not write to a virtual table.
        self._connection.executemany(
            "INSERT INTO item_words (rowid, text, pair) VALUES (?, ?, ?)",
            [(number, text, pair) for number, _, text, pair, *_ in self._rows],
        )
        return len(self._rows)

    def _is_taken(self, ref: str) -> bool:
        """Look up a name with an apostrophe, which only a clash brings forth."""
        if not ref.endswith("'"):
            return False
        row = self._connection.execute("SELECT 1 FROM item WHERE ref = ?", (ref,)).fetchone()
        return row is not None
