"""People's answers: as JSON, their times in UTC, and the label they agree on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from nearmiss.errors import InvalidData
from nearmiss.session.exchange.json_objects import JsonObject
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedSuggestion

__all__ = [
    "agreed_label",
    "answers_as_text",
    "answers_from_json",
    "as_utc",
    "checked_seconds",
    "suggestion_as_text",
    "suggestion_from_json",
]


_KINDS = frozenset(AnswerKind)


def agreed_label(labels: Iterable[str | None]) -> str | None:
    """Return the one label among those given; None where there is none or they differ.

    Examples
    --------
    >>> agreed_label(["spam", None, "spam"]), agreed_label(["spam", "ham"])
    ('spam', None)
    """
    given = {label for label in labels if label is not None}
    return given.pop() if len(given) == 1 else None


def as_utc(written: str | None) -> str | None:
    """Write a time in UTC, one without a zone taken for UTC; None where it is no time.

    Examples
    --------
    >>> as_utc("2026-11-23T12:37:59+02:00"), as_utc("2026-11-23T12:37:59.842265Z"), as_utc("yesterday")
    ('2026-11-23T10:37:59Z', '2026-11-23T12:37:59.842265Z', None)
    """
    try:
        moment = datetime.fromisoformat(written or "")
        if moment.tzinfo is not None and moment.utcoffset():
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return None
    if written is not None and written.endswith("Z"):
        return written
    return moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")


def checked_seconds(record: JsonObject, key: str) -> float | None:
    """Read how long a text was looked at.

    Raises
    ------
    InvalidData
        No number, or a negative one.

    Examples
    --------
    >>> checked_seconds(JsonObject("tasks.json: task 1", {"lead_time": 3.2}), "lead_time")
    3.2
    """
    seconds = record.number(key)
    if seconds is not None and seconds < 0:
        raise record.refusal(key, seconds, "a number of seconds from 0")
    return seconds


def answers_as_text(answers: Sequence[ExchangedAnswer]) -> str:
    """Write answers as a JSON array; what is not known is left out.

    Examples
    --------
    >>> answers_as_text([ExchangedAnswer("ann", AnswerKind.LABEL, "spam", seconds=2.5)])
    '[{"annotator": "ann", "kind": "label", "label": "spam", "seconds": 2.5}]'
    """
    written = []
    for answer in answers:
        body: dict[str, object] = {"annotator": answer.annotator, "kind": answer.kind.value}
        optional = {"label": answer.label, "at": answer.at, "seconds": answer.seconds, "note": answer.note or None}
        written.append(body | {key: value for key, value in optional.items() if value is not None})
    return json.dumps(written, ensure_ascii=False)


def answers_from_json(value: object, place: str) -> tuple[ExchangedAnswer, ...]:
    """Read what ``answers_as_text`` wrote, once decoded.

    Raises
    ------
    InvalidData
        It is something else.

    Examples
    --------
    >>> answers_from_json([{"annotator": "ann", "kind": "skip"}], "films.csv: row 1")[0].kind
    <AnswerKind.SKIP: 'skip'>
    """
    if not isinstance(value, list) or not all(isinstance(answer, dict) for answer in value):
        raise InvalidData(f"{place}: the answers should be an array of objects; take them from an untouched export")
    return tuple(_answer(JsonObject(place, body)) for body in value)


def _answer(body: JsonObject) -> ExchangedAnswer:
    kind, label = body.text("kind"), body.text("label")
    if kind not in _KINDS:
        raise body.refusal("kind", kind, "one of " + ", ".join(AnswerKind))
    if (label is not None) != (kind == AnswerKind.LABEL):
        raise body.refusal("label", label, f"{'a label' if label is None else 'missing'} in an answer of kind {kind}")
    annotator = body.text("annotator")
    if annotator is None:
        raise body.refusal("annotator", annotator, "a name")
    seconds = checked_seconds(body, "seconds")
    return ExchangedAnswer(annotator, AnswerKind(kind), label, body.text("at"), seconds, body.text("note") or "")


def suggestion_as_text(suggestion: ExchangedSuggestion) -> str:
    """Write a suggestion as a JSON object; what is not known is left out.

    Examples
    --------
    >>> suggestion_as_text(ExchangedSuggestion("spam", 0.9))
    '{"label": "spam", "probability": 0.9}'
    """
    body: dict[str, object] = {"label": suggestion.label}
    if suggestion.probability is not None:
        body["probability"] = suggestion.probability
    if suggestion.agent:
        body["agent"] = suggestion.agent
    return json.dumps(body, ensure_ascii=False)


def suggestion_from_json(value: object, place: str) -> ExchangedSuggestion:
    """Read what ``suggestion_as_text`` wrote, once decoded.

    Raises
    ------
    InvalidData
        It is something else.

    Examples
    --------
    >>> suggestion_from_json({"label": "spam"}, "films.csv: row 1").label
    'spam'
    """
    if not isinstance(value, dict):
        raise InvalidData(f"{place}: the suggestion should be an object; take it from an untouched export")
    body = JsonObject(place, value)
    label = body.text("label")
    if label is None:
        raise body.refusal("label", label, "a label")
    return ExchangedSuggestion(label, body.number("probability"), body.text("agent") or "")
