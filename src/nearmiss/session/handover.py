"""The model that leaves the house: an encoder fine-tuned on every label, as a Hugging Face folder with its story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearmiss.errors import InvalidInput, MissingExtra
from nearmiss.loop.streams import named_generator
from nearmiss.session.exchange.records import ExchangedItem
from nearmiss.session.ground import Ground, read_ground
from nearmiss.session.project import Project
from nearmiss.session.transfer import export_items

if TYPE_CHECKING:
    from nearmiss.models.transformer import FinetunedClassifier

__all__ = ["hand_over", "label_story"]

_SIGNAL_NAMES = ("source", "annotator")


def hand_over(project: Project, folder: str | Path, options: Mapping[str, object] | None = None) -> Path:
    """Fine-tune an encoder on every label of a project, audits included, and save it.

    Parameters
    ----------
    folder
        Does not exist, or is empty.
    options
        Of the classifier ``finetuned``; without any it is the project's encoder, trained as suits few labels on a CPU.

    Raises
    ------
    InvalidInput
        Fewer than two different labels were given, or the folder holds something.
    MissingExtra
        ``nearmiss[transformers]`` is not installed.
    NearmissError
        The encoder cannot be loaded, or the folder not written.
    """
    target = Path(folder).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput(f"{folder} holds something already; name a new folder for the model")
    ground = read_ground(project.database)
    rows = np.concatenate([ground.rows, ground.audit_rows])
    classes = np.concatenate([ground.classes, ground.audit_classes])
    if len(np.unique(classes)) < 2:
        raise InvalidInput(
            f"{len(rows)} labelled texts with {len(np.unique(classes))} different labels; label until there are two"
        )
    classifier = _finetuned(project, options)
    texts = project.texts.corpus().take(rows)
    generator = named_generator(project.seed, "hand over", len(rows))
    classifier.fit(texts, classes, n_classes=len(ground.labels), rng=generator)
    names = {label.id: label.name for label in project.labels.every()}
    return classifier.save(
        target, [names[label] for label in ground.labels], remark=_remark(project, ground, len(rows))
    )


def label_story(items: tuple[ExchangedItem, ...]) -> str:
    """Tell in a few sentences how the labels of a project were come by.

    Examples
    --------
    >>> item = ExchangedItem("1", "good", label="yes", provenance={"source": "audit", "annotator": "Ada"})
    >>> label_story((item,))
    '1 labelled text. By source: audit 1. By annotator: Ada 1.'
    """
    labeled = [item for item in items if item.label is not None]
    parts = [f"{len(labeled)} labelled text{'' if len(labeled) == 1 else 's'}."]
    for name in _SIGNAL_NAMES:
        counts = Counter(str(item.provenance.get(name) or "unknown") for item in labeled)
        told = ", ".join(f"{value} {count}" for value, count in counts.most_common())
        if told:
            parts.append(f"By {name}: {told}.")
    return " ".join(parts)


def _finetuned(project: Project, options: Mapping[str, object] | None) -> FinetunedClassifier:
    try:
        from nearmiss.models.transformer import FinetunedClassifier
    except ImportError as error:
        raise MissingExtra("a fine-tuned model", "transformers", "transformers") from error
    from nearmiss.models.registry import make_classifier

    chosen = dict(options or {"preset": "small"})
    chosen.setdefault("model", project.settings.read().encoder)
    classifier = make_classifier("finetuned", chosen)
    if not isinstance(classifier, FinetunedClassifier):
        raise InvalidInput("the classifier 'finetuned' is not the one that can be saved")
    return classifier


def _remark(project: Project, ground: Ground, labeled: int) -> str:
    guidelines = project.settings.guidelines()
    facts = project.models.latest()
    told = [
        f"Trained on {labeled} texts labelled in the nearmiss project {project.name!r}, "
        f"{len(ground.audit_rows)} of which were drawn at random.",
        label_story(export_items(project)),
    ]
    if facts is not None and facts.audits:
        told.append(
            f"The model used while labelling ({facts.classifier}, trained on {facts.trained_on} texts) labelled "
            f"{facts.audits_right} of {facts.audits} random texts that it had not learned from as people did."
        )
    if guidelines.version:
        told.append(f"Labelling guidelines, version {guidelines.version}: {guidelines.text[:1000]}")
    return "\n\n".join(told)
