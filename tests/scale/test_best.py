"""The best of parts are the best of all, ties included."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.arrays.selection import top_indices
from nearmiss.loop.streams import named_generator
from nearmiss.scale.best import Best, Draws, best_of, merged
from nearmiss.scale.nearest import nearest_of


@given(
    st.lists(st.integers(-2, 2), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 70),
    st.integers(0, 5),
)
def test_parts_merge_into_what_one_look_at_all_gives(values, cuts, n, seed):
    scores = np.array(values, dtype=np.float64)
    edges = sorted({0, len(scores), *(cut for cut in cuts if cut < len(scores))})
    draws = Draws(("test", seed), len(scores))
    parts = [best_of(Best(np.arange(a, b) + 100, np.arange(a, b), scores[a:b]), n, draws) for a, b in pairwise(edges)]
    found = merged(parts[::-1], n, draws)
    expected = top_indices(scores, n, named_generator("test", seed))
    assert found.candidates.tolist() == expected.tolist()
    assert found.rows.tolist() == (expected + 100).tolist()
    assert found.scores.tolist() == scores[expected].tolist()


@given(st.integers(1, 50), st.integers(0, 49), st.integers(0, 9))
def test_numbers_drawn_for_a_part_are_those_drawn_for_all(size, start, seed):
    start = min(start, size - 1)
    rng = named_generator("draws", seed)
    whole, order = rng.random(size), None
    order = rng.permutation(size)
    draws = Draws(("draws", seed), size, used=size)
    assert draws.uniform(start, size - start).tolist() == whole[start:].tolist()
    assert draws.among_equals(np.arange(size)).tolist() == order.tolist()


def test_what_was_drawn_does_not_travel():
    draws = Draws(("a", 1), 1_000_000)
    first = draws.among_equals(np.arange(5))
    travelled = pickle.dumps(draws)
    assert len(travelled) < 1_000
    assert pickle.loads(travelled).among_equals(np.arange(5)).tolist() == first.tolist()


def test_the_best_of_nothing():
    draws = Draws(("a",), 0)
    assert len(merged([], 3, draws).rows) == 0
    assert len(best_of(Best.none(), 3, draws).rows) == 0


def test_nearest_of_parts_with_the_lower_row_first_among_equals():
    one = {"rows": np.array([[7, 9]]), "distances": np.array([[0.5, 1.0]])}
    other = {"rows": np.array([[2, 3]]), "distances": np.array([[0.5, 0.5]])}
    found = nearest_of([one, other], 3)
    assert found["rows"].tolist() == [[2, 3, 7]]
    assert nearest_of([one, other], 9)["rows"].shape == (1, 4)
