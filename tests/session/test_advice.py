"""Advice on stopping: what is claimed, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nearmiss.errors import InvalidInput
from nearmiss.session.advice import FEWEST_CHECKS, Verdict, advise, wilson_interval
from nearmiss.session.published import ModelFacts


def model(version, audits, right, changed):
    return ModelFacts(version, "", "tfidf", "margin", (1, 2), 10 * version, 0.5, 0, audits, right, changed, 100)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys(counts):
    right, n = counts
    ours, theirs = wilson_interval(right, n), stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= ours.low <= ours.share <= ours.high <= 1


@pytest.mark.parametrize(("right", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_counts_that_cannot_be_are_refused(right, n):
    with pytest.raises(InvalidInput, match="right"):
        wilson_interval(right, n)


def test_few_checks_tell_nothing_however_right_they_are():
    history = [model(version, FEWEST_CHECKS - 1, FEWEST_CHECKS - 1, 0.0) for version in (1, 2, 3)]
    found = advise(history)
    assert found.verdict is Verdict.TOO_EARLY
    assert found.sentence == "Too early to tell: 19 random checks so far."


def test_three_steady_models_may_be_the_end():
    found = advise([model(1, 20, 16, None), model(2, 50, 40, 0.01), model(3, 60, 49, 0.0), model(4, 70, 57, 0.004)])
    assert found.verdict is Verdict.LITTLE_GAIN
    assert "95 %: 71 % to 89 %" in found.reason
    assert "at most 1 % of the texts" in found.reason


@pytest.mark.parametrize(
    "history",
    [
        [model(1, 60, 50, None), model(2, 60, 50, 0.0), model(3, 60, 50, 0.0)],  # two changes are known, not three
        [model(1, 60, 50, None), model(2, 60, 50, 0.011), model(3, 60, 50, 0.0), model(4, 60, 50, 0.0)],
        [model(1, 60, 50, None), model(2, 100, 20, 0.0), model(3, 100, 90, 0.0), model(4, 100, 90, 0.0)],
    ],
)
def test_what_is_not_steady_in_every_way_is_not_called_so(history):
    assert advise(history).verdict is Verdict.STILL_MOVING


def test_the_last_batch_is_told_and_no_more_claimed_than_the_checks_can():
    unclear = advise([model(1, 40, 30, None), model(2, 50, 40, 0.2)])
    assert "labels 20 % of all texts otherwise" in unclear.sentence
    assert "cannot tell yet" in unclear.sentence
    clear = advise([model(1, 100, 20, None), model(2, 100, 90, 0.2)])
    assert "went up from 20 %" in clear.sentence
    worse = advise([model(1, 100, 90, None), model(2, 100, 20, 0.2)])
    assert "went down from 90 %" in worse.sentence


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.floats(0, 1), st.none() | st.floats(0, 1)).map(
            lambda drawn: (drawn[0], round(drawn[0] * drawn[1]), drawn[2])
        ),
        max_size=6,
    )
)
def test_there_is_always_advice_and_an_interval_with_every_accuracy(drawn):
    history = [model(version, *facts) for version, facts in enumerate(drawn, start=1)]
    found = advise(history)
    assert found.sentence
    assert found.reason
    if found.verdict is not Verdict.TOO_EARLY:
        assert "95 %: " in found.reason
