"""Held-out probabilities: nothing learns from what it judges, and folds are fair to small classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from nearmiss.analysis.cross_validation import dealt_folds, held_out_probabilities
from nearmiss.errors import InvalidArray, InvalidInput


@given(labels=st.lists(st.integers(0, 6), min_size=2, max_size=60), folds=st.integers(2, 7), seed=st.integers(0, 9))
def test_every_fold_has_its_share_of_every_class(labels, folds, seed):
    labels = np.array(labels)
    dealt = dealt_folds(labels, folds, np.random.default_rng(seed))
    sizes = np.bincount(dealt, minlength=folds)
    assert sizes.max() - sizes.min() <= 1
    for c in np.unique(labels):
        members = np.bincount(dealt[labels == c], minlength=folds)
        assert members.max() - members.min() <= 1


def test_an_example_is_judged_without_its_own_label():
    # Each example has a column of its own: a model that had seen it would know it by heart; one that has not, nothing.
    labels = np.random.default_rng(0).permutation(np.arange(60) % 2)
    found = held_out_probabilities(np.eye(60), labels, 2, rng=np.random.default_rng(1))
    assert (found.argmax(axis=1) == labels).mean() < 0.75


def test_what_can_be_learned_is_learned():
    labels = np.arange(60) % 3
    features = np.eye(3)[labels] + 0.1 * np.random.default_rng(0).normal(size=(60, 3))
    found = held_out_probabilities(features, labels, 3, rng=np.random.default_rng(0))
    assert (found.argmax(axis=1) == labels).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    sparse_found = held_out_probabilities(sparse.csr_array(features), labels, 3, rng=np.random.default_rng(0))
    np.testing.assert_allclose(sparse_found, found, atol=1e-3)


def test_a_class_that_the_other_folds_lack_has_no_probability():
    labels = np.array([0, 0, 0, 1, 1, 1, 2])
    found = held_out_probabilities(np.eye(7), labels, 4, rng=np.random.default_rng(0))
    assert found[6, 2] == 0
    assert (found[:, 3] == 0).all()


@pytest.mark.parametrize(
    ("features", "labels", "folds", "error"),
    [
        (np.ones((3, 1)), [0, 1], 5, InvalidArray),
        (np.ones((2, 1)), [0, 2], 5, InvalidArray),
        (np.ones((1, 1)), [0], 5, InvalidInput),
        (np.ones((4, 1)), [0, 1, 0, 1], 1, InvalidInput),
    ],
)
def test_what_does_not_fit_is_refused(features, labels, folds, error):
    with pytest.raises(error):
        held_out_probabilities(features, np.array(labels), 2, rng=np.random.default_rng(0), folds=folds)
