"""The flat exports of Label Studio, JSON_MIN and CSV: one row an annotation."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from nearmiss.errors import InvalidData
from nearmiss.session.exchange.answers import agreed_label, as_utc, checked_seconds
from nearmiss.session.exchange.imported import ImportedItems, occurring_labels
from nearmiss.session.exchange.json_objects import JsonObject, as_objects
from nearmiss.session.exchange.label_studio import TAKEN_KEYS, single_choice
from nearmiss.session.exchange.record_fields import choose_fields, named_by_ref, text_fields, with_texts
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem
from nearmiss.text.columns import ColumnNames
from nearmiss.text.corpus_file import MissingPolicy

__all__ = ["has_row_keys", "looks_like_rows", "read_rows"]

_MARKS = frozenset({"annotator", "annotation_id", "lead_time"})
_BOOKKEEPING = _MARKS | {"id", "created_at", "updated_at"}


def has_row_keys(keys: Collection[str]) -> bool:
    """Say whether columns are those of a flat export.

    Examples
    --------
    >>> has_row_keys(["text", "id", "intent", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"])
    True
    """
    return set(keys) >= _MARKS


def looks_like_rows(records: Iterable[object]) -> bool:
    """Say whether any of these JSON records is a row of a flat export.

    Examples
    --------
    >>> looks_like_rows([{"text": "hi", "annotator": 1, "annotation_id": 1, "lead_time": 2.5}])
    True
    """
    return any(isinstance(record, dict) and has_row_keys(record) for record in records)


def read_rows(
    records: Sequence[object], where: str, asked: ColumnNames, on_missing: MissingPolicy = "error"
) -> ImportedItems:
    """Read rows; those with the same task number are answers to the same text.

    Label Studio exports no skips this way, so a row without a label is unsure.

    Parameters
    ----------
    records
        The decoded rows.
    where
        What errors call the file.
    asked
        The columns of the text, its partner, its name and the label, which is named after its Choices.
    on_missing
        Whether rows without text are refused or left out.

    Raises
    ------
    InvalidData
        A row of another shape, one without text, several choices in one row, several questions.

    Examples
    --------
    >>> row = {"text": "hi", "id": 1, "intent": "greeting", "annotator": 7, "annotation_id": 1, "lead_time": 2.5}
    >>> read_rows([row], "min.json", ColumnNames()).items[0].answers[0].seconds
    2.5
    """
    rows = as_objects(records, where, "row")
    control = _control(rows, asked.label, where)
    aside = _BOOKKEEPING | {control}
    bodies = [
        JsonObject(row.place, {key: value for key, value in row.values.items() if key not in aside and value != ""})
        for row in rows
    ]
    # The number of the task is at hand anyway.
    named = replace(asked, row_id=None) if asked.row_id == "id" else named_by_ref(bodies, asked)
    columns = choose_fields(bodies, named, where)
    kept, notes = with_texts(bodies, columns, on_missing, where)
    tasks: dict[str, list[int]] = {}
    for position in kept:
        number = rows[position].text("id")
        tasks.setdefault(f"row {position}" if number is None else f"task {number}", []).append(position)
    items, disagreeing = [], 0
    for positions in tasks.values():
        fields = text_fields(bodies[positions[0]], columns, TAKEN_KEYS)
        if any(bodies[position].values.get(columns.text) != fields.text for position in positions):
            raise InvalidData(f"{rows[positions[0]].place}: other rows with its id have another text; mend the ids")
        given = [_label(rows[position], control) for position in positions]
        answers = [_answer(rows[position], label) for position, label in zip(positions, given, strict=True)]
        label = agreed_label(given)
        disagreeing += label is None and any(one is not None for one in given)
        ref = fields.ref if fields.ref is not None else rows[positions[0]].text("id")
        said = tuple(answer for answer in answers if answer is not None)
        items.append(ExchangedItem(ref, fields.text, fields.pair, fields.meta, label, said))
    notes = [*columns.notes, *([f"label column: {control!r} (guessed)"] if control != asked.label else []), *notes]
    if disagreeing:
        notes.append(f"annotators disagree on {disagreeing} of {len(items)} texts, which have no label")
    return ImportedItems(tuple(items), occurring_labels(items), tuple(notes), "label-studio")


def _control(rows: Sequence[JsonObject], asked: str | None, where: str) -> str | None:
    """Settle which column is the label: Label Studio writes its questions between ``id`` and ``annotator``."""
    found: dict[str, None] = {}
    for row in rows:
        keys = list(row.values)
        if "id" in keys and "annotator" in keys:
            between = keys[keys.index("id") + 1 : keys.index("annotator")]
            found.update(dict.fromkeys(key for key in between if key not in _BOOKKEEPING))
    if asked is not None:
        if not any(asked in row.values for row in rows):
            raise InvalidData(f"{where} has no column {asked!r}; it has {', '.join(map(repr, rows[0].values))}")
        return asked
    if len(found) > 1:
        names = ", ".join(repr(name) for name in found)
        raise InvalidData(f"{where}: {names} could each hold the labels; say which with --label-column")
    return next(iter(found), None)


def _label(row: JsonObject, control: str | None) -> str | None:
    written = None if control is None else row.values.get(control)
    if isinstance(written, str) and written.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):  # a label may well begin with a bracket
            written = json.loads(written)  # how the CSV export spells several choices
    if isinstance(written, dict):
        written = written.get("choices")
    if written is None:
        return None
    choices = written if isinstance(written, list) else [written]
    return single_choice(choices, row.place)


def _answer(row: JsonObject, label: str | None) -> ExchangedAnswer | None:
    annotator = row.text("annotator")
    if not annotator:
        return None
    kind = AnswerKind.UNSURE if label is None else AnswerKind.LABEL
    at = as_utc(row.text("created_at"))
    return ExchangedAnswer(annotator, kind, label, at, checked_seconds(row, "lead_time"))
