import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import thresholds as reference

from nearmiss.analysis.curves import LearningCurves
from nearmiss.analysis.significance import Interval
from nearmiss.analysis.thresholds import (
    SHARES,
    Crossing,
    first_reach,
    label_reduction,
    labels_to_reach,
    target_of,
)
from nearmiss.errors import InvalidArray, InvalidInput

COUNTS = (100, 200, 400)


@st.composite
def learning_curves(draw, min_seeds=1):
    """Curves on a coarse grid, so that a target is often met exactly, or passed and lost again."""
    n_rounds, n_seeds = draw(st.integers(1, 6)), draw(st.integers(min_seeds, 5))
    counts = draw(st.lists(st.integers(1, 1000), min_size=n_rounds, max_size=n_rounds, unique=True).map(sorted))
    rows = draw(
        st.lists(st.lists(st.integers(1, 16), min_size=n_rounds, max_size=n_rounds), min_size=n_seeds, max_size=n_seeds)
    )
    return LearningCurves(tuple(range(n_seeds)), np.array(counts), np.array(rows) / 16)


def curves(values, n_labeled=COUNTS, seeds=None):
    values = np.atleast_2d(np.array(values, dtype=np.float64))
    return LearningCurves(tuple(range(len(values))) if seeds is None else seeds, np.array(n_labeled), values)


def reach(given_curves, target, **options):
    return labels_to_reach(given_curves, target, 1.0, np.random.default_rng(0), n_resamples=500, **options)


def reduce(given_curves, other, target, **options):
    rng = np.random.default_rng(0)
    return label_reduction(given_curves, other, target, 1.0, rng, n_resamples=500, **options)


def test_the_target_is_a_share_of_the_mean():
    assert target_of(0.8, 0.95) == pytest.approx(0.76)
    assert target_of([0.7, 0.9], 0.95) == pytest.approx(0.76)
    assert [round(target_of([1.0], share), 2) for share in SHARES] == [0.9, 0.95, 0.99]


@pytest.mark.parametrize("full", [[], [[0.9]], [np.nan, 0.9], 0.0, -0.5, np.inf])
def test_full_supervision_is_a_positive_number(full):
    with pytest.raises(InvalidArray, match="full supervision"):
        target_of(full, 0.9)


@pytest.mark.parametrize("share", [0.0, 1.01, -1.0, np.nan])
def test_a_share_lies_between_nothing_and_all(share):
    with pytest.raises(InvalidInput, match="share"):
        target_of(0.9, share)


@given(learning_curves(), st.integers(1, 16), st.sampled_from(Crossing))
def test_first_reach_is_what_a_walk_along_the_curve_finds(given_curves, target, crossing):
    expected = [
        reference.first_reach(given_curves.n_labeled.tolist(), row, target / 16, crossing is Crossing.LINEAR)
        for row in given_curves.values.tolist()
    ]
    assert first_reach(given_curves, target / 16, crossing).tolist() == pytest.approx(expected)


@given(learning_curves(), st.floats(0.01, 1.2), st.floats(0.01, 1.2))
def test_more_accuracy_never_takes_fewer_labels(given_curves, one, other):
    low, high = sorted((one, other))
    assert (first_reach(given_curves, low) <= first_reach(given_curves, high) + 1e-9).all()


@given(learning_curves(), st.floats(0.01, 1.0))
def test_the_line_lies_within_the_step(given_curves, target):
    linear, scored = first_reach(given_curves, target), first_reach(given_curves, target, Crossing.SCORED)
    assert (np.isfinite(linear) == np.isfinite(scored)).all()
    assert (linear <= scored + 1e-9).all()
    assert (linear >= given_curves.n_labeled[0]).all()


@given(learning_curves(), st.floats(0.01, 1.0), st.integers(2, 9))
def test_labels_scale_with_label_counts(given_curves, target, factor):
    scaled = LearningCurves(given_curves.seeds, given_curves.n_labeled * factor, given_curves.values)
    assert first_reach(scaled, target).tolist() == pytest.approx((first_reach(given_curves, target) * factor).tolist())


