import numpy as np
import pytest

from nearmiss.acquisition.base import PoolView
from nearmiss.acquisition.random import Random
from nearmiss.errors import InvalidInput, PoolExhausted


def test_every_candidate_is_drawn_equally_often():
    counts = np.zeros(6)
    for seed in range(3_000):
        counts[Random().select(PoolView(size=6), 2, np.random.default_rng(seed)).indices] += 1
    assert counts.min() > 850  # 1,000 expected, with a standard deviation of 26
    assert counts.max() < 1_150


def test_the_scores_are_the_draws_that_ordered_the_batch():
    selection = Random().select(PoolView(size=50), 50, np.random.default_rng(4))
    draws = np.random.default_rng(4).random(50)
    assert sorted(selection.indices.tolist()) == list(range(50))
    assert (selection.scores == draws[selection.indices]).all()
    assert (np.diff(selection.scores) <= 0).all()


def test_it_asks_for_nothing_and_refuses_more_than_there_is():
    assert Random().needs.pool == frozenset()
    with pytest.raises(PoolExhausted, match="asked for 4 texts, only 3 unlabelled remain"):
        Random().select(PoolView(size=3), 4, np.random.default_rng(0))
    with pytest.raises(InvalidInput, match="batch of 0"):
        Random().select(PoolView(size=3), 0, np.random.default_rng(0))
