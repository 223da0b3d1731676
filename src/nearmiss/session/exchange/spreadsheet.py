"""Cells that no spreadsheet takes for a formula, and back.

A spreadsheet evaluates a cell that begins like a formula, whatever file it came from: a text such as
``=HYPERLINK(...)`` becomes a link in the hands of whoever opens the export. A leading apostrophe keeps it a text.
Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pyarrow as pa

from nearmiss.errors import InvalidData

__all__ = ["defused", "from_cells", "restored", "to_cells"]

# What may stand before the sign and be passed over: blanks, controls, invisible characters, quotes of any kind. The
# apostrophe is among them, so a cell that has one already gets another, and taking one away is always right.
_FORMULA = re.compile(r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff'\"‘’“”`]*[=+\-@\t\r＝＋－＠]")
# A cell of a column that may hold numbers: these become numbers again.
_NUMBER = re.compile(r"-?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
_TRUTH = {"true": True, "false": False}


def defused(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would evaluate.

    Examples
    --------
    >>> defused("=1+1"), defused(" ＋1"), defused("'=1"), defused("it's")
    ("'=1+1", "' ＋1", "''=1", "it's")
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restored(cell: str) -> str:
    """Undo ``defused``.

    Examples
    --------
    >>> restored("'=1+1"), restored("''=1"), restored("'tis")
    ('=1+1', "'=1", "'tis")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell


def to_cells(table: pa.Table, typed: Iterable[str]) -> pa.Table:
    r"""Turn every column, and its name, into safe text.

    Parameters
    ----------
    table
        Columns of text, numbers or truth values.
    typed
        Columns whose numbers stay numbers, so that their strings have to be told apart from numbers.

    Examples
    --------
    >>> table = pa.table({"text": ["-5"], "score": [-5], "note": ["-5"]})
    >>> to_cells(table, ["score", "note"]).to_pylist()
    [{'text': "'-5", 'score': '-5', 'note': '\'"-5"'}]
    """
    names = set(typed)
    columns = {}
    for name in table.column_names:
        write = _typed_cell if name in names else _plain_cell
        cells = [write(value) for value in table[name].to_pylist()]
        columns[defused(name)] = pa.array(cells, pa.large_string())
    return pa.table(columns)


def from_cells(table: pa.Table, typed: Iterable[str], where: str) -> dict[str, list[object]]:
    """Undo ``to_cells``; an empty cell is None.

    Raises
    ------
    InvalidData
        Two columns that have the same name once restored.

    Examples
    --------
    >>> from_cells(pa.table({"text": ["'-5"], "score": ["-5"]}), ["score"], "films.csv")
    {'text': ['-5'], 'score': [-5]}
    """
    names = set(typed)
    columns: dict[str, list[object]] = {}
    for written in table.column_names:
        name = restored(written)
        if name in columns:
            raise InvalidData(f"{where}: the column name {name!r} occurs twice; rename one of them")
        read = _typed_value if name in names else _plain_value
        columns[name] = [read(cell) for cell in table[written].to_pylist()]
    return columns


def _plain_cell(value: object) -> str:
    return "" if value is None else defused(value if isinstance(value, str) else json.dumps(value))


def _plain_value(cell: str | None) -> str | None:
    return restored(cell) if cell else None


def _typed_cell(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value)  # a number may begin with a minus: no spreadsheet evaluates it
    misread = not value or value.startswith('"') or _NUMBER.fullmatch(value) or value.lower() in _TRUTH
    return defused(json.dumps(value, ensure_ascii=False) if misread else value)


def _typed_value(cell: str | None) -> object:
    if not cell:
        return None
    if _NUMBER.fullmatch(cell):
        return float(cell) if any(mark in cell for mark in ".eE") else int(cell)
    if cell.lower() in _TRUTH:
        return _TRUTH[cell.lower()]
    text = restored(cell)
    if text.startswith('"'):
        try:
            value = json.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, str) else text
    return text
