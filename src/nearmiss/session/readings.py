"""What each model says of the random checks, those to come included: by it, models of the past are measured today."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from nearmiss.session.database import Database
from nearmiss.session.ground import Ground, IdArray, standing_labels
from nearmiss.session.origins import Source

__all__ = ["AHEAD", "Answered", "Checks", "Reading", "read_answered", "readings", "write_reading"]

#: Texts of the random order that a model is asked about before anybody has labelled them.
AHEAD = 1_000
#: How a text comes before people because the queue handed it out.
_ASKED = frozenset({Source.MODEL, Source.COVER, Source.RANDOM, Source.AUDIT})
#: Stands for a label that is no longer on offer, and for a text that a model was not asked about.
OTHER = -1


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The labels that one model gives to some texts.

    Attributes
    ----------
    items
        Numbers of the texts, increasing, shape (k,).
    labels
        The numbers of the labels it gives them, shape (k,).
    """

    items: IdArray
    labels: IdArray

    def of(self, items: IdArray) -> IdArray:
        """Give the labels of these texts; `OTHER` for one that the model was not asked about."""
        if not len(self.items):
            return np.full(len(items), OTHER, dtype=np.int64)
        place = np.searchsorted(self.items, items).clip(0, len(self.items) - 1)
        return np.where(self.items[place] == items, self.labels[place], OTHER)


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """The random checks whose label is on offer, in the order in which they were drawn.

    Attributes
    ----------
    items, classes
        By number, and by class id, shape (k,).
    events
        The events that decided them.
    weights
        What each counts, shape (k,); NaN for one that was drawn uniformly.
    """

    items: IdArray
    classes: IdArray
    events: IdArray
    weights: npt.NDArray[np.float64]

    @property
    def counts(self) -> npt.NDArray[np.float64] | None:
        """What each counts, shape (k,); None where they count alike."""
        weighted = ~np.isnan(self.weights)
        return np.where(weighted, self.weights, 1.0) if weighted.any() else None

    def take(self, kept: npt.NDArray[np.bool_]) -> Checks:
        """Give some of them."""
        return Checks(self.items[kept], self.classes[kept], self.events[kept], self.weights[kept])


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """Every text with a label that holds, in the order in which they were first answered.

    Attributes
    ----------
    items, labels
        By number, shape (m,).
    checks
        Whether it is a random check.
    guessed
        1 where the model of that time had guessed the label, 0 where it had not, NaN where there was none.
    events
        The events that decided the labels: a model knows those up to its cutoff.
    weights
        What a check counts; NaN for all that were not drawn by a weight.
    asked
        Whether the queue handed it out: what was imported, looked up or given to many at once was not asked for.
    """

    items: IdArray
    labels: IdArray
    checks: npt.NDArray[np.bool_]
    guessed: npt.NDArray[np.float64]
    events: IdArray
    weights: npt.NDArray[np.float64]
    asked: npt.NDArray[np.bool_]

    def up_to(self, event: int) -> Answered:
        """Leave out what was decided later."""
        return self._take(self.events <= event)

    def drawn_or_picked(self) -> Answered:
        """Leave out what says nothing of how hard picks are: what nobody was asked for, or no model had guessed."""
        return self._take(self.checks | (self.asked & ~np.isnan(self.guessed)))

    def _take(self, kept: npt.NDArray[np.bool_]) -> Answered:
        return Answered(**{entry.name: getattr(self, entry.name)[kept] for entry in fields(self)})

    @property
    def counts(self) -> npt.NDArray[np.float64] | None:
        """What each text counts among the checks, shape (m,); None where they count alike."""
        weighted = self.checks & ~np.isnan(self.weights)
        return np.where(weighted, self.weights, 1.0) if weighted.any() else None

    def on_offer(self, ground: Ground) -> Checks:
        """Give the random checks whose label is on offer."""
        class_of = {label: c for c, label in enumerate(ground.labels)}
        kept = np.flatnonzero(self.checks & np.isin(self.labels, list(class_of)))
        classes = np.array([class_of[int(label)] for label in self.labels[kept]], dtype=np.int64)
        return Checks(self.items[kept], classes, self.events[kept], self.weights[kept])


def read_answered(database: Database) -> Answered:
    """Read all labels that hold, and what was guessed before they were given."""
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT decision.item, decision.label, decision.audit, decision.event,"
            " coalesce(event.seq, decision.event) AS first,"
            " json_extract(event.body, '$.origin.labels[0]') AS guess,"
            " json_extract(event.body, '$.origin.weight') AS weight,"
            " json_extract(event.body, '$.origin.source') AS source FROM decision LEFT JOIN event ON event.seq ="
            " (SELECT min(seq) FROM event AS e WHERE e.item = decision.item AND e.kind = 'answered'"
            "  AND e.seq NOT IN (SELECT event FROM undone))"
            " WHERE decision.label IS NOT NULL ORDER BY first"
        ).fetchall()
    stands = standing_labels(database)
    guesses = [stands.get(row["guess"], row["guess"]) for row in rows]
    labels = [row["label"] for row in rows]
    guessed = [np.nan if guess is None else float(guess == label) for guess, label in zip(guesses, labels, strict=True)]
    return Answered(
        np.array([row["item"] for row in rows], dtype=np.int64),
        np.array(labels, dtype=np.int64),
        np.array([row["audit"] for row in rows], dtype=np.bool_),
        np.array(guessed, dtype=np.float64),
        np.array([row["event"] for row in rows], dtype=np.int64),
        np.array([np.nan if row["weight"] is None else row["weight"] for row in rows], dtype=np.float64),
        np.array([bool(row["audit"]) or row["source"] in _ASKED for row in rows], dtype=np.bool_),
    )


def write_reading(connection: sqlite3.Connection, version: int, reading: Reading, quality: str | None) -> None:
    """Keep what a model says, as part of its publication, and what was found of it."""
    connection.execute(
        "INSERT OR REPLACE INTO reading (version, items, labels, quality) VALUES (?, ?, ?, ?)",
        (version, _packed(reading.items), _packed(reading.labels), quality),
    )


def readings(database: Database) -> Mapping[int, Reading]:
    """Give what every model says, by version, oldest first; a label that was merged is the one it stands for today."""
    stands = standing_labels(database)
    with database.reading() as connection:
        rows = connection.execute("SELECT version, items, labels FROM reading ORDER BY version").fetchall()

    def read(row: sqlite3.Row) -> Reading:
        labels = _unpacked(row["labels"])
        for label, standing in stands.items():
            labels[labels == label] = standing
        return Reading(_unpacked(row["items"]), labels)

    return {row["version"]: read(row) for row in rows}


def _packed(numbers: IdArray) -> bytes:
    return numbers.astype("<i4").tobytes()


def _unpacked(packed: bytes) -> IdArray:
    return np.frombuffer(packed, dtype="<i4").astype(np.int64)
