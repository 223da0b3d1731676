"""Which member of JSON records holds the text, which its partner and its name: as named, or guessed as for tables."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from nearmiss.errors import InvalidData
from nearmiss.session.exchange.json_objects import JsonObject, as_text
from nearmiss.session.exchange.meta_keys import unescaped_key
from nearmiss.text.columns import ColumnNames, Columns, choose_columns
from nearmiss.text.corpus_file import MissingPolicy

__all__ = ["TextFields", "choose_fields", "named_by_ref", "text_fields", "with_texts"]

_REF = "ref"


@dataclass(frozen=True, slots=True)
class TextFields:
    """The fields of a record.

    Attributes
    ----------
    ref, text, pair
        As ``ExchangedItem`` has them.
    meta
        All others, as text.
    """

    ref: str | None
    text: str
    pair: str | None
    meta: Mapping[str, str]


def named_by_ref(records: Sequence[JsonObject], asked: ColumnNames) -> ColumnNames:
    """Let ``ref`` name the records where it is there and nothing else was asked for.

    Examples
    --------
    >>> named_by_ref([JsonObject("a.json: task 1", {"text": "hi", "ref": 0})], ColumnNames()).row_id
    'ref'
    """
    free = asked.row_id is None and _REF not in (asked.text, asked.pair)
    return replace(asked, row_id=_REF) if free and any(_REF in record for record in records) else asked


def choose_fields(records: Sequence[JsonObject], asked: ColumnNames, where: str) -> Columns:
    """Settle which members are used.

    Parameters
    ----------
    records
        The part of every record that holds its fields.
    asked
        What the user named; its label is not looked at.
    where
        What errors call the file.

    Raises
    ------
    InvalidData
        As ``choose_columns``.

    Examples
    --------
    >>> choose_fields([JsonObject("a.json: task 1", {"text": "hi", "ref": 0})], ColumnNames(), "a.json").text
    'text'
    """
    keys = dict.fromkeys(key for record in records for key in record.values)
    columns: dict[str, pa.Array[Any]] = {}
    for key in keys:
        texts = [value if isinstance(value := record.values.get(key), str) else None for record in records]
        # A member that is never a string is told apart by its type, whatever it holds.
        hollow = all(text is None for text in texts)
        columns[key] = pa.nulls(len(texts), pa.int64()) if hollow else pa.array(texts, pa.string())
    return choose_columns(pa.table(columns), replace(asked, label=None), where, "ignored")


def with_texts(
    records: Sequence[JsonObject], columns: Columns, on_missing: MissingPolicy, where: str
) -> tuple[list[int], list[str]]:
    """Say which records have text.

    Returns
    -------
    tuple
        Their positions, and notes.

    Raises
    ------
    InvalidData
        One has none and is not to be left out, or none has.

    Examples
    --------
    >>> records = [JsonObject("a.json: task 1", {"text": "hi"}), JsonObject("a.json: task 2", {})]
    >>> with_texts(records, Columns("text"), "drop", "a.json")
    ([0], ['1 of 2 records have no text and are left out'])
    """
    kept = []
    for position, record in enumerate(records):
        text = record.values.get(columns.text)
        if isinstance(text, str) and text.strip():
            kept.append(position)
        elif on_missing == "error":
            raise InvalidData(
                f"{record.place} has no text in {columns.text!r}; fill it, or leave such records out with "
                "--on-missing drop"
            )
    if not kept:
        raise InvalidData(f"{where}: no record has text in {columns.text!r}; is it the right one (--text-column)?")
    left_out = len(records) - len(kept)
    return kept, [f"{left_out} of {len(records)} records have no text and are left out"] if left_out else []


def text_fields(record: JsonObject, columns: Columns, taken: Container[str]) -> TextFields:
    """Take a record's fields apart.

    Parameters
    ----------
    record
        One that has text.
    columns
        As chosen.
    taken
        Names that mean something else in the file, as ``escaped_key`` was told.

    Raises
    ------
    InvalidData
        The partner or the name is of the wrong kind.

    Examples
    --------
    >>> text_fields(JsonObject("a.json: task 1", {"text": "hi", "n": 2}), Columns("text"), ()).meta
    {'n': '2'}
    """
    pair = record.text(columns.pair) if columns.pair is not None else None
    used = {columns.text, columns.pair, columns.row_id}
    meta = {
        unescaped_key(key, taken): as_text(value)
        for key, value in record.values.items()
        if key not in used and value is not None
    }
    ref = record.text(columns.row_id) if columns.row_id is not None else None
    return TextFields(ref, record.text(columns.text) or "", pair if pair and pair.strip() else None, meta)
