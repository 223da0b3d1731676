"""Weighted checks: unbiased, as wide as they must be, and the plain ones where all weights are one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from nearmiss.analysis.active_testing import acceptance, draw_weighted, weighted_accuracy
from nearmiss.analysis.depletion import pool_after
from nearmiss.analysis.estimates import Levels, Pool
from nearmiss.analysis.macro_f1 import f1_influences, macro_f1
from nearmiss.analysis.proportions import share_interval
from nearmiss.analysis.quality import assess, quality, recalls
from nearmiss.errors import InvalidArray

LEVELS = Levels(0.05, 0.05)


@pytest.fixture
def pool():
    """A model's doubt about 400 texts, and where it errs: mostly where it doubts."""
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1.0, 400)
    return acceptance(np.stack([sure, 1 - sure], axis=1)), rng.random(400) < 0.9 * (1 - sure)


def test_doubt_decides_how_readily_a_text_is_drawn():
    accepts = acceptance(np.array([[1.0, 0, 0], [0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]]))
    assert accepts == pytest.approx([0.2, 0.2 + 0.8 * 0.75, 1.0])
    assert acceptance(np.ones((3, 1))).tolist() == [1.0, 1.0, 1.0]
    assert acceptance(np.empty((0, 2))).shape == (0,)


def test_the_first_draw_is_in_proportion_and_the_second_in_proportion_among_the_rest():
    accepts, rng = np.array([0.5, 0.3, 0.2]), np.random.default_rng(1)
    drawn = np.array([draw_weighted(accepts, 2, rng).places for _ in range(20_000)])
    assert np.bincount(drawn[:, 0]) / 20_000 == pytest.approx(accepts, abs=0.015)
    after_first = drawn[drawn[:, 0] == 0, 1]
    assert np.mean(after_first == 1) == pytest.approx(0.6, abs=0.02)


def test_what_a_check_counts_makes_the_share_of_errors_unbiased(pool):
    accepts, errs = pool
    rng, found = np.random.default_rng(2), []
    for _ in range(4_000):
        drawn = draw_weighted(accepts, 20, rng)
        found.append(np.mean(errs[drawn.places] * drawn.weights))
    plain = np.std(errs) / np.sqrt(20)
    assert np.mean(found) == pytest.approx(errs.mean(), abs=4 * plain / np.sqrt(4_000))
    assert np.std(found) < plain  # and it is worth the trouble


def test_texts_labelled_meanwhile_are_passed_over_without_harm():
    accepts, rng = np.array([0.2, 0.4, 0.6, 0.8, 1.0]), np.random.default_rng(3)
    first = []
    for _ in range(20_000):
        places = draw_weighted(accepts, 5, rng).places
        first.append(next(place for place in places if place not in (1, 4)))
    assert np.bincount(first, minlength=5) / 20_000 == pytest.approx([0.125, 0, 0.375, 0.5, 0], abs=0.015)


def test_no_text_may_never_be_drawn():
    with pytest.raises(InvalidArray, match="never drawn"):
        draw_weighted(np.array([1.0, 0.0]), 1, np.random.default_rng(0))
    assert len(draw_weighted(np.empty(0), 3, np.random.default_rng(0)).places) == 0
    assert len(draw_weighted(np.ones(2), 3, np.random.default_rng(0)).places) == 2


@given(st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda right: 0 < sum(right) < len(right)))
def test_weights_of_one_give_the_exact_interval(right):
    found = weighted_accuracy(np.array(right), np.ones(len(right)), 0.05)
    exact = share_interval(sum(right), len(right), 0.05)
    assert found.value == pytest.approx(np.mean(right))
    assert (found.interval.low, found.interval.high) == pytest.approx((exact.low, exact.high), abs=1e-6)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.3, 4.0)), min_size=1, max_size=40),
    st.floats(0.001, 0.2),
)
def test_every_value_lies_in_its_interval(checks, level):
    right, weights = (np.array(part) for part in zip(*checks, strict=True))
    found = weighted_accuracy(right, weights, level)
    assert 0 <= found.interval.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.interval.high <= 1


