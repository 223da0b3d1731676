import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.text.stratify import stratified_sample


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    n=st.integers(0, 400),
    keep=st.integers(0, 2),
    seed=st.integers(0, 9),
)
def test_sizes_and_shares(counts, n, keep, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    drawn = stratified_sample(labels, n, np.random.default_rng(seed), keep=keep)
    assert drawn.dtype == np.int64
    assert np.all(np.diff(drawn) > 0)
    most = np.maximum(np.array(counts) - keep, 0)
    per_class = np.bincount(labels[drawn], minlength=len(counts))
    assert len(drawn) == min(n, most.sum())
    assert np.all(per_class <= most)
    if len(drawn) >= np.count_nonzero(most):
        assert np.all(per_class[most > 0] >= 1)
    if keep == 0 and n <= len(labels):
        share = n * np.array(counts) / len(labels)
        rare = np.count_nonzero(share < 1)  # each rare class may take a place from the others
        assert np.all(np.abs(per_class - share) <= 1 + rare)


def test_largest_remainders_get_the_places_left():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    drawn = stratified_sample(labels, 7, np.random.default_rng(0))  # shares 3.5, 2.1, 1.4
    assert np.bincount(labels[drawn]).tolist() == [4, 2, 1]


@pytest.mark.parametrize("n", [3, 11])
def test_same_seed_same_rows_and_another_seed_others(n):
    labels = np.repeat([0, 1], 50)
    first = stratified_sample(labels, n, np.random.default_rng(1))
    assert np.array_equal(first, stratified_sample(labels, n, np.random.default_rng(1)))
    assert not np.array_equal(first, stratified_sample(labels, n, np.random.default_rng(2)))
