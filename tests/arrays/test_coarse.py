"""The bfloat16 route: its bound, measured against fractions, and its answers, against the float32 route's."""

import time
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.neighbors import exact_squared_distance

from nearmiss.arrays import coarse, routes
from nearmiss.arrays.coarse import CROWD, CoarseFrame, reach
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


def value_of(bits):
    """Read the bits of one bfloat16 number; infinity is above all."""
    number = float(torch.tensor([bits], dtype=torch.int16).view(torch.bfloat16).double())
    return number if number == np.inf else Fraction(number)


def exact_reach(bits, error):
    return (1 + Fraction(1, 256)) * (value_of(bits) / (1 - Fraction(1, 256)) + 2 * Fraction(error))


#: What float64 may lose in computing a reach; the error F has 2⁻¹⁰ of itself to spare for it.
LOST = Fraction(1, 2**50)

LARGEST_BITS = 0x7F7F


@settings(deadline=None, max_examples=300)
@given(
    bits=st.integers(0, LARGEST_BITS),
    error=st.one_of(
        st.floats(0, 1e38),
        st.integers(-60, 20).map(lambda exponent: 2.0**exponent),
    ),
    relative=st.booleans(),
)
def test_the_reach_is_the_least_bfloat16_number_not_below_the_threshold(bits, error, relative):
    if relative:
        error *= float(value_of(bits))
    if not np.isfinite(error):
        return
    given_bits = torch.tensor([[bits]], dtype=torch.int16)
    found = int(reach(given_bits, torch.tensor([error], dtype=torch.float64)))
    exact = exact_reach(bits, error)
    assert value_of(found) >= exact * (1 - LOST)
    assert found == 0 or value_of(found - 1) < exact * (1 + LOST)


def test_every_value_without_an_error_has_an_exact_reach():
    bits = torch.arange(LARGEST_BITS + 1, dtype=torch.int16)[:, None]
    found = reach(bits, torch.zeros(len(bits), dtype=torch.float64)).flatten().tolist()
    for own, reached in zip(range(0, LARGEST_BITS + 1, 7), found[::7], strict=True):
        assert value_of(reached) >= exact_reach(own, 0.0)
        assert reached == 0 or value_of(reached - 1) < exact_reach(own, 0.0)


def test_reach_keeps_the_order_of_values_and_errors(rng):
    bits = torch.from_numpy(np.sort(rng.integers(0, LARGEST_BITS, size=500)).astype(np.int16))[:, None]
    assert (reach(bits, torch.ones(500, dtype=torch.float64)).diff(dim=0) >= 0).all()
    errors = torch.logspace(-30, 30, 500, dtype=torch.float64)
    assert (reach(bits[250].expand(500, 1), errors).diff(dim=0) >= 0).all()


def exact_order(query, references):
    """Order references by their exact distance, and give these distances."""
    squares = [exact_squared_distance(query, reference) for reference in references]
    return sorted(range(len(references)), key=squares.__getitem__), squares


