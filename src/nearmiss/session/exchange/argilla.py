"""Records of Argilla: suggestions and responses, in its nested and its flat form.

Nested, as ``records.to_json`` writes it, a record keeps its ``fields``, ``metadata``, ``suggestions`` and ``responses``
apart; flat, as ``records.log`` takes it, everything lies at the top, answers under ``label.suggestion``,
``label.responses`` and the like. A flat record is brought into the nested shape first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nearmiss.errors import InvalidData
from nearmiss.session.exchange.answers import agreed_label, answers_from_json
from nearmiss.session.exchange.imported import ImportedItems, occurring_labels
from nearmiss.session.exchange.json_objects import JsonObject, as_objects, as_text, parse_json_text
from nearmiss.session.exchange.meta_keys import PREFIX, unescaped_key
from nearmiss.session.exchange.provenance import Scalar, scalar
from nearmiss.session.exchange.record_fields import choose_fields, text_fields, with_texts
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem, ExchangedSuggestion
from nearmiss.text.columns import ColumnNames, Columns
from nearmiss.text.corpus_file import MissingPolicy

__all__ = ["ANSWERS", "LABEL", "TAKEN_KEYS", "looks_like_records", "read_records"]

#: Metadata of ours: everybody's answers in full, and a label that the responses do not settle.
ANSWERS, LABEL = f"{PREFIX}all_answers", f"{PREFIX}label"
_SUGGESTION, _RESPONSES = ".suggestion", ".responses"
_FLAT_ENDINGS = (
    *(_SUGGESTION, f"{_SUGGESTION}.score", f"{_SUGGESTION}.agent", f"{_SUGGESTION}.type"),
    *(_RESPONSES, f"{_RESPONSES}.users", f"{_RESPONSES}.status"),
)


class _TakenKeys:
    """Keys that mean something in a flat record, among them every one that ends like an answer."""

    def __contains__(self, key: object) -> bool:
        return key in ("id", "_server_id", "status", "text", "text_pair") or str(key).endswith(_FLAT_ENDINGS)


#: Names that a column of the user's cannot have in a record.
TAKEN_KEYS = _TakenKeys()


@dataclass(slots=True)
class _Counts:
    """What the notes tell."""

    drafts: int = 0
    disagreeing: int = 0
    vectors: int = 0
    unnamed: int = 0


@dataclass(frozen=True, slots=True)
class _Record:
    """A record in the nested shape."""

    fields: JsonObject
    ref: str | None
    metadata: Mapping[str, object]
    suggestions: JsonObject
    responses: JsonObject
    ours: Mapping[str, object] = field(default_factory=dict)


def looks_like_records(records: Iterable[object]) -> bool:
    """Say whether any of these JSON records is one of Argilla's.

    Examples
    --------
    >>> looks_like_records([{"fields": {"text": "hi"}}]), looks_like_records([{"text": "hi", "label.suggestion": "a"}])
    (True, True)
    >>> looks_like_records([{"text": "hi", "label": "a"}])
    False
    """
    return any(
        isinstance(record, dict)
        and (
            isinstance(record.get("fields"), dict)
            or any(key == ANSWERS or key.endswith((_SUGGESTION, _RESPONSES)) for key in record)
        )
        for record in records
    )


def read_records(
    records: Sequence[object], where: str, asked: ColumnNames, on_missing: MissingPolicy = "error"
) -> ImportedItems:
    """Read records with their suggestions and responses.

    A submitted response is an answer, a discarded one a skip, a draft none. Where the export tells no status, a value
    is an answer and none is a skip. The label is the one on which all answers agree.

    Parameters
    ----------
    records
        The decoded file, nested or flat.
    where
        What errors call it.
    asked
        The fields that hold the text and its partner, and the question that gives the label.
    on_missing
        Whether records without text are refused or left out.

    Raises
    ------
    InvalidData
        A record of another shape, one without text, a response with several values, several questions.

    Examples
    --------
    >>> record = {"text": "hi", "label.responses": ["a"], "label.responses.users": ["u"], "label.suggestion": "b"}
    >>> item = read_records([record], "records.json", ColumnNames()).items[0]
    >>> item.label, item.suggestion.label
    ('a', 'b')
    """
    counts = _Counts()
    objects = as_objects(records, where, "record")
    nested = any(isinstance(record.values.get("fields"), dict) for record in objects)
    shaped = [_nested(record) if nested else _flat(record, counts) for record in objects]
    bodies = [record.fields for record in shaped]
    columns = choose_fields(bodies, asked, where)
    kept, left_out = with_texts(bodies, columns, on_missing, where)
    question = _question([shaped[position] for position in kept], asked.label, where)
    items = [_item(shaped[position], columns, question, counts) for position in kept]
    notes = [*columns.notes, *left_out]
    if counts.drafts:
        notes.append(f"{counts.drafts} draft responses are left out")
    if counts.unnamed:
        notes.append(f"{counts.unnamed} responses name no user; they are put down to 'unknown'")
    if counts.disagreeing:
        notes.append(f"annotators disagree on {counts.disagreeing} of {len(items)} texts, which have no label")
    if counts.vectors:
        notes.append(f"{counts.vectors} vectors are left out")
    return ImportedItems(tuple(items), occurring_labels(items), tuple(notes), "argilla")


def _nested(record: JsonObject) -> _Record:
    if "fields" not in record:
        raise InvalidData(f'{record.place} has no "fields", though others have; put its text under "fields"')
    metadata = record.member("metadata").values
    others, ours = _parted(metadata)
    suggestions, responses = record.member("suggestions"), record.member("responses")
    return _Record(record.member("fields"), record.text("id"), others, suggestions, responses, ours)


def _flat(record: JsonObject, counts: _Counts) -> _Record:
    fields: dict[str, object] = {}
    suggestions: dict[str, dict[str, object]] = {}
    responses: dict[str, list[object]] = {}
    for key, value in record.values.items():
        ending = next((ending for ending in _FLAT_ENDINGS if key.endswith(ending)), None)
        if ending is None:
            if key in ("id", "_server_id", "status"):
                continue
            if isinstance(value, list) and value and all(isinstance(number, (int, float)) for number in value):
                counts.vectors += 1
                continue
            fields[key] = value
        elif ending == _SUGGESTION and value is not None:
            question = key.removesuffix(ending)
            score, agent = record.values.get(f"{key}.score"), record.values.get(f"{key}.agent")
            suggestions[question] = {"value": value, "score": score, "agent": agent}
        elif ending == _RESPONSES and value is not None:
            responses[key.removesuffix(ending)] = _responses(record, key)
    others, ours = _parted(fields)
    body = JsonObject(record.place, others)
    said, given = JsonObject(record.place, suggestions), JsonObject(record.place, responses)
    return _Record(body, record.text("id"), {}, said, given, ours)


def _responses(record: JsonObject, key: str) -> list[object]:
    values, users, statuses = record.entries(key), record.entries(f"{key}.users"), record.entries(f"{key}.status")
    for name, others in ((f"{key}.users", users), (f"{key}.status", statuses)):
        if others and len(others) != len(values):
            raise InvalidData(f"{record.place}: {key!r} has {len(values)} entries, {name!r} {len(others)}; match them")
    users, statuses = users or [None] * len(values), statuses or [None] * len(values)
    return [
        {"value": value, "user_id": user, "status": status}
        for value, user, status in zip(values, users, statuses, strict=True)
    ]


def _parted(metadata: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Part what the user has put beside a text from what we have."""
    others = {key: value for key, value in metadata.items() if not key.startswith(PREFIX)}
    ours = {key: value for key, value in metadata.items() if key.startswith(PREFIX) and value is not None}
    return others, ours


