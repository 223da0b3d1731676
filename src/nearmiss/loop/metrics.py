"""How good a model's predictions are: the four numbers of every round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from nearmiss.acquisition.base import IndexArray
from nearmiss.errors import InvalidArray

__all__ = ["LOWEST_LOG_PROB", "N_BINS", "Evaluation", "evaluate"]

#: Log-probabilities are raised to this before the log-loss: scikit-learn's clamp, the log of float64's epsilon.
LOWEST_LOG_PROB = float(np.log(np.finfo(np.float64).eps))
#: Equal-width confidence bins of the calibration error.
N_BINS = 15


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Test-set measures.

    Attributes
    ----------
    accuracy
        Share of texts whose likeliest class (the lowest id among equals) is the true one.
    macro_f1
        Unweighted mean over all C classes of the F1 score, 0 for a class neither predicted nor present:
        scikit-learn's ``f1_score(average="macro", labels=range(C), zero_division=0)``.
    log_loss
        Mean of −log p(true class), in nats. Log-probabilities below ``LOWEST_LOG_PROB`` count as that, as in
        scikit-learn, so one impossible answer costs 36 nats and not infinity.
    expected_calibration_error
        Mean gap between confidence and accuracy over 15 equal-width bins, weighted by their texts
        (Guo et al. 2017, equation 3).
    """

    accuracy: float
    macro_f1: float
    log_loss: float
    expected_calibration_error: float


def evaluate(log_probs: npt.NDArray[np.floating], labels: IndexArray) -> Evaluation:
    """Score predictions of shape (n, C) against n class ids.

    Raises
    ------
    InvalidArray
        There are no rows, lengths differ, a label is not among the C classes, or an entry is NaN.

    Examples
    --------
    >>> evaluate(np.log([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1])).accuracy
    0.5
    """
    logs = np.asarray(log_probs, dtype=np.float64)
    _check(logs, labels)
    n, n_classes = logs.shape
    predicted = logs.argmax(axis=1)
    correct = predicted == labels
    true_logs = np.clip(logs[np.arange(n), labels], LOWEST_LOG_PROB, 0.0)
    macro_f1 = f1_score(labels, predicted, labels=np.arange(n_classes), average="macro", zero_division=0)
    return Evaluation(
        accuracy=float(correct.mean()),
        macro_f1=float(macro_f1),
        log_loss=float(-true_logs.mean()),
        expected_calibration_error=_calibration_error(np.exp(logs.max(axis=1)), correct),
    )


def _check(logs: npt.NDArray[np.float64], labels: IndexArray) -> None:
    if logs.ndim != 2 or logs.shape[0] == 0 or logs.shape[1] == 0:
        raise InvalidArray(f"log-probabilities of shape {logs.shape}; expected (n, C) with n and C at least 1")
    if labels.shape != (len(logs),):
        raise InvalidArray(f"{len(logs)} predictions but labels of shape {labels.shape}; lengths must match")
    if labels.min() < 0 or labels.max() >= logs.shape[1]:
        raise InvalidArray(
            f"labels run from {labels.min()} to {labels.max()}, but predictions cover classes 0 to {logs.shape[1] - 1}"
        )
    if np.isnan(logs).any():
        raise InvalidArray(f"log-probabilities hold NaN, first in row {np.isnan(logs).any(axis=1).argmax()}")


def _calibration_error(confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]) -> float:
    """Bins are open below and closed above, as in the definition; a confidence of 0 cannot occur."""
    bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    confidence_sums = np.bincount(bins, weights=confidence, minlength=N_BINS)
    correct_sums = np.bincount(bins, weights=correct, minlength=N_BINS)
    return float(np.abs(confidence_sums - correct_sums).sum() / len(confidence))
