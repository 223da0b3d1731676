"""CSV and TSV text into a table of strings.

Every cell stays the string it is in the file: ``007`` keeps its zeros, ``NA`` stays a word, and a row written out
again is the row that was read. Python's own parser is used in its strict mode because it names the line it stumbles
over, and because it refuses a stray quote instead of dropping it.
"""

from __future__ import annotations

import csv
import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from nearmiss.errors import InvalidData
from nearmiss.text.parsed import ParsedTable

__all__ = ["parse_delimited"]

_DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# A longer "column name" is a text: the file has no header.
_LONGEST_COLUMN_NAME = 200
_HEADER_LOOKED_AT = 10_000
_FIELD_LIMIT = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Record:
    line: int  # where it starts, from 1
    fields: list[str]


class _MalformedQuotesError(Exception):
    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(reason)


def parse_delimited(content: str, where: str, delimiter: str | None = None) -> ParsedTable:
    r"""Read delimited text with a header line.

    Parameters
    ----------
    content
        The whole file.
    where
        What errors call it.
    delimiter
        One character; None looks at the header line.

    Raises
    ------
    InvalidData
        Empty, no rows, a column name twice, a row of another length than the header, quotes that do not match.

    Examples
    --------
    >>> parse_delimited('text;label\n"one; two";a\n', "films.csv").table.to_pylist()
    [{'text': 'one; two', 'label': 'a'}]
    """
    notes: list[str] = []
    if delimiter is None:
        delimiter = _sniff(content)
        if delimiter != ",":
            notes.append(f"columns are separated by {_NAMES[delimiter]}s (guessed)")
    try:
        records = _records(content, delimiter, quoted=True)
    except _MalformedQuotesError as error:
        if delimiter != "\t":
            raise InvalidData(
                f"{where}: line {error.line}: {error.reason}; put a field that holds quotes into quotes "
                'and double those inside: "say ""hello"" to"'
            ) from None
        # Tab-separated files are often written without any quoting; then a quote is a character like others.
        records = _records(content, delimiter, quoted=False)
        notes.append("quotes are read as part of the text: the file is not consistently quoted")
    if not records:
        raise InvalidData(f"{where} is empty; expected a header line with column names, then one row a line")
    names = _column_names(records[0].fields, where)
    rows = records[1:]
    if not rows:
        raise InvalidData(f"{where} holds a header ({', '.join(names)}) but no rows")
    _check_widths(rows, names, where)
    columns = zip(*(row.fields for row in rows), strict=True)
    table = pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
    return ParsedTable(table, tuple(notes))


def _sniff(content: str) -> str:
    header = next(iter(content.lstrip()[:_HEADER_LOOKED_AT].splitlines()), "")
    unquoted = "".join(header.split('"')[::2])
    counts = Counter(character for character in unquoted if character in _DELIMITERS)
    return max(_DELIMITERS, key=lambda delimiter: counts[delimiter])  # the first of equals: the comma


def _records(content: str, delimiter: str, *, quoted: bool) -> list[_Record]:
    records: list[_Record] = []
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    with _wide_fields(len(content)):
        # newline="" keeps line ends inside quotes as they are.
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True, quoting=quoting)
        while True:
            line = reader.line_num + 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                unclosed = "unexpected end" in str(error)
                reason = "a quote is opened and never closed" if unclosed else "text follows a closing quote"
                raise _MalformedQuotesError(line, reason) from None
            if fields is None:
                return records
            if fields:  # a blank line is no row
                records.append(_Record(line, fields))


@contextmanager
def _wide_fields(longest: int) -> Iterator[None]:
    # The parser's limit (131,072 characters) is global to the process: widen it, one reader at a time, and put it back.
    with _FIELD_LIMIT:
        before = csv.field_size_limit(max(longest, 131_072))
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _column_names(header: list[str], where: str) -> list[str]:
    names = [name.strip() or f"column {position}" for position, name in enumerate(header, start=1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidData(f"{where}: the column name {twice[0]!r} occurs twice; rename one of them")
    if any(len(name) > _LONGEST_COLUMN_NAME for name in names):
        raise InvalidData(f"{where}: the first line looks like data, not column names; put a header line above it")
    return names


def _check_widths(rows: list[_Record], names: list[str], where: str) -> None:
    ragged = [(number, row) for number, row in enumerate(rows, start=1) if len(row.fields) != len(names)]
    if not ragged:
        return
    number, row = ragged[0]
    others = f" ({len(ragged) - 1} more rows like it)" if len(ragged) > 1 else ""
    raise InvalidData(
        f"{where}: row {number} (line {row.line}) has {len(row.fields)} fields, the header has {len(names)} "
        f"({', '.join(names)}){others}; put fields that hold the delimiter into quotes"
    )
