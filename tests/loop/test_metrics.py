import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from nearmiss.errors import InvalidArray
from nearmiss.loop.metrics import evaluate


def random_predictions(seed, n=200, n_classes=5, impossible=0.0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(n_classes, 0.4), size=n)
    probs[rng.random(probs.shape) < impossible] = 0.0
    probs[probs.sum(axis=1) == 0] = 1 / n_classes
    probs /= probs.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log(probs), rng.integers(0, n_classes, size=n)


@pytest.mark.parametrize("impossible", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed, impossible):
    log_probs, labels = random_predictions(seed, impossible=impossible)
    got = evaluate(log_probs, labels)
    predicted = log_probs.argmax(axis=1)
    assert got.accuracy == pytest.approx(accuracy_score(labels, predicted), abs=1e-15)
    assert got.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro", labels=range(5), zero_division=0))
    assert got.log_loss == pytest.approx(log_loss(labels, np.exp(log_probs), labels=range(5)), rel=1e-12)


def test_an_impossible_truth_costs_36_nats_not_infinity():
    got = evaluate(np.array([[0.0, -np.inf]]), np.array([1]))
    assert got.log_loss == pytest.approx(-np.log(np.finfo(float).eps))
    assert got.expected_calibration_error == 1.0


def test_macro_f1_counts_a_class_that_is_nowhere():
    log_probs = np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    assert evaluate(log_probs, np.array([0, 1])).macro_f1 == pytest.approx(2 / 3)


def calibration_by_hand(log_probs, labels, n_bins=15):
    confidence, correct = np.exp(log_probs.max(axis=1)), log_probs.argmax(axis=1) == labels
    total = 0.0
    for b in range(n_bins):
        inside = (confidence > b / n_bins) & (confidence <= (b + 1) / n_bins)
        if inside.any():
            total += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    return total


@pytest.mark.parametrize("seed", range(5))
def test_calibration_error_is_the_papers_sum_over_bins(seed):
    log_probs, labels = random_predictions(seed)
    assert evaluate(log_probs, labels).expected_calibration_error == pytest.approx(
        calibration_by_hand(log_probs, labels)
    )


def test_a_sure_and_right_model_is_perfect():
    got = evaluate(np.array([[0.0, -np.inf], [-np.inf, 0.0]]), np.array([0, 1]))
    assert (got.accuracy, got.macro_f1, got.log_loss, got.expected_calibration_error) == (1.0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "log_probs, labels, message",
    [
        (np.zeros((0, 2)), [], "at least 1"),
        (np.zeros(3), [0, 0, 0], "expected"),
        (np.zeros((2, 2)), [0], "lengths must match"),
        (np.zeros((1, 2)), [2], "classes 0 to 1"),
        (np.array([[0.0, -1.0], [np.nan, 0.0]]), [0, 0], "NaN, first in row 1"),
    ],
)
def test_refuses_what_cannot_be_scored(log_probs, labels, message):
    with pytest.raises(InvalidArray, match=message):
        evaluate(log_probs, np.array(labels, dtype=np.int64))
