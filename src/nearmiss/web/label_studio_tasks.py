"""Label Studio's tasks and events, in the project's terms."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nearmiss.errors import InvalidInput
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.items import NewItem
from nearmiss.session.labels import Label
from nearmiss.session.origins import Origin, Source
from nearmiss.session.project import Project

__all__ = ["ChoicesConfig", "TaskDesk", "read_config"]

_AGENT = "label-studio"


@dataclass(frozen=True, slots=True)
class ChoicesConfig:
    """What a labelling configuration says.

    Attributes
    ----------
    from_name, to_name
        Names of its first ``Choices``, and of the text these are about.
    text_keys
        Keys of a task's data that hold its text, and its partner in tasks over pairs.
    choices
        The labels on offer.
    """

    from_name: str
    to_name: str
    text_keys: tuple[str, ...]
    choices: tuple[str, ...]


def read_config(xml: str) -> ChoicesConfig:
    """Read the labelling configuration of a Label Studio project.

    Raises
    ------
    InvalidInput
        It is no XML, or has no text with one choice among labels.

    Examples
    --------
    >>> choices = '<Choices name="c" toName="t"><Choice value="a"/></Choices>'
    >>> read_config(f'<View><Text name="t" value="$text"/>{choices}</View>')
    ChoicesConfig(from_name='c', to_name='t', text_keys=('text',), choices=('a',))
    """
    if "<!" in xml.replace("<!--", ""):
        raise InvalidInput("the labelling configuration declares a document type; leave <!...> out")
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        raise InvalidInput(f"the labelling configuration is no XML: {error}") from None
    texts = [node for node in root.iter("Text") if node.get("value", "").startswith("$")]
    choices = root.find(".//Choices")
    if choices is None or not texts:
        raise InvalidInput('the labelling configuration needs a <Text value="$..."/> and <Choices toName="...">')
    return ChoicesConfig(
        choices.get("name", "label"),
        choices.get("toName", texts[0].get("name", "text")),
        tuple(node.get("value", "")[1:] for node in texts[:2]),
        tuple(node.get("value", "") for node in choices.iter("Choice") if node.get("value")),
    )


class TaskDesk:
    """Answers Label Studio about its tasks, and takes in what people label there.

    Parameters
    ----------
    project
        The project that learns.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._ranked: tuple[int, dict[int, float]] | None = None

    def set_up(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take over the labels of a configuration; the project is shared by all who call."""
        config = read_config(str(body.get("schema") or body.get("label_config") or ""))
        self._offer(config)
        return {"model_version": self._version()}

    def validate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse a configuration that nothing can be suggested for."""
        read_config(str(body.get("config") or body.get("schema") or body.get("label_config") or ""))
        return {"valid": True}

    def versions(self) -> dict[str, Any]:
        """List the models there ever were."""
        return {"versions": [f"{_AGENT}-{facts.version}" for facts in self._project.models.history()]}

    def predict(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Suggest a label for each task and give the place it deserves: the lowest score is to be labelled first.

        Tasks whose texts the project does not have are added to it.

        Raises
        ------
        InvalidInput
            The configuration is unreadable, or a task lacks its text.
        """
        config = read_config(str(body.get("label_config") or ""))
        tasks = body.get("tasks")
        if not isinstance(tasks, list):
            raise InvalidInput('"tasks" must be a list')
        self._offer(config)
        items = self._items(tasks, config)
        names = {label.id: label.name for label in self._project.labels.offered()}
        guesses = self._project.models.guesses(items, n=1)
        places = self._places()
        results = []
        for item in items:
            result = []
            guess = guesses.get(item)
            if guess is not None and names.get(guess.labels[0]) in config.choices:
                result.append(
                    {
                        "id": f"nearmiss-{item}",
                        "from_name": config.from_name,
                        "to_name": config.to_name,
                        "type": "choices",
                        "value": {"choices": [names[guess.labels[0]]]},
                        "score": guess.probabilities[0],
                    }
                )
            results.append({"model_version": self._version(), "score": places.get(item, 1.0), "result": result})
        return {"results": results}

    def hear(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Take note of an event: what was labelled, corrected or deleted there, or that a training is wanted."""
        action = body.get("action")
        if action == "START_TRAINING":
            self._project.request_training()
        elif action in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED"):
            self._annotated(body)
        elif action in ("ANNOTATION_DELETED", "ANNOTATIONS_DELETED"):
            for annotation in [body.get("annotation"), *(body.get("annotations") or ())]:
                if isinstance(annotation, Mapping):
                    self._project.answers.take_back(_AGENT, f"{_AGENT}:{annotation.get('id')}:")
        return {"heard": action}

    def _annotated(self, body: Mapping[str, Any]) -> None:
        annotation, task = body.get("annotation"), body.get("task")
        if not isinstance(annotation, Mapping) or not isinstance(task, Mapping):
            raise InvalidInput("an annotation event needs its annotation and its task")
        config = read_config(str((body.get("project") or {}).get("label_config") or ""))
        self._offer(config)
        (item,) = self._items([task], config)
        label = _chosen(annotation, config)
        kind = AnswerKind.LABEL
        if label is None:
            kind = AnswerKind.SKIP if annotation.get("was_cancelled") else AnswerKind.UNSURE
        seconds = annotation.get("lead_time")
        self._project.answers.submit(
            f"{_AGENT} user {annotation.get('completed_by') or 'unknown'}"[:80],
            Submission(
                item,
                kind,
                None if label is None else self._project.labels.named(label).id,
                key=f"{_AGENT}:{annotation.get('id')}:{annotation.get('updated_at') or annotation.get('created_at')}",
                seconds=float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None,
                suggestion_visible=True,
            ),
            self._origin(item),
        )

    def _origin(self, item: int) -> Origin:
        facts = self._project.models.latest()
        if facts is None:
            return Origin(Source.RANDOM)
        return Origin(Source.MODEL, facts.strategy, self._places().get(item), facts.version)

    def _model(self) -> int | None:
        facts = self._project.models.latest()
        return None if facts is None else facts.version

    def _offer(self, config: ChoicesConfig) -> None:
        known = {label.name for label in self._project.labels.every()}
        new = [Label(0, " ".join(name.split())) for name in config.choices if " ".join(name.split()) not in known]
        if new:
            self._project.labels.add_all(_AGENT, new)

    def _items(self, tasks: Sequence[Any], config: ChoicesConfig) -> list[int]:
        """Give the project's number of each task's text, adding what it does not have."""
        paired = len(config.text_keys) > 1
        new = []
        for task in tasks:
            data = task.get("data") if isinstance(task, Mapping) else None
            found = [data.get(key) for key in config.text_keys] if isinstance(data, Mapping) else []
            halves = [half for half in found if isinstance(half, str) and half.strip()]
            if len(halves) < len(config.text_keys):
                which = task.get("id") if isinstance(task, Mapping) else task
                raise InvalidInput(f"task {which}: its data has no text under {', '.join(config.text_keys)}")
            new.append(NewItem(halves[0], halves[1] if paired else None))
        return list(self._project.find_or_add(new, source=_AGENT, person=_AGENT))

    def _places(self) -> dict[int, float]:
        """Rank all texts, the one to label first at 0: the queue, then the smallest margins."""
        version = self._model() or 0
        if self._ranked is None or self._ranked[0] != version:
            queued = self._project.queue.order()
            values = self._project.models.probabilities(version) if version else None
            rest: list[int] = []
            if values is not None and values.shape[1] > 1:
                best = np.sort(values.astype(np.float32), axis=1)[:, -2:]
                rest = (np.argsort(best[:, 1] - best[:, 0], kind="stable") + 1).tolist()
            first = dict.fromkeys([*queued, *rest])
            self._ranked = (version, {item: place / max(1, len(first)) for place, item in enumerate(first)})
        return self._ranked[1]

    def _version(self) -> str:
        return f"nearmiss-{self._model() or 0}"


def _chosen(annotation: Mapping[str, Any], config: ChoicesConfig) -> str | None:
    for result in annotation.get("result") or ():
        if isinstance(result, Mapping) and result.get("from_name") == config.from_name:
            choices = (result.get("value") or {}).get("choices") or []
            if len(choices) > 1:
                raise InvalidInput(f"annotation {annotation.get('id')} has {len(choices)} labels; give it one")
            if choices:
                return " ".join(str(choices[0]).split())
    return None
