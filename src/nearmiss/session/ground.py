"""What a model learns from and is measured by, read from the present in one moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.session.database import Database

__all__ = ["Ground", "read_ground", "standing_labels"]

IdArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The labels of one moment.

    Attributes
    ----------
    labels
        The labels on offer, by number, in their order: label ``labels[c]`` is class c.
    rows, classes
        Texts to train on, as rows of the pool (text number less 1), and their class ids, shape (m,), in the order they
        were decided.
    audit_rows, audit_classes
        Texts to measure by; no model learns from them.
    closed_rows
        Texts that somebody has answered: they are not asked about again.
    texts
        How many texts there are.
    cutoff
        The last event that is part of it.
    fresh
        Decisions to train on that are newer than the event asked about.
    """

    labels: tuple[int, ...]
    rows: IdArray
    classes: IdArray
    audit_rows: IdArray
    audit_classes: IdArray
    closed_rows: IdArray
    texts: int
    cutoff: int
    fresh: int

    @property
    def seen(self) -> int:
        """How many different labels there are to train on."""
        return len(np.unique(self.classes))


def standing_labels(database: Database) -> dict[int, int]:
    """Say of each label that was merged which one stands for it today; others are missing."""
    with database.reading() as connection:
        rows = connection.execute("SELECT id, merged_into FROM label WHERE merged_into IS NOT NULL").fetchall()
    into = {row["id"]: row["merged_into"] for row in rows}
    stands = {}
    for label in into:
        stands[label] = into[label]
        while stands[label] in into:
            stands[label] = into[stands[label]]
    return stands


def read_ground(database: Database, since: int = 0) -> Ground:
    """Read the labels that hold.

    Parameters
    ----------
    since
        Decisions after this event count as fresh.
    """
    with database.reading() as connection:
        labels = tuple(
            row["id"]
            for row in connection.execute(
                "SELECT id FROM label WHERE NOT retired AND merged_into IS NULL ORDER BY position, id"
            )
        )
        rows = connection.execute("SELECT item, label, audit, event FROM decision ORDER BY event").fetchall()
        answered = connection.execute("SELECT DISTINCT item FROM answer WHERE stands").fetchall()
        texts = connection.execute("SELECT count(*) FROM item").fetchone()[0]
        cutoff = connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0]
    class_of = {label: position for position, label in enumerate(labels)}
    known = [row for row in rows if row["label"] in class_of]
    training = [row for row in known if not row["audit"]]
    audits = [row for row in known if row["audit"]]
    return Ground(
        labels,
        _ids(row["item"] - 1 for row in training),
        _ids(class_of[row["label"]] for row in training),
        _ids(row["item"] - 1 for row in audits),
        _ids(class_of[row["label"]] for row in audits),
        _ids(sorted({row["item"] - 1 for row in (*rows, *answered)})),
        texts,
        cutoff,
        sum(row["event"] > since for row in training),
    )


def _ids(values: Iterable[int]) -> IdArray:
    return np.fromiter(values, np.int64)
