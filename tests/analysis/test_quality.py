"""Accuracy, recall and macro-F1 by random checks: against scikit-learn, and whether the intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score

from nearmiss.analysis.depletion import pool_after
from nearmiss.analysis.estimates import Pool
from nearmiss.analysis.macro_f1 import f1_influences, macro_f1
from nearmiss.analysis.quality import accuracy, assess, quality_levels, recalls
from nearmiss.errors import InvalidArray

ANSWERS = st.integers(2, 4).flatmap(
    lambda c: st.lists(st.tuples(st.integers(0, c - 1), st.integers(0, c - 1)), min_size=1, max_size=40).map(
        lambda pairs: (c, np.array(pairs)[:, 0], np.array(pairs)[:, 1])
    )
)


@given(ANSWERS)
def test_every_value_lies_in_its_interval_and_all_lie_between_0_and_1(answers):
    n_classes, guesses, labels = answers
    found = assess([guesses], labels, n_classes, Pool(remaining=50), np.random.default_rng(0))
    estimates = [found.accuracy, found.macro_f1, *(each for each in found.recalls if each is not None)]
    for each in estimates:
        assert 0 <= each.interval.low <= each.value + 1e-9
        assert each.value - 1e-9 <= each.interval.high <= 1


@given(ANSWERS)
def test_recalls_are_scikit_learns(answers):
    n_classes, guesses, labels = answers
    found = recalls(guesses, labels, n_classes, 0.05)
    theirs = recall_score(labels, guesses, labels=np.arange(n_classes), average=None, zero_division=np.nan)
    assert [None if each is None else each.value for each in found] == [
        None if np.isnan(value) else pytest.approx(value) for value in theirs
    ]


def test_with_many_checks_macro_f1_is_scikit_learns():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 20_000)
    guesses = np.where(rng.random(20_000) < 0.8, labels, rng.integers(0, 5, 20_000))
    assert macro_f1(guesses, labels, 5, 0.05).value == pytest.approx(
        f1_score(labels, guesses, average="macro"), abs=2e-4
    )


def test_from_few_checks_a_class_macro_f1_is_right_on_average():
    rng, estimates, naive = np.random.default_rng(3), [], []
    labels = np.arange(20_000) % 20
    guesses = np.where(rng.random(20_000) < 0.8, labels, rng.integers(0, 20, 20_000))
    truth = f1_score(labels, guesses, average="macro")
    held = 0
    for _ in range(200):
        drawn = rng.choice(20_000, 60, replace=False)
        found = macro_f1(guesses[drawn], labels[drawn], 20, 0.05)
        held += found.interval.low <= truth <= found.interval.high
        estimates.append(found.value)
        naive.append(f1_score(labels[drawn], guesses[drawn], average="macro"))
    assert abs(np.mean(estimates) - truth) < 0.03
    assert truth - np.mean(naive) > 0.03  # the plug-in value is not
    assert held >= 190


def test_a_class_that_no_check_has_leaves_macro_f1_open():
    labels = np.arange(100) % 2
    known, unknown = (macro_f1(labels, labels, c, 0.05).interval for c in (2, 4))
    assert known.high - known.low < 0.1
    assert unknown.high - unknown.low > 0.45


@given(ANSWERS)
def test_influences_are_the_slope_of_macro_f1_in_each_checks_weight(answers):
    n_classes, guesses, labels = answers
    found = f1_influences(guesses, labels, n_classes)
    assert found.mean() == pytest.approx(0, abs=1e-9)

    def value(weights):
        total = 0.0
        for c in range(n_classes):
            part = (labels == c) | (guesses == c)
            if part.any():
                share = weights[(labels == c) & (guesses == c)].sum() / weights[part].sum()
                total += 2 * share / (1 + share)
        return total / n_classes

    weights, step, n = np.ones(len(labels)), 1e-6, len(labels)
    for i in range(min(n, 5)):
        more = weights.copy()
        more[i] += step
        assert n * (value(more) - value(weights)) / step == pytest.approx(found[i], abs=1e-3)


def test_what_labelling_took_out_of_the_pool_is_put_right():
    """A check drawn early stands for hard texts too, which have been picked since."""
    rng, off, uncorrected = np.random.default_rng(0), [], []
    for _ in range(100):
        hard = rng.random(1_000) < 0.3
        right = np.where(hard, rng.random(1_000) < 0.4, rng.random(1_000) < 0.95)
        order = rng.permutation(1_000)
        checks, picked = [], []
        open_ = np.ones(1_000, dtype=bool)
        said, guessed = [], []
        for step in range(200):
            is_check = step % 4 == 0
            candidates = [i for i in order if open_[i] and (is_check or hard[i])]
            i = candidates[0] if is_check else candidates[-1]
            open_[i] = False
            (checks if is_check else picked).append(i)
            said.append(is_check)
            guessed.append(float(right[i]) if is_check else 0.0)  # what it was least sure of
        share = right[checks].mean()
        pool = pool_after(np.array(said), np.array(guessed), 1_000)
        off.append(pool.corrected(share) - right[open_].mean())
        uncorrected.append(share - right[open_].mean())
    assert abs(np.mean(off)) < abs(np.mean(uncorrected)) / 2


def test_a_pool_without_checks_or_picks_needs_no_correction():
    assert pool_after(np.zeros(5, dtype=bool), np.full(5, np.nan), 20) == Pool(remaining=15)
    only = pool_after(np.ones(5, dtype=bool), np.ones(5), 20)
    assert only.corrected(0.8) == 0.8


def test_an_early_look_is_wider_than_a_single_one_and_a_late_one_narrower():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    guesses = np.where(rng.random(400) < 0.9, labels, 1 - labels)
    looks = [guesses[:n] for n in range(20, 401, 20)]
    widths = []
    for last in (1, 5, 20):
        found = assess(looks[:last], labels[: 20 * last], 2, Pool(remaining=10**6), rng).accuracy
        widths.append(found.interval.high - found.interval.low)
    alone = accuracy(int((guesses == labels).sum()), 400, Pool(remaining=10**6), 0.05).interval
    assert widths[0] > widths[1] > widths[2] > alone.high - alone.low


def test_looks_and_labels_must_be_of_the_same_checks():
    with pytest.raises(InvalidArray):
        quality_levels([np.zeros(3, dtype=np.int64)], np.zeros(4, dtype=np.int64), 2, np.random.default_rng(0))
    with pytest.raises(InvalidArray):
        macro_f1(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), 2, 0.05)
    with pytest.raises(InvalidArray):
        pool_after(np.zeros(3, dtype=bool), np.zeros(2), 10)
    with pytest.raises(InvalidArray):
        pool_after(np.zeros(3, dtype=bool), np.zeros(3), 2)
