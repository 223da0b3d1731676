"""The order of the queue is the strategy's, and its reasons agree with a slow, obvious reckoning."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr

from nearmiss.acquisition.registry import make_strategy
from nearmiss.models.base import Inference
from nearmiss.session.ground import Ground
from nearmiss.session.origins import Source
from nearmiss.session.ranking import cover, needed_signals, rank

TEXTS, CLASSES = 60, 3
LABELS = (11, 7, 5)  # classes in the order of the labels, not of their numbers


def ids(*values):
    return np.array(values, dtype=np.int64)


def make_ground(rng, labeled=9, audits=4, texts=TEXTS):
    order = rng.permutation(texts)
    rows, audit = order[:labeled], order[labeled : labeled + audits]
    classes = rng.integers(CLASSES, size=labeled + audits)
    return Ground(
        LABELS,
        rows,
        classes[:labeled],
        audit,
        classes[labeled:],
        np.sort(order[: labeled + audits]),
        texts,
        99,
        labeled,
    )


@pytest.fixture
def scene():
    rng = np.random.default_rng(4)
    features = rng.normal(size=(TEXTS, 6)).astype(np.float32)
    log_probs = log_softmax(2 * rng.normal(size=(TEXTS, CLASSES)), axis=1).astype(np.float32)
    return Inference(log_probs=log_probs), features, make_ground(rng)


def ranked(scene, strategy="margin", batch=5, seed=0):
    inference, features, ground = scene
    return rank(
        make_strategy(strategy), inference, features, ground, model=3, batch=batch, rng=np.random.default_rng(seed)
    ).entries


def test_what_the_strategy_tells_of_its_batch_is_kept(scene):
    inference, features, ground = scene
    rng = np.random.default_rng(0)
    ranking = rank(make_strategy("anchored-margin:neighbors=9"), inference, features, ground, model=3, batch=4, rng=rng)
    assert len(ranking.notes) == 1
    assert "were looked at" in ranking.notes[0]
    assert rank(make_strategy("margin"), inference, features, ground, model=3, batch=4, rng=rng).notes == ()


def test_reasons_agree_with_a_reckoning_one_by_one(scene):
    inference, features, ground = scene
    probabilities = np.exp(inference.log_probs.astype(np.float64))
    entries = ranked(scene, "cal:k=3")
    assert len(entries) == 25
    for entry in entries:
        row = entry.item - 1
        told = entry.origin
        assert (told.source, told.model, told.strategy) == (Source.MODEL, 3, "cal:k=3")
        likeliest = sorted(range(CLASSES), key=lambda c: -probabilities[row, c])
        assert told.labels == tuple(LABELS[c] for c in likeliest)
        assert told.probabilities == pytest.approx([probabilities[row, c] for c in likeliest], abs=1e-4)
        distances = {
            int(other): float(np.linalg.norm(features[row].astype(np.float64) - features[other]))
            for other in ground.rows
        }
        nearest = sorted(distances, key=distances.get)[:5]
        assert [neighbor.item - 1 for neighbor in told.neighbors] == nearest
        for neighbor in told.neighbors:
            other = neighbor.item - 1
            place = list(ground.rows).index(other)
            assert neighbor.label == LABELS[ground.classes[place]]
            assert neighbor.distance == pytest.approx(distances[other], abs=2e-4)
            assert neighbor.divergence == pytest.approx(
                rel_entr(probabilities[other], probabilities[row]).sum(), abs=2e-4
            )
            assert neighbor.guess == LABELS[probabilities[other].argmax()]
            assert neighbor.probability == pytest.approx(probabilities[other].max(), abs=1e-4)


def test_the_most_uncertain_come_first(scene):
    inference, _, ground = scene
    probabilities = np.sort(np.exp(inference.log_probs.astype(np.float64)), axis=1)
    margins = probabilities[:, -1] - probabilities[:, -2]
    still_open = [row for row in range(TEXTS) if row not in set(ground.closed_rows)]
    expected = sorted(still_open, key=lambda row: margins[row])[:25]
    assert [entry.item - 1 for entry in ranked(scene, "margin")] == expected


@pytest.mark.parametrize(
    "strategy", ["random", "entropy", "least-confidence", "badge", "bertkm", "cal:k=3", "k-center", "diverse-margin"]
)
def test_answered_texts_are_never_asked_about_and_none_comes_twice(scene, strategy):
    _, _, ground = scene
    items = [entry.item for entry in ranked(scene, strategy, batch=9)]
    assert len(items) == len(set(items)) == 45
    assert not {item - 1 for item in items} & set(ground.closed_rows)
    assert items == [entry.item for entry in ranked(scene, strategy, batch=9)]


def test_what_remains_is_the_end(scene):
    _, _, ground = scene
    items = {entry.item - 1 for entry in ranked(scene, batch=30)}
    assert items == set(range(TEXTS)) - set(ground.closed_rows)
    closed = Ground(LABELS, ground.rows, ground.classes, ids(), ids(), np.arange(TEXTS), TEXTS, 99, 0)
    assert ranked((*scene[:2], closed)) == ()


def test_audits_are_no_neighbours(scene):
    _, _, ground = scene
    named = {neighbor.item - 1 for entry in ranked(scene) for neighbor in entry.origin.neighbors}
    assert named <= set(ground.rows)


def test_fewer_labelled_texts_than_neighbours(scene):
    inference, features, _ = scene
    ground = Ground(LABELS, ids(3, 9), ids(0, 2), ids(), ids(), ids(3, 9), TEXTS, 99, 2)
    for entry in ranked((inference, features, ground)):
        assert {neighbor.item for neighbor in entry.origin.neighbors} == {4, 10}


def test_a_cover_spreads_over_the_pool():
    rng = np.random.default_rng(1)
    centers = 50 * rng.normal(size=(4, 5))
    of = np.arange(80) % 4
    features = (centers[of] + rng.normal(size=(80, 5))).astype(np.float32)
    ground = Ground(LABELS, ids(), ids(), ids(), ids(), ids(0, 1), 80, 0, 0)
    entries = cover(features, ground, 4, np.random.default_rng(0))
    assert {of[entry.item - 1] for entry in entries} == {0, 1, 2, 3}
    assert not {entry.item for entry in entries} & {1, 2}
    assert {entry.origin.source for entry in entries} == {Source.COVER}
    assert len(cover(features, ground, 1000, np.random.default_rng(0))) == 78
    nothing = Ground(LABELS, ids(), ids(), ids(), ids(), np.arange(80), 80, 0, 0)
    assert cover(features, nothing, 4, np.random.default_rng(0)) == ()


def test_reasons_are_asked_for_whatever_the_strategy_reads():
    told = {str(signal) for signal in needed_signals(make_strategy("random"))}
    assert len(told) == 2
    assert needed_signals(make_strategy("random")) <= needed_signals(make_strategy("cal:k=3"))
