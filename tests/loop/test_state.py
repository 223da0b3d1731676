import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidArray, InvalidInput
from nearmiss.loop.state import PoolState


def test_keeps_the_order_of_labelling_and_sorts_what_is_left():
    state = PoolState.empty(6).with_labels([4, 1], [0, 2]).with_labels(np.array([5]), np.array([1]))
    assert state.labeled_indices.tolist() == [4, 1, 5]
    assert state.labels.tolist() == [0, 2, 1]
    assert state.unlabeled_indices.tolist() == [0, 2, 3]
    assert len(state) == 3
    assert {a.dtype for a in (state.labeled_indices, state.labels, state.unlabeled_indices)} == {np.dtype(np.int64)}


def test_a_state_is_changed_neither_by_its_successor_nor_by_its_maker():
    rows = np.array([0, 1])
    state = PoolState(3, rows, np.array([0, 0]))
    rows[0] = 2
    later = state.with_labels([2], [1])
    assert state.labeled_indices.tolist() == [0, 1]
    assert (len(state), len(later)) == (2, 3)


def test_refuses_what_is_labelled_already():
    with pytest.raises(InvalidInput, match="row 3 is labelled already"):
        PoolState.empty(5).with_labels([3], [0]).with_labels([1, 3], [0, 0])


@pytest.mark.parametrize(
    "indices, labels, message",
    [
        ([0, 1], [0], "2 pool rows but 1 labels"),
        ([0, 0], [0, 1], "row 0 is labelled twice"),
        ([0, 5], [0, 1], "rows must be 0 to 4"),
        ([-1], [0], "rows must be 0 to 4"),
        ([1], [-1], "class ids start at 0"),
        ([1.5], [0], "expected whole numbers"),
        ([1], [0.0], "expected whole numbers"),
        ([True], [0], "expected whole numbers"),
        ([[1]], [[0]], "expected one dimension"),
    ],
)
def test_refuses_a_broken_state(indices, labels, message):
    with pytest.raises(InvalidArray, match=message):
        PoolState(5, np.array(indices), np.array(labels))


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n - 1), unique=True))))
def test_labelled_and_unlabelled_part_the_pool(case):
    size, rows = case
    state = PoolState.empty(size).with_labels(rows, [0] * len(rows))
    assert sorted([*state.labeled_indices, *state.unlabeled_indices]) == list(range(size))
