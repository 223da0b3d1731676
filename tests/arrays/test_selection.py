import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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


TIED = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, np.inf])


@settings(deadline=None, max_examples=300)
@given(data=st.data(), length=st.integers(0, 40), dtype=st.sampled_from([np.float32, np.float64]))
@pytest.mark.parametrize("elements", [TIED, st.floats(allow_nan=False, width=32)], ids=["ties", "any"])
def test_the_answer_is_the_beginning_of_a_full_sort(elements, data, length, dtype):
    scores = data.draw(hnp.arrays(dtype, length, elements=elements))
    n, seed = data.draw(st.integers(0, length + 2)), data.draw(st.integers(0, 2**32))
    rng, reference = np.random.default_rng(seed), np.random.default_rng(seed)
    before = scores.copy()
    found = top_indices(scores, n, rng)
    expected = np.lexsort((reference.permutation(length), -scores))[:n]
    assert found.dtype == np.int64
    assert found.tolist() == expected.tolist()
    assert rng.random() == reference.random()
    assert scores.tobytes() == before.tobytes()


def test_many_scores_are_sorted_like_few():
    scores = np.random.default_rng(1).integers(50, size=20_000).astype(float)
    for n in (1, 399, 400, 401, 19_999, 20_000):
        order = np.lexsort((np.random.default_rng(2).permutation(20_000), -scores))
        assert (top_indices(scores, n, np.random.default_rng(2)) == order[:n]).all()
