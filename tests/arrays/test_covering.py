import numpy as np
import pytest
from tests.reference import kmeans as reference

from nearmiss.arrays import covering
from nearmiss.arrays.covering import farthest_first
from nearmiss.arrays.product_points import ProductPoints


@pytest.mark.parametrize("leaders", [1, 4, 128])
@pytest.mark.parametrize("seed", range(3))
def test_blocks_pick_what_one_at_a_time_picks(seed, leaders, monkeypatch):
    monkeypatch.setattr(covering, "LEADERS", leaders)
    rng = np.random.default_rng(seed)
    X, centers = rng.standard_normal((70, 3)), rng.standard_normal((4, 3))
    closest = ((X[:, None] - centers) ** 2).sum(axis=2).min(axis=1)
    given = closest.copy()
    picks = farthest_first(ProductPoints(X), closest, 40, rng)
    rows, picked_at = reference.farthest_first(X, centers, 40)
    assert picks.indices.tolist() == rows
    np.testing.assert_allclose(np.sqrt(picks.squared_distances), picked_at, rtol=1e-9)
    assert closest.tolist() == given.tolist()


def test_ties_are_drawn_and_rows_not_on_offer_stay_out():
    X = np.array([[0.0], [1.0], [1.0], [1.0], [1.0]])
    closest = np.array([-np.inf, 1.0, 1.0, 1.0, 1.0])
    firsts = {int(farthest_first(ProductPoints(X), closest, 1, np.random.default_rng(s)).indices[0]) for s in range(40)}
    assert firsts == {1, 2, 3, 4}
    picks = farthest_first(ProductPoints(X), closest, 4, np.random.default_rng(0))
    assert sorted(picks.indices.tolist()) == [1, 2, 3, 4]
    assert picks.squared_distances.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_a_wide_tie_at_the_bar_is_served_one_by_one(monkeypatch):
    monkeypatch.setattr(covering, "LEADERS", 3)
    X = np.eye(20)
    picks = farthest_first(ProductPoints(X), np.ones(20), 20, np.random.default_rng(0))
    assert sorted(picks.indices.tolist()) == list(range(20))
    assert picks.squared_distances.tolist() == [1.0] * 20


def test_no_picks_are_no_picks():
    picks = farthest_first(ProductPoints(np.eye(2)), np.ones(2), 0, np.random.default_rng(0))
    assert len(picks.indices) == len(picks.squared_distances) == 0
