"""Tasks for Label Studio to import, and the labelling interface that shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from nearmiss.errors import InvalidInput
from nearmiss.session.exchange.answers import agreed_label
from nearmiss.session.exchange.label_studio import TAKEN_KEYS
from nearmiss.session.exchange.meta_keys import escaped_key
from nearmiss.session.exchange.provenance import known_values
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem
from nearmiss.session.exchange.whole import check_target, write_whole_file

__all__ = ["label_studio_config", "write_label_studio"]

_MEMBER_NUMBER = re.compile("0|[1-9][0-9]{0,17}")
_LINE_ENDS = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def write_label_studio(
    items: Sequence[ExchangedItem], path: Path, *, question: str = "label", overwrite: bool = False
) -> None:
    """Write tasks with annotations and predictions, as Label Studio imports them.

    Label Studio knows only its own members: an annotator who is a number or an email address is written as such and
    must be a member there; any other name goes beside, where we find it again and Label Studio names the importer.
    A label that the answers alone do not settle becomes an annotation marked as ground truth.

    Parameters
    ----------
    items
        At least one.
    path
        Ends in ``.json``.
    question
        The name of the Choices in the labelling interface.
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
    ...     write_label_studio([ExchangedItem("7", "hi")], Path(folder, "tasks.json"))
    ...     json.loads(Path(folder, "tasks.json").read_text())
    [{'data': {'text': 'hi', 'ref': '7'}, 'annotations': [], 'predictions': []}]
    """
    if path.suffix.lower() != ".json":
        raise InvalidInput(f"{path}: the name of a label-studio file should end in .json")
    if not items:
        raise InvalidInput("there are no items to export; add texts to the project first")
    check_target(path, overwrite=overwrite)
    write_whole_file(path, _lines(items, question), overwrite=overwrite)


def label_studio_config(label_names: Sequence[str], pair: bool = False, *, question: str = "label") -> str:
    """Write the labelling interface for the exported tasks.

    Parameters
    ----------
    label_names
        In the order in which they are offered.
    pair
        Whether the tasks are over pairs of texts.
    question
        The name of the Choices.

    Raises
    ------
    InvalidInput
        No labels, or a name that XML cannot hold.

    Examples
    --------
    >>> print(label_studio_config(["R&D", "other"]))
    <View>
      <Text name="text" value="$text"/>
      <Choices name="label" toName="text" choice="single">
        <Choice value="R&amp;D"/>
        <Choice value="other"/>
      </Choices>
    </View>
    """
    if not label_names:
        raise InvalidInput("Label Studio needs at least one label; add labels to the project first")
    for name in (question, *label_names):
        if not all(character.isprintable() or character in _LINE_ENDS for character in name):
            raise InvalidInput(f"{name!r} holds a character that Label Studio's XML cannot; rename it")
    texts = ("text", "text_pair") if pair else ("text",)
    return "\n".join(
        [
            "<View>",
            *(f'  <Text name="{name}" value="${name}"/>' for name in texts),
            f'  <Choices name={_attribute(question)} toName="text" choice="single">',
            *(f"    <Choice value={_attribute(name)}/>" for name in label_names),
            "  </Choices>",
            "</View>",
        ]
    )


def _attribute(value: str) -> str:
    return quoteattr(value, _LINE_ENDS)


def _lines(items: Sequence[ExchangedItem], question: str) -> Iterator[str]:
    for number, item in enumerate(items):
        yield ("[" if number == 0 else ",\n") + json.dumps(_task(item, question), ensure_ascii=False, allow_nan=False)
    yield "]\n"


def _task(item: ExchangedItem, question: str) -> dict[str, object]:
    data: dict[str, object] = {"text": item.text}
    if item.pair is not None:
        data["text_pair"] = item.pair
    if item.ref is not None:
        data["ref"] = item.ref
    data |= {escaped_key(key, TAKEN_KEYS): value for key, value in item.meta.items()}
    task: dict[str, object] = {"data": data, "annotations": _annotations(item, question), "predictions": []}
    if item.suggestion is not None:
        result = _result(item.suggestion.label, question)
        prediction: dict[str, object] = {"model_version": item.suggestion.agent, "result": [result]}
        if item.suggestion.probability is not None:
            prediction["score"] = result["score"] = item.suggestion.probability
        task["predictions"] = [prediction]
    provenance = known_values(item.provenance)
    if provenance:
        task["meta"] = {"nearmiss": provenance}
    return task


def _result(label: str, question: str) -> dict[str, object]:
    return {"from_name": question, "to_name": "text", "type": "choices", "value": {"choices": [label]}}


def _annotations(item: ExchangedItem, question: str) -> list[dict[str, object]]:
    settled = item.label is None or agreed_label(answer.label for answer in item.answers) == item.label
    truth = None if settled else item.label
    annotations = [_annotation(answer, question, truth) for answer in item.answers]
    if truth is not None and not any(annotation["ground_truth"] for annotation in annotations):
        annotations.append({"result": [_result(truth, question)], "was_cancelled": False, "ground_truth": True})
    return annotations


def _annotation(answer: ExchangedAnswer, question: str, truth: str | None) -> dict[str, object]:
    annotation: dict[str, object] = {
        "result": [] if answer.label is None else [_result(answer.label, question)],
        "was_cancelled": answer.kind == AnswerKind.SKIP,
        # Label Studio takes an annotation that does not say so for the ground truth.
        "ground_truth": truth is not None and answer.label == truth,
    }
    if _MEMBER_NUMBER.fullmatch(answer.annotator):
        annotation["completed_by"] = int(answer.annotator)
    elif "@" in answer.annotator:
        annotation["completed_by"] = {"email": answer.annotator}
    else:
        annotation["nearmiss_annotator"] = answer.annotator
    optional = {"created_at": answer.at, "lead_time": answer.seconds, "nearmiss_note": answer.note or None}
    return annotation | {key: value for key, value in optional.items() if value is not None}
