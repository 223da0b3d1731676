"""Items as a table of our own columns, and back.

One row an item: ``id``, ``text``, ``text_pair`` where there are pairs, ``label``, the item's other columns, then how
the label was come by in columns that begin with ``nearmiss_``. ``nearmiss_answers`` is always there: by it we know our
own files again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.session.exchange.answers import (
    answers_as_text,
    answers_from_json,
    suggestion_as_text,
    suggestion_from_json,
)
from nearmiss.session.exchange.json_objects import as_text, parse_json_text
from nearmiss.session.exchange.meta_keys import PREFIX, escaped_key, unescaped_key
from nearmiss.session.exchange.provenance import Scalar, known_values, scalar
from nearmiss.session.exchange.records import ExchangedItem

__all__ = ["ANSWERS", "items_as_table", "items_from_columns", "provenance_columns"]

#: The column of everybody's answers, and the one of the model's suggestion.
ANSWERS = f"{PREFIX}answers"
_SUGGESTION = f"{PREFIX}suggestion"
_ID, _TEXT, _PAIR, _LABEL = "id", "text", "text_pair", "label"
_TAKEN = frozenset({_ID, _TEXT, _PAIR, _LABEL})
# The ending of a column whose values are of different kinds, each written as JSON.
_MIXED = ".json"
_ROWS_SHOWN = 8


def items_as_table(items: Sequence[ExchangedItem]) -> pa.Table:
    """Lay items out in our columns.

    Raises
    ------
    InvalidInput
        No items, a text that holds half a character, a provenance key that cannot name a column.

    Examples
    --------
    >>> items_as_table([ExchangedItem("7", "good film", label="pos", provenance={"score": 0.5})]).to_pylist()
    [{'id': '7', 'text': 'good film', 'label': 'pos', 'nearmiss_score': 0.5, 'nearmiss_answers': '[]'}]
    """
    if not items:
        raise InvalidInput("there are no items to export; add texts to the project first")
    columns: dict[str, pa.Array[Any]] = {_ID: _strings([item.ref for item in items], _ID)}
    columns[_TEXT] = _strings([item.text for item in items], _TEXT)
    if any(item.pair is not None for item in items):
        columns[_PAIR] = _strings([item.pair for item in items], _PAIR)
    columns[_LABEL] = _strings([item.label for item in items], _LABEL)
    for key in _keys(item.meta for item in items):
        columns[escaped_key(key, _TAKEN)] = _strings([item.meta.get(key) for item in items], key)
    provenances = [known_values(item.provenance) for item in items]
    for key in _keys(provenances):
        ending, values = _typed([provenance.get(key) for provenance in provenances], key)
        columns[f"{PREFIX}{key}{ending}"] = values
    if any(item.suggestion is not None for item in items):
        suggestions = [None if item.suggestion is None else suggestion_as_text(item.suggestion) for item in items]
        columns[_SUGGESTION] = _strings(suggestions, _SUGGESTION)
    columns[ANSWERS] = _strings([answers_as_text(item.answers) for item in items], ANSWERS)
    return pa.table(columns)


def provenance_columns(names: Iterable[str]) -> list[str]:
    """Choose those columns of ours that may hold numbers.

    Examples
    --------
    >>> provenance_columns(["text", "nearmiss_score", "nearmiss_answers"])
    ['nearmiss_score']
    """
    ours = (name for name in names if name.startswith(PREFIX) and not name.endswith(_MIXED))
    return [name for name in ours if name not in (ANSWERS, _SUGGESTION)]


def items_from_columns(columns: Mapping[str, Sequence[object]], where: str) -> tuple[ExchangedItem, ...]:
    """Undo ``items_as_table``.

    Parameters
    ----------
    columns
        By name, None for what is missing.
    where
        What errors call the file.

    Raises
    ------
    InvalidData
        A column is missing, a row has no text, or answers are not as we wrote them.

    Examples
    --------
    >>> items_from_columns({"text": ["good"], "label": [None], "nearmiss_answers": ["[]"]}, "films.csv")[0].text
    'good'
    """
    if _TEXT not in columns:
        raise InvalidData(f"{where} has no column 'text' any more; take it from an untouched export")
    rows = len(columns[_TEXT])
    none: Sequence[object] = [None] * rows
    given = {name: [_text(value) for value in columns.get(name, none)] for name in (_ID, _TEXT, _PAIR, _LABEL)}
    metas = _metas(columns, rows)
    provenances = _provenances(columns, rows, where)
    suggestions, answers = columns.get(_SUGGESTION, none), columns[ANSWERS]
    _require_texts(given[_TEXT], where)
    items = []
    for row in range(rows):
        place = f"{where}: row {row + 1}"
        suggestion, said = _text(suggestions[row]), _text(answers[row])
        items.append(
            ExchangedItem(
                given[_ID][row],
                given[_TEXT][row] or "",
                given[_PAIR][row],
                metas[row],
                given[_LABEL][row],
                answers_from_json(parse_json_text(said, f"{place}: {ANSWERS}"), place) if said else (),
                suggestion_from_json(parse_json_text(suggestion, f"{place}: {_SUGGESTION}"), place)
                if suggestion
                else None,
                provenances[row],
            )
        )
    return tuple(items)


def _keys(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _strings(values: Sequence[str | None], name: str) -> pa.Array[Any]:
    try:
        return pa.array(values, pa.large_string())
    except UnicodeEncodeError:
        row = next(row for row, value in enumerate(values, start=1) if value is not None and _broken(value))
        raise InvalidInput(
            f"item {row}: {name!r} holds half a character (a lone surrogate), which no file can hold; remove it"
        ) from None


def _broken(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def _typed(values: Sequence[Scalar], key: str) -> tuple[str, pa.Array[Any]]:
    """Give the column its type; without a common one every value becomes JSON, and the name says so."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return "", _strings([None if value is None else str(value) for value in values], key)
    try:
        if kinds == {bool}:
            return "", pa.array(values, pa.bool_())
        if kinds == {int}:
            return "", pa.array(values, pa.int64())
        if kinds <= {int, float} and all(value is None or float(value) == value for value in values):
            return "", pa.array([None if value is None else float(value) for value in values], pa.float64())
    except OverflowError:
        pass  # beyond 64 bits
    written = [None if value is None else as_text([value])[1:-1] for value in values]
    return _MIXED, _strings(written, key)


