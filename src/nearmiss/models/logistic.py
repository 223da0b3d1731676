"""Logistic regression over feature rows, sure of its columns: one per declared class, seen in training or not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from nearmiss.arrays.threads import one_blas_thread
from nearmiss.errors import InvalidInput

__all__ = ["ClassWeight", "LogisticHead", "LogisticSettings", "log_softmax_rows"]

ClassWeight = Literal["none", "balanced"]
Features = npt.NDArray[np.floating] | sparse.csr_array

_ITERATIONS = 2000
#: Rows scored together: a multiple of what matrix kernels take at once, so that a cut changes no bit of the product.
_ROWS = 4096


@dataclass(frozen=True, slots=True)
class LogisticSettings:
    """How the regression is trained.

    Attributes
    ----------
    C
        Inverse strength of the l2 penalty.
    class_weight
        ``"balanced"`` weighs every class alike however often it was labelled, which favours macro-F1.

    Raises
    ------
    InvalidInput
        C is not positive, or no such class weight.
    """

    C: float = 10.0
    class_weight: ClassWeight = "none"

    def __post_init__(self) -> None:
        if not 0 < self.C < float("inf"):
            raise InvalidInput(f"C is {self.C}; it must be positive and finite")
        if self.class_weight not in ("none", "balanced"):
            raise InvalidInput(f"class_weight {self.class_weight!r} is none of 'none', 'balanced'")


@dataclass(frozen=True, slots=True, eq=False)
class LogisticHead:
    """A trained regression: logits = features · weights + biases.

    Attributes
    ----------
    weights
        Shape (d, C); zero for classes never seen.
    biases
        Shape (C,); minus infinity for classes never seen, so that their probability is exactly 0.
    """

    weights: npt.NDArray[np.float64]
    biases: npt.NDArray[np.float64]

    @classmethod
    def train(
        cls, features: Features, labels: npt.NDArray[np.int64], n_classes: int, settings: LogisticSettings
    ) -> LogisticHead:
        """Train on labelled rows; with a single class, predict it with certainty.

        Parameters
        ----------
        features
            Shape (m, d), dense or CSR.
        labels
            Class ids, shape (m,).

        Examples
        --------
        >>> X = np.array([[0.0], [1.0], [2.0]])
        >>> head = LogisticHead.train(X, np.array([0, 2, 2]), 3, LogisticSettings())
        >>> log_softmax_rows(head.logits(X)).argmax(axis=1), head.biases[1]
        (array([0, 2, 2]), np.float64(-inf))
        """
        seen = np.unique(labels)
        weights = np.zeros((features.shape[1], n_classes))
        biases = np.full(n_classes, -np.inf)
        if len(seen) == 1:
            biases[seen] = 0.0
            return cls(weights, biases)
        model = LogisticRegression(
            C=settings.C,
            class_weight=None if settings.class_weight == "none" else settings.class_weight,
            max_iter=_ITERATIONS,
        )
        with warnings.catch_warnings():
            # Features of wildly different scale alone keep the solver from its tolerance; the last iterate then serves.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # Class ids are integers; many classes with few labels each are no regression in disguise.
            warnings.filterwarnings("ignore", message="The number of unique classes is greater than 50%")
            with one_blas_thread():
                model.fit(features.astype(np.float64), labels)
        if len(seen) == 2:  # scikit-learn keeps one column for two classes; split evenly it is the same softmax
            weights[:, seen] = np.concatenate([-model.coef_, model.coef_]).T / 2
            biases[seen] = np.concatenate([-model.intercept_, model.intercept_]) / 2
        else:
            weights[:, seen] = model.coef_.T
            biases[seen] = model.intercept_
        return cls(weights, biases)

    def logits(self, features: Features) -> npt.NDArray[np.float64]:
        """Score rows, shape (n, C); minus infinity for classes never seen."""
        n = features.shape[0]
        logits = np.empty((n, len(self.biases)))
        # Some rows at a time, because the product makes a float64 copy of float32 features. No row is left alone at
        # the end: BLAS adds up a product with a vector in another order.
        with one_blas_thread():
            for start, stop in pairwise((0, *range(_ROWS, n - 1, _ROWS), n)):
                logits[start:stop] = features[start:stop] @ self.weights
        logits += self.biases
        return logits


def log_softmax_rows(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Turn logits into log-probabilities row by row; minus infinity stays minus infinity.

    Examples
    --------
    >>> log_softmax_rows(np.array([[3.0, -np.inf]])).tolist()
    [[0.0, -inf]]
    """
    return np.asarray(log_softmax(logits, axis=1), dtype=np.float64)
