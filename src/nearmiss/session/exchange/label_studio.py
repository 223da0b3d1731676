"""Tasks of Label Studio: what people annotated and models predicted there.

Both forms are read: tasks (``{"data": ..., "annotations": ..., "predictions": ...}``), and the flat rows of its
JSON_MIN and CSV exports in ``label_studio_rows``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nearmiss.errors import InvalidData
from nearmiss.session.exchange.answers import agreed_label, as_utc, checked_seconds
from nearmiss.session.exchange.imported import ImportedItems, occurring_labels
from nearmiss.session.exchange.json_objects import JsonObject, as_objects, as_text
from nearmiss.session.exchange.provenance import Scalar, scalar
from nearmiss.session.exchange.record_fields import choose_fields, named_by_ref, text_fields, with_texts
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem, ExchangedSuggestion
from nearmiss.text.columns import ColumnNames
from nearmiss.text.corpus_file import MissingPolicy

__all__ = ["TAKEN_KEYS", "looks_like_tasks", "read_tasks", "single_choice"]

#: Keys of a task's data that mean something to us.
TAKEN_KEYS = frozenset({"text", "text_pair", "ref", "id"})


@dataclass(frozen=True, slots=True)
class _Said:
    """What the annotations of one task come to."""

    answers: tuple[ExchangedAnswer, ...]
    label: str | None
    disagree: bool


def looks_like_tasks(records: Iterable[object]) -> bool:
    """Say whether any of these JSON records is a Label Studio task.

    Examples
    --------
    >>> looks_like_tasks([{"data": {"text": "hi"}}]), looks_like_tasks([{"text": "hi"}])
    (True, False)
    """
    return any(isinstance(record, dict) and isinstance(record.get("data"), dict) for record in records)


def read_tasks(
    records: Sequence[object], where: str, asked: ColumnNames, on_missing: MissingPolicy = "error"
) -> ImportedItems:
    """Read tasks with their annotations and predictions.

    A skipped task (``was_cancelled``) is a skip; one submitted without a choice is unsure. The label is that of the
    annotation marked as ground truth, else the one on which all annotators agree; there is none where they differ.
    The last prediction is the suggestion.

    Parameters
    ----------
    records
        The decoded file. Tasks without ``data`` are taken for flat ones.
    where
        What errors call it.
    asked
        Keys of ``data`` that hold the text, its partner and its name; ``label`` is the name of the Choices.
    on_missing
        Whether tasks without text are refused or left out.

    Raises
    ------
    InvalidData
        A task of another shape, one without text, several choices in one annotation, several questions.

    Examples
    --------
    >>> chosen = {"from_name": "intent", "type": "choices", "value": {"choices": ["greeting"]}}
    >>> task = {"data": {"text": "hi"}, "annotations": [{"completed_by": 1, "result": [chosen]}]}
    >>> read_tasks([task], "tasks.json", ColumnNames()).items[0].label
    'greeting'
    """
    tasks = as_objects(records, where, "task")
    if any(isinstance(task.values.get("data"), dict) for task in tasks):
        bodies = [_data(task) for task in tasks]
    else:
        bodies = tasks
        tasks = [JsonObject(task.place, {}) for task in tasks]
    columns = choose_fields(bodies, named_by_ref(bodies, asked), where)
    kept, left_out = with_texts(bodies, columns, on_missing, where)
    control = _control([tasks[position] for position in kept], asked.label, where)
    items, disagreeing, several, others = [], 0, 0, Counter[str]()
    for position in kept:
        task = tasks[position]
        fields = text_fields(bodies[position], columns, TAKEN_KEYS)
        said = _said(task, control, others)
        disagreeing += said.disagree
        predictions = _predictions(task)
        several += len(predictions) > 1
        suggestion = _suggestion(predictions[-1], control) if predictions else None
        ref = fields.ref if fields.ref is not None else task.text("id")
        items.append(
            ExchangedItem(
                ref, fields.text, fields.pair, fields.meta, said.label, said.answers, suggestion, _provenance(task)
            )
        )
    notes = [*columns.notes, *left_out]
    if disagreeing:
        notes.append(f"annotators disagree on {disagreeing} of {len(items)} texts, which have no label")
    if several:
        notes.append(f"{several} of {len(items)} tasks have several predictions; the last one counts")
    notes += [f"{count} results of type {kind!r} are left out" for kind, count in sorted(others.items())]
    return ImportedItems(tuple(items), occurring_labels(items), tuple(notes), "label-studio")


def single_choice(choices: Sequence[object], place: str) -> str | None:
    """Return the one label of an annotation; None where nothing was chosen.

    Raises
    ------
    InvalidData
        Several, or one that is no string.

    Examples
    --------
    >>> single_choice(["spam", "offer"], "tasks.json: task 3")
    Traceback (most recent call last):
    nearmiss.errors.InvalidData: tasks.json: task 3 has 2 choices ('spam', 'offer') in one annotation; a text has \
