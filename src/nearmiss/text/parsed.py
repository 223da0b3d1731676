"""What every file parser returns."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

__all__ = ["ParsedTable"]


@dataclass(frozen=True, slots=True)
class ParsedTable:
    """A file's rows, and what was assumed while reading them.

    Attributes
    ----------
    table
        All columns.
    notes
        Sentences a user should see: a guessed delimiter, a column read as text.

    Examples
    --------
    >>> ParsedTable(pa.table({"text": ["good film"]})).table.num_rows
    1
    """

    table: pa.Table
    notes: tuple[str, ...] = ()
