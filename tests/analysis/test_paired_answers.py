"""Two models on the same texts: the counts, McNemar's test and the interval, against slow and obvious reckonings."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.analysis.paired_answers import compare_answers
from nearmiss.analysis.significance import Verdict
from nearmiss.errors import InvalidArray, InvalidInput


def answers(lost, won, both=0, neither=0):
    before = np.array([True] * (lost + both) + [False] * (won + neither), dtype=bool)
    after = np.array([False] * lost + [True] * both + [True] * won + [False] * neither, dtype=bool)
    return before, after


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_counts_and_p_value_agree_with_tossing_coins(lost, won, both, neither):
    if lost + won + both + neither == 0:
        return
    found = compare_answers(*answers(lost, won, both, neither))
    assert (found.n, found.lost, found.won) == (lost + won + both + neither, lost, won)
    assert (found.before, found.after) == (lost + both, won + both)
    tosses = lost + won
    tail = sum(comb(tosses, heads) for heads in range(max(lost, won), tosses + 1)) / 2**tosses
    assert found.p_value == pytest.approx(min(1.0, 2 * tail))


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_the_interval_holds_what_was_seen_and_says_what_the_test_says(lost, won, rest):
    if lost + won + rest == 0:
        return
    found = compare_answers(*answers(lost, won, rest))
    low, high = found.interval.low, found.interval.high
    assert -1 <= low <= found.difference <= high <= 1
    if found.verdict is Verdict.NO_DIFFERENCE:
        assert low <= 0 <= high
    else:
        assert (low > 0) == (found.verdict is Verdict.BETTER)
        assert (high < 0) == (found.verdict is Verdict.WORSE)
    turned = compare_answers(*reversed(answers(lost, won, rest)))
    assert (turned.interval.low, turned.interval.high) == (pytest.approx(-high), pytest.approx(-low))


def test_no_text_told_apart_bounds_how_many_there_could_be():
    few, many = (compare_answers(*answers(0, 0, both=n)).interval for n in (20, 200))
    assert few.high > 0.1
    assert 0 < many.high < few.high


@pytest.mark.parametrize(("lost", "won", "both"), [(0, 1, 43), (3, 12, 35), (2, 0, 20), (6, 9, 5)])
def test_at_the_ends_of_the_interval_a_score_test_just_rejects(lost, won, both):
    """The chance of being lost that suits a difference best is sought by trying many."""
    n = lost + won + both
    found = compare_answers(*answers(lost, won, both))
    for end in (found.interval.low, found.interval.high):
        chances = np.linspace(max(0.0, -end), (1 - end) / 2, 400_001)[1:-1]
        likelihood = (
            lost * np.log(chances) + won * np.log(chances + end) + both * np.log1p(np.minimum(0, -end - 2 * chances))
        )
        chance = chances[likelihood.argmax()]
        score = (won - lost - n * end) / np.sqrt(n * (2 * chance + end - end**2))
        assert abs(score) == pytest.approx(1.96, abs=0.01)


@pytest.mark.parametrize(("n", "lost", "won"), [(20, 0.01, 0.1), (50, 0.05, 0.15), (50, 0.0, 0.05), (100, 0.1, 0.1)])
def test_the_interval_misses_the_truth_no_more_often_than_it_says(n, lost, won):
    rng, known, missed = np.random.default_rng(1), {}, 0
    for a, b, rest in rng.multinomial(n, [lost, won, 1 - lost - won], size=600).tolist():
        interval = known.setdefault((a, b), compare_answers(*answers(a, b, rest)).interval)
        missed += not interval.low <= won - lost <= interval.high
    assert missed / 600 < 0.08


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InvalidArray, match="one for each text"):
        compare_answers(np.ones(2, dtype=bool), np.ones(3, dtype=bool))
    with pytest.raises(InvalidInput, match="no texts"):
        compare_answers(np.ones(0, dtype=bool), np.ones(0, dtype=bool))
