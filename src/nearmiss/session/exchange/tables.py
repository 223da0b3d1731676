"""Items in CSV, TSV, JSON Lines and Parquet: our own exports restored exactly, other tables taken as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.session.exchange.imported import ImportedItems, occurring_labels
from nearmiss.session.exchange.item_table import ANSWERS, items_as_table, items_from_columns, provenance_columns
from nearmiss.session.exchange.json_objects import as_text
from nearmiss.session.exchange.records import ExchangedItem
from nearmiss.session.exchange.spreadsheet import from_cells, to_cells
from nearmiss.text.columns import ColumnNames
from nearmiss.text.corpus_file import CorpusFile, MissingPolicy, OpenedTable, build_corpus
from nearmiss.text.labels import UNLABELED, declared_names
from nearmiss.text.parsed import ParsedTable
from nearmiss.text.readers import read_corpus
from nearmiss.text.tables import read_table
from nearmiss.text.writers import check_writable, write_table

__all__ = ["TABLE_FORMS", "items_of_table", "open_table", "read_saved_items", "write_table_items"]

#: The table forms, and how their files' names end.
TABLE_FORMS: Mapping[str, tuple[str, ...]] = {
    "csv": (".csv",),
    "tsv": (".tsv",),
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
}
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
# Longer names are taken for a first line that is data, when a delimited file is read.
_LONGEST_COLUMN_NAME = 190


def write_table_items(items: Sequence[ExchangedItem], path: Path, form: str, *, overwrite: bool = False) -> None:
    """Write one row an item, in CSV and TSV with every cell safe to open in a spreadsheet.

    Parameters
    ----------
    items
        At least one.
    path
        Its suffix is that of the form.
    form
        One of ``TABLE_FORMS``.
    overwrite
        Replace an existing file.

    Raises
    ------
    InvalidInput
        Another suffix, no folder, a file that is there already, an item that no file can hold.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_table_items([ExchangedItem("7", "=1+1")], Path(folder, "a.csv"), "csv")
    ...     Path(folder, "a.csv").read_text().splitlines()
    ['id,text,label,nearmiss_answers', "7,'=1+1,,[]"]
    """
    suffixes = TABLE_FORMS[form]
    if path.suffix.lower() not in suffixes:
        raise InvalidInput(f"{path}: the name of a {form} file should end in {' or '.join(suffixes)}")
    check_writable(path, overwrite=overwrite)
    table = items_as_table(items)
    if path.suffix.lower() in _DELIMITERS:
        long = [name for name in table.column_names if len(name) > _LONGEST_COLUMN_NAME]
        if long:
            raise InvalidInput(
                f"column {long[0][:40]!r}... has a name of {len(long[0])} characters; {form} takes "
                f"{_LONGEST_COLUMN_NAME}: export as jsonl or parquet"
            )
        table = to_cells(table, provenance_columns(table.column_names))
    write_table(table, path, overwrite=overwrite)


def open_table(path: Path, encoding: str | None) -> ParsedTable:
    r"""Read a file's rows; our own exports in the encoding and with the delimiter that we write.

    Raises
    ------
    InvalidData, InvalidInput
        As ``read_table``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.csv")
    ...     _ = path.write_text("text;label\ngood;pos\n")
    ...     open_table(path, None).table.column_names
    ['text', 'label']
    """
    delimiter = _DELIMITERS.get(path.suffix.lower())
    if delimiter is not None and encoding is None and _has_our_header(path, delimiter):
        return read_table(path, encoding="utf-8", delimiter=delimiter)
    return read_table(path, encoding=encoding)


def items_of_table(
    parsed: ParsedTable, path: Path, asked: ColumnNames, on_missing: MissingPolicy, form: str
) -> ImportedItems:
    """Turn a file's rows into items.

    Parameters
    ----------
    parsed
        As ``open_table`` read it.
    path
        Of the file.
    asked
        The columns the user named; our own exports need none.
    on_missing
        Whether rows without text are refused or left out.
    form
        What to call it.

    Raises
    ------
    InvalidData
        As ``read_corpus``, or one of our own exports that was changed beyond reading.

    Examples
    --------
    >>> table = pa.table({"sentence": ["good film"], "label": ["pos"], "year": ["1999"]})
    >>> items_of_table(ParsedTable(table), Path("films.csv"), ColumnNames(), "error", "csv").items[0].meta
    {'year': '1999'}
    """
    if ANSWERS in parsed.table.column_names:
        return _own(parsed, path, asked, on_missing, form)
    name = path.name.partition(".")[0]
    opened = OpenedTable(parsed.table, str(path), name, path.parent, parsed.notes)
    return _foreign(build_corpus(opened, asked, on_missing=on_missing), form)


def read_saved_items(path: Path, asked: ColumnNames, on_missing: MissingPolicy) -> ImportedItems:
    """Read a folder that ``Dataset.save_to_disk`` wrote.

    Raises
    ------
    InvalidData, MissingExtra
        As ``read_corpus``.

    Examples
    --------
    >>> read_saved_items(Path("absent"), ColumnNames(), "error")
    Traceback (most recent call last):
    nearmiss.errors.InvalidData: no such file: absent
    """
    corpus = read_corpus(
        path,
        text_column=asked.text,
        pair_column=asked.pair,
        label_column=asked.label,
        id_column=asked.row_id,
        on_missing=on_missing,
    )
    return _foreign(corpus, "huggingface")


def _has_our_header(path: Path, delimiter: str) -> bool:
    try:
        with path.open("rb") as file:
            beginning = file.read(1 << 20)
    except OSError:
        return False
    # Ours is always the last column; whether it is one at all, the parsed header tells.
    return f"{delimiter}{ANSWERS}\n".encode() in beginning


def _own(parsed: ParsedTable, path: Path, asked: ColumnNames, on_missing: MissingPolicy, form: str) -> ImportedItems:
    table, notes = parsed.table, list(parsed.notes)
    if asked != ColumnNames():
        notes.append("the file is an export of nearmiss: its own columns are used, not those named")
    columns: Mapping[str, Sequence[object]]
    if path.suffix.lower() in _DELIMITERS:
        columns = from_cells(table, provenance_columns(table.column_names), str(path))
    else:
        columns = _values(table, str(path))
    names = declared_names(table.schema, "label", None) if "label" in columns else None
    if names is not None:
        columns = {**columns, "label": _named(columns["label"], names, str(path))}
    texts = columns.get("text", ())
    if on_missing == "drop" and texts:
        kept = [row for row, text in enumerate(texts) if text is not None and as_text(text).strip()]
        if not kept:
            raise InvalidData(f"{path}: no row has text in column 'text'; take it from an untouched export")
        if len(kept) < len(texts):
            notes.append(f"{len(texts) - len(kept)} of {len(texts)} rows have no text and are left out")
            columns = {name: [values[row] for row in kept] for name, values in columns.items()}
    items = items_from_columns(columns, str(path))
    return ImportedItems(items, names or occurring_labels(items), tuple(notes), form)


def _values(table: pa.Table, where: str) -> dict[str, list[object]]:
    try:
        return {name: table[name].to_pylist() for name in table.column_names}
    except UnicodeDecodeError as error:
        raise InvalidData(f"{where} holds bytes that are not UTF-8 ({error.reason}); export it again") from None


def _named(values: Sequence[object], names: tuple[str, ...], where: str) -> list[object]:
    labels: list[object] = []
    for row, value in enumerate(values, start=1):
        if isinstance(value, int) and not 0 <= value < len(names):
            raise InvalidData(f"{where}: row {row}: label {value} is not among the {len(names)} declared names")
        labels.append(names[value] if isinstance(value, int) else value)
    return labels


def _foreign(file: CorpusFile, form: str) -> ImportedItems:
    columns, table, notes = file.columns, file.table, list(file.notes)
    refs: list[str | None] = [None] * len(file)
    if columns.row_id is not None:
        written = [None if value is None else str(value) for value in _column(table, columns.row_id)]
        if list(file.row_ids) == written:
            refs = list(file.row_ids)
        else:
            notes.append(f"column {columns.row_id!r} does not name each row once; it is kept beside the text")
            columns = replace(columns, row_id=None)
    used = {columns.text, columns.pair, columns.label, columns.row_id}
    metas: list[dict[str, str]] = [{} for _ in refs]
    for name in table.column_names:
        if name in used:
            continue
        for meta, value in zip(metas, _column(table, name), strict=True):
            if value is not None and value != "":
                meta[name] = as_text(value)
    names = file.corpus.label_names
    labels = [None if i == UNLABELED else names[i] for i in file.label_ids.astype(np.int64).tolist()]
    first, second = file.corpus.texts.first, file.corpus.texts.second
    pairs: Sequence[str | None] = second if second is not None else [None] * len(first)
    items = tuple(
        ExchangedItem(ref, text, pair, meta, label)
        for ref, text, pair, meta, label in zip(refs, first, pairs, metas, labels, strict=True)
    )
    return ImportedItems(items, tuple(names), tuple(notes), form)


def _column(table: pa.Table, name: str) -> list[Any]:
    try:
        return table[name].to_pylist()
    except UnicodeDecodeError as error:
        raise InvalidData(f"column {name!r} holds bytes that are not UTF-8 ({error.reason}); mend them") from None
