"""Records for Argilla: nested in ``.json``, flat in ``.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from nearmiss.errors import InvalidInput
from nearmiss.session.exchange.answers import agreed_label, answers_as_text
from nearmiss.session.exchange.argilla import ANSWERS, LABEL, TAKEN_KEYS
from nearmiss.session.exchange.meta_keys import PREFIX, escaped_key
from nearmiss.session.exchange.provenance import known_values
from nearmiss.session.exchange.records import ExchangedItem
from nearmiss.session.exchange.whole import check_target, write_whole_file

__all__ = ["write_argilla"]


def write_argilla(
    items: Sequence[ExchangedItem], path: Path, *, question: str = "label", overwrite: bool = False
) -> None:
    r"""Write records with suggestions and responses.

    ``.json`` is what ``dataset.records.from_json`` reads, ``.jsonl`` what ``dataset.records.log`` takes line by line.
    Argilla knows only its own users: it takes responses whose annotators are the ids of such. It has no word for
    unsure, and takes no skip without a value: all answers go into the metadata ``nearmiss_all_answers`` as well, where
    we find them again.

    Parameters
    ----------
    items
        At least one.
    path
        Ends in ``.json`` or ``.jsonl``.
    question
        The name of the label question.
    overwrite
        Replace an existing file.

    Raises
    ------
    InvalidInput
        No items, another suffix, a file that is there already.
    InvalidData
        The disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_argilla([ExchangedItem("7", "hi")], Path(folder, "records.jsonl"))
    ...     Path(folder, "records.jsonl").read_text()
    '{"id": "7", "text": "hi", "nearmiss_all_answers": "[]"}\n'
    """
    suffix = path.suffix.lower()
    if suffix not in (".json", ".jsonl"):
        raise InvalidInput(f"{path}: the name of an argilla file should end in .json (nested) or .jsonl (flat)")
    if not items:
        raise InvalidInput("there are no items to export; add texts to the project first")
    if not question or "." in question:
        raise InvalidInput(f"question {question!r}: give it a name without dots")
    check_target(path, overwrite=overwrite)
    lines = _nested_lines(items, question) if suffix == ".json" else _flat_lines(items, question)
    write_whole_file(path, lines, overwrite=overwrite)


def _nested_lines(items: Sequence[ExchangedItem], question: str) -> Iterator[str]:
    for number, item in enumerate(items):
        yield ("[" if number == 0 else ",\n") + _encoded(_nested(item, question))
    yield "]\n"


def _flat_lines(items: Sequence[ExchangedItem], question: str) -> Iterator[str]:
    for item in items:
        yield _encoded(_flat(item, question)) + "\n"


def _encoded(record: dict[str, object]) -> str:
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def _nested(item: ExchangedItem, question: str) -> dict[str, object]:
    record: dict[str, object] = {"id": item.ref} if item.ref is not None else {}
    record |= {"fields": _fields(item), "metadata": _metadata(item), "vectors": {}, "suggestions": {}, "responses": {}}
    if item.suggestion is not None:
        said = item.suggestion
        record["suggestions"] = {
            question: {"value": said.label, "score": said.probability, "agent": said.agent or None}
        }
    given = [
        {"value": answer.label, "user_id": answer.annotator, "status": "submitted"}
        for answer in item.answers
        if answer.label is not None
    ]
    if given:
        record["responses"] = {question: given}
    return record


def _flat(item: ExchangedItem, question: str) -> dict[str, object]:
    record: dict[str, object] = {"id": item.ref} if item.ref is not None else {}
    record |= {**_fields(item), **_metadata(item)}
    if item.suggestion is not None:
        record[f"{question}.suggestion"] = item.suggestion.label
        record[f"{question}.suggestion.score"] = item.suggestion.probability
        record[f"{question}.suggestion.agent"] = item.suggestion.agent or None
    given = [answer for answer in item.answers if answer.label is not None]
    if given:
        record[f"{question}.responses"] = [answer.label for answer in given]
        record[f"{question}.responses.users"] = [answer.annotator for answer in given]
        record[f"{question}.responses.status"] = ["submitted"] * len(given)
    return record


def _fields(item: ExchangedItem) -> dict[str, object]:
    fields: dict[str, object] = {"text": item.text}
    return fields if item.pair is None else fields | {"text_pair": item.pair}


def _metadata(item: ExchangedItem) -> dict[str, object]:
    metadata: dict[str, object] = {escaped_key(key, TAKEN_KEYS): value for key, value in item.meta.items()}
    metadata |= {f"{PREFIX}{key}": value for key, value in known_values(item.provenance).items()}
    if item.label is not None and item.label != agreed_label(answer.label for answer in item.answers):
        metadata[LABEL] = item.label
    metadata[ANSWERS] = answers_as_text(item.answers)  # always, for by it we know our own flat records
    return metadata
