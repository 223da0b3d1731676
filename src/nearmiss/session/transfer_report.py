"""Whether labels gathered with one model serve another: both measured by the random checks, on the same texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from nearmiss.analysis.paired_answers import PairedAnswers, compare_answers
from nearmiss.analysis.significance import Verdict
from nearmiss.session.ground import Ground, IdArray, standing_labels
from nearmiss.session.project import Project
from nearmiss.session.readings import read_answered

__all__ = ["FEWEST_CHECKS", "Transfer", "TransferReport", "measure_transfer"]

#: Fewer random checks tell next to nothing of two models.
FEWEST_CHECKS = 20


class Transfer(StrEnum):
    """What can be said of the labels."""

    BETTER = "the labels transfer"
    ALIKE = "cannot be told apart"
    WORSE = "the fine-tuned model is worse"
    NOT_COMPARED = "no model to compare with"
    NOT_MEASURED = "too few random checks"


@dataclass(frozen=True, slots=True)
class TransferReport:
    """Whether the labels of a project transfer to a fine-tuned model.

    Attributes
    ----------
    verdict
        In a word.
    sentence
        What was measured, for people.
    checks
        The random checks that were left out of training and have a label.
    in_use
        The model used while labelling, in words; empty where there is none.
    finetuned_right
        Checks that the fine-tuned model answers as people did; None where it was not measured.
    compared
        Both models on the checks that both have read; None where they were not compared. ``before`` is the model in
        use.
    """

    verdict: Transfer
    sentence: str
    checks: int
    in_use: str = ""
    finetuned_right: int | None = None
    compared: PairedAnswers | None = None

    def as_json(self) -> dict[str, Any]:
        """Write it as JSON can hold it."""
        return asdict(self)


def measure_transfer(project: Project, ground: Ground, guesses: IdArray | None) -> TransferReport:
    """Compare a fine-tuned model with the one in use; neither has learned from a random check.

    Parameters
    ----------
    guesses
        The classes that the fine-tuned model gives to the checks, in their order; None where it was not asked, because
        the checks are too few, or what is left without them is of one label.
    """
    checks = len(ground.audit_rows)
    if guesses is None:
        missing = (
            f"there are {checks} random checks, and fewer than {FEWEST_CHECKS} tell next to nothing; label more of "
            "them (the share is the setting audit_share)"
            if checks < FEWEST_CHECKS
            else "without the random checks, all labels are the same"
        )
        return TransferReport(
            Transfer.NOT_MEASURED, f"Whether the labels transfer cannot be measured: {missing}.", checks
        )
    right = guesses == ground.audit_classes
    told = f"the fine-tuned model is right on {int(right.sum())} of {checks} random checks"
    facts = project.models.latest()
    values = None if facts is None else project.models.probabilities(facts.version)
    read = np.zeros(checks, dtype=bool) if values is None else ground.audit_rows < len(values)
    if facts is None or values is None or not read.any():
        said = f"There is no model from the labelling to compare with; {told}."
        return TransferReport(Transfer.NOT_COMPARED, said, checks, finetuned_right=int(right.sum()))
    stands = standing_labels(project.database)
    labels = np.array([stands.get(label, label) for label in facts.labels])
    given = labels[values[ground.audit_rows[read]].argmax(axis=1)]
    compared = compare_answers(given == np.array(ground.labels)[ground.audit_classes[read]], right[read])
    in_use = f"{facts.classifier}, version {facts.version}, trained on {facts.trained_on} texts"
    verdict = _VERDICTS[compared.verdict]
    said = _sentence(verdict, compared, in_use)
    if read_answered(project.database).counts is not None:
        said += (
            " Some checks were drawn by the model's doubt: hard texts are more frequent among them than in the pool."
        )
    return TransferReport(verdict, said, checks, in_use, int(right.sum()), compared)


_VERDICTS = {
    Verdict.BETTER: Transfer.BETTER,
    Verdict.WORSE: Transfer.WORSE,
    Verdict.NO_DIFFERENCE: Transfer.ALIKE,
}
_OPENINGS = {
    Transfer.BETTER: "The labels transfer: the fine-tuned model is better than the one used while labelling",
    Transfer.ALIKE: "The fine-tuned model and the one used while labelling cannot be told apart",
    Transfer.WORSE: "The fine-tuned model is worse than the one used while labelling",
}


def _sentence(verdict: Transfer, compared: PairedAnswers, in_use: str) -> str:
    low, high = compared.interval.low, compared.interval.high
    return (
        f"{_OPENINGS[verdict]} ({in_use}). Of {compared.n} random checks that neither learned from, it answers "
        f"{compared.after} as people did, the other {compared.before}: a difference of "
        f"{_points(compared.difference)} points (95 %: {_points(low)} to {_points(high)}; McNemar's exact test, "
        f"p = {compared.p_value:.2g})."
    )


def _points(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")
