"""Paces: the gaps that count, and the answers that go with them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.web.working_time import LONGEST_GAP, pace_of


@given(st.lists(st.floats(0, 1e6), max_size=30))
def test_a_pace_is_gaps_counted_over_their_length(times):
    times = sorted(times)
    gaps = [b - a for a, b in pairwise(times) if b - a <= LONGEST_GAP]
    found = pace_of(times)
    assert found.answers == len(times)
    assert found.seconds == pytest.approx(sum(gaps))
    if found.per_hour is not None:
        assert found.seconds >= 60
        assert found.per_hour == pytest.approx(3600 * len(gaps) / sum(gaps))
    else:
        assert found.seconds < 60


def test_a_pause_changes_no_pace():
    steady = [10.0 * i for i in range(30)]
    paused = steady[:15] + [time + 10_000 for time in steady[15:]]
    assert pace_of(steady).per_hour == pace_of(paused).per_hour == 360