one label here: leave one of them
    """
    if not all(isinstance(choice, str) for choice in choices):
        raise InvalidData(f"{place}: a choice should be a string, found {as_text(list(choices))[:60]}; mend it there")
    given = list(dict.fromkeys(str(choice) for choice in choices if str(choice).strip()))
    if len(given) > 1:
        shown = ", ".join(repr(choice) for choice in given[:5])
        raise InvalidData(
            f"{place} has {len(given)} choices ({shown}) in one annotation; a text has one label here: "
            "leave one of them"
        )
    return given[0] if given else None


def _predictions(task: JsonObject) -> list[JsonObject]:
    """Return a task's predictions; an export may name them by their numbers alone, which say nothing here."""
    entries = task.entries("predictions")
    if all(isinstance(entry, int) for entry in entries):
        return []
    return task.members("predictions")


def _data(task: JsonObject) -> JsonObject:
    if "data" not in task:
        raise InvalidData(f'{task.place} has no "data", though others have; put its text under "data"')
    return task.member("data")


def _control(tasks: Sequence[JsonObject], asked: str | None, where: str) -> str | None:
    """Settle which Choices count: the one named, else the only one there is."""
    found: dict[str, None] = {}
    for task in tasks:
        for part in ("annotations", "predictions"):
            for said in _predictions(task) if part == "predictions" else task.members(part):
                for result in said.members("result"):
                    if result.values.get("type") == "choices":
                        found[result.text("from_name") or ""] = None
    names = ", ".join(repr(name) for name in found)
    if asked is not None:
        if found and asked not in found:
            raise InvalidData(f"{where} has no choices named {asked!r}; it has {names}")
        return asked
    if len(found) > 1:
        raise InvalidData(f"{where} asks several questions: {names}; say which gives the label with --label-column")
    return next(iter(found), None)


def _choice(said: JsonObject, control: str | None, others: Counter[str]) -> tuple[str | None, str]:
    """Return the label and the note of an annotation or a prediction."""
    choices: list[object] = []
    remarks: list[str] = []
    for result in said.members("result"):
        kind = result.text("type") or ""
        if kind == "choices" and (result.text("from_name") or "") == (control or ""):
            choices += result.member("value").entries("choices")
        elif kind == "textarea":
            remarks += [as_text(remark) for remark in result.member("value").entries("text")]
        else:
            others[kind] += 1
    return single_choice(choices, said.place), "\n".join(remarks)


def _said(task: JsonObject, control: str | None, others: Counter[str]) -> _Said:
    answers, labels, truths = [], [], []
    for annotation in task.members("annotations"):
        label, remark = _choice(annotation, control, others)
        kind = AnswerKind.UNSURE if label is None else AnswerKind.LABEL
        if annotation.flag("was_cancelled"):
            label, kind = None, AnswerKind.SKIP
        labels.append(label)
        if annotation.flag("ground_truth"):
            truths.append(label)
        annotator = _annotator(annotation)
        if annotator is not None:  # a label that nobody is said to have given still holds
            at = as_utc(annotation.text("created_at"))
            seconds = checked_seconds(annotation, "lead_time")
            note = annotation.text("nearmiss_note") or remark
            answers.append(ExchangedAnswer(annotator, kind, label, at, seconds, note))
    counting = truths if any(label is not None for label in truths) else labels
    label = agreed_label(counting)
    return _Said(tuple(answers), label, label is None and any(given is not None for given in counting))


def _annotator(annotation: JsonObject) -> str | None:
    if "nearmiss_annotator" in annotation:
        return annotation.text("nearmiss_annotator")
    if isinstance(annotation.values.get("completed_by"), dict):
        person = annotation.member("completed_by")
        return person.text("email") or person.text("id")
    return annotation.text("completed_by")


def _suggestion(prediction: JsonObject, control: str | None) -> ExchangedSuggestion | None:
    label, _ = _choice(prediction, control, Counter())
    if label is None:
        return None
    # The score of the whole prediction may be one that orders the queue; that of the result is the model's own.
    scores = [result.number("score") for result in prediction.members("result") if "score" in result]
    probability = scores[0] if scores else prediction.number("score")
    if probability is not None and not 0 <= probability <= 1:
        probability = None
    return ExchangedSuggestion(label, probability, prediction.text("model_version") or "")


def _provenance(task: JsonObject) -> Mapping[str, Scalar]:
    meta = task.values.get("meta")
    ours = meta.get("nearmiss") if isinstance(meta, dict) else None
    if not isinstance(ours, dict):
        return {}
    return {key: scalar(value) for key, value in ours.items() if value is not None}
