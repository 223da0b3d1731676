"""The bfloat16 route: its bound, measured against fractions, and its answers, against the float32 route's."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.neighbors import exact_squared_distance

from nearmiss.arrays import routes
from nearmiss.arrays.coarse import CoarseFrame
from nearmiss.arrays.dense_points import PreparedFrame
from nearmiss.arrays.neighbor_sets import coarse_sets, fine_sets
from nearmiss.arrays.neighbors import nearest_sets
from nearmiss.arrays.points import point_sets


def coarse_of(points):
    return CoarseFrame(PreparedFrame(points, torch.float32))


def points_of(queries, references):
    return point_sets(queries.astype(np.float32), references.astype(np.float32)).points


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    dimension=st.sampled_from([1, 3, 17, 64, 300]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    scale=st.sampled_from([1e-42, 1e-20, 1.0, 1e15]),
    outlier=st.sampled_from([1.0, 1e3]),
)
def test_the_error_stays_within_the_bound(seed, dimension, offset, scale, outlier):
    rng = np.random.default_rng(seed)
    x, y = (((rng.normal(size=(n, dimension)) + offset) * scale).astype(np.float32) for n in (4, 12))
    y[0] *= outlier
    points = points_of(x, y)
    frame = coarse_of(points)
    block = frame.block(slice(0, 4))
    values = block.values()
    assert (values >= 0).all()
    exact = np.array([[float(exact_squared_distance(a, b)) for b in y] for a in x]) * block.fine.frame.scale**2
    if points.n_references == len(y):
        assert (block.lower(values).numpy() <= exact).all()
        assert (exact <= block.upper(values).numpy()).all()


def test_the_bound_is_of_use(rng):
    x, y = (rng.normal(size=(n, 384)) for n in (400, 1_000))
    block = coarse_of(points_of(x, y)).block(slice(0, 400))
    assert (block.error < 2e-2 * block.fine.offset).all()


def near_ties(rng, n, m, dimension):
    """References in tight clumps, so that a hundred of them differ by less than bfloat16 tells apart."""
    centers = rng.normal(size=(8, dimension))
    return tuple(
        centers[rng.integers(8, size=size)]
        + 10.0 ** rng.uniform(-9, 0, size=(size, 1)) * rng.normal(size=(size, dimension))
        for size in (n, m)
    )


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    dimension=st.sampled_from([1, 5, 40]),
    scale=st.sampled_from([1e-35, 1e-3, 1.0, 1e18]),
    offset=st.sampled_from([0.0, 100.0]),
    k=st.sampled_from([1, 4, 10]),
    m=st.sampled_from([21, 300, 3_000]),
)
def test_both_routes_give_the_same_sets(seed, dimension, scale, offset, k, m):
    rng = np.random.default_rng(seed)
    queries, references = (array * scale + offset * scale for array in near_ties(rng, 40, m, dimension))
    queries[0] = 1e12 * scale  # so far away that no bound of its keys helps
    points = points_of(queries, references)
    k = min(k, points.n_references - 1)
    rows = slice(0, 40)
    coarse = coarse_sets(points, coarse_of(points), rows, k).sort(dim=1).values
    assert torch.equal(coarse, fine_sets(points, rows, k).sort(dim=1).values)


@pytest.fixture
def always_tried(monkeypatch):
    """Take the coarse route's part of the blocks on any processor: slow here, but with the same numbers."""
    monkeypatch.setattr(routes, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(routes, "KEY_BYTES", 2**20)


@pytest.mark.parametrize("faster", ["coarse", "fine"])
def test_whichever_route_is_faster_the_sets_are_the_same(rng, always_tried, monkeypatch, faster):
    taken = []

    def watched(name, route):
        def run(*given):
            taken.append(name)
            if not name.startswith(faster):
                time.sleep(0.5)
            return route(*given)

        return run

    for name in ("coarse_sets", "fine_sets"):
        monkeypatch.setattr(routes, name, watched(name, getattr(routes, name)))
    queries, references = (array.astype(np.float32) for array in near_ties(rng, 2_000, 1_200, 24))
    found = nearest_sets(queries, references, 5)
    monkeypatch.undo()
    assert sorted(taken[:2]) == ["coarse_sets", "fine_sets"]
    assert set(taken[2:]) == {f"{faster}_sets"}
    assert (found == nearest_sets(queries, references, 5)).all()


def test_float64_points_take_no_coarse_route(rng, always_tried, monkeypatch):
    monkeypatch.setattr(routes, "coarse_sets", None)
    queries, references = near_ties(rng, 2_000, 1_200, 24)
    assert nearest_sets(queries, references, 5).shape == (2_000, 5)