def test_first_means_first():
    assert first_reach(curves([0.8, 0.6, 0.9]), 0.7).tolist() == [100.0]
    assert first_reach(curves([0.6, 0.8, 0.5]), 0.7).tolist() == pytest.approx([150.0])


def test_a_constant_curve_is_there_at_once_or_never():
    flat = curves([0.7, 0.7, 0.7])
    assert [first_reach(flat, target).item() for target in (0.7, 0.71)] == [100.0, math.inf]


def test_rounding_error_does_not_cost_labels():
    for crossing in Crossing:
        assert first_reach(curves([0.1, 0.3, 0.4]), 0.1 + 0.2, crossing).tolist() == [200.0]
    assert first_reach(curves([0.3, 0.4, 0.5]), 0.1 + 0.2).tolist() == [100.0]


def test_one_round_is_scored_or_nothing():
    assert first_reach(curves([[0.7], [0.5]], n_labeled=(50,)), 0.6).tolist() == [50.0, math.inf]


def test_a_target_that_is_no_number_is_refused():
    with pytest.raises(InvalidInput, match="target"):
        first_reach(curves([0.1, 0.2, 0.3]), math.nan)


@given(learning_curves(), st.floats(0.01, 1.2))
def test_the_median_is_known_when_more_than_half_are(given_curves, target):
    result = reach(given_curves, target)
    labels = [math.inf if n is None else n for n in result.per_seed]
    assert result.median == (pytest.approx(reference.median(labels)) if reference.median(labels) else None)
    assert (result.median is not None) == (2 * result.n_reached > len(result.seeds))
    assert result.budget == given_curves.n_labeled[-1]
    if result.interval is not None:
        known = [n for n in result.per_seed if n is not None]
        assert min(known) <= result.interval.low <= result.median <= result.interval.high


def test_censored_seeds_push_the_interval_beyond_the_budget():
    result = reach(curves([[0.5, 0.8, 0.9], [0.5, 0.8, 0.9], [0.5, 0.6, 0.7]]), 0.8)
    assert (result.per_seed, result.median, result.n_reached) == ((200.0, 200.0, None), 200.0, 2)
    assert result.interval == Interval(200.0, math.inf)


def test_half_of_the_seeds_is_not_more_than_half():
    result = reach(curves([[0.5, 0.8, 0.9], [0.5, 0.6, 0.7]]), 0.8)
    assert (result.median, result.interval, result.n_reached, result.budget) == (None, None, 1, 400)


def test_one_seed_has_a_number_and_no_interval():
    result = reach(curves([0.5, 0.7, 0.8]), 0.75)
    assert result.median == pytest.approx(300)
    assert result.interval is None


def test_seeds_that_agree_leave_an_interval_without_width():
    assert reach(curves([[0.5, 0.8, 0.9]] * 3), 0.8).interval == Interval(200.0, 200.0)


def test_the_same_generator_gives_the_same_interval():
    noisy = curves(np.linspace([0.5, 0.6, 0.8], [0.6, 0.9, 1.0], 7))
    assert reach(noisy, 0.75) == reach(noisy, 0.75)


def test_the_bootstrap_is_over_seeds():
    # Seven distinct label counts: the interval's ends are medians of resamples, so they are among them.
    noisy = curves(np.linspace([0.5, 0.6, 0.8], [0.6, 0.74, 1.0], 7))
    result = reach(noisy, 0.75)
    assert result.interval is not None
    assert {result.interval.low, result.interval.high} <= set(result.per_seed)
    assert result.interval.low < result.median < result.interval.high


def test_reduction_by_hand():
    cal = curves([[0.5, 0.8, 0.9], [0.5, 0.8, 0.9], [0.5, 0.8, 0.9]])
    random = curves([[0.5, 0.6, 0.8], [0.5, 0.6, 0.8], [0.5, 0.6, 0.8]])
    result = reduce(cal, random, 0.8)
    assert (result.reduction, result.at_least, result.interval) == (0.5, False, Interval(0.5, 0.5))
    assert (result.labels.median, result.reference.median) == (200.0, 400.0)
    assert reduce(random, cal, 0.8).reduction == -1.0


