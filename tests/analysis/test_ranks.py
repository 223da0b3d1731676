import math
import re

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.reference import ranks as reference

from nearmiss.analysis.ranks import Scores, compare_ranks, critical_difference, friedman, mean_ranks
from nearmiss.errors import InvalidArray, InvalidInput

# Demšar 2006, Table 6: AUC of four variants of C4.5 on 14 datasets. On the 13th the printed figures of the last two
# columns are equal and their ranks, 2 and 3, are not: the difference lies beyond the third digit.
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
C45 = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")

#: Few distinct values, so that ties are common.
TABLES = npst.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7).flatmap(
    lambda shape: npst.arrays(np.float64, shape, elements=st.integers(0, 4).map(float))
)


def scores(values, functions=None):
    values = np.array(values, dtype=np.float64)
    names = functions or tuple(f"f{i}" for i in range(values.shape[1]))
    return Scores(names, tuple(f"d{i}" for i in range(len(values))), values)


def test_mean_ranks_of_the_published_example():
    assert mean_ranks(scores(DEMSAR, C45)).round(3).tolist() == [3.143, 2.0, 2.893, 1.964]


def test_friedman_of_the_published_example():
    # Printed: chi-squared 9.28 and F 3.69, neither corrected for ties. The correction divides chi-squared by
    # 1 - sum(t^3 - t) / N k (k^2 - 1): three pairs (6 each) and one four (60) give 78 / 840.
    test = friedman(scores(DEMSAR, C45))
    uncorrected = test.chi_squared * (1 - 78 / 840)
    assert uncorrected == pytest.approx(9.28, abs=0.005)
    assert 13 * uncorrected / (14 * 3 - uncorrected) == pytest.approx(3.69, abs=0.005)
    assert test.p_value < 0.05


def test_critical_difference_of_the_published_example():
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, level=0.10) == pytest.approx(1.12, abs=0.005)


@pytest.mark.parametrize(
    "k, q05, q10", [(2, 1.960, 1.645), (3, 2.343, 2.052), (4, 2.569, 2.291), (5, 2.728, 2.459), (10, 3.164, 2.920)]
)
def test_critical_values_of_the_published_table(k, q05, q10):
    # Demšar 2006, Table 5 (a).
    unit = math.sqrt(k * (k + 1) / 6)
    assert critical_difference(k, 1) / unit == pytest.approx(q05, abs=0.001)
    assert critical_difference(k, 1, level=0.10) / unit == pytest.approx(q10, abs=0.001)


def test_groups_of_the_published_example():
    # Demšar, p. 12: at .05 nothing but the difference of best and worst comes near, 3.143 - 1.964 = 1.18 < 1.25;
    # at .10 (CD 1.12) plain C4.5 is worse than both variants with m.
    strict, lenient = (compare_ranks(scores(DEMSAR, C45), level) for level in (0.05, 0.10))
    assert strict.functions == lenient.functions == ("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")
    assert strict.differ
    assert strict.groups == (strict.functions,)
    assert lenient.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5"))


@given(TABLES)
def test_mean_ranks_are_those_of_the_definition(values):
    means = mean_ranks(scores(values))
    assert means == pytest.approx(np.array(reference.mean_ranks(values.tolist())))
    assert means.sum() == pytest.approx(len(means) * (len(means) + 1) / 2)
    assert ((means >= 1) & (means <= len(means))).all()


@given(TABLES, st.floats(0.1, 100), st.floats(-100, 100), st.randoms(use_true_random=False))
def test_ranks_know_order_alone(values, scale, shift, random):
    datasets, functions = list(range(len(values))), list(range(values.shape[1]))
    random.shuffle(datasets)
    random.shuffle(functions)
    moved = (scale * values + shift)[datasets][:, functions]
    assert mean_ranks(scores(moved)) == pytest.approx(mean_ranks(scores(values))[functions])


def test_rounding_error_is_a_tie():
    assert mean_ranks(scores([[0.1 + 0.2, 0.3, 0.0]])).tolist() == [1.5, 1.5, 3.0]


@given(npst.arrays(np.float64, (6, 4), elements=st.floats(0, 1), unique=True))
def test_friedman_without_ties_is_the_printed_formula(values):
    table = scores(np.argsort(values, axis=1))
    chi_squared, f_statistic = reference.friedman(table.values.tolist())
    test = friedman(table)
    assert test.chi_squared == pytest.approx(chi_squared, abs=1e-9)
    if math.isfinite(test.f_statistic):
        assert test.f_statistic == pytest.approx(f_statistic, abs=1e-9)
        assert test.p_value == pytest.approx(stats.f.sf(f_statistic, 3, 15), abs=1e-9)


@given(TABLES.filter(lambda values: values.shape[1] > 2))
def test_friedman_gives_probabilities_whatever_the_ties(values):
    test = friedman(scores(values))
    assert 0 <= test.p_value <= 1
    assert test.chi_squared >= -1e-9