def assert_none_nearer_is_left_out(queries, references, k):
    """Check what is near by exact arithmetic, and give how many queries had few candidates."""
    points = points_of(queries, references)
    given = points.reference_rows(slice(0, points.n_references)).numpy()
    asked = points.query_rows(slice(0, points.n_queries)).numpy()
    near = coarse_of(points).block(slice(0, points.n_queries)).near(k, k + 1)
    keys, columns = near.candidates.keys, near.candidates.columns
    assert keys.shape == columns.shape
    assert keys.shape[0] == len(near.queries)
    assert keys.shape[1] >= k + 1
    assert near.queries.tolist() == sorted(set(near.queries.tolist()))
    for query, own_keys, own_columns in zip(near.queries.tolist(), keys, columns, strict=True):
        own = own_columns[own_keys < torch.inf].tolist()
        assert k <= len(own) <= k + CROWD
        assert own == sorted(set(own))
        # Rows are filled up on the right.
        assert (own_keys[len(own) :] == torch.inf).all()
        order, squares = exact_order(asked[query], given)
        left_out = set(range(len(given))) - set(own)
        assert all(squares[j] > squares[order[k - 1]] for j in left_out)
    return len(near.queries)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    dimension=st.sampled_from([1, 4, 24]),
    kind=st.sampled_from(["spread", "near ties", "duplicates", "outliers", "grid"]),
    k=st.sampled_from([1, 2, 5, "all but one", "all but five"]),
    m=st.sampled_from([8, 33, 150]),
    offset=st.sampled_from([0.0, 100.0]),
)
def test_each_of_the_nearest_is_among_the_candidates(seed, dimension, kind, k, m, offset):
    rng = np.random.default_rng(seed)
    queries, references = (rng.normal(size=(n, dimension)) for n in (6, m))
    if kind == "near ties":
        queries, references = near_ties(rng, 6, m, dimension)
    elif kind == "duplicates":
        references[rng.integers(m, size=m // 2)] = references[0]
        queries[:3] = references[:3]
    elif kind == "outliers":
        references[rng.integers(m)] *= 1e6
        queries[0] *= 1e6
    elif kind == "grid":
        queries, references = np.round(queries), np.round(references)
    distinct = points_of(queries + offset, references + offset).n_references
    k = {"all but one": distinct - 1, "all but five": distinct - 5}.get(k, k)
    assert_none_nearer_is_left_out(queries + offset, references + offset, min(max(k, 1), distinct))


@pytest.mark.parametrize("k", [1, 3])
def test_groups_of_many_references_hide_none(rng, k):
    # Enough references that only the least value of every 32 is looked at first.
    queries, references = rng.normal(size=(4, 6)), rng.normal(size=(1_200, 6))
    assert 1_200 // (coarse.GROUPS_PER_NEIGHBOR * k) >= coarse.GROUP
    # All of the nearest stand where groups take turns, and behind the last whole group.
    references[-5:] = queries[0] + 1e-3 * rng.normal(size=(5, 6))
    references[:: 1_200 // coarse.GROUP][:5] = queries[1] + 1e-3 * rng.normal(size=(5, 6))
    assert assert_none_nearer_is_left_out(queries, references, k) == 4


@pytest.mark.parametrize("within", [0, 1])
def test_a_query_with_a_crowd_is_left_out(rng, within):
    k = 3
    references = 10 + rng.normal(size=(200, 8))
    crowd = k + CROWD + 1 - within
    references[:crowd] = 1e-4 * rng.normal(size=(crowd, 8))
    queries = np.concatenate([references[[150]], np.zeros((1, 8)), references[[199]]])
    points = points_of(queries, references)
    near = coarse_of(points).block(slice(0, 3)).near(k, k + 1)
    assert near.queries.tolist() == ([0, 1, 2] if within else [0, 2])
    assert near.candidates.keys.shape[1] >= (crowd if within else k + 1)
    assert_none_nearer_is_left_out(queries, references, k)


def test_where_every_query_has_a_crowd_none_is_left():
    points = points_of(np.zeros((4, 3)), 1 + 1e-4 * np.random.default_rng(0).normal(size=(300, 3)))
    near = coarse_of(points).block(slice(0, 4)).near(2, 2 + 1)
    assert near.queries.tolist() == []
    assert near.candidates.keys.shape == near.candidates.columns.shape == (0, 3)


def test_candidates_have_the_float32_keys_of_their_pairs(rng):
    queries, references = (rng.normal(size=(n, 12)) for n in (20, 400))
    block = coarse_of(points_of(queries, references)).block(slice(0, 20))
    few = block.near(4, 4 + 1).candidates
    table = block.fine.keys(slice(0, 400)).gather(1, few.columns)
    filled = few.keys < torch.inf
    assert not filled.all()
    assert few.keys[filled].numpy() == pytest.approx(table[filled].numpy(), abs=1e-4)


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
    monkeypatch.setattr(routes, "TRIED_FROM_BLOCKS", 1)


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
