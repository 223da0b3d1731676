"""Stopping rules: what stops when, what they say, and their text form."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidInput
from nearmiss.loop.stopping import MOST_RULES, All, AnyOf, Budget, Evidence, GainBelow, Judgement, Stable, Target
from nearmiss.loop.stopping_text import FORMS, STOP_WHEN, parse_rule, rule_text

SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)
COUNTS = st.integers(1, 10**6)
SIMPLE = st.one_of(
    st.builds(Target, SHARES, st.sampled_from(["accuracy", "macro-f1"])),
    st.builds(GainBelow, SHARES, COUNTS, st.booleans()),
    st.builds(Stable, SHARES, COUNTS),
    st.builds(Budget, COUNTS),
)
RULES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(*(st.lists(inner, min_size=2, max_size=3).map(tuple).map(kind) for kind in (All, AnyOf))),
    max_leaves=8,
)


@st.composite
def towers(draw):
    """Draw rules joined one by one, the deepest that there can be."""
    simple = draw(st.lists(SIMPLE, min_size=2, max_size=MOST_RULES))
    kinds = draw(st.lists(st.sampled_from([All, AnyOf]), min_size=len(simple) - 1, max_size=len(simple) - 1))
    return reduce(lambda tower, floor: floor[0]((floor[1], tower)), zip(kinds, simple[1:], strict=True), simple[0])


@pytest.mark.parametrize(
    ("rule", "evidence", "stop", "reason"),
    [
        (Target(0.9), Evidence(10, accuracy_low=0.9), True, "at least 90.0 %: your target of 90 % is reached"),
        (Target(0.9), Evidence(10, accuracy_low=0.89, macro_f1_low=0.95), False, "the target is 90 %"),
        (Target(0.9), Evidence(10, accuracy_low=0.8999), False, "at least 89.9 % so far"),
        (Target(0.9995), Evidence(10, accuracy_low=0.9994), False, "the target is 99.95 %"),
        (Target(0.9), Evidence(10), False, "not measured yet"),
        (Target(0.8, "macro-f1"), Evidence(10, accuracy_low=0.7, macro_f1_low=0.81), True, "macro-F1"),
        (GainBelow(0.01), Evidence(10), False, "Too early"),
        (GainBelow(0.01), Evidence(10, gains={100: (0.009, 0.03)}), True, "about 0.9 points"),
        (GainBelow(0.01, surely=True), Evidence(10, gains={100: (0.009, 0.03)}), False, "at most 3 points"),
        (
            GainBelow(0.01),
            Evidence(10, gains={100: (0.00996, 0.03)}),
            True,
            "about 0.996 points of accuracy; you ask for 1 ",
        ),
        (
            GainBelow(0.01),
            Evidence(10, gains={100: (0.01, 0.03)}),
            False,
            "about 1 point of accuracy; you ask for 1 point",
        ),
        (GainBelow(0.01), Evidence(10, gains={100: (-0.004, 0.03)}), True, "about −0.4 points"),
        (
            GainBelow(0.01, labels=300),
            Evidence(10, gains={100: (0.5, 0.6), 500: (0.0, 0.1)}),
            False,
            "about 150 points",
        ),
        (GainBelow(0.01, labels=1), Evidence(10, gains={1: (0.1, 0.1)}), False, "1 more label would"),
        (GainBelow(0.01, surely=True), Evidence(10, gains={100: (0.001, 0.009)}), True, "at most 0.9 points"),
        (GainBelow(0.01, labels=200), Evidence(10, gains={100: (0.006, 0.03), 1000: (0.0, 0.1)}), False, "1.2 points"),
        (GainBelow(0.01, labels=900), Evidence(10, gains={100: (0.006, 0.03), 1000: (0.01, 0.1)}), True, "0.9 points"),
        (Stable(), Evidence(10, changed=(0.0, 0.0)), False, "too few models"),
        (Stable(), Evidence(10, changed=(0.9, 0.01, 0.0, 0.01)), True, "at most 1.0 %"),
        (Stable(), Evidence(10, changed=(0.0, 0.011, 0.0, 0.01)), False, "at most 1.1 %"),
        (Stable(), Evidence(10, changed=(0.0, 0.01004, 0.0)), False, "at most 1.1 %"),
        (Stable(0.5, models=1), Evidence(10, changed=(0.9, 0.4)), True, "The last model labels at most 40.0 %"),
        (Budget(10), Evidence(10), True, "the budget was 10"),
        (Budget(10), Evidence(9), False, "9 labels of a budget of 10"),
    ],
)
def test_what_stops_when_and_why(rule, evidence, stop, reason):
    found = rule.judge(evidence)
    assert found.stop is stop
    assert reason in found.reason
    assert found.reason.endswith(".")


@given(st.lists(SIMPLE, min_size=2, max_size=4), st.integers(0, 2000), st.floats(0, 1))
def test_and_needs_all_and_or_needs_one(rules, labels, low):
    evidence = Evidence(labels, low, low, {100: (low / 10, low)}, (low, low, low))
    each = [rule.judge(evidence).stop for rule in rules]
    assert All(tuple(rules)).judge(evidence).stop is all(each)
    assert AnyOf(tuple(rules)).judge(evidence).stop is any(each)


TARGET_MISSED = "The accuracy is at least 50.0 % so far; the target is 90 %."
TARGET_MET = "The accuracy is at least 95.0 %: your target of 90 % is reached."
BUDGET_LEFT = "99 labels of a budget of 100 are given."
BUDGET_SPENT = "100 labels are given: the budget was 100."


@pytest.mark.parametrize(
    ("word", "labels", "low", "stop", "reason"),
    [
        ("and", 99, 0.5, False, f"{TARGET_MISSED} {BUDGET_LEFT}"),
        ("and", 100, 0.5, False, TARGET_MISSED),
        ("and", 99, 0.95, False, BUDGET_LEFT),
        ("and", 100, 0.95, True, f"{TARGET_MET} {BUDGET_SPENT}"),
        ("or", 99, 0.5, False, f"{TARGET_MISSED} {BUDGET_LEFT}"),
        ("or", 100, 0.5, True, BUDGET_SPENT),
        ("or", 99, 0.95, True, TARGET_MET),
        ("or", 100, 0.95, True, f"{TARGET_MET} {BUDGET_SPENT}"),
    ],
)
def test_joined_rules_tell_what_decided(word, labels, low, stop, reason):
    rule = parse_rule(f"target:0.9 {word} budget:100")
    assert rule.judge(Evidence(labels, accuracy_low=low)) == Judgement(stop, reason)


@given(st.floats(0, 1), SHARES)
def test_what_is_told_of_a_bound_is_never_more_than_is_known(bound, wanted):
    told = Target(wanted).judge(Evidence(1, accuracy_low=bound)).reason
    assert float(told.split("at least ")[1].split(" %")[0]) / 100 <= bound + 1e-8
    told = Stable(wanted, 1).judge(Evidence(1, changed=(bound,))).reason
    assert float(told.split("at most ")[1].split(" %")[0]) / 100 >= bound - 1e-8


@given(RULES | towers())
def test_a_rule_and_its_text_are_one(rule):
    assert parse_rule(rule_text(rule)) == rule


def test_the_longest_and_the_deepest_rules_have_a_text_that_can_be_read():
    longest = GainBelow(1.2345678901234567e-100, 10**9, surely=True)
    deepest = reduce(lambda tower, kind: kind((longest, tower)), [All, AnyOf] * (MOST_RULES // 2 - 1) + [All], longest)
    for rule in (deepest, All((longest,) * MOST_RULES)):
        assert parse_rule(rule_text(rule)) == rule
        with pytest.raises(InvalidInput, match="keep to"):
            All((rule, Stable()))


def test_numbers_of_numpy_are_written_as_plain_ones():
    assert rule_text(Target(np.float64(0.5))) == "target:0.5"


def test_a_rule_from_elsewhere_has_no_text():
    class Never:
        def judge(self, evidence):
            return Judgement(False, "Never.")

    joined = All((Never(), Budget(1)))
    assert joined.judge(Evidence(5)) == Judgement(False, "Never.")
    with pytest.raises(InvalidInput, match="Never has no text form"):
        rule_text(joined)


def test_and_binds_closer_than_or_and_parentheses_closest():
    assert parse_rule("stable OR budget:5 and target:50%") == AnyOf((Stable(), All((Budget(5), Target(0.5)))))
    assert parse_rule("(stable or budget:5)and target:0.5") == All((AnyOf((Stable(), Budget(5))), Target(0.5)))


@pytest.mark.parametrize("form", [*FORMS, STOP_WHEN, "surely-gain:0.5%/100", "Stable:2%/5", "macro-F1:80%"])
def test_every_form_that_is_named_can_be_read(form):
    parse_rule(form)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "character 1: a rule is missing"),
        ("target", "write it like target:0.9"),
        ("target:90", "between 0 and 1"),
        ("target:nan", "between 0 and 1"),
        ("target:0.9/3", "write it like"),
        ("tarjet:0.9", "did you mean 'target'"),
        ("stable and", "character 11: a rule is missing"),
        ("stable or or stable", "character 11: a rule is missing"),
        ("stable stable", "character 8: 'stable' follows a whole rule"),
        ("(stable", "is not closed"),
        ("stable)", "character 7"),
        ("budget:0", "name at least one"),
        ("budget:-5", "name at least one"),
        ("budget:1.5", "write it like budget:500"),
        ("gain:0", "between 0 and 1"),
        ("gain:0.1/0", "name at least one"),
        ("stable:0.1/0", "name at least one"),
        ("stable:", "stable:0.02/5"),
        ("stable:/5", "write it like"),
        ("gain:0.01/", "write it like gain:0.005/100"),
        ("target:0_9%", "write it like"),
        ("gain:0.01/1" + "0" * 400, "name fewer"),
        ("(" * 1_000 + "stable" + ")" * 1_000, "deep"),
        ("(" * 1_000, "deep"),
        ("stable or " * 50 + "stable", "character 501: this is rule 51; keep to 50"),
        ("stable or " * 400 + "stable", "characters"),
    ],
)
def test_what_cannot_be_read_is_refused_with_place_and_remedy(text, why):
    with pytest.raises(InvalidInput, match="stopping rule") as refusal:
        parse_rule(text)
    assert why in str(refusal.value)


@given(st.text(alphabet="abeglnorstu:%/().0123456789 and or\u00e9\x00", max_size=60) | st.text(max_size=40))
def test_any_text_is_a_rule_or_refused(text):
    try:
        rule = parse_rule(text)
    except InvalidInput:
        return
    assert parse_rule(rule_text(rule)) == rule


@pytest.mark.parametrize("rules", [(), (Stable(),)])
def test_nothing_to_join_is_refused(rules):
    for kind in (All, AnyOf):
        with pytest.raises(InvalidInput):
            kind(rules)


@pytest.mark.parametrize("value", [math.nan, 0.0, 1.0, -0.1, 1.5, math.inf])
@pytest.mark.parametrize("kind", [Target, GainBelow, Stable])
def test_a_share_that_is_none_is_refused(kind, value):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        kind(value)


@pytest.mark.parametrize("number", [0, -1, 1.5, math.nan, True, 10**400])
@pytest.mark.parametrize("kind", [Budget, lambda number: GainBelow(0.1, number), lambda number: Stable(0.1, number)])
def test_a_number_that_is_none_is_refused(kind, number):
    with pytest.raises(InvalidInput, match=r"name at least one|name fewer"):
        kind(number)


def test_a_metric_that_there_is_not_is_refused():
    with pytest.raises(InvalidInput, match="did you mean 'macro-f1'"):
        Target(0.9, "micro-f1")


@pytest.mark.parametrize(
    "known",
    [
        {"accuracy_low": math.nan},
        {"macro_f1_low": math.nan},
        {"gains": {100: (math.nan, 0.1)}},
        {"gains": {100: (0.1, math.nan)}},
        {"gains": {0: (0.1, 0.1)}},
        {"changed": (0.0, math.nan, 0.0)},
    ],
)
def test_evidence_that_is_none_is_refused(known):
    with pytest.raises(InvalidInput):
        Evidence(10, **known)