@given(learning_curves(), st.floats(0.01, 1.0), st.sampled_from(Crossing))
def test_nobody_saves_labels_on_themselves(given_curves, target, crossing):
    result = reduce(given_curves, given_curves, target, crossing=crossing)
    if result.labels.n_reached == len(given_curves.seeds):
        assert result.reduction == (None if result.labels.is_upper_bound else 0)
        assert result.interval in (None, Interval(0.0, 0.0))


@st.composite
def two_curves(draw):
    first = draw(learning_curves(min_seeds=2))
    rows = draw(
        st.lists(
            st.lists(st.integers(1, 16), min_size=first.values.shape[1], max_size=first.values.shape[1]),
            min_size=len(first.seeds),
            max_size=len(first.seeds),
        )
    )
    return first, LearningCurves(first.seeds, first.n_labeled, np.array(rows) / 16)


@given(two_curves(), st.floats(0.05, 1.0))
def test_reductions_are_bounded_and_hold_no_nan(pair_of_curves, target):
    ours, theirs = pair_of_curves
    result = reduce(ours, theirs, target)
    if result.reduction is None:
        assert result.labels.median is None or (result.labels.is_upper_bound and result.reference.is_upper_bound)
        assert (result.interval, result.at_least) == (None, False)
        return
    assert result.reduction < 1
    assert result.at_least == (result.reference.median is None)
    assert result.interval is not None
    assert result.interval.low <= result.interval.high <= 1


def test_a_reference_that_never_arrives_gives_a_lower_bound():
    cal, random = curves([[0.5, 0.8, 0.9]] * 3), curves([[0.5, 0.6, 0.7]] * 3)
    result = reduce(cal, random, 0.8)
    assert (result.reduction, result.at_least) == (0.5, True)
    assert result.interval == Interval(0.5, 1.0)


def test_a_function_that_never_arrives_has_no_reduction():
    result = reduce(curves([[0.5, 0.6, 0.7]] * 3), curves([[0.5, 0.8, 0.9]] * 3), 0.8)
    assert (result.reduction, result.at_least, result.interval) == (None, False, None)
    assert result.reference.median == 200.0


def test_a_function_that_sometimes_does_not_arrive_may_cost_any_number_of_labels():
    mixed = curves([[0.5, 0.8, 0.9], [0.5, 0.8, 0.9], [0.5, 0.6, 0.7]])
    result = reduce(mixed, curves([[0.5, 0.6, 0.8]] * 3), 0.8)
    assert result.reduction == 0.5
    assert result.interval == Interval(-math.inf, 0.5)


def test_reductions_are_paired_by_seed():
    # One seed is easy and one hard; in each the function needs half. Unpaired resamples would give an interval width.
    random = curves([[0.5, 0.8, 0.9], [0.5, 0.6, 0.8]], seeds=(3, 4))
    cal = curves([[0.5, 0.8, 0.9], [0.8, 0.8, 0.9]], seeds=(4, 3))
    result = reduce(cal, random, 0.8, crossing=Crossing.SCORED)
    assert result.labels.seeds == result.reference.seeds == (4, 3)
    assert (result.labels.per_seed, result.reference.per_seed) == ((200.0, 100.0), (400.0, 200.0))
    assert (result.reduction, result.interval) == (0.5, Interval(0.5, 0.5))


def test_strangers_are_not_compared():
    assert reduce(curves([0.1, 0.2, 0.3], seeds=(0,)), curves([0.1, 0.2, 0.3], seeds=(1,)), 0.2) is None


def test_a_round_without_labels_saves_nothing():
    with pytest.raises(InvalidInput, match="without labels"):
        reduce(curves([0.5, 0.6], n_labeled=(0, 10)), curves([0.5, 0.6], n_labeled=(0, 10)), 0.5)


def test_no_resamples_are_refused():
    with pytest.raises(InvalidInput, match="at least 1 resample, got 0"):
        labels_to_reach(curves([0.5, 0.6, 0.7]), 0.6, 0.9, np.random.default_rng(0), n_resamples=0)


def test_where_both_were_there_at_the_start_nothing_can_be_told():
    early = curves([[0.8, 0.8, 0.9]] * 3)
    result = reduce(early, early, 0.7)
    assert (result.labels.median, result.labels.is_upper_bound) == (100.0, True)
    assert (result.reduction, result.interval) == (None, None)
