"""Logistic regression with one column per declared class."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from nearmiss.errors import InvalidInput
from nearmiss.models import logistic
from nearmiss.models.logistic import LogisticHead, LogisticSettings, log_softmax_rows


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 90)
    return rng.normal(size=(90, 5)) + 2 * np.eye(3, 5)[labels], labels


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_agrees_with_scikit_learn(blobs, classes, class_weight):
    X, y = blobs[0][blobs[1] < classes], blobs[1][blobs[1] < classes]
    head = LogisticHead.train(X, y, classes, LogisticSettings(2.0, class_weight))
    weight = None if class_weight == "none" else class_weight
    peer = LogisticRegression(C=2.0, class_weight=weight, max_iter=2000).fit(X, y)
    np.testing.assert_allclose(log_softmax_rows(head.logits(X)), peer.predict_log_proba(X), atol=1e-10)


def test_dense_and_sparse_features_agree(blobs):
    X, y = blobs
    dense = LogisticHead.train(X, y, 3, LogisticSettings())
    csr = LogisticHead.train(sparse.csr_array(X), y, 3, LogisticSettings())
    np.testing.assert_allclose(dense.logits(X), csr.logits(sparse.csr_array(X)), atol=1e-3)


@pytest.mark.parametrize("seen", [(1,), (0, 3), (0, 2, 4)])
def test_classes_never_seen_have_probability_zero(blobs, seen):
    X, labels = blobs
    y = np.array(seen)[labels % len(seen)]
    head = LogisticHead.train(X, y, 5, LogisticSettings())
    log_probs = log_softmax_rows(head.logits(X))
    unseen = np.setdiff1d(np.arange(5), seen)
    assert (log_probs[:, unseen] == -np.inf).all()
    np.testing.assert_allclose(np.exp(log_probs).sum(axis=1), 1)
    if len(seen) == 1:
        assert (log_probs[:, seen[0]] == 0).all()
    else:
        assert (log_probs.argmax(axis=1) == y).mean() > 0.8


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 10, 16, 17, 30])
def test_rows_scored_in_lots_are_all_scored(monkeypatch, kind, n):
    monkeypatch.setattr(logistic, "_ROWS", 8)
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    head = LogisticHead(rng.normal(size=(5, 3)), np.array([0.5, -np.inf, 2.0]))
    np.testing.assert_allclose(head.logits(kind(X)), X.astype(np.float64) @ head.weights + head.biases, rtol=1e-12)


def test_the_number_of_threads_changes_no_bit():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1500, 200)).astype(np.float32), rng.integers(0, 30, 1500)
    answers = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            head = LogisticHead.train(X, y, 30, LogisticSettings(0.1))
            answers.append((head.weights, head.logits(X)))
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    np.testing.assert_array_equal(answers[0][1], answers[1][1])


def test_no_convergence_still_gives_finite_logits_and_no_warning():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 30)) * np.logspace(-6, 6, 30)
    head = LogisticHead.train(X, rng.integers(0, 2, 60), 2, LogisticSettings(C=1e8))
    assert np.isfinite(head.logits(X)).all()


@pytest.mark.parametrize("wrong", [{"C": 0.0}, {"C": float("inf")}, {"class_weight": "equal"}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        LogisticSettings(**wrong)


def test_many_classes_with_few_labels_each_pass_without_warning():
    labels = np.repeat(np.arange(15), 2)[:28]
    features = np.random.default_rng(0).normal(size=(28, 4))
    head = LogisticHead.train(features, labels, 15, LogisticSettings())
    assert head.logits(features).shape == (28, 15)
