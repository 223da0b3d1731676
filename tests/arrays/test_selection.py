import numpy as np
import pytest

from nearmiss.arrays.selection import top_indices
from nearmiss.errors import InvalidArray


def test_the_best_come_first():
    scores = np.array([0.2, -1.0, 5.0, 0.3])
    assert top_indices(scores, 3, np.random.default_rng(0)).tolist() == [2, 3, 0]


def test_ties_are_drawn_evenly_and_repeatably():
    scores = np.array([1.0, 0.0, 1.0, 1.0])
    firsts = [int(top_indices(scores, 1, np.random.default_rng(seed))[0]) for seed in range(600)]
    assert set(firsts) == {0, 2, 3}
    assert min(np.bincount(firsts)[[0, 2, 3]]) > 150
    again = [int(top_indices(scores, 1, np.random.default_rng(seed))[0]) for seed in range(600)]
    assert firsts == again


def test_the_generator_moves_on_alike_with_and_without_ties():
    states = []
    for scores in (np.zeros(5), np.arange(5.0)):
        rng = np.random.default_rng(3)
        top_indices(scores, 2, rng)
        states.append(rng.random())
    assert states[0] == states[1]


def test_infinite_scores_are_ordered_and_nan_is_refused():
    assert top_indices(np.array([-np.inf, np.inf, 0.0]), 3, np.random.default_rng(0)).tolist() == [1, 2, 0]
    with pytest.raises(InvalidArray, match="candidate 1 is NaN"):
        top_indices(np.array([0.0, np.nan]), 1, np.random.default_rng(0))
    with pytest.raises(InvalidArray, match="one score per candidate"):
        top_indices(np.zeros((2, 2)), 1, np.random.default_rng(0))