def test_the_interval_holds_as_often_as_it_says(pool):
    accepts, errs = pool
    rng, held, n = np.random.default_rng(4), 0, 60
    for _ in range(2_000):
        drawn = draw_weighted(accepts, n, rng)
        found = weighted_accuracy(~errs[drawn.places], drawn.weights, 0.05)
        held += found.interval.low <= 1 - errs.mean() <= found.interval.high
    assert held / 2_000 > 0.94


def test_few_checks_that_vary_little_by_chance_promise_no_more_than_they_can():
    weights = np.array([0.98, 0.99, 0.98, 0.99])
    found = weighted_accuracy(np.zeros(4, dtype=bool), weights, 0.05)
    exact = share_interval(0, 4, 0.05)
    assert found.interval.high > 0.9 * exact.high


def test_a_class_counts_its_checks_as_often_as_their_weights_say():
    labels, guesses = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    weights = np.array([2, 1, 1, 3, 1])
    often, scaled = np.repeat(np.arange(5), weights), weights / weights.mean()
    for weighted, spread in zip(
        recalls(guesses, labels, 2, 0.05, scaled), recalls(guesses[often], labels[often], 2, 0.05), strict=True
    ):
        assert weighted.value == pytest.approx(spread.value)
        assert weighted.interval.high - weighted.interval.low > spread.interval.high - spread.interval.low
    sums = [
        np.bincount(often, weights=f1_influences(guesses[often], labels[often], 2)) / 8,
        f1_influences(guesses, labels, 2, scaled) / 5,
    ]
    assert sums[0] == pytest.approx(sums[1])


def test_macro_f1_of_weighted_checks_is_right_on_average(pool):
    accepts, errs = pool
    labels = np.random.default_rng(7).integers(0, 4, 400)
    guesses = np.where(errs, (labels + 1) % 4, labels)
    rng, found, held = np.random.default_rng(8), [], 0
    true = f1_score(labels, guesses, average="macro")
    for _ in range(300):
        drawn = draw_weighted(accepts, 60, rng)
        said = macro_f1(guesses[drawn.places], labels[drawn.places], 4, 0.05, drawn.weights)
        found.append(said.value)
        held += said.interval.low <= true <= said.interval.high
    assert np.mean(found) == pytest.approx(true, abs=0.015)
    assert held / 300 > 0.95


def test_a_model_is_assessed_by_weighted_checks_at_all_looks():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 120)
    guesses = np.where(rng.random(120) < 0.9, labels, 1 - labels)
    weights = np.where(guesses == labels, 1.1, 0.5)
    found = assess([guesses[:60], guesses], labels, 2, Pool(5_000), np.random.default_rng(0), weights=weights)
    plain = assess([guesses[:60], guesses], labels, 2, Pool(5_000), np.random.default_rng(0))
    assert found.accuracy.value > plain.accuracy.value
    width, other = (each.accuracy.interval.high - each.accuracy.interval.low for each in (found, plain))
    assert width < other
    nothing = quality(np.full(3, 2), np.full(3, 2), 2, Pool(10), LEVELS, weights=np.ones(3))
    assert nothing.macro_f1.interval.low == 0.0
    assert nothing.macro_f1.interval.high == 1.0


def test_what_is_not_known_of_picks_widens_the_interval_of_weighted_checks_alone():
    checks = np.arange(40) % 4 == 0
    guessed = np.where(checks, 1.0, np.arange(40) % 3 > 0)
    plain, weighted = pool_after(checks, guessed, 60), pool_after(checks, guessed, 60, np.ones(40))
    assert plain.within == 0
    assert weighted.within > 0
    assert weighted.right_before == plain.right_before
    found = share_interval(8, 10, 0.05)
    assert weighted.bounds(found).low < plain.bounds(found).low
    assert weighted.bounds(found).high >= plain.bounds(found).high


@pytest.mark.parametrize("weights", [np.ones(3), np.array([1.0, 0.0]), np.array([1.0, np.nan])])
def test_weights_must_fit_and_be_positive(weights):
    with pytest.raises(InvalidArray):
        weighted_accuracy(np.array([True, False]), weights, 0.05)
