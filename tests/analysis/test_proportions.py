"""Exact intervals for shares, against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nearmiss.analysis.proportions import finite_share, share_interval
from nearmiss.errors import InvalidInput

COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, st.sampled_from([0.001, 0.05, 0.3]))
def test_clopper_and_pearson_are_scipys(counts, level):
    right, n = counts
    ours, theirs = share_interval(right, n, level), stats.binomtest(right, n).proportion_ci(1 - level, method="exact")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(COUNTS, st.integers(1, 60), st.sampled_from([0.01, 0.05, 0.3]))
def test_a_pool_that_ends_is_inverted_as_one_would_by_trying_all(counts, more, level):
    right, n = counts
    size = n + more
    possible = [
        total - right
        for total in range(right, right + more + 1)
        if stats.hypergeom.sf(right - 1, size, total, n) > level / 2
        and stats.hypergeom.cdf(right, size, total, n) > level / 2
    ]
    found = finite_share(right, n, size, level)
    assert (found.low, found.high) == pytest.approx((min(possible) / more, max(possible) / more))


def test_it_holds_as_often_as_it_says():
    rng = np.random.default_rng(0)
    missed = 0
    for _ in range(400):
        pool = rng.random(120) < 0.85
        drawn = rng.permutation(120)
        found = finite_share(int(pool[drawn[:60]].sum()), 60, 120, 0.1)
        missed += not found.low <= pool[drawn[60:]].mean() <= found.high
    assert missed / 400 <= 0.12


@pytest.mark.parametrize(("right", "n", "level"), [(1, 0, 0.05), (-1, 3, 0.05), (4, 3, 0.05), (1, 3, 0), (1, 3, 1)])
def test_what_cannot_be_is_refused(right, n, level):
    with pytest.raises(InvalidInput):
        share_interval(right, n, level)
    with pytest.raises(InvalidInput):
        finite_share(right, n, 100, level)


def test_an_empty_rest_has_no_share():
    with pytest.raises(InvalidInput, match="none remains"):
        finite_share(3, 5, 5, 0.05)