def _question(records: Sequence[_Record], asked: str | None, where: str) -> str | None:
    found = dict.fromkeys(
        name for record in records for part in (record.suggestions, record.responses) for name in part.values
    )
    names = ", ".join(repr(name) for name in found)
    if asked is not None:
        if found and asked not in found:
            raise InvalidData(f"{where} has no question {asked!r}; it has {names}")
        return asked
    if len(found) > 1:
        raise InvalidData(f"{where} asks several questions: {names}; say which gives the label with --label-column")
    return next(iter(found), None)


def _item(record: _Record, columns: Columns, question: str | None, counts: _Counts) -> ExchangedItem:
    fields = text_fields(record.fields, columns, TAKEN_KEYS)
    beside = {
        unescaped_key(key, TAKEN_KEYS): as_text(value) for key, value in record.metadata.items() if value is not None
    }
    answers = _answers(record, question, counts)
    agreed = agreed_label(answer.label for answer in answers)
    ours = JsonObject(record.fields.place, record.ours)
    label = agreed if agreed is not None else ours.text(LABEL)
    counts.disagreeing += label is None and any(answer.label is not None for answer in answers)
    provenance: dict[str, Scalar] = {
        key.removeprefix(PREFIX): scalar(value) for key, value in record.ours.items() if key not in (ANSWERS, LABEL)
    }
    ref = fields.ref if fields.ref is not None else record.ref
    suggestion = None if question is None else _suggestion(record.suggestions.member(question))
    return ExchangedItem(
        ref, fields.text, fields.pair, {**fields.meta, **beside}, label, answers, suggestion, provenance
    )


