"""The second look: planted errors are found, hard and lonely examples are not blamed, and nothing small breaks it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from nearmiss.analysis.cross_validation import held_out_probabilities
from nearmiss.analysis.label_errors import (
    blended,
    find_label_errors,
    neighbor_probabilities,
    other_nearest,
)
from nearmiss.errors import InvalidArray, InvalidInput, MissingExtra

pytest.importorskip("cleanlab")


def blobs(n, n_classes, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % n_classes
    features = np.eye(n_classes, max(n_classes, 8))[truth] + spread * rng.normal(size=(n, max(n_classes, 8)))
    return features, truth


def look(features, labels, n_classes, **options):
    probabilities = held_out_probabilities(features, labels, n_classes, rng=np.random.default_rng(0))
    return find_label_errors(probabilities, labels, features, **options)


@pytest.mark.parametrize("n_classes", [2, 5, 77])
def test_planted_errors_come_first(n_classes):
    features, truth = blobs(8 * n_classes + 60, n_classes, spread=0.05)
    labels = truth.copy()
    wrong = np.random.default_rng(1).permutation(len(labels))[:6]
    labels[wrong] = (labels[wrong] + 1) % n_classes
    found = look(features, labels, n_classes)
    listed = [suspect.row for suspect in found.suspects]
    assert set(listed[:6]) == set(wrong.tolist())
    assert len(listed) <= 8
    assert all(suspect.suggested == truth[suspect.row] for suspect in found.suspects[:6])
    assert found.judged == len(labels)


def test_scores_fall_and_reasons_contradict():
    features, truth = blobs(200, 4)
    labels = truth.copy()
    labels[:20] = (labels[:20] + 1) % 4
    suspects = look(features, labels, 4).suspects
    assert len(suspects) > 10
    assert [s.score for s in suspects] == sorted((s.score for s in suspects), reverse=True)
    for suspect in suspects:
        assert suspect.given == labels[suspect.row] != suspect.suggested
        assert suspect.neighbors
        assert all(labels[row] != suspect.given for row in suspect.neighbors)
        assert suspect.row not in suspect.neighbors
        assert list(suspect.distances) == sorted(suspect.distances)


def test_what_one_witness_alone_doubts_falls_behind():
    features, labels = blobs(80, 2, spread=0.05)
    labels = labels.copy()
    labels[0] = 1 - labels[0]  # model and neighbours contradict
    probabilities = np.where(blobs(80, 2)[1][:, None] == np.arange(2), 0.9, 0.1)
    probabilities[1] = probabilities[1][::-1]  # the model alone does
    suspects = find_label_errors(probabilities, labels, features, margin=0).suspects
    assert suspects[0].row == 0
    assert all(suspect.score < suspects[0].score / 2 for suspect in suspects[1:])


def test_an_example_alone_in_its_class_is_not_judged():
    features, labels = blobs(40, 2, spread=0.05)
    labels = labels.copy()
    labels[5] = 2
    found = look(features, labels, 3)
    assert (found.judged, found.alone) == (39, 1)
    assert 5 not in [suspect.row for suspect in found.suspects]


@pytest.mark.parametrize("labels", [[0] * 6, [0, 1, 2, 3, 4, 5], [0, 0, 1], [0, 1], [3, 3, 3, 3, 1, 1]])
def test_few_and_lopsided_labels_do_not_break_it(labels):
    features = np.random.default_rng(0).normal(size=(len(labels), 3))
    found = look(features, np.array(labels), 6)
    assert found.judged + found.alone == len(labels)


def test_no_labels_at_all_are_no_suspects():
    found = find_label_errors(np.empty((0, 3)), np.empty(0, dtype=np.int64), np.empty((0, 4)))
    assert (found.suspects, found.judged, found.alone, found.estimated) == ((), 0, 0, 0)


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=25),
    width=st.integers(1, 3),
    repeated=st.booleans(),
    seed=st.integers(0, 100),
)
def test_any_labels_are_judged_once_each_or_alone(labels, width, repeated, seed):
    features = np.random.default_rng(seed).normal(size=(len(labels), width))
    if repeated:
        features = np.round(features)
    labels = np.array(labels)
    found = look(features, labels, 5, margin=0)
    rows = [suspect.row for suspect in found.suspects]
    assert len(set(rows)) == len(rows)
    assert found.judged + found.alone == len(labels)
    assert all(0 < suspect.score <= 1 for suspect in found.suspects)


def test_sparse_and_dense_features_agree():
    features, truth = blobs(120, 3)
    labels = truth.copy()
    labels[:10] = (labels[:10] + 1) % 3
    probabilities = held_out_probabilities(features, labels, 3, rng=np.random.default_rng(0))
    dense = find_label_errors(probabilities, labels, features)
    found = find_label_errors(probabilities, labels, sparse.csr_array(features))
    assert [suspect.row for suspect in found.suspects] == [suspect.row for suspect in dense.suspects]


def test_neighbours_vote_as_the_obvious_loop_has_it():
    features, labels = blobs(30, 3)
    nearest = other_nearest(features, 7)
    shares = neighbor_probabilities(nearest, labels, 3)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    for row in range(30):
        gaps = [(float(np.sum((units[row] - units[j]) ** 2)), j) for j in range(30) if j != row]
        near = sorted(gaps)[:7]
        votes = np.zeros(3)
        for squared, j in near:
            votes[labels[j]] += np.exp((near[0][0] - squared) / 0.3)
        np.testing.assert_allclose(shares[row], votes / votes.sum(), rtol=1e-6)


def test_more_repeats_than_neighbours_leave_the_count_right():
    nearest = other_nearest(np.ones((9, 2)), 3)
    assert nearest.indices.shape == (9, 3)
    assert all(len(set(row)) == 3 for row in nearest.indices.tolist())


def test_blends_add_up_even_where_the_model_said_nothing_of_these_classes():
    both = blended(np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([[1.0, 0.0], [0.2, 0.8]]))
    np.testing.assert_allclose(both.sum(axis=1), 1)
    assert both[0, 0] == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"labels": np.array([0, 1])}, InvalidArray),
        ({"labels": np.array([0, 1, 9])}, InvalidArray),
        ({"labels": np.array([0.0, 1.0, 1.0])}, InvalidArray),
        ({"probabilities": np.full((3, 2), np.nan)}, InvalidArray),
        ({"features": np.ones((2, 2))}, InvalidArray),
        ({"margin": 1.0}, InvalidInput),
    ],
)
def test_what_does_not_fit_is_refused(change, error):
    given = {"probabilities": np.full((3, 2), 0.5), "labels": np.array([0, 1, 1]), "features": np.ones((3, 2))}
    with pytest.raises(error):
        find_label_errors(**{**given, **change})


def test_without_cleanlab_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(MissingExtra, match=r"nearmiss\[quality\]"):
        find_label_errors(np.full((2, 2), 0.5), np.array([0, 1]), np.ones((2, 2)))
