"""Which labels deserve a second look: those that a model and the nearest labelled examples contradict.

Two witnesses are heard. A model that has not learned from the example says how likely each class is, and so do the
example's nearest labelled neighbours, the nearer the louder. From the average of their probabilities cleanlab scores
every label by its normalised margin (by how much another class is likelier than the given one), and counts wrong ones
by confident learning (Northcutt, Jiang & Chuang 2021). A label that only one of the two doubts falls behind, which is
what separates a wrong label from a hard example.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.neighbors import Neighbors, nearest_neighbors
from nearmiss.errors import InvalidArray, InvalidInput, MissingExtra

__all__ = [
    "MARGIN",
    "Features",
    "LabelErrors",
    "Suspect",
    "blended",
    "find_label_errors",
    "neighbor_probabilities",
    "other_nearest",
]

#: Neighbours that are heard, how fast their voice fades with distance, and their weight against the model's: chosen on
#: half of the datasets of benchmarks/LABEL_ERRORS.md.
NEIGHBORS, _REACH, _NEIGHBOR_WEIGHT = 40, 0.15, 0.7
#: By so much another class must be likelier than the given one; chosen there too.
MARGIN = 0.3
#: Contradicting neighbours that are told.
_TOLD = 5

IdArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Features = npt.NDArray[np.floating] | sparse.csr_array


@dataclass(frozen=True, slots=True)
class Suspect:
    """A label that deserves a second look.

    Attributes
    ----------
    row
        The example.
    given, suggested
        The class it has, and the likeliest other one.
    score
        By how much the suggested class is likelier than the given one, model and neighbours averaged; at most 1.
    given_probability, suggested_probability
        What the model, which has not learned from this example, says of the two.
    neighbors, distances
        The nearest labelled examples of another class than the given one, nearest first, and how far they lie (unit
        vectors: from 0 to 2).
    """

    row: int
    given: int
    suggested: int
    score: float
    given_probability: float
    suggested_probability: float
    neighbors: tuple[int, ...]
    distances: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """The labels in doubt.

    Attributes
    ----------
    suspects
        The most doubtful first.
    judged
        How many labels were judged.
    alone
        How many could not be: each is the only example of its class, so that nothing speaks for it.
    estimated
        How many wrong labels confident learning counts among those judged, listed or not. Few labels a class, and texts
        that the model gets wrong, inflate it: then it says how hard the labels are, not how many are wrong.
    """

    suspects: tuple[Suspect, ...]
    judged: int
    alone: int
    estimated: int


def find_label_errors(
    probabilities: FloatArray, labels: IdArray, features: Features, *, margin: float = MARGIN
) -> LabelErrors:
    """List the labels that the model and the nearest labelled examples contradict, the most doubtful first.

    Parameters
    ----------
    probabilities
        Class probabilities of every example by a model that has not learned from it, shape (m, C):
        `nearmiss.analysis.cross_validation.held_out_probabilities`.
    labels
        The class ids that were given, shape (m,).
    features
        In which distances are taken, at unit length, shape (m, d), dense or CSR.
    margin
        A label is listed where another class is likelier by more than this, model and neighbours averaged.

    Raises
    ------
    MissingExtra
        cleanlab is not installed.
    InvalidArray
        Lengths differ, a label is no class id, or probabilities are none.
    InvalidInput
        The margin is not from 0 to below 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = np.repeat([0, 1], 20)
    >>> features = np.eye(2)[truth] + 0.1 * rng.normal(size=(40, 2))
    >>> given = truth.copy()
    >>> given[3] = 1
    >>> probabilities = np.where(truth[:, None] == np.arange(2), 0.9, 0.1)
    >>> found = find_label_errors(probabilities, given, features)
    >>> [(suspect.row, suspect.given, suspect.suggested) for suspect in found.suspects]
    [(3, 1, 0)]
    """
    probabilities, labels = _checked(probabilities, labels, features, margin)
    _require_cleanlab()
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    rows = np.flatnonzero(counts[labels] > 1)
    alone = len(labels) - len(rows)
    classes, within = np.unique(labels[rows], return_inverse=True)
    if len(classes) < 2:
        return LabelErrors((), len(rows), alone, 0)
    nearest = other_nearest(features[rows], NEIGHBORS)
    both = blended(probabilities[np.ix_(rows, classes)], neighbor_probabilities(nearest, within, len(classes)))
    quality, estimated = _confident_learning(within, both)
    scores = 1 - 2 * quality
    order = np.argsort(-scores, kind="stable")
    rivals = both.copy()
    rivals[np.arange(len(rows)), within] = -1
    suspects = tuple(
        _suspect(int(i), int(classes[rivals[i].argmax()]), float(scores[i]), rows, probabilities, labels, nearest)
        for i in order
        if scores[i] > margin
    )
    return LabelErrors(suspects, len(rows), alone, estimated)


def other_nearest(features: Features, k: int) -> Neighbors:
    """Find the k nearest other rows of each row, by their unit vectors; all others where there are fewer.

    Examples
    --------
    >>> other_nearest(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), 1).indices.ravel().tolist()
    [1, 0, 0]
    """
    units = normalize_rows(features)
    found = nearest_neighbors(units, units, k + 1)
    itself = found.indices == np.arange(len(found.indices))[:, None]
    itself[~itself.any(axis=1), -1] = True  # more than k others are equal to it: any of them may go
    shape = len(itself), itself.shape[1] - 1
    return Neighbors(found.indices[~itself].reshape(shape), found.distances[~itself].reshape(shape))


def neighbor_probabilities(nearest: Neighbors, labels: IdArray, n_classes: int) -> FloatArray:
    """Give the class shares among each example's neighbours, weighted by a Gaussian of their distance, shape (m, C).

    Weights are relative to the nearest neighbour's: far from everything, the nearest still count.
    """
    squared = nearest.distances**2
    weights = np.exp((squared.min(axis=1, keepdims=True) - squared) / (2 * _REACH))
    shares = np.zeros((len(labels), n_classes))
    rows = np.broadcast_to(np.arange(len(labels))[:, None], weights.shape)
    np.add.at(shares, (rows, labels[nearest.indices]), weights)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def blended(probabilities: FloatArray, shares: FloatArray) -> FloatArray:
    """Average the model's probabilities and the neighbours' shares; rows add up to 1."""
    both = (1 - _NEIGHBOR_WEIGHT) * probabilities + _NEIGHBOR_WEIGHT * shares
    return np.asarray(both / both.sum(axis=1, keepdims=True))


def _suspect(
    place: int,
    suggested: int,
    score: float,
    rows: IdArray,
    probabilities: FloatArray,
    labels: IdArray,
    nearest: Neighbors,
) -> Suspect:
    row = int(rows[place])
    given = int(labels[row])
    near = rows[nearest.indices[place]]
    against = np.flatnonzero(labels[near] != given)[:_TOLD]
    return Suspect(
        row,
        given,
        suggested,
        score,
        float(probabilities[row, given]),
        float(probabilities[row, suggested]),
        tuple(near[against].tolist()),
        tuple(nearest.distances[place][against].tolist()),
    )


def _confident_learning(labels: IdArray, probabilities: FloatArray) -> tuple[FloatArray, int]:
    """Give every label's quality (half of 1 plus its normalised margin), and how many labels are wrong."""
    from cleanlab.count import num_label_issues
    from cleanlab.rank import get_label_quality_scores

    quality = get_label_quality_scores(labels, probabilities, method="normalized_margin")
    return np.asarray(quality, dtype=np.float64), int(num_label_issues(labels, probabilities))


def _require_cleanlab() -> None:
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        raise MissingExtra("the second look at labels", "quality", "cleanlab") from None


def _checked(
    probabilities: FloatArray, labels: IdArray, features: Features, margin: float
) -> tuple[FloatArray, IdArray]:
    if not 0 <= margin < 1:
        raise InvalidInput(f"margin is {margin}; it must be from 0 to below 1")
    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if labels.ndim != 1 or probabilities.ndim != 2 or not len(labels) == len(probabilities) == features.shape[0]:
        raise InvalidArray(
            f"probabilities of shape {probabilities.shape}, labels of shape {labels.shape} and {features.shape[0]} "
            "rows of features; give one row of each an example"
        )
    if len(labels) and not np.issubdtype(labels.dtype, np.integer):
        raise InvalidArray(f"labels of type {labels.dtype}; expected class ids")
    labels = labels.astype(np.int64)
    if len(labels) and not (labels.min() >= 0 and labels.max() < probabilities.shape[1]):
        raise InvalidArray(
            f"labels run from {labels.min()} to {labels.max()}; class ids run from 0 to {probabilities.shape[1] - 1}"
        )
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise InvalidArray("probabilities hold a value that is none; pass numbers from 0 to 1")
    return probabilities, labels