def _suggestion(suggestion: JsonObject) -> ExchangedSuggestion | None:
    label = _value(suggestion, "a suggestion")
    if label is None:
        return None
    probability = None if isinstance(suggestion.values.get("score"), list) else suggestion.number("score")
    if probability is not None and not 0 <= probability <= 1:
        probability = None
    return ExchangedSuggestion(label, probability, suggestion.text("agent") or "")


def _value(said: JsonObject, what: str) -> str | None:
    value = said.values.get("value")
    if isinstance(value, list):
        if len(value) > 1:
            raise InvalidData(
                f"{said.place}: {what} has {len(value)} values ({as_text(value)[:60]}); a text has one label here: "
                "leave one of them"
            )
        value = value[0] if value else None
    label = JsonObject(said.place, {"value": value}).text("value")
    return label if label and label.strip() else None


def _answers(record: _Record, question: str | None, counts: _Counts) -> tuple[ExchangedAnswer, ...]:
    responses = [] if question is None else record.responses.members(question)
    given: dict[str, list[ExchangedAnswer]] = {}
    for response in responses:
        answer = _answer(response, counts)
        if answer is not None:
            given.setdefault(answer.annotator, []).append(answer)
    place = record.fields.place
    written = JsonObject(place, record.ours).text(ANSWERS)
    kept = answers_from_json(parse_json_text(written, f"{place}: {ANSWERS}"), place) if written else ()
    # Ours tell more (times, notes); what a person has said in Argilla since then counts instead.
    for person, said in given.items():
        before = [answer.label for answer in kept if answer.annotator == person and answer.label is not None]
        if before != [answer.label for answer in said]:
            kept = (*(answer for answer in kept if answer.annotator != person), *said)
    return kept


def _answer(response: JsonObject, counts: _Counts) -> ExchangedAnswer | None:
    status = response.text("status")
    if status == "draft":
        counts.drafts += 1
        return None
    if status not in (None, "submitted", "discarded"):
        raise response.refusal("status", status, "submitted, discarded or draft")
    annotator = response.text("user_id")
    if annotator is None:
        counts.unnamed += 1
        annotator = "unknown"
    label = _value(response, "a response")
    if status == "discarded" or label is None:
        return ExchangedAnswer(annotator, AnswerKind.SKIP)
    return ExchangedAnswer(annotator, AnswerKind.LABEL, label)
