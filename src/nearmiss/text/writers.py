"""Write a table to a file, whole or not at all."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.errors import InvalidData, InvalidInput

__all__ = ["check_writable", "write_table"]


def write_table(table: pa.Table, path: str | Path, *, overwrite: bool = False) -> None:
    """Write CSV, TSV, JSON Lines or Parquet, as the suffix says.

    The rows go to a temporary file in the same folder, which takes the final name only when it is complete and on
    disk: a crash leaves the old file, or none.

    Parameters
    ----------
    table
        All columns are written.
    path
        Ends in ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``; its folder must exist.
    overwrite
        Replace an existing file.

    Raises
    ------
    InvalidInput
        An unknown suffix, a folder that does not exist, a file that exists already.
    InvalidData
        The disk refuses, or the format cannot hold a column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "batch.csv")
    ...     write_table(pa.table({"text": ["good, really"], "label": [1]}), path)
    ...     path.read_text().splitlines()
    ['text,label', '"good, really",1']
    """
    target = check_writable(path, overwrite=overwrite)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as file:
            _WRITERS[target.suffix.lower()](table, file)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(temporary, target, overwrite=overwrite)
    except (OSError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InvalidData(f"{path} cannot be written: {reason}") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | Path, *, overwrite: bool = False) -> Path:
    """Refuse, before any work is done, a path that ``write_table`` would refuse.

    Returns
    -------
    Path
        The file to be written, symbolic links followed.

    Raises
    ------
    InvalidInput
        As ``write_table``.

    Examples
    --------
    >>> check_writable("batch.docx")
    Traceback (most recent call last):
    nearmiss.errors.InvalidInput: batch.docx: its name should end in .csv, .tsv, .jsonl, .ndjson or .parquet
    """
    target = Path(path).expanduser().resolve()
    if target.suffix.lower() not in _WRITERS:
        *others, last = _WRITERS
        raise InvalidInput(f"{path}: its name should end in {', '.join(others)} or {last}")
    if not target.parent.is_dir():
        raise InvalidInput(f"{path}: there is no folder {target.parent}; make it first")
    if target.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file in it")
    if target.exists() and not overwrite:
        raise InvalidInput(_exists(path))
    return target


def _exists(path: str | Path) -> str:
    return f"{path} exists already; choose another name or allow it to be replaced with --overwrite"


def _put_in_place(temporary: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(target)
    else:
        try:
            target.hardlink_to(temporary)  # unlike a rename, refuses a file that has appeared meanwhile
        except FileExistsError:
            raise InvalidInput(_exists(target)) from None
        except OSError:  # a file system without hard links
            temporary.replace(target)
    if os.name == "posix":  # the new name itself must reach the disk
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _delimited(delimiter: str) -> Callable[[pa.Table, BinaryIO], None]:
    def write(table: pa.Table, file: BinaryIO) -> None:
        file.write(_line(table.column_names, delimiter))
        for row in _rows(table):
            file.write(_line([_cell(value) for value in row.values()], delimiter))

    return write


def _line(cells: Iterable[str], delimiter: str) -> bytes:
    quoted = [_quoted(cell, delimiter) for cell in cells]
    # A lone empty cell would be a blank line, which readers skip.
    return ((delimiter.join(quoted) if quoted != [""] else '""') + "\n").encode()


def _quoted(cell: str, delimiter: str) -> str:
    # Not csv.writer: before Python 3.13 it leaves a lone carriage return unquoted, and readers end the row there.
    if any(character in cell for character in (delimiter, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(_plain(value), ensure_ascii=False, default=str)
    return str(value)


def _json_lines(table: pa.Table, file: BinaryIO) -> None:
    for row in _rows(table):
        file.write((json.dumps(_plain(row), ensure_ascii=False, default=str) + "\n").encode())


def _plain(value: object) -> object:
    """Replace NaN and infinities, which JSON does not know, by null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parquet(table: pa.Table, file: BinaryIO) -> None:
    parquet.write_table(table, file, compression="zstd")


def _rows(table: pa.Table) -> Iterable[dict[str, object]]:
    for batch in table.to_batches(max_chunksize=1024):
        yield from batch.to_pylist()


_WRITERS: dict[str, Callable[[pa.Table, BinaryIO], None]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
