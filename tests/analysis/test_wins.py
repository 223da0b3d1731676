import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.reference import ranks as reference

from nearmiss.analysis.ranks import Scores
from nearmiss.analysis.significance import holm
from nearmiss.analysis.wins import count_shown_wins, count_wins
from nearmiss.errors import InvalidInput

TABLES = npst.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6).flatmap(
    lambda shape: npst.arrays(np.float64, shape, elements=st.integers(0, 3).map(float))
)


def scores(values, datasets=None):
    values = np.array(values, dtype=np.float64)
    names = datasets or tuple(f"d{i}" for i in range(len(values)))
    return Scores(tuple(f"f{i}" for i in range(values.shape[1])), names, values)


def check_sums(matrix):
    k = len(matrix.functions)
    off_diagonal = matrix.n * (1 - np.eye(k, dtype=np.int64))
    assert (matrix.wins + matrix.ties + matrix.losses + matrix.untested == off_diagonal).all()
    assert (matrix.ties == matrix.ties.T).all()
    assert (matrix.untested == matrix.untested.T).all()
    assert min(matrix.wins.min(), matrix.ties.min(), matrix.untested.min()) >= 0


@given(TABLES)
def test_wins_are_those_of_every_pair(values):
    matrix = count_wins(scores(values))
    assert matrix.wins.tolist() == reference.wins(values.tolist(), 1e-9)
    check_sums(matrix)


@given(TABLES, st.randoms(use_true_random=False))
def test_wins_follow_the_functions_and_forget_the_order_of_rows(values, random):
    rows, columns = list(range(len(values))), list(range(values.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    moved = count_wins(scores(values[rows][:, columns]))
    assert (moved.wins == count_wins(scores(values)).wins[np.ix_(columns, columns)]).all()


def test_rounding_is_a_tie_and_so_is_what_the_tolerance_covers():
    table = scores([[0.1 + 0.2, 0.3], [0.85, 0.84]])
    assert count_wins(table).ties[0, 1] == 1
    assert count_wins(table, tolerance=0.02).ties[0, 1] == 2
    assert count_wins(table, tolerance=0.0).wins.tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize("tolerance", [-1.0, np.nan, np.inf])
def test_a_tolerance_is_not_negative(tolerance):
    with pytest.raises(InvalidInput, match="tolerance"):
        count_wins(scores([[1, 2]]), tolerance)


@pytest.mark.parametrize("seed", range(5))
def test_shown_wins_are_holms_over_the_pairs_of_each_dataset(seed):
    rng = np.random.default_rng(seed)
    datasets = tuple(name for name in "xyz" for _ in range(5))
    values = rng.normal(scale=0.3, size=(15, 4)) + np.arange(4) * 0.4
    expected = np.zeros((4, 4), dtype=int)
    for name in "xyz":
        own = values[[d == name for d in datasets]]
        pairs = [(i, j) for i in range(4) for j in range(i)]
        adjusted = holm([stats.ttest_rel(own[:, i], own[:, j]).pvalue for i, j in pairs])
        for (i, j), p_value in zip(pairs, adjusted, strict=True):
            if p_value < 0.05:
                expected[(i, j) if own[:, i].mean() > own[:, j].mean() else (j, i)] += 1
    matrix = count_shown_wins(scores(values, datasets))
    assert matrix.wins.tolist() == expected.tolist()
    assert matrix.n == 3
    check_sums(matrix)


def test_a_clear_win_is_counted_once_per_dataset():
    matrix = count_shown_wins(scores([[0.9, 0.8], [0.91, 0.805], [0.92, 0.81]] * 2, tuple("xxxyyy")))
    assert matrix.wins.tolist() == [[0, 2], [0, 0]]
    assert matrix.losses.tolist() == [[0, 0], [2, 0]]


def test_one_seed_and_a_constant_gain_are_untested_and_equality_is_a_tie():
    table = scores([[0.5, 0.6], [0.5, 0.6], [0.6, 0.7], [0.4, 0.4], [0.6, 0.6]], tuple("xyyzz"))
    matrix = count_shown_wins(table)
    assert (matrix.untested[0, 1], matrix.ties[0, 1], matrix.wins.sum()) == (2, 1, 0)
    check_sums(matrix)


def test_one_function_has_nobody_to_beat():
    matrix = count_shown_wins(scores([[0.5], [0.6]], tuple("xx")))
    assert (matrix.wins.tolist(), matrix.n) == ([[0]], 1)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0])
def test_the_level_is_a_probability(level):
    with pytest.raises(InvalidInput, match="level"):
        count_shown_wins(scores([[1, 2]]), level)
