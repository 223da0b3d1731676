"""Labels of a project that the model and the nearest labelled texts contradict, listed for a second look.

Nothing is changed by itself: a person keeps the label or gives the other one, and either settles the text. Random
checks take no part unless they are asked for: putting them right only where a model contradicts them would flatter the
models that they measure, and a label put right by their witness would have learned from them.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nearmiss.analysis.cross_validation import held_out_probabilities
from nearmiss.analysis.label_errors import Features, Suspect, find_label_errors
from nearmiss.arrays.divergence import kl_divergence
from nearmiss.errors import NearmissError
from nearmiss.loop.streams import named_generator
from nearmiss.models.base import Classifier, LabelFree
from nearmiss.models.tfidf import TfidfClassifier
from nearmiss.session.answers import Receipt
from nearmiss.session.ground import Ground, read_ground
from nearmiss.session.origins import Neighbor, Origin, Source
from nearmiss.session.plans import choose_plan
from nearmiss.session.project import Project
from nearmiss.text.corpus import Texts

__all__ = ["Doubt", "SecondLook", "give_second_label", "look_again", "read_second_look", "second_look", "still_open"]

#: The file in a project's folder that the trainer leaves the list in.
_FILE = "second-look.json"
#: So many doubts are kept in it, and so many labels, the newest, are judged.
_KEPT, _MOST_JUDGED = 500, 20_000
_GUESSES = 4
_STRATEGY = "second-look"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label to look at again.

    Attributes
    ----------
    item, label
        The text, and the number of the label that holds.
    suggested
        The label that model and neighbours would give instead.
    origin
        Why: how doubtful (by how much the other label is likelier, at most 1), what a model that has not learned from
        this text says of it, and the nearest texts that are labelled otherwise.
    """

    item: int
    label: int
    suggested: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class SecondLook:
    """The doubts about a project's labels.

    Attributes
    ----------
    doubts
        The most doubtful first.
    judged, alone
        How many labels were judged, and how many could not be because no other text has the same.
    model
        The version of the model in use when they were judged, 0 for none.
    error
        Why they could not be, in a sentence; empty when they could.
    """

    doubts: tuple[Doubt, ...] = ()
    judged: int = 0
    alone: int = 0
    model: int = 0
    error: str = ""


def second_look(
    project: Project, texts: Texts | None = None, classifier: Classifier | None = None, *, audits: bool = False
) -> SecondLook:
    """Judge every label by a model that has not learned from it, and by its neighbours; in seconds, changing nothing.

    The model is a regression over what the project's classifier starts from: the pretrained encoder's vectors, or
    TF-IDF.

    Parameters
    ----------
    texts, classifier
        The project's, where they are at hand; the classifier need not be trained.
    audits
        Whether random checks bear witness and are listed too. Whoever puts them right by this list measures no model
        with them any more.

    Raises
    ------
    MissingExtra
        cleanlab is not installed.
    NearmissError
        The encoder cannot be loaded, the cache cannot be written ...

    Examples
    --------
    >>> import tempfile
    >>> texts = [f"{animal} {n}" for n in range(9) for animal in ("a cat sleeps", "rain falls")]
    >>> with Project.create(tempfile.mkdtemp() + "/p", texts=texts, label_names=["cat", "rain"]) as project:
    ...     _ = project.settings.change("me", {"classifier": "tfidf"})
    ...     _ = project.tell_all({item: 1 if item % 2 else 2 for item in range(1, 18)} | {18: 1})
    ...     [(doubt.item, doubt.label, doubt.suggested) for doubt in second_look(project).doubts]
    [(18, 1, 2)]
    """
    ground = read_ground(project.database)
    latest = project.models.latest()
    version = 0 if latest is None else latest.version
    rows, classes = ground.rows, ground.classes
    if audits:
        rows, classes = np.concatenate([ground.audit_rows, rows]), np.concatenate([ground.audit_classes, classes])
    rows, classes = rows[-_MOST_JUDGED:], classes[-_MOST_JUDGED:]
    if len(rows) < 2:
        return SecondLook(alone=len(rows), model=version)
    texts = project.texts.corpus() if texts is None else texts
    features = _vectors(project, texts, classifier, rows)
    rng = named_generator(project.seed, "second look", version)
    probabilities = held_out_probabilities(features, classes, len(ground.labels), rng=rng)
    found = find_label_errors(probabilities, classes, features)
    listed = _open_items(project)
    doubts = (
        _doubt(suspect, rows, classes, probabilities, ground, version)
        for suspect in found.suspects
        if int(rows[suspect.row]) + 1 in listed
    )
    return SecondLook(tuple(doubts), found.judged, found.alone, version)


