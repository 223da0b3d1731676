"""Looking again and again: all intervals together hold, and a level never depends on what came later."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nearmiss.analysis.looks import look_levels, spent
from nearmiss.analysis.proportions import share_interval
from nearmiss.errors import InvalidArray, InvalidInput


def project(rng, n=300, every=15, rate=0.85):
    """Give looks at models that err on much the same texts and slowly get better."""
    hard = rng.random(n)
    return [(hard[:m] < rate + 0.05 * m / n).astype(float) for m in range(every, n + 1, every)]


def test_all_looks_together_miss_no_oftener_than_allowed():
    rng, missed, naive = np.random.default_rng(1), 0, 0
    for _ in range(150):
        looks = project(rng)
        levels = look_levels(looks, rng, level=0.1, paths=2_000)
        truths = [0.85 + 0.05 * len(look) / 300 for look in looks]
        said = [share_interval(int(look.sum()), len(look), at) for look, at in zip(looks, levels, strict=True)]
        missed += not all(each.low <= truth <= each.high for each, truth in zip(said, truths, strict=True))
        plain = [share_interval(int(look.sum()), len(look), 0.1) for look in looks]
        naive += not all(each.low <= truth <= each.high for each, truth in zip(plain, truths, strict=True))
    assert missed / 150 <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 150)
    assert naive / 150 > 0.2  # what one would get by not knowing of the others


def test_the_same_look_again_costs_next_to_nothing():
    rng = np.random.default_rng(0)
    look = (rng.random(200) < 0.8).astype(float)
    once = look_levels([look], rng)[0]
    again = look_levels([look] * 30, rng)[-1]
    other = look_levels([(rng.random(200) < 0.8).astype(float) for _ in range(30)], rng)[-1]
    assert again > once / 3
    assert other < again


def test_a_level_rests_on_the_looks_before_it_alone():
    looks = project(np.random.default_rng(2))
    early = look_levels(looks[:5], np.random.default_rng(0), paths=20_000)
    late = look_levels(looks, np.random.default_rng(0), paths=20_000)[:5]
    # Other draws of the same law: alike but for the simulation's own error, which is large far out.
    assert np.log(late) == pytest.approx(np.log(early), abs=1.0)


def test_spending_begins_at_nothing_grows_and_never_ends():
    values = [spent(n) for n in range(5_000)]
    assert values[:17] == [0.0] * 17
    assert all(later >= earlier for earlier, later in pairwise(values))
    assert spent(10**9) < 1


def test_looks_all_right_and_all_wrong_are_looks_too():
    levels = look_levels([np.ones(20), np.ones(40), np.zeros(40)], np.random.default_rng(0), paths=1_000)
    assert np.all((levels >= 0) & (levels <= 0.05))
    assert look_levels([], np.random.default_rng(0)).shape == (0,)


@pytest.mark.parametrize("looks", [[np.ones(0)], [np.ones(5), np.ones(4)]])
def test_looks_that_shrink_are_refused(looks):
    with pytest.raises(InvalidArray):
        look_levels(looks, np.random.default_rng(0))


@pytest.mark.parametrize("level", [0.0, 1.0, float("nan")])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(InvalidInput):
        look_levels([np.ones(5)], np.random.default_rng(0), level=level)
