"""Labels of some texts of a pool, in a file of ids: found in the shards, and joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearmiss.acquisition.base import IndexArray
from nearmiss.errors import InvalidData
from nearmiss.scale.gathering import FindIds
from nearmiss.scale.jobs import Jobs
from nearmiss.scale.pool import ShardedPool
from nearmiss.text.labels import encode_labels
from nearmiss.text.tables import read_table

__all__ = ["JoinedLabels", "KnownLabels", "join_labels", "read_labels"]

_TOLD = 3


@dataclass(frozen=True, slots=True, eq=False)
class KnownLabels:
    """Ids and the labels that people gave.

    Attributes
    ----------
    ids
        Of m texts, all different.
    labels
        Class ids, shape (m,).
    names
        The C names of classes.
    """

    ids: tuple[str, ...]
    labels: IndexArray
    names: tuple[str, ...]

    def coded_as(self, names: Sequence[str], whose: str) -> KnownLabels:
        """Give the same labels with classes numbered as somebody else does.

        Raises
        ------
        InvalidData
            A label is not among the names.
        """
        place_of = {name: place for place, name in enumerate(names)}
        strange = next((name for name in self.names if name not in place_of), None)
        if strange is not None:
            raise InvalidData(f"the label {strange!r} is none of {whose}: {', '.join(names)}")
        places = np.array([place_of[name] for name in self.names], dtype=np.int64)
        return KnownLabels(self.ids, places[self.labels], tuple(names))


@dataclass(frozen=True, slots=True, eq=False)
class JoinedLabels:
    """Labelled rows of the pool, increasing.

    Attributes
    ----------
    rows, labels, ids
        Of m texts.
    names
        The C names of classes.
    notes
        Labels of texts that are not in the pool.
    """

    rows: IndexArray
    labels: IndexArray
    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_labels(path: str | Path, id_column: str = "id", label_column: str = "label") -> KnownLabels:
    """Read a file with ids and labels: CSV, TSV, JSONL, Parquet or Arrow; rows without a label are left out.

    Raises
    ------
    InvalidData
        A column is missing, an id too or there twice, or no row has a label.
    """
    table = read_table(path).table
    for name in (id_column, label_column):
        if name not in table.column_names:
            has = ", ".join(table.column_names)
            raise InvalidData(f"{path}: there is no column {name!r}, only {has}; labels are joined to the pool by id")
    ids, found = (
        table.column(id_column).to_pylist(),
        encode_labels(table.column(label_column).to_pylist(), None, str(path)),
    )
    kept = np.flatnonzero(found.ids >= 0)
    if not len(kept):
        raise InvalidData(f"{path}: no row has a label in column {label_column!r}")
    seen: dict[str, int] = {}
    for row in kept.tolist():
        if ids[row] is None:
            raise InvalidData(f"{path}: row {row + 1} has a label and no id")
        if (name := str(ids[row])) in seen:
            raise InvalidData(
                f"{path}: the id {name!r} stands in rows {seen[name] + 1} and {row + 1}; keep one of them"
            )
        seen[name] = row
    return KnownLabels(tuple(seen), found.ids[kept], found.names)


def join_labels(pool: ShardedPool, known: KnownLabels, jobs: Jobs) -> JoinedLabels:
    """Find the labelled texts in the pool.

    Raises
    ------
    InvalidData
        None of them is in the pool, or one is there twice.
    BadShard
        A shard cannot be read, and none may be left out.
    """
    order = np.argsort(np.array(known.ids))
    names = tuple(known.ids[place] for place in order)
    parts = jobs.carry_out("find labelled texts", FindIds(pool, names), pool.shards)
    rows = np.concatenate([part["rows"] for part in parts])
    places = np.concatenate([part["places"] for part in parts])
    twice = np.flatnonzero(np.bincount(places, minlength=len(names)) > 1)
    if len(twice):
        name = names[int(twice[0])]
        where = ", ".join(str(row) for row in np.sort(rows[places == twice[0]])[:_TOLD])
        raise InvalidData(
            f"{pool.address}: the labelled id {name!r} is in it several times (rows {where}); ids name one text"
        )
    if not len(rows):
        raise InvalidData(
            f"{pool.address}: none of the {len(names)} labelled ids is in it ({names[0]!r} ...); are they those of its "
            f"column {pool.columns.id!r}?"
        )
    missing = np.setdiff1d(np.arange(len(names)), places)
    notes: tuple[str, ...] = ()
    if len(missing):
        told = ", ".join(repr(names[place]) for place in missing[:_TOLD])
        notes = (f"{len(missing)} of {len(names)} labelled ids are not in the pool and take no part: {told} ...",)
    by_row = np.argsort(rows)
    found = places[by_row]
    return JoinedLabels(rows[by_row], known.labels[order][found], tuple(names[i] for i in found), known.names, notes)
