"""The two entry points: read a labelled file whatever tool it comes from, write one for whatever tool it goes to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearmiss.errors import InvalidData, InvalidInput, UnknownName
from nearmiss.session.exchange.argilla import looks_like_records, read_records
from nearmiss.session.exchange.argilla_export import write_argilla
from nearmiss.session.exchange.huggingface import ROWS, write_huggingface
from nearmiss.session.exchange.imported import ImportedItems
from nearmiss.session.exchange.item_table import ANSWERS
from nearmiss.session.exchange.json_objects import load_json
from nearmiss.session.exchange.label_studio import looks_like_tasks, read_tasks
from nearmiss.session.exchange.label_studio_export import write_label_studio
from nearmiss.session.exchange.label_studio_rows import has_row_keys, looks_like_rows, read_rows
from nearmiss.session.exchange.records import ExchangedItem
from nearmiss.session.exchange.tables import (
    TABLE_FORMS,
    items_of_table,
    open_table,
    read_saved_items,
    write_table_items,
)
from nearmiss.text.columns import ColumnNames
from nearmiss.text.corpus_file import MissingPolicy

__all__ = ["FORMS", "read_items", "write_items"]

_LABEL_STUDIO, _ARGILLA, _HUGGINGFACE = "label-studio", "argilla", "huggingface"
#: Every form that can be written; all of them can be read.
FORMS = (*TABLE_FORMS, _LABEL_STUDIO, _ARGILLA, _HUGGINGFACE)
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")


def read_items(
    path: str | Path,
    *,
    form: str | None = None,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    encoding: str | None = None,
    on_missing: MissingPolicy = "error",
) -> ImportedItems:
    """Read texts, and what is known of them, from a file of ours or of another tool.

    Parameters
    ----------
    path
        A table (CSV, TSV, JSON Lines, JSON, Parquet, Arrow), an export of Label Studio (JSON, JSON_MIN, CSV) or of
        Argilla (nested or flat, JSON or JSON Lines), or a folder written by us or by ``Dataset.save_to_disk``.
    form
        One of ``FORMS``; None looks at the contents.
    text_column, pair_column, label_column, id_column
        Columns, keys or fields; None guesses, and the notes tell the guess. In files of Label Studio and Argilla the
        label is the question's name.
    encoding
        Of text files; None detects.
    on_missing
        Whether texts that are empty are refused or left out.

    Raises
    ------
    InvalidData
        The file is missing, unreadable, or not of that form; says in which record, and what mends it.
    InvalidInput
        An encoding that does not exist.
    UnknownName
        A form that does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "tasks.json")
    ...     _ = path.write_text('[{"data": {"text": "hi"}, "predictions": []}]')
    ...     read_items(path).form
    'label-studio'
    """
    path = Path(path).expanduser()
    asked = ColumnNames(text_column, pair_column, label_column, id_column)
    if form is not None and form not in FORMS:
        raise UnknownName.among("form", form, FORMS)
    if not path.exists():
        raise InvalidData(f"no such file: {path}")
    if path.is_dir():
        return _read_folder(path, asked, form, on_missing)
    if form == _HUGGINGFACE:
        raise InvalidData(f"{path} is a file; a huggingface dataset is a folder, such as the one it lies in")
    if path.suffix.lower() in _JSON_SUFFIXES:
        found = _read_json(path, asked, form, encoding, on_missing)
        if found is not None:
            return found
    elif form == _ARGILLA or (form == _LABEL_STUDIO and path.suffix.lower() != ".csv"):
        raise InvalidData(f"{path}: an export of {form} is a file that ends in .json; export it there as JSON")
    parsed = open_table(path, encoding)
    columns = parsed.table.column_names
    if form == _LABEL_STUDIO or (form is None and has_row_keys(columns) and ANSWERS not in columns):
        return read_rows(parsed.table.to_pylist(), str(path), asked, on_missing)
    suffixes = [suffix.lower().lstrip(".") for suffix in path.suffixes if suffix.lower() != ".gz"]
    return items_of_table(parsed, path, asked, on_missing, suffixes[-1])


def write_items(
    items: Sequence[ExchangedItem],
    path: str | Path,
    *,
    label_names: Sequence[str],
    form: str | None = None,
    overwrite: bool = False,
    question: str = "label",
    guideline: str = "",
) -> None:
    """Write items for another tool, whole or not at all.

    Parameters
    ----------
    items
        At least one.
    path
        A file, or for ``huggingface`` a folder.
    label_names
        The classes in their order; ``huggingface`` counts its ids by it.
    form
        One of ``FORMS``; None goes by the suffix.
    overwrite
        Replace an existing file.
    question
        What Label Studio and Argilla call the question.
    guideline
        What annotators were told; goes into the card of ``huggingface``.

    Raises
    ------
    InvalidInput
        A suffix that does not tell the form or does not suit it, a file that is there already, no items.
    InvalidData
        The disk refuses.
    UnknownName
        A form that does not exist.

    Examples
    --------
    >>> import tempfile
    >>> item = ExchangedItem("7", "good film", label="pos", provenance={"source": "audit"})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_items([item], Path(folder, "films.csv"), label_names=["neg", "pos"])
    ...     read_items(Path(folder, "films.csv")).items == (item,)
    True
    """
    target = Path(path).expanduser()
    form = _form_of(target) if form is None else form
    if form in TABLE_FORMS:
        write_table_items(items, target, form, overwrite=overwrite)
    elif form == _LABEL_STUDIO:
        write_label_studio(items, target, question=question, overwrite=overwrite)
    elif form == _ARGILLA:
        write_argilla(items, target, question=question, overwrite=overwrite)
    elif form == _HUGGINGFACE:
        write_huggingface(items, target, label_names=label_names, guideline=guideline, overwrite=overwrite)
    else:
        raise UnknownName.among("form", form, FORMS)


def _form_of(path: Path) -> str:
    suffix = path.suffix.lower()
    for form, suffixes in TABLE_FORMS.items():
        if suffix in suffixes:
            return form
    if suffix == ".json":
        raise InvalidInput(f"{path}: a .json file can be for {_LABEL_STUDIO} or {_ARGILLA}; say which with the form")
    raise InvalidInput(f"{path}: its name does not tell the form; name one: {', '.join(FORMS)}")


def _read_folder(path: Path, asked: ColumnNames, form: str | None, on_missing: MissingPolicy) -> ImportedItems:
    if form not in (None, _HUGGINGFACE):
        raise InvalidData(f"{path} is a folder; name a file of the form {form}")
    rows = path / ROWS
    if rows.is_file():
        return items_of_table(open_table(rows, None), rows, asked, on_missing, _HUGGINGFACE)
    return read_saved_items(path, asked, on_missing)


def _read_json(
    path: Path, asked: ColumnNames, form: str | None, encoding: str | None, on_missing: MissingPolicy
) -> ImportedItems | None:
    """Read what another tool wrote; None for a table."""
    records, where = load_json(path, encoding), str(path)
    ours = isinstance(records[0], dict) and ANSWERS in records[0]
    if form in TABLE_FORMS or (form is None and ours):
        return None
    if looks_like_rows(records) and form in (None, _LABEL_STUDIO):
        return read_rows(records, where, asked, on_missing)
    if form == _LABEL_STUDIO or (form is None and looks_like_tasks(records)):
        return read_tasks(records, where, asked, on_missing)
    if form == _ARGILLA or (form is None and looks_like_records(records)):
        return read_records(records, where, asked, on_missing)
    return None
