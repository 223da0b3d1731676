"""Advice on stopping: what is claimed, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.analysis.estimates import Estimate
from nearmiss.analysis.savings import Forecast, Savings
from nearmiss.analysis.significance import Interval
from nearmiss.errors import InvalidInput
from nearmiss.loop.stopping_text import STOP_WHEN
from nearmiss.session.advice import FEWEST_CHECKS, Standing, Verdict, advise, told
from nearmiss.session.published import ModelFacts
from nearmiss.session.quality import ModelQuality
from nearmiss.session.worth import Worth


def model(version, audits, changed):
    return ModelFacts(version, "", "tfidf", "margin", (1, 2), 10 * version, 0.5, 0, audits, audits // 2, changed, 100)


def quality(checks, low=0.7, high=0.9):
    each = Estimate((low + high) / 2, Interval(low, high), checks)
    half = Estimate(0.5, Interval(0, 1), checks // 2)
    return ModelQuality(checks, each, each, {1: half, 2: half})


def standing(*models, gain=None, worse=0.1, low=0.7):
    measured = {facts.version: quality(facts.audits, low) for facts in models if facts.audits}
    worth = None
    if gain is not None:
        savings = Savings(300, 500.0, Interval(200.0, 900.0), worse, told=True)
        worth = Worth(1, savings, (Forecast(100, gain, Interval(gain - 0.02, gain + 0.02)),))
    return Standing(300, models, measured, worth)


STEADY = (model(1, 30, None), model(2, 40, 0.005), model(3, 50, 0.0), model(4, 60, 0.01))


def test_without_a_model_it_is_too_early():
    found = advise(standing(), STOP_WHEN)
    assert (found.verdict, found.sentence) == (Verdict.TOO_EARLY, "Too early to tell: there is no model yet.")


def test_few_checks_tell_nothing_however_steady_models_are():
    found = advise(standing(model(1, FEWEST_CHECKS - 1, None)), STOP_WHEN)
    assert found.verdict is Verdict.TOO_EARLY
    assert found.sentence == "Too early to tell: 19 random checks so far."
    # Nor may a lower bound from so few reach a target.
    assert advise(standing(model(1, FEWEST_CHECKS - 1, None), low=0.95), "target:0.9").verdict is Verdict.TOO_EARLY


BOTH = "stable and gain:0.005/100"


def test_steady_models_and_little_to_come_are_the_end():
    assert advise(standing(*STEADY, gain=0.002), STOP_WHEN).verdict is Verdict.STOP
    found = advise(standing(*STEADY, gain=0.002), BOTH)
    assert found.verdict is Verdict.STOP
    assert "at most 1.0 % of the texts otherwise" in found.reason
    assert "about 0.2 points" in found.reason


@pytest.mark.parametrize(
    "where", [standing(*STEADY), standing(*STEADY, gain=0.02), standing(*STEADY[:3], model(4, 60, 0.3), gain=0.002)]
)
def test_one_of_the_two_is_not(where):
    assert advise(where, BOTH).verdict is Verdict.GO_ON


def test_what_more_labels_would_bring_is_told_with_its_interval():
    found = advise(standing(*STEADY, gain=0.013), STOP_WHEN)
    assert "about +1.3 points (90 %: −0.7 to +3.3)" in found.sentence


def test_before_there_is_a_forecast_the_last_batch_is_told():
    assert (
        "labels 20.0 % of all texts otherwise"
        in advise(standing(model(1, 40, None), model(2, 50, 0.2)), "stable").sentence
    )
    assert "first model" in advise(standing(model(1, 40, None)), "stable").sentence


def test_a_target_counts_once_the_lower_bound_has_it():
    assert advise(standing(*STEADY, low=0.85), "target:0.85").verdict is Verdict.STOP
    assert advise(standing(*STEADY, low=0.84), "target:0.85").verdict is Verdict.GO_ON


def test_a_budget_needs_no_checks():
    assert advise(standing(model(1, 0, None)), "budget:300").verdict is Verdict.STOP


def test_picks_that_do_worse_than_random_are_warned_of():
    warned = advise(standing(*STEADY, gain=0.01, worse=0.93), STOP_WHEN)
    assert "worse than random" in warned.warning
    assert "93 %" in warned.warning
    assert not advise(standing(*STEADY, gain=0.01, worse=0.8), STOP_WHEN).warning


def test_a_model_that_has_learned_nothing_is_warned_of():
    assert "commonest label would be on 50 %" in advise(standing(model(1, 60, None), low=0.12), STOP_WHEN).warning
    assert not advise(standing(model(1, 58, None), low=0.12), STOP_WHEN).warning
    assert not advise(standing(model(1, 60, None), low=0.3), STOP_WHEN).warning


def test_a_rule_that_cannot_be_read_is_refused():
    with pytest.raises(InvalidInput):
        advise(standing(), "whenever")


def test_an_accuracy_is_told_with_its_interval():
    assert told(Estimate(0.5, Interval(0.0, 1.0), 3)) == "50 % (95 %: 0 to 100 %)"


@given(
    st.lists(st.tuples(st.integers(0, 60), st.none() | st.floats(0, 1)), max_size=6),
    st.none() | st.floats(-0.5, 0.5),
    st.sampled_from([STOP_WHEN, "target:0.9", "stable or budget:200"]),
)
def test_there_is_always_advice(drawn, gain, rule):
    history = [model(version, audits, changed) for version, (audits, changed) in enumerate(drawn, start=1)]
    found = advise(standing(*history, gain=gain), rule)
    assert found.sentence
    assert found.reason