def _text(value: object) -> str | None:
    return None if value is None else as_text(value)


def _metas(columns: Mapping[str, Sequence[object]], rows: int) -> list[dict[str, str]]:
    metas: list[dict[str, str]] = [{} for _ in range(rows)]
    for name, values in columns.items():
        if name in _TAKEN or name.startswith(PREFIX):
            continue
        key = unescaped_key(name, _TAKEN)
        for meta, value in zip(metas, values, strict=True):
            if value is not None:
                meta[key] = as_text(value)
    return metas


def _provenances(columns: Mapping[str, Sequence[object]], rows: int, where: str) -> list[dict[str, Scalar]]:
    provenances: list[dict[str, Scalar]] = [{} for _ in range(rows)]
    for name, values in columns.items():
        if not name.startswith(PREFIX) or name in (ANSWERS, _SUGGESTION):
            continue
        mixed = name.endswith(_MIXED)
        key = name.removeprefix(PREFIX).removesuffix(_MIXED)
        for row, value in enumerate(values):
            if value is None:
                continue
            if mixed:
                value = parse_json_text(as_text(value), f"{where}: row {row + 1}: {name}")
            provenances[row][key] = scalar(value)
    return provenances


def _require_texts(texts: Sequence[str | None], where: str) -> None:
    empty = [str(row) for row, text in enumerate(texts, start=1) if text is None or not text.strip()]
    if empty:
        shown = ", ".join(empty[:_ROWS_SHOWN]) + (
            f" and {len(empty) - _ROWS_SHOWN} more" if empty[_ROWS_SHOWN:] else ""
        )
        raise InvalidData(
            f"{where}: column 'text' has no text in {'rows' if empty[1:] else 'row'} {shown} of {len(texts)}; "
            "fill them, or leave such rows out with --on-missing drop"
        )
