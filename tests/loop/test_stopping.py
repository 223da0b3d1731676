"""Stopping rules: what stops when, what they say, and their text form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidInput
from nearmiss.loop.stopping import All, AnyOf, Budget, Evidence, GainBelow, Stable, Target
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


@pytest.mark.parametrize(
    ("rule", "evidence", "stop", "reason"),
    [
        (Target(0.9), Evidence(10, accuracy_low=0.9), True, "at least 90.0 %"),
        (Target(0.9), Evidence(10, accuracy_low=0.89, macro_f1_low=0.95), False, "the target is 90.0 %"),
        (Target(0.9), Evidence(10), False, "not measured yet"),
        (Target(0.8, "macro-f1"), Evidence(10, accuracy_low=0.7, macro_f1_low=0.81), True, "macro-F1"),
        (GainBelow(0.01), Evidence(10), False, "Too early"),
        (GainBelow(0.01), Evidence(10, gains={100: (0.009, 0.03)}), True, "about 0.9 points"),
        (GainBelow(0.01, surely=True), Evidence(10, gains={100: (0.009, 0.03)}), False, "at most 3 points"),
        (GainBelow(0.01, labels=200), Evidence(10, gains={100: (0.006, 0.03), 1000: (0.0, 0.1)}), False, "1.2 points"),
        (GainBelow(0.01, labels=900), Evidence(10, gains={100: (0.006, 0.03), 1000: (0.01, 0.1)}), True, "0.9 points"),
        (Stable(), Evidence(10, changed=(0.0, 0.0)), False, "too few models"),
        (Stable(), Evidence(10, changed=(0.9, 0.01, 0.0, 0.01)), True, "at most 1.0 %"),
        (Stable(), Evidence(10, changed=(0.0, 0.011, 0.0, 0.01)), False, "at most 1.1 %"),
        (Stable(0.5, models=1), Evidence(10, changed=(0.9, 0.4)), True, "at most 40.0 %"),
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


def test_joined_rules_tell_what_decided():
    rule = parse_rule("target:0.9 and budget:100")
    assert rule.judge(Evidence(100, 0.5)).reason == "The accuracy is at least 50.0 %; the target is 90.0 %."
    either = parse_rule("target:0.9 or budget:100")
    assert either.judge(Evidence(100, 0.5)).reason == "100 labels are given: the budget was 100."


@given(RULES)
def test_a_rule_and_its_text_are_one(rule):
    assert parse_rule(rule_text(rule)) == rule


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
        ("(" * 1_000, "deep"),
        ("stable or " * 200 + "stable", "characters"),
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
