"""Ways to say which labels are wrong: ours, and the parts it is made of, each alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.analysis.label_errors import (
    MARGIN,
    NEIGHBORS,
    blended,
    find_label_errors,
    neighbor_probabilities,
    other_nearest,
)

__all__ = ["METHODS", "OURS", "Case", "Found"]

IdArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
OURS = "model and neighbours"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Labelled texts as a method sees them; classes without texts are left out."""

    features: npt.NDArray[np.floating]
    labels: IdArray
    probabilities: FloatArray

    @property
    def given(self) -> FloatArray:
        """How likely the model finds the labels that were given."""
        found: FloatArray = self.probabilities[np.arange(len(self.labels)), self.labels]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a method says: a score for every label, higher for more doubtful, and which labels it lists."""

    scores: FloatArray
    listed: npt.NDArray[np.bool_]


def _ours(case: Case, rng: np.random.Generator) -> Found:
    found = find_label_errors(case.probabilities, case.labels, case.features)
    listed = np.zeros(len(case.labels), dtype=bool)
    listed[[suspect.row for suspect in found.suspects]] = True
    scores = _margins(blended(case.probabilities, _shares(case)), case.labels)
    alone = np.bincount(case.labels)[case.labels] == 1
    return Found(np.where(alone, -2.0, scores), listed)


def _cleanlab(case: Case, rng: np.random.Generator) -> Found:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        listed = np.asarray(find_label_issues(case.labels, case.probabilities, n_jobs=1))
        quality = np.asarray(get_label_quality_scores(case.labels, case.probabilities, method="normalized_margin"))
    return Found(1 - quality + listed, listed)  # what it lists comes first, as it ranks them


def _model(case: Case, rng: np.random.Generator) -> Found:
    return Found(1 - case.given, case.probabilities.argmax(axis=1) != case.labels)


def _neighbours(case: Case, rng: np.random.Generator) -> Found:
    shares = _shares(case)
    return Found(1 - shares[np.arange(len(shares)), case.labels], shares.argmax(axis=1) != case.labels)


def _neighbours_by_margin(case: Case, rng: np.random.Generator) -> Found:
    scores = _margins(_shares(case), case.labels)
    return Found(scores, scores > MARGIN)


def _random(case: Case, rng: np.random.Generator) -> Found:
    scores = rng.random(len(case.labels))
    return Found(scores, scores >= np.quantile(scores, 0.9))


METHODS: Mapping[str, Callable[[Case, np.random.Generator], Found]] = {
    OURS: _ours,
    "cleanlab": _cleanlab,
    "self-confidence": _model,
    "neighbours": _neighbours,
    "neighbours, by margin": _neighbours_by_margin,
    "random": _random,
}


def _shares(case: Case) -> FloatArray:
    nearest = other_nearest(case.features, NEIGHBORS)
    return neighbor_probabilities(nearest, case.labels, case.probabilities.shape[1])


def _margins(probabilities: FloatArray, labels: IdArray) -> FloatArray:
    rows = np.arange(len(labels))
    given, rivals = probabilities[rows, labels], probabilities.copy()
    rivals[rows, labels] = -1
    return np.asarray(rivals.max(axis=1) - given)