def look_again(project: Project, texts: Texts, classifier: Callable[[], Classifier]) -> None:
    """Look, unless that was done since the model in use came, and leave the list where pages find it.

    Nothing happens where cleanlab is not installed. What goes wrong is written into the list, and not tried again until
    there is another model.
    """
    latest = project.models.latest()
    before = read_second_look(project)
    if latest is None or (before is not None and before.model >= latest.version):
        return
    if importlib.util.find_spec("cleanlab") is None:
        return
    try:
        found = second_look(project, texts, classifier())
    except NearmissError as error:
        found = SecondLook(model=latest.version, error=str(error))
    _write(project.folder, found)


def read_second_look(project: Project) -> SecondLook | None:
    """Read the list that the trainer left; None where there is none yet."""
    try:
        body = json.loads((project.folder / _FILE).read_text(encoding="utf-8"))
        doubts = tuple(_as_doubt(doubt) for doubt in body.pop("doubts"))
        return SecondLook(doubts, **body)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def still_open(project: Project, look: SecondLook) -> tuple[Doubt, ...]:
    """Give the doubts that nobody has resolved since: the label holds, is not settled, and the other is on offer."""
    with project.database.reading() as connection:
        holding = {
            row["item"]: row["label"]
            for row in connection.execute("SELECT item, label FROM decision WHERE NOT settled AND NOT disputed")
        }
    offered = {label.id for label in project.labels.offered()}
    return tuple(
        doubt for doubt in look.doubts if holding.get(doubt.item) == doubt.label and doubt.suggested in offered
    )


def give_second_label(
    project: Project, person: str, doubt: Doubt, label: int, *, key: str | None = None, note: str = ""
) -> Receipt:
    """Settle a doubt on a label, the same or another; it is not listed again unless this is undone.

    Raises
    ------
    InvalidInput, UnknownName
        As ``AnswerSheet.settle``.
    """
    return project.answers.settle(person, doubt.item, label, key=key, note=note, origin=doubt.origin)


def _vectors(project: Project, texts: Texts, classifier: Classifier | None, rows: npt.NDArray[np.int64]) -> Features:
    """Give what the classifier starts from, of the labelled texts alone."""
    if classifier is None:
        classifier = choose_plan(project.settings.read(), texts, project.cache).make()
    if isinstance(classifier, TfidfClassifier) or not isinstance(classifier, LabelFree):
        classifier = TfidfClassifier()
        classifier.prepare(texts)  # the vocabulary is that of all texts, whoever asks
    vectors = classifier.label_free(texts.take(rows))
    return vectors.numpy(force=True) if isinstance(vectors, Tensor) else vectors


def _open_items(project: Project) -> frozenset[int]:
    with project.database.reading() as connection:
        found = connection.execute("SELECT item FROM decision WHERE NOT settled AND NOT disputed")
        return frozenset(row["item"] for row in found)


def _doubt(
    suspect: Suspect,
    rows: npt.NDArray[np.int64],
    classes: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    ground: Ground,
    version: int,
) -> Doubt:
    said = probabilities[suspect.row]
    told = {*np.argsort(-said, kind="stable")[:_GUESSES].tolist(), suspect.given, suspect.suggested}
    best = sorted(told, key=lambda c: (-said[c], c))
    origin = Origin(
        Source.SECOND_LOOK,
        _STRATEGY,
        round(suspect.score, 4),
        version or None,
        tuple(ground.labels[c] for c in best),
        tuple(round(float(said[c]), 4) for c in best),
    )
    with np.errstate(divide="ignore"):  # a class that a fold lacked has probability 0 there
        logs = np.log(probabilities[[suspect.row, *suspect.neighbors]])
    gaps = np.asarray(kl_divergence(logs[1:], np.repeat(logs[:1], len(logs) - 1, axis=0)))
    neighbors = tuple(
        Neighbor(
            int(rows[near]) + 1,
            ground.labels[int(classes[near])],
            round(distance, 4),
            round(float(gap), 4),
            ground.labels[int(probabilities[near].argmax())],
            round(float(probabilities[near].max()), 4),
        )
        for near, distance, gap in zip(suspect.neighbors, suspect.distances, gaps, strict=True)
    )
    return Doubt(
        int(rows[suspect.row]) + 1,
        ground.labels[suspect.given],
        ground.labels[suspect.suggested],
        replace(origin, neighbors=neighbors),
    )


def _as_doubt(body: dict[str, Any]) -> Doubt:
    return Doubt(body["item"], body["label"], body["suggested"], Origin.from_json(body["origin"]))


def _write(folder: Path, look: SecondLook) -> None:
    """Leave the list, whole or the one before it; it can be made again, and is worth no sync."""
    partial = folder / f".{_FILE}.{os.getpid()}"
    partial.write_text(json.dumps(asdict(replace(look, doubts=look.doubts[:_KEPT]))), encoding="utf-8")
    partial.replace(folder / _FILE)