def test_perfect_agreement_is_as_likely_as_chance_makes_it():
    test = friedman(scores([[3, 2, 1]] * 5))
    assert (test.f_statistic, test.chi_squared) == (math.inf, pytest.approx(10))
    assert test.p_value == pytest.approx((1 / 6) ** 4)
    # With two equal functions there are three orders, not six.
    assert friedman(scores([[3, 1, 1]] * 5)).p_value == pytest.approx((1 / 3) ** 4)


def test_functions_that_tie_everywhere_do_not_differ():
    result = compare_ranks(scores(np.full((6, 4), 0.9)))
    assert result.friedman is not None
    assert (result.friedman.p_value, result.differ) == (1.0, False)
    assert result.groups == (("f0", "f1", "f2", "f3"),)
    assert result.mean_ranks == (2.5,) * 4


@pytest.mark.parametrize("level", [0.05, 0.2])
@pytest.mark.parametrize("seed", range(8))
def test_groups_are_the_maximal_cliques(seed, level):
    rng = np.random.default_rng(seed)
    table = scores(rng.normal(size=(12, 6)) + np.arange(6) * 0.6)
    result = compare_ranks(table, level)
    assert result.critical_difference is not None
    assert result.differ
    expected = reference.groups(result.functions, result.mean_ranks, result.critical_difference)
    assert {frozenset(group) for group in result.groups} == expected
    assert len(result.groups) == len(expected)
    firsts = [result.functions.index(group[0]) for group in result.groups]
    assert firsts == sorted(firsts)


def test_a_function_apart_from_all_is_in_no_group():
    result = compare_ranks(scores([[9, 5, 4, 5, 4.0]] * 10 + [[9, 4, 5, 4, 5.0]] * 10))
    assert all("f0" not in group for group in result.groups)


def test_ranks_exactly_the_critical_difference_apart_differ(monkeypatch):
    monkeypatch.setattr("nearmiss.analysis.ranks.critical_difference", lambda *_: 1.0)
    assert compare_ranks(scores([[3, 2, 1]] * 6)).groups == ()


def test_no_pair_is_told_apart_where_the_functions_may_all_be_alike(monkeypatch):
    monkeypatch.setattr("nearmiss.analysis.ranks.critical_difference", lambda *_: 0.1)
    result = compare_ranks(scores([[3, 2, 1], [1, 2, 3], [3, 1, 2], [2, 3, 1], [3, 2, 1]]))
    assert not result.differ
    assert result.groups == (result.functions,)


@pytest.mark.parametrize(
    "n, k, level, reason",
    [
        (1, 9, 0.05, "too few datasets: .* at least 5, got 1"),
        (4, 9, 0.05, "too few datasets: .* at least 5, got 4"),
        (20, 2, 0.05, "too few functions: .* at least 3, got 2"),
        (20, 1, 0.05, "too few functions: .* got 1"),
        (5, 3, 0.001, "too few datasets: with 5, .* at most 2 apart"),
    ],
)
def test_what_has_no_power_is_not_tested_but_said(n, k, level, reason):
    values = np.tile(np.arange(k, dtype=float), (n, 1))
    result = compare_ranks(scores(values), level)
    assert result.untested is not None
    assert re.search(reason, result.untested)
    assert (result.friedman, result.critical_difference, result.groups, result.differ) == (None, None, (), False)
    assert result.functions[0] == f"f{k - 1}"
    assert result.mean_ranks == tuple(range(1, k + 1))


def test_seeds_are_not_datasets():
    repeated = Scores(("a", "b", "c"), ("x", "x", "y"), np.arange(9.0).reshape(3, 3))
    with pytest.raises(InvalidInput, match="3 rows are of 2 datasets"):
        compare_ranks(repeated)
    assert repeated.per_dataset().values.tolist() == [[1.5, 2.5, 3.5], [6, 7, 8]]


@pytest.mark.parametrize(
    "functions, datasets, values, message",
    [
        (("a",), ("x",), [[1.0, 2.0]], "shape"),
        ((), ("x",), np.empty((1, 0)), "zero"),
        (("a",), (), np.empty((0, 1)), "zero"),
        (("a", "a"), ("x",), [[1.0, 2.0]], "once"),
        (("a", "b"), ("x",), [[1.0, np.nan]], "NaN"),
    ],
)
def test_bad_scores_are_refused(functions, datasets, values, message):
    with pytest.raises(InvalidArray, match=message):
        Scores(functions, datasets, np.array(values))


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(InvalidInput, match="got 2 on 3"):
        friedman(scores([[1, 2]] * 3))
    with pytest.raises(InvalidInput, match="got 3 on 1"):
        friedman(scores([[1, 2, 3]]))
    with pytest.raises(InvalidInput, match="got 1 and 5"):
        critical_difference(1, 5)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_the_level_is_a_probability(level):
    with pytest.raises(InvalidInput, match="level"):
        critical_difference(3, 5, level)
    with pytest.raises(InvalidInput, match="level"):
        compare_ranks(scores([[1, 2, 3]]), level)
