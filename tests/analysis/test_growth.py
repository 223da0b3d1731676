"""Both learning curves and what follows from them, on curves that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nearmiss.analysis.growth import fit_growth, spread_sizes
from nearmiss.analysis.random_curve import CurvePoints, random_curve
from nearmiss.analysis.savings import forecast, savings
from nearmiss.errors import InvalidArray, InvalidInput


def rising(labels, worth=1.0):
    return 0.9 - 0.6 * (1 + np.asarray(labels) * worth / 12) ** -0.9


def answers(rates, hard):
    """Each check is right where its hardness lies below the rate: models err on the same texts."""
    return (hard[:, None] < np.asarray(rates)).astype(float)


def grown(rng, checks, picked_to, worth):
    hard = rng.random(checks)
    sizes = np.unique(np.geomspace(8, checks * 4 // 5, 6).astype(np.int64))
    picks = np.unique(np.geomspace(picked_to / 10, picked_to, 6).astype(np.int64))
    random = CurvePoints(sizes, answers(rising(sizes) + rng.normal(0, 0.006, len(sizes)), hard))
    picked = CurvePoints(picks, answers(rising(picks, worth) + rng.normal(0, 0.006, len(picks)), hard))
    return fit_growth(random, picked, 3, rng)


@pytest.mark.parametrize("worth", [1.0, 2.0, 4.0])
def test_the_interval_has_the_true_number_of_random_labels_nine_times_in_ten(worth):
    rng, held = np.random.default_rng(int(10 * worth)), 0
    for _ in range(40):
        found = savings(grown(rng, 150, 400, worth), labels=550, checks=150, pool=100_000)
        held += found.interval.low <= 400 * worth <= found.interval.high
    assert held >= 32


def test_more_checks_narrow_it():
    rng = np.random.default_rng(0)

    def ends(checks):
        found = [grown(rng, checks, 400, 2.0).equivalent for _ in range(8)]
        return np.median([np.log(np.quantile(each, 0.95) / np.quantile(each, 0.05)) for each in found])

    assert ends(1_000) < ends(40)


def test_a_forecast_has_the_gain_and_says_little_of_a_flat_end():
    rng, held = np.random.default_rng(5), 0
    for _ in range(30):
        growth = grown(rng, 120, 300, 2.0)
        found = forecast(growth, 300)
        held += found.interval.low <= rising(600, 2.0) - rising(300, 2.0) <= found.interval.high
        assert forecast(growth, 1_000).gain >= found.gain - 0.005
    assert held >= 25


def test_random_checks_among_the_next_labels_bring_nothing():
    growth = grown(np.random.default_rng(0), 150, 100, 1.0)
    assert forecast(growth, 1_000, checks_share=0.9).gain < forecast(growth, 1_000).gain


def test_picks_that_do_worse_than_random_are_likely_told():
    rng = np.random.default_rng(2)
    worse = [savings(grown(rng, 300, 400, 0.25), labels=700, checks=300, pool=9_000).worse for _ in range(10)]
    better = [savings(grown(rng, 300, 400, 3.0), labels=700, checks=300, pool=9_000).worse for _ in range(10)]
    assert np.median(worse) > 0.8
    assert np.median(better) < 0.2


def test_few_checks_and_wide_intervals_are_too_early_and_beyond_the_pool_is_open():
    growth = grown(np.random.default_rng(0), 150, 400, 2.0)
    assert not savings(growth, labels=550, checks=59, pool=10_000).told
    assert savings(growth, labels=550, checks=150, pool=10_000).told
    small = savings(growth, labels=550, checks=150, pool=500)
    assert math.isinf(small.interval.high)
    assert small.equivalent <= 500


def test_the_same_seed_gives_the_same():
    first, second = (grown(np.random.default_rng(7), 60, 90, 2.0).equivalent for _ in range(2))
    assert np.array_equal(first, second)


def test_what_cannot_be_is_refused():
    growth = grown(np.random.default_rng(0), 40, 90, 1.0)
    with pytest.raises(InvalidInput):
        savings(growth, labels=0, checks=1, pool=1)
    with pytest.raises(InvalidInput):
        forecast(growth, 0)
    with pytest.raises(InvalidInput):
        forecast(growth, 5, checks_share=1.0)
    points = CurvePoints(np.array([5]), np.ones((20, 1)))
    with pytest.raises(InvalidArray):
        fit_growth(points, CurvePoints(np.array([5]), np.ones((21, 1))), 2, np.random.default_rng(0))
    with pytest.raises(InvalidArray):
        CurvePoints(np.array([5, 6]), np.ones((20, 1)))


def test_checks_all_right_or_all_wrong_are_no_trouble():
    points = CurvePoints(np.array([8, 16]), np.ones((20, 2)))
    found = fit_growth(points, CurvePoints(np.array([10]), np.ones((20, 1))), 2, np.random.default_rng(0))
    assert np.median(found.accuracy) > 0.8
    wrong = fit_growth(points, CurvePoints(np.array([10]), np.zeros((20, 1))), 2, np.random.default_rng(0))
    assert np.isfinite(wrong.accuracy).all()


class TestRandomCurve:
    def test_every_check_is_asked_of_models_that_have_not_seen_it(self):
        labels, asked = np.arange(50) % 3, []

        def guess(train, test):
            assert not set(train) & set(test)
            asked.append((len(train), tuple(test)))
            return labels[test]

        found = random_curve(labels, 3, guess, np.random.default_rng(0), repeats=3)
        assert np.all(found.right == 1)
        for size in found.sizes:
            tested = [row for m, rows in asked if m == size for row in rows]
            assert sorted(tested) == sorted([*range(50)] * 3)

    def test_a_class_with_many_labels_begins_later(self):
        few, many = (
            random_curve(np.arange(200) % c, c, lambda train, test: test * 0, np.random.default_rng(0)).sizes[0]
            for c in (2, 50)
        )
        assert few == 8
        assert many > few

    @pytest.mark.parametrize(("n", "repeats"), [(19, 2), (40, 0)])
    def test_too_few_checks_make_no_curve(self, n, repeats):
        with pytest.raises(InvalidInput):
            random_curve(np.zeros(n, dtype=np.int64), 2, lambda *_: 0, np.random.default_rng(0), repeats=repeats)


def test_sizes_are_spread_and_the_last_is_among_them():
    assert spread_sizes(np.array([10])).tolist() == [0]
    chosen = spread_sizes(np.arange(10, 1_000, 10))
    assert chosen[-1] == 98
    assert len(chosen) <= 7
