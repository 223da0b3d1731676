"""Tables into corpora that remember their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nearmiss.errors import InvalidData
from nearmiss.text.columns import ColumnNames, Columns, LabelPolicy, choose_columns
from nearmiss.text.corpus import Corpus, Texts
from nearmiss.text.labels import UNLABELED, EncodedLabels, declared_names, encode_labels

__all__ = ["CorpusFile", "MissingPolicy", "OpenedTable", "build_corpus"]

MissingPolicy = Literal["error", "drop"]

_ROWS_SHOWN = 8


@dataclass(frozen=True, slots=True, eq=False)
class OpenedTable:
    """A table and where it came from.

    Attributes
    ----------
    table
        All columns, at least one row.
    where
        What errors call it.
    name
        What reports call it.
    folder
        Where a declaration of label names may lie; None for nowhere.
    notes
        What was assumed while reading it.
    """

    table: pa.Table
    where: str
    name: str
    folder: Path | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CorpusFile:
    """A corpus and the rows it came from.

    Everything is aligned: text i, label i, id i and row i of the table belong together.

    Attributes
    ----------
    corpus
        The texts; with labels only when every row has one (``labeled()`` gives the part that has).
    label_ids
        Shape (n,), int64; -1 where a row has no label.
    row_ids
        From the id column, else the row's number in the file.
    row_numbers
        Shape (n,), int64, counted from 1, header aside.
    table
        All columns of the rows, the ones not used included.
    columns
        Which columns are in use.
    notes
        What was guessed or left out, in sentences for the user.
    """

    corpus: Corpus
    label_ids: npt.NDArray[np.int64]
    row_ids: tuple[str, ...]
    row_numbers: npt.NDArray[np.int64]
    table: pa.Table
    columns: Columns
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row_ids)

    def take(self, positions: Sequence[int] | npt.NDArray[np.int64]) -> CorpusFile:
        """Return the rows at these positions, in this order."""
        chosen = np.asarray(positions, dtype=np.int64)
        label_ids = self.label_ids[chosen]
        bare = Corpus(self.corpus.texts, None, self.corpus.label_names, self.corpus.name).take(chosen)
        return replace(
            self,
            corpus=replace(bare, labels=_complete(label_ids, self.columns)),
            label_ids=label_ids,
            row_ids=tuple(self.row_ids[i] for i in chosen),
            row_numbers=self.row_numbers[chosen],
            table=self.table.take(chosen),
        )

    def labeled(self) -> CorpusFile:
        """Return the rows that have a label."""
        return self.take(np.flatnonzero(self.label_ids != UNLABELED))

    def unlabeled(self) -> CorpusFile:
        """Return the rows that have none."""
        return self.take(np.flatnonzero(self.label_ids == UNLABELED))


def build_corpus(
    opened: OpenedTable,
    asked: ColumnNames,
    *,
    label_names: Sequence[str] | None = None,
    labels: LabelPolicy = "optional",
    on_missing: MissingPolicy = "error",
) -> CorpusFile:
    """Turn a table into a corpus; ``read_corpus`` after the reading.

    Raises
    ------
    InvalidData
        As ``read_corpus``.

    Examples
    --------
    >>> table = pa.table({"text": ["good", " "], "label": ["pos", "neg"]})
    >>> build_corpus(OpenedTable(table, "films.csv", "films"), ColumnNames(), on_missing="drop").row_ids
    ('1',)
    """
    table, where = opened.table, opened.where
    columns = choose_columns(table, asked, where, labels)
    notes = list(opened.notes + columns.notes)
    first = _strings(opened, columns.text)
    second = None if columns.pair is None else _strings(opened, columns.pair)
    kept = _rows_with_text(columns, first, second, where, on_missing)
    if len(kept) < len(first):
        notes.append(f"{len(first) - len(kept)} of {len(first)} rows have no text and are left out")
    encoded = _labels(opened, columns, kept, label_names)
    notes += encoded.notes
    without = kept[encoded.ids[kept] == UNLABELED]
    if labels == "required" and len(without):
        raise InvalidData(f"{where}: column {columns.label!r} has no label in {_row_list(without)}; add them")
    if columns.label is not None and len(without):
        notes.append(f"{len(kept) - len(without)} of {len(kept)} rows have a label")
    row_ids = _row_ids(opened, columns, named=asked.row_id is not None)
    texts = Texts(tuple(text or "" for text in first), None if second is None else tuple(text or "" for text in second))
    whole = CorpusFile(
        corpus=Corpus(texts, None, encoded.names, opened.name),
        label_ids=encoded.ids,
        row_ids=row_ids,
        row_numbers=np.arange(1, len(first) + 1, dtype=np.int64),
        table=table,
        columns=columns,
        notes=tuple(notes),
    )
    return whole.take(kept)


def _strings(opened: OpenedTable, column: str) -> list[str | None]:
    try:
        values = opened.table[column].to_pylist()
    except UnicodeDecodeError as error:
        raise InvalidData(
            f"{opened.where}: column {column!r} holds bytes that are not UTF-8 ({error.reason})"
        ) from None
    return [None if value is None else str(value) for value in values]


def _rows_with_text(
    columns: Columns,
    first: Sequence[str | None],
    second: Sequence[str | None] | None,
    where: str,
    on_missing: MissingPolicy,
) -> npt.NDArray[np.int64]:
    empty = np.zeros(len(first), dtype=bool)
    for column, texts in ((columns.text, first), (columns.pair, second)):
        if texts is None:
            continue
        blank = np.array([text is None or not text.strip() for text in texts])
        if on_missing == "error" and blank.any():
            raise InvalidData(
                f"{where}: column {column!r} has no text in {_row_list(np.flatnonzero(blank))} of {len(texts)}; "
                "fill them, or leave such rows out with --on-missing drop"
            )
        empty |= blank
    if empty.all():
        raise InvalidData(f"{where}: no row has text in column {columns.text!r}; is it the right one (--text-column)?")
    return np.flatnonzero(~empty)


def _row_list(positions: npt.NDArray[np.int64]) -> str:
    numbers = [str(position + 1) for position in positions[:_ROWS_SHOWN]]
    more = f" and {len(positions) - _ROWS_SHOWN} more" if len(positions) > _ROWS_SHOWN else ""
    return f"row{'s' if len(positions) > 1 else ''} {', '.join(numbers)}{more}"


def _labels(
    opened: OpenedTable, columns: Columns, kept: npt.NDArray[np.int64], label_names: Sequence[str] | None
) -> EncodedLabels:
    names = None if label_names is None else tuple(label_names)
    if columns.label is None:
        return EncodedLabels(np.full(opened.table.num_rows, UNLABELED, dtype=np.int64), names or ())
    values: list[object] = [None] * opened.table.num_rows
    written = opened.table[columns.label].to_pylist()
    for position in kept:  # a row without text declares no class
        values[position] = written[position]
    where = f"{opened.where}: column {columns.label!r}"
    declared = None if names is not None else declared_names(opened.table.schema, columns.label, opened.folder)
    if declared is None:
        return encode_labels(values, names, where)
    try:
        return encode_labels(values, declared, where)
    except InvalidData as error:
        raise InvalidData(f"{error} (declared by the file, or beside it; label_names overrides them)") from None


def _row_ids(opened: OpenedTable, columns: Columns, *, named: bool) -> tuple[str, ...]:
    numbers = tuple(str(number) for number in range(1, opened.table.num_rows + 1))
    if columns.row_id is None:
        return numbers
    values = opened.table[columns.row_id].to_pylist()
    row_ids = tuple(str(value) for value in values)
    if None not in values and len(set(row_ids)) == len(row_ids):
        return row_ids
    if named:
        raise InvalidData(
            f"{opened.where}: column {columns.row_id!r} does not name each row once; leave --id-column out"
        )
    return numbers


def _complete(label_ids: npt.NDArray[np.int64], columns: Columns) -> npt.NDArray[np.int64] | None:
    return None if columns.label is None or (label_ids == UNLABELED).any() else label_ids
