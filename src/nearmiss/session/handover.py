"""The model that leaves the house: an encoder fine-tuned on every label, as a Hugging Face folder with its story."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearmiss.acquisition.base import Signal
from nearmiss.errors import InvalidInput, MissingExtra, NearmissError
from nearmiss.loop.streams import named_generator
from nearmiss.session.exchange.records import ExchangedItem
from nearmiss.session.ground import Ground, IdArray, read_ground
from nearmiss.session.project import Project
from nearmiss.session.transfer import export_items
from nearmiss.session.transfer_report import FEWEST_CHECKS, TransferReport, measure_transfer
from nearmiss.text.corpus import Texts

if TYPE_CHECKING:
    from nearmiss.models.transformer import FinetunedClassifier

__all__ = ["TRANSFER", "HandedOver", "hand_over", "label_story"]

#: The file in a model's folder that says whether the labels transfer to it.
TRANSFER = "transfer.json"
_SIGNAL_NAMES = ("source", "annotator")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A model that left the house.

    Attributes
    ----------
    folder
        Where it is: a Hugging Face folder.
    report
        Whether the labels transfer to it.
    """

    folder: Path
    report: TransferReport


def hand_over(
    project: Project,
    folder: str | Path,
    options: Mapping[str, object] | None = None,
    *,
    keep_audits_out: bool = False,
    on_step: Callable[[str], None] = lambda doing: None,
) -> HandedOver:
    """Fine-tune an encoder on the labels of a project, find out whether they transfer to it, and save it.

    A first training leaves out the random checks, which then measure the fine-tuned model and the one used while
    labelling on the same texts. A second one learns from every label, checks included; it is the model that is saved.

    Parameters
    ----------
    folder
        Does not exist, or is empty.
    options
        Of the classifier ``finetuned``; without any it is the project's encoder, trained as suits few labels on a CPU.
    keep_audits_out
        Save the first model instead: it has learned from no check, so that they go on measuring it.
    on_step
        Told what is being done, in a few words.

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
    rows, classes = ground.rows, ground.classes
    if not keep_audits_out:
        rows, classes = np.concatenate([rows, ground.audit_rows]), np.concatenate([classes, ground.audit_classes])
    _require_two(classes, "random checks aside" if keep_audits_out else "")
    classifier, texts = _finetuned(project, options), project.texts.corpus()

    def train(on: IdArray, of: IdArray, doing: str) -> None:
        on_step(f"fine-tuning on {len(on)} texts{doing}")
        generator = named_generator(project.seed, "hand over", len(on))
        classifier.fit(texts.take(on), of, n_classes=len(ground.labels), rng=generator)

    measurable = len(ground.audit_rows) >= FEWEST_CHECKS and ground.seen > 1
    if measurable or keep_audits_out:
        train(ground.rows, ground.classes, f", {len(ground.audit_rows)} random checks left out")
    guesses = _guesses(classifier, texts.take(ground.audit_rows), project.seed) if measurable else None
    report = measure_transfer(project, ground, guesses)
    if not keep_audits_out:
        train(rows, classes, ", random checks included" if len(ground.audit_rows) else "")
    names = {label.id: label.name for label in project.labels.every()}
    remark = _remark(project, ground, len(rows), report, kept_out=keep_audits_out)
    return HandedOver(_save(classifier, target, [names[label] for label in ground.labels], remark, report), report)


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


def _require_two(classes: IdArray, aside: str) -> None:
    if len(np.unique(classes)) < 2:
        told = f" ({aside})" if aside else ""
        raise InvalidInput(
            f"{len(classes)} labelled texts with {len(np.unique(classes))} different labels{told}; label until there "
            "are two"
        )


def _guesses(classifier: FinetunedClassifier, texts: Texts, seed: int) -> IdArray:
    found = classifier.infer(texts, {Signal.LOG_PROBS}, rng=named_generator(seed, "hand over", "checks"))
    if found.log_probs is None:
        raise InvalidInput("the classifier gave no log-probabilities when asked for them")
    return np.asarray(found.log_probs.argmax(axis=1), dtype=np.int64)


def _save(classifier: FinetunedClassifier, target: Path, names: list[str], remark: str, report: TransferReport) -> Path:
    """Write the model and the report; the folder appears whole or not at all."""
    partial = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent)
        saved = classifier.save(Path(partial, "model"), names, remark=remark)
        written = json.dumps(report.as_json(), ensure_ascii=False, indent=2)
        (saved / TRANSFER).write_text(f"{written}\n", encoding="utf-8")
        saved.replace(target)
    except OSError as error:
        raise NearmissError(f"cannot write the model to {target}: {error.strerror or error}") from error
    finally:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _remark(project: Project, ground: Ground, labeled: int, report: TransferReport, *, kept_out: bool) -> str:
    guidelines = project.settings.guidelines()
    checks = len(ground.audit_rows)
    drawn = f"{checks} more, drawn at random, were left out" if kept_out else f"{checks} of which were drawn at random"
    told = [
        f"Trained on {labeled} texts labelled in the nearmiss project {project.name!r}, {drawn}.",
        label_story(export_items(project)),
        report.sentence,
    ]
    if report.finetuned_right is not None and not kept_out:
        told.append(
            "That was measured by a model trained in the same way without the random checks. This one has learned from "
            "them too, and no text is left to measure it by."
        )
    if guidelines.version:
        told.append(f"Labelling guidelines, version {guidelines.version}: {guidelines.text[:1000]}")
    return "\n\n".join(told)
