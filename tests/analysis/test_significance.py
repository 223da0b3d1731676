import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nearmiss.analysis.significance import PairedSample, Verdict, compare, holm, paired_difference
from nearmiss.errors import InvalidArray, InvalidInput

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def sample(name, differences, reference=0.7):
    differences = np.array(differences, dtype=np.float64)
    base = np.linspace(reference, reference + 0.02, len(differences))
    return PairedSample(name, tuple(range(len(differences))), base + differences, base)


def test_paired_t_by_hand():
    # Differences 1, 2, 3: mean 2, standard deviation 1, t = 2 * sqrt(3). With 2 degrees of freedom
    # p = 1 - t / sqrt(t^2 + 2), and the 97.5 % quantile of t is 4.302653.
    result = paired_difference([11.0, 22.0, 33.0], [10.0, 20.0, 30.0])
    t = 2 * math.sqrt(3)
    assert result.mean == 2.0
    assert result.p_value == pytest.approx(1 - t / math.sqrt(t * t + 2), rel=1e-12)
    assert result.interval is not None
    assert result.interval.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert result.interval.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=8))
def test_paired_t_agrees_with_scipy(pairs):
    x, y = np.array(pairs).T
    if np.ptp(x - y) < 1e-6:
        return
    result, expected = paired_difference(x, y), stats.ttest_rel(x, y)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_interval_and_p_value_tell_the_same_story(pairs):
    x, y = np.array(pairs).T
    result = paired_difference(x, y)
    assert result.wins + result.losses + result.ties == len(pairs)
    if result.interval is not None:
        assert result.interval.low <= result.mean <= result.interval.high
        assert result.p_value is not None
        if abs(result.p_value - 0.05) > 1e-6:
            assert (result.p_value < 0.05) == (result.interval.low > 0 or result.interval.high < 0)


def test_swapping_the_sides_swaps_the_sign():
    forward, backward = paired_difference([3, 5, 9], [1, 4, 9]), paired_difference([1, 4, 9], [3, 5, 9])
    assert (forward.wins, forward.losses, forward.ties) == (2, 0, 1)
    assert (backward.wins, backward.losses, backward.ties) == (0, 2, 1)
    assert backward.mean == -forward.mean
    assert backward.p_value == pytest.approx(forward.p_value)


def test_a_single_seed_is_not_tested():
    result = paired_difference([0.9], [0.8])
    assert result.mean == pytest.approx(0.1)
    assert (result.interval, result.p_value) == (None, None)


def test_equal_columns_show_no_difference():
    result = paired_difference([0.1, 0.5, 0.9], [0.1, 0.5, 0.9])
    assert (result.mean, result.interval, result.p_value, result.ties) == (0.0, None, 1.0, 3)


def test_the_same_gain_in_every_seed_is_not_a_proof():
    # 0.81 - 0.80 and 0.75 - 0.74 differ in the last bits; a t-test on those bits would claim p < 1e-15.
    result = paired_difference([0.81, 0.75, 0.31], [0.80, 0.74, 0.30])
    assert result.mean == pytest.approx(0.01)
    assert (result.wins, result.interval, result.p_value) == (3, None, None)


def test_rounding_is_a_tie():
    result = paired_difference([0.1 + 0.2, 0.5], [0.3, 0.4])
    assert (result.wins, result.ties) == (1, 1)


@pytest.mark.parametrize(
    "x, y", [([1, 2], [1]), ([], []), ([[1, 2]], [[1, 2]]), ([1, np.nan], [1, 2]), ([1, 2], [1, np.inf])]
)
def test_columns_that_do_not_pair_are_refused(x, y):
    with pytest.raises(InvalidArray):
        paired_difference(x, y)


def test_holm_by_hand():
    # Ordered .005, .01, .03, .04 times 4, 3, 2, 1 = .02, .03, .06, .04; the last may not fall below .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_edges():
    assert holm([]).size == 0
    assert holm([0.2]).tolist() == [0.2]
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]


@given(P_VALUES)
def test_holm_lies_between_raw_and_bonferroni_and_keeps_order(p_values):
    p, adjusted = np.array(p_values), holm(p_values)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, p * len(p)) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


@given(P_VALUES, st.floats(0.001, 0.5))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values, level):
    # The procedure as Holm wrote it: walk up the ordered p-values, stop at the first that exceeds level / (m - i).
    rejected = set()
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] * (len(p_values) - step) >= level:
            break
        rejected.add(int(index))
    assert {i for i, p in enumerate(holm(p_values)) if p < level} == rejected


@pytest.mark.parametrize("p_values", [[-0.1], [1.1], [np.nan], [[0.1]]])
def test_holm_refuses_what_is_no_probability(p_values):
    with pytest.raises(InvalidArray):
        holm(p_values)


def test_verdicts():
    better, worse, unclear = compare(
        [
            sample("better", [0.050, 0.051, 0.052]),
            sample("worse", [-0.050, -0.051, -0.052]),
            sample("unclear", [0.05, -0.05, 0.01]),
        ]
    )
    assert (better.verdict, worse.verdict, unclear.verdict) == (Verdict.BETTER, Verdict.WORSE, Verdict.NO_DIFFERENCE)
    assert (better.name, better.seeds) == ("better", (0, 1, 2))


def test_many_functions_need_stronger_evidence():
    lone = sample("lone", [0.010, 0.012, 0.015])
    crowd = [sample(f"noise {i}", [0.01, -0.012, 0.001 * i]) for i in range(8)]
    (alone,) = compare([lone])
    among = compare([lone, *crowd])[0]
    assert alone.verdict is Verdict.BETTER
    assert among.verdict is Verdict.NO_DIFFERENCE
    assert among.difference == alone.difference
    assert among.adjusted_p == pytest.approx(9 * alone.adjusted_p)


def test_what_cannot_be_tested_does_not_count_as_a_test():
    tested = sample("tested", [0.010, 0.012, 0.015])
    single = sample("single", [0.01])
    fixed = sample("fixed", [0.01, 0.01, 0.01])
    results = {c.name: c for c in compare([single, tested, fixed])}
    assert results["single"].verdict is Verdict.NOT_TESTED
    assert results["fixed"].verdict is Verdict.NOT_TESTED
    assert results["fixed"].adjusted_p is None
    assert results["tested"].adjusted_p == results["tested"].difference.p_value


def test_nothing_to_compare():
    assert compare([]) == ()


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_the_level_is_a_probability(level):
    with pytest.raises(InvalidInput):
        compare([], level=level)
