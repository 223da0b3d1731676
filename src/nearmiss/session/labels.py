"""The labels of a project: added, renamed, merged and retired at any time, without touching what was said before."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.database import Database
from nearmiss.session.history import Event, EventKind
from nearmiss.session.projection import happen, resolved_label

__all__ = ["LONGEST_SEED", "Label", "LabelSet", "shown_keys"]

_LONGEST_NAME = 200
_CHANGEABLE = ("name", "description", "color", "key", "position", "seeds")
#: Lines of seeds, and characters of one.
_MOST_SEEDS, LONGEST_SEED = 100, 2_000
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
#: Keys that mean something else on the labelling page.
RESERVED_KEYS = frozenset("usqnegh?/ ")


@dataclass(frozen=True, slots=True)
class Label:
    """One label.

    Attributes
    ----------
    id
        Never changes, whatever becomes of the name.
    name, description
        What it is called, and when it applies.
    color
        ``#rrggbb``, or empty.
    key
        The key that gives it, one character; empty leaves the choice to the page.
    position
        Its place in the list.
    retired, merged_into
        Whether it is still offered, and the label that stands for it instead.
    texts
        How many texts have it.
    seeds
        Words or examples of it, one a line: they find its first texts.
    """

    id: int
    name: str
    description: str = ""
    color: str = ""
    key: str = ""
    position: int = 0
    retired: bool = False
    merged_into: int | None = None
    texts: int = 0
    seeds: str = ""

    @property
    def seed_texts(self) -> tuple[str, ...]:
        """The seeds, one by one."""
        return tuple(self.seeds.split("\n")) if self.seeds else ()


class LabelSet:
    """The labels of a project.

    Parameters
    ----------
    database
        The project's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def every(self) -> tuple[Label, ...]:
        """List all labels there ever were, in their order."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT label.*, (SELECT count(*) FROM decision WHERE decision.label = label.id) AS texts"
                " FROM label ORDER BY position, id"
            ).fetchall()
        return tuple(_as_label(row) for row in rows)

    def offered(self) -> tuple[Label, ...]:
        """List the labels that can be given."""
        return tuple(label for label in self.every() if not label.retired and label.merged_into is None)

    def menu(self) -> tuple[Label, ...]:
        """List the labels that can be given without counting their texts, which takes longest (``texts`` is 0)."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT label.*, 0 AS texts FROM label WHERE NOT retired AND merged_into IS NULL ORDER BY position, id"
            ).fetchall()
        return tuple(_as_label(row) for row in rows)

    def named(self, name: str) -> Label:
        """Find the offered label of that name.

        Raises
        ------
        UnknownName
            There is none; says which are near.
        """
        offered = self.offered()
        for label in offered:
            if label.name == name:
                return label
        raise UnknownName.among("label", name, (label.name for label in offered))

    def names_ever(self) -> frozenset[str]:
        """Give every name that a label has, or had."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT json_extract(body, '$.name') AS name FROM event WHERE kind IN (?, ?)"
                " AND json_extract(body, '$.name') IS NOT NULL",
                (EventKind.LABEL_ADDED, EventKind.LABEL_CHANGED),
            ).fetchall()
        return frozenset(row["name"] for row in rows)

    def add(
        self, person: str, name: str, *, description: str = "", color: str = "", key: str = "", seeds: str = ""
    ) -> Label:
        """Add a label.

        Raises
        ------
        InvalidInput
            The name is empty, too long or taken; the colour or key is none, or the key is taken; there are more than
            100 seeds, or one is longer than 2000 characters.
        """
        return self.add_all(person, [Label(0, name, description, color, key, seeds=seeds)])[0]

    def add_all(self, person: str, labels: Iterable[Label]) -> tuple[Label, ...]:
        """Add several labels, all or none; their ids and positions are given here.

        Raises
        ------
        InvalidInput
            As ``add``.
        """
        with self._database.writing() as connection:
            added = []
            for label in labels:
                body = _checked(
                    {"name": label.name, "description": label.description, "color": label.color, "seeds": label.seeds}
                )
                body["key"] = _checked_key(label.key)
                self._refuse_taken(connection, body, None)
                last = connection.execute("SELECT max(id), max(position) FROM label").fetchone()
                body |= {"label": (last[0] or 0) + 1, "position": (last[1] or 0) + 1}
                happen(connection, Event(EventKind.LABEL_ADDED, person, body))
                added.append(body["label"])
            known = {label.id: label for label in self.every()}
        return tuple(known[i] for i in added)

    def change(self, person: str, label: int, changes: Mapping[str, Any]) -> Label:
        """Rename, describe, colour, bind to a key, move or seed a label; what was said with it stays said.

        Parameters
        ----------
        changes
            Any of ``name``, ``description``, ``color``, ``key``, ``position``, ``seeds``.

        Raises
        ------
        InvalidInput
            As ``add``.
        UnknownName
            There is no such label.
        """
        with self._database.writing() as connection:
            self._require(connection, label)
            body = _checked({name: value for name, value in changes.items() if name != "key"})
            if "key" in changes:
                body["key"] = _checked_key(str(changes["key"]))
            self._refuse_taken(connection, body, label)
            if body:
                happen(connection, Event(EventKind.LABEL_CHANGED, person, {"label": label, **body}))
            return self._get(label)

    def merge(self, person: str, label: int, into: int) -> Label:
        """Let another label stand for this one, in everything said before and after; ``restore`` parts them again.

        Raises
        ------
        InvalidInput
            They are the same label already.
        UnknownName
            There is no such label.
        """
        with self._database.writing() as connection:
            self._require(connection, label)
            self._require(connection, into)
            target = resolved_label(connection, into)
            if target is None:
                raise InvalidInput(f"label {self._get(into).name!r} is retired; restore it before merging into it")
            if target == label:
                raise InvalidInput(f"label {self._get(label).name!r} stands for {self._get(into).name!r} already")
            merged = self._get(label).merged_into
            if merged is not None:
                raise InvalidInput(
                    f"label {self._get(label).name!r} is merged into {self._get(merged).name!r}; restore it first"
                )
            happen(connection, Event(EventKind.LABEL_MERGED, person, {"label": label, "into": target}))
            return self._get(target)

    def retire(self, person: str, label: int) -> Label:
        """Offer a label no more; the texts that have it go back to be labelled again.

        Raises
        ------
        UnknownName
            There is no such label.
        """
        with self._database.writing() as connection:
            self._require(connection, label)
            happen(connection, Event(EventKind.LABEL_RETIRED, person, {"label": label}))
            return self._get(label)

    def restore(self, person: str, label: int) -> Label:
        """Offer a retired or merged label again, with the texts it had.

        Raises
        ------
        InvalidInput
            Another label has taken its name meanwhile.
        UnknownName
            There is no such label.
        """
        with self._database.writing() as connection:
            self._require(connection, label)
            known = self._get(label)
            self._refuse_taken(connection, {"name": known.name}, label)
            if known.key and any(other.key == known.key for other in self.offered()):
                happen(connection, Event(EventKind.LABEL_CHANGED, person, {"label": label, "key": ""}))
            happen(connection, Event(EventKind.LABEL_RESTORED, person, {"label": label}))
            return self._get(label)

    def _get(self, label: int) -> Label:
        return next(known for known in self.every() if known.id == label)

    def _require(self, connection: sqlite3.Connection, label: int) -> None:
        if connection.execute("SELECT 1 FROM label WHERE id = ?", (label,)).fetchone() is None:
            raise UnknownName(f"no label number {label}; list them with: nearmiss status PROJECT")

    def _refuse_taken(self, connection: sqlite3.Connection, body: Mapping[str, Any], label: int | None) -> None:
        for column in ("name", "key"):
            value = body.get(column)
            if not value:
                continue
            row = connection.execute(
                f"SELECT name FROM label WHERE {column} = ? AND id IS NOT ? AND NOT retired AND merged_into IS NULL",
                (value, label),
            ).fetchone()
            if row is not None and column == "name":
                raise InvalidInput(f"there is a label {value!r} already; choose another name")
            if row is not None:
                raise InvalidInput(f"key {value!r} gives label {row['name']!r}; choose another key")


def shown_keys(labels: Iterable[Label]) -> dict[int, str]:
    """Give each label its key: the one it is bound to, else the first digit that is free, else none.

    Examples
    --------
    >>> shown_keys([Label(1, "spam"), Label(2, "ham", key="1"), Label(3, "eggs")])
    {1: '2', 2: '1', 3: '3'}
    """
    labels = tuple(labels)
    bound = {label.key for label in labels if label.key}
    free = iter([digit for digit in "1234567890" if digit not in bound])
    return {label.id: label.key or next(free, "") for label in labels}


def _as_label(row: sqlite3.Row) -> Label:
    return Label(
        row["id"],
        row["name"],
        row["description"],
        row["color"],
        row["key"],
        row["position"],
        bool(row["retired"]),
        row["merged_into"],
        row["texts"],
        row["seeds"],
    )


def _checked(body: Mapping[str, Any]) -> dict[str, Any]:
    checked = dict(body)
    for name in checked:
        if name not in _CHANGEABLE:
            raise UnknownName.among("property of a label", name, _CHANGEABLE)
    if "position" in checked and (isinstance(checked["position"], bool) or not isinstance(checked["position"], int)):
        raise InvalidInput(f"position {checked['position']!r}; it must be a whole number")
    if "name" in checked:
        name = " ".join(str(checked["name"]).split())
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise InvalidInput(f"label name {checked['name']!r}: give it 1 to {_LONGEST_NAME} printable characters")
        checked["name"] = name
    if "description" in checked:
        checked["description"] = str(checked["description"]).strip()[:2000]
    if "seeds" in checked:
        checked["seeds"] = _checked_seeds(str(checked["seeds"]))
    color = checked.get("color", "")
    if not isinstance(color, str) or (color and not _COLOR.fullmatch(color)):
        raise InvalidInput(f"colour {color!r}: write it as #rrggbb, such as #2a6f97")
    return checked


def _checked_seeds(text: str) -> str:
    """Bring seeds to one a line; empty lines and repetitions do not count."""
    sound = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", " ")
    seeds = tuple(dict.fromkeys(" ".join(line.split()) for line in sound.splitlines() if line.strip()))
    if len(seeds) > _MOST_SEEDS:
        raise InvalidInput(f"seeds: {len(seeds)} lines; write at most {_MOST_SEEDS}, the most typical ones")
    longest = max(map(len, seeds), default=0)
    if longest > LONGEST_SEED:
        raise InvalidInput(f"seeds: a line of {longest} characters; keep each to {LONGEST_SEED}")
    return "\n".join(seeds)


def _checked_key(key: str) -> str:
    key = key.strip().lower()
    if len(key) > 1 or (key and (not key.isprintable() or key in RESERVED_KEYS)):
        raise InvalidInput(f"key {key!r}: give one character that is none of {' '.join(sorted(RESERVED_KEYS))}")
    return key
