"""What a model says of labelled texts it has not learned from: each fold is judged by a model of all the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nearmiss.errors import InvalidArray, InvalidInput
from nearmiss.models.logistic import LogisticHead, LogisticSettings, log_softmax_rows

__all__ = ["dealt_folds", "held_out_probabilities"]

IdArray = npt.NDArray[np.int64]


def dealt_folds(labels: IdArray, folds: int, rng: np.random.Generator) -> IdArray:
    """Deal examples out to folds, class by class, so that every fold has its share of every class.

    A class of m examples is spread over min(m, folds) folds; folds differ in size by at most one.

    Raises
    ------
    InvalidInput
        Fewer than two folds.

    Examples
    --------
    >>> dealt_folds(np.array([0, 0, 1, 1]), 2, np.random.default_rng(0)).reshape(2, 2).sum(axis=1).tolist()
    [1, 1]
    """
    if folds < 2:
        raise InvalidInput(f"folds is {folds}; take at least 2")
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    dealt = np.empty(len(labels), dtype=np.int64)
    dealt[order] = np.arange(len(labels)) % folds
    return dealt


def held_out_probabilities(
    features: npt.NDArray[np.floating] | sparse.csr_array,
    labels: IdArray,
    n_classes: int,
    *,
    rng: np.random.Generator,
    folds: int = 5,
    settings: LogisticSettings | None = None,
) -> npt.NDArray[np.float64]:
    """Give class probabilities of every labelled example, by a regression that has not seen it, shape (m, C).

    A class that the other folds lack has probability 0: an example that is alone in its class is never given it.

    Parameters
    ----------
    features
        Shape (m, d), dense or CSR.
    labels
        Class ids, shape (m,).
    rng
        Deals the folds.

    Raises
    ------
    InvalidArray
        Lengths differ, or a label is no class id.
    InvalidInput
        Fewer than two examples, or fewer than two folds.

    Examples
    --------
    >>> features = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> found = held_out_probabilities(features, np.array([0, 0, 1, 1]), 2, rng=np.random.default_rng(0))
    >>> found.argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    labels = np.asarray(labels)
    if features.shape[0] != len(labels) or labels.ndim != 1:
        raise InvalidArray(f"{features.shape[0]} rows of features and labels of shape {labels.shape}; give one a row")
    if len(labels) and not (labels.min() >= 0 and labels.max() < n_classes):
        raise InvalidArray(f"labels run from {labels.min()} to {labels.max()}; class ids run from 0 to {n_classes - 1}")
    if len(labels) < 2:
        raise InvalidInput(f"{len(labels)} labelled examples; one can be held out from at least 2")
    dealt = dealt_folds(labels, min(folds, len(labels)), rng)
    found = np.zeros((len(labels), n_classes))
    for fold in range(dealt.max() + 1):
        held = dealt == fold
        head = LogisticHead.train(features[~held], labels[~held], n_classes, settings or LogisticSettings())
        found[held] = np.exp(log_softmax_rows(head.logits(features[held])))
    return found
