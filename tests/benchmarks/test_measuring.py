"""What the benchmark holds us against is right, and what it measures is what it says."""

import numpy as np
import pytest
from benchmarks.arrays import cal_arrays, clustered, predictions
from benchmarks.growth import slope
from benchmarks.memory import MEGABYTE, measure
from benchmarks.peers import numpy_badge, sklearn_cal
from benchmarks.reference import agreement, brute_force_cal, inertia, per_row_cal
from benchmarks.texts import distinct_texts
from benchmarks.timing import take_turns

from nearmiss.acquisition.contrastive import Cal, cal_scores
from nearmiss.text.corpus import Corpus, Texts


def test_every_version_of_cal_scores_alike():
    arrays = cal_arrays(60, 25, 8, 3)
    ours = cal_scores(*arrays.all, k=10)
    for slow, tolerance in ((brute_force_cal, 1e-12), (per_row_cal, 1e-5), (sklearn_cal, 1e-5)):
        np.testing.assert_allclose(slow(*arrays.all, k=10), ours, rtol=tolerance, atol=tolerance)
    batch = Cal().select(arrays.view, 20, np.random.default_rng(0)).indices
    assert str(agreement(batch, brute_force_cal(*arrays.all))) == "20 of 20 the same"


def test_agreement_tells_ties_from_mistakes():
    scores = np.array([0.9, 0.5, 0.5, 0.1])
    tied, wrong = agreement(np.array([0, 2]), scores), agreement(np.array([0, 3]), scores)
    assert (tied.common, tied.tied, tied.wrong) == (1, 1, 0)
    assert (wrong.common, wrong.tied, wrong.wrong) == (1, 0, 1)


def test_numpy_badge_picks_distinct_rows():
    rng = np.random.default_rng(0)
    picks = numpy_badge(predictions(50, 3, rng), clustered(50, 8, rng), 20, rng)
    assert len(np.unique(picks)) == 20


def test_inertia_is_the_sum_over_all_rows():
    rows, centers = np.array([[0.0], [1.0], [5.0]], np.float32), np.array([[0.0], [4.0]], np.float32)
    assert inertia(rows, centers) == 2.0


def test_slope_is_the_exponent_of_the_upper_half():
    assert slope([(n, 1e-6 * n**1.5 if n > 20 else 1.0) for n in (10, 20, 40, 80)]) == pytest.approx(1.5)


def test_ways_take_turns():
    called = []
    ways = {name: lambda name=name: called.append(name) or name for name in "ab"}
    turns = take_turns(ways, 4, warm_up={})
    assert "".join(called) == "abbaabba"
    assert turns.results == {"a": "a", "b": "b"}
    assert len(turns.seconds["a"]) == 4
    assert turns.median("a") >= 0
    assert turns.median_of("c") is None


def prepare(megabytes: int):
    inputs = np.ones(megabytes * MEGABYTE, np.uint8)
    return lambda: inputs + inputs


def test_memory_above_the_inputs_is_what_the_call_takes():
    peak = measure(prepare, {"megabytes": 64}, {"megabytes": 1})
    assert 60 < peak.above / MEGABYTE < 75
    assert peak.peak > peak.inputs > 64 * MEGABYTE


def test_texts_are_distinct_and_keep_their_labels():
    corpus = Corpus(Texts(("good film", "a very bad film indeed")), np.array([1, 0]), ("bad", "good"))
    many = distinct_texts(corpus, 30)
    assert len(set(many.texts.first)) == len(many) == 30
    assert set(corpus.texts.first) < set(many.texts.first)
    assert set(many.gold()) == {0, 1}
