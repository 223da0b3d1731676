"""The nearest centre by both routes, held against exact distances.

What float32 keys cannot tell apart
-----------------------------------
With u = 2⁻²⁴ and c' = fl(c − o), a key fl(fl(‖c'‖² + 2 o·c') + fl(−2 x·c')) is off by at most

    2 γ(d) ‖x‖ ‖c'‖                         for the product of d terms, in any order,
    2 u (‖c'‖² + 2 ‖o‖ ‖c'‖ + ‖x‖ ‖c'‖)     for the constant and for the last sum,
    2 u ‖x − c‖ ‖c'‖                        for c' itself,

and 1.01 times their sum pays for the second order. Of two centres that differ by more than twice that, the nearer wins.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from tests.reference.neighbors import exact_squared_distance

from nearmiss.arrays import assignment
from nearmiss.arrays.assignment import NearestCenters, squared_differences
from nearmiss.arrays.distances import dense_squared_norms
from nearmiss.arrays.frames import gamma

ROUTES = ["plain", "rounded"]
UNIT = 2.0**-24


@pytest.fixture(params=ROUTES)
def route(request, monkeypatch):
    take(request.param, monkeypatch)
    return request.param


def take(route, monkeypatch, from_centers=1):
    """Take one of the routes on any processor: where it lacks instructions, with the same numbers, but slowly."""
    monkeypatch.setattr(assignment, "multiplies_bfloat16", lambda: route == "rounded")
    monkeypatch.setattr(assignment, "COARSE_FROM_CENTERS", from_centers)


def assign(rows, centers):
    """Assign float32 rows, and see to it that the route was the one asked for."""
    nearest = NearestCenters(torch.from_numpy(rows))
    found = nearest.of(torch.from_numpy(centers))
    assert (nearest._rounded is not None) == assignment.multiplies_bfloat16()
    return found


def squared_table(rows, centers):
    """All squared distances, by differences in float64."""
    return np.stack([np.square(rows - center).sum(axis=1) for center in centers.astype(np.float64)], axis=1)


def tolerances(rows, centers):
    """What two keys of each row may be off by together; the module's docstring has the arithmetic."""
    rows, centers = rows.astype(np.float64), centers.astype(np.float64)
    origin = rows.mean(axis=0)
    x, o = np.linalg.norm(rows, axis=1), np.linalg.norm(origin)
    moved = np.linalg.norm(centers - origin, axis=1).max()
    apart = np.sqrt(squared_table(rows, centers)).max(axis=1)
    product = 2 * gamma(rows.shape[1], UNIT) * x * moved
    sums = 2 * UNIT * (moved**2 + 2 * o * moved + x * moved)
    return 2 * 1.01 * (product + sums + 2 * UNIT * apart * moved)


def assert_nearest(rows, centers, found):
    squared = squared_table(rows, centers)
    assert found.shape == (len(rows),)
    assert found.dtype == np.int64
    own = squared[np.arange(len(rows)), found]
    assert (own <= squared.min(axis=1) + tolerances(rows, centers)).all()


def normal(rng, n, d):
    return rng.standard_normal((n, d), dtype=np.float32)


@pytest.mark.parametrize("n, k, d", [(500, 80, 33), (200, 7, 3), (50, 20, 1), (300, 129, 300)])
def test_the_nearest_of_random_centers_is_found(rng, route, n, k, d):
    rows = normal(rng, n, d)
    centers = rows[rng.choice(n, size=k, replace=False)] + 0.1 * normal(rng, k, d)
    found = assign(rows, centers)
    assert_nearest(rows, centers, found)
    squared = np.sort(squared_table(rows, centers), axis=1)
    clear = squared[:, 1] - squared[:, 0] > tolerances(rows, centers)
    assert clear.mean() > 0.9
    assert (found == squared_table(rows, centers).argmin(axis=1))[clear].all()


def test_both_routes_agree_where_more_than_rounding_separates_centers(rng, monkeypatch):
    # Entries are small multiples of 1/8 and their mean is 0: all keys are exact in float32.
    half = rng.integers(-8, 9, size=(300, 20)) / 8
    rows = np.concatenate([half, -half]).astype(np.float32)
    centers = rows[:100] + np.float32(0.125)
    answers = []
    for name in ROUTES:
        take(name, monkeypatch)
        answers.append(assign(rows, centers))
    assert (answers[0] == answers[1]).all()
    assert (answers[0] == squared_table(rows, centers).argmin(axis=1)).all()


def test_equal_centers_give_the_lowest_id(rng, route):
    rows = normal(rng, 300, 12)
    distinct = normal(rng, 25, 12)
    clusters = rng.permutation(np.repeat(np.arange(25), 4))
    found = assign(rows, distinct[clusters])
    first = np.array([np.flatnonzero(clusters == c)[0] for c in range(25)])
    assert set(found) <= set(first.tolist())
    assert_nearest(rows, distinct[clusters], found)


def test_rows_as_near_to_several_centers_take_the_lowest(route):
    # Each row is the origin or one of the axes; of the centres ±2e, all that a row is equally near to are 2d or 2d - 1.
    rows = np.concatenate([np.zeros((4, 8)), np.eye(8), -np.eye(8)]).astype(np.float32)
    centers = 2 * np.concatenate([np.eye(8), -np.eye(8)]).astype(np.float32)
    assert assign(rows, centers).tolist() == [0] * 4 + list(range(16))


@pytest.mark.parametrize("d", [1, 4, 16, 128])
def test_rows_far_from_the_origin_find_their_center(rng, route, d):
    clusters = rng.integers(40, size=800)
    places = 8 * rng.permutation(40)[:, None] * np.eye(1, d) + rng.uniform(-1, 1, size=(40, d))
    rows, centers = (
        (1e4 + part).astype(np.float32) for part in (places[clusters] + 0.2 * normal(rng, 800, d) / d**0.5, places)
    )
    # Keys about the origin of the space would be of size 1e8 d, of which float32 drops all below 4 d.
    assert (assign(rows, centers) == squared_table(rows, centers).argmin(axis=1)).all()
    assert_nearest(rows, centers, assign(rows, centers))


@pytest.mark.parametrize("d", [2, 16])
def test_spread_of_one_at_ten_thousand_is_told_apart(rng, route, d):
    rows, centers = (np.float32(1e4) + normal(rng, n, d) for n in (1_000, 64))
    found = assign(rows, centers)
    assert_nearest(rows, centers, found)
    assert (found == squared_table(rows, centers).argmin(axis=1)).mean() > 0.99


@pytest.mark.parametrize("exponent", [-50, -40, 40, 50])
def test_huge_and_tiny_rows_are_not_rounded_and_give_the_same(rng, monkeypatch, exponent):
    rows, centers = normal(rng, 300, 9), normal(rng, 70, 9)
    take("plain", monkeypatch)
    expected = assign(rows, centers)
    take("rounded", monkeypatch)
    nearest = NearestCenters(torch.from_numpy(rows * np.float32(2.0**exponent)))
    # A power of two changes no rounding.
    assert (nearest.of(torch.from_numpy(centers * np.float32(2.0**exponent))) == expected).all()
    assert nearest._rounded is None


def test_other_rows_are_not_rounded(rng, monkeypatch):
    take("rounded", monkeypatch, from_centers=10)
    rows = normal(rng, 40, 5)
    for given_rows, k in [(torch.from_numpy(rows.astype(np.float64)), 20), (torch.from_numpy(rows), 9)]:
        nearest = NearestCenters(given_rows)
        nearest.of(given_rows[:k])
        assert nearest._rounded is None


def test_a_single_center_takes_all(rng, route):
    assert assign(normal(rng, 30, 4), normal(rng, 1, 4)).tolist() == [0] * 30


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_every_row_is_its_own_center(rng, route, offset):
    rows = normal(rng, 300, 24) + np.float32(offset)
    assert assign(rows, rows).tolist() == list(range(300))


def test_one_dimension(rng, route):
    rows = rng.permutation(np.arange(-300, 300, dtype=np.float32))[:, None]
    centers = np.arange(-300, 300, 5, dtype=np.float32)[:, None]
    assert (assign(rows, centers) == np.clip(np.round((rows[:, 0] + 300) / 5), 0, 119)).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_equal_rows_have_one_answer(rng, route, value):
    rows = np.full((200, 10), value, dtype=np.float32)
    centers = rows[:70] + rng.integers(1, 9, size=(70, 1)).astype(np.float32)
    centers[40:45] = rows[0]
    assert assign(rows, centers).tolist() == [40] * 200
    assert assign(rows, rows[:70]).tolist() == [0] * 200


def test_a_single_row(rng, route):
    assert assign(normal(rng, 1, 6) * 0, np.arange(5, dtype=np.float32)[:, None] - np.ones(6, np.float32)).tolist() == [
        1
    ]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    d=st.sampled_from([1, 2, 7, 40, 130]),
    k=st.sampled_from([2, 30, 90]),
    clumps=st.sampled_from([1, 3, 20]),
    offset=st.sampled_from([0.0, 1.0, 50.0]),
    scale=st.sampled_from([1e-4, 1.0, 1e5]),
)
def test_clumps_of_centers_leave_many_in_doubt_and_the_nearest_is_found(seed, d, k, clumps, offset, scale):
    rng = np.random.default_rng(seed)
    places = rng.standard_normal((clumps, d))
    closeness = 10.0 ** rng.uniform(-7, -1, size=(k, 1))
    centers = places[rng.integers(clumps, size=k)] + closeness * rng.standard_normal((k, d))
    near = centers[rng.integers(k, size=60)] + 10.0 ** rng.uniform(-7, 0, size=(60, 1)) * rng.standard_normal((60, d))
    rows = np.concatenate([near, centers[:1], 30 * rng.standard_normal((3, d))])
    rows, centers = ((scale * (part + offset)).astype(np.float32) for part in (rows, centers))
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ROUTES:
            take(name, monkeypatch)
            assert_nearest(rows, centers, assign(rows, centers))


def test_a_center_is_never_passed_over_by_the_rounded_values(rng, monkeypatch):
    """The key of what is found is the least key of all, as a plain comparison of the same keys says."""
    take("rounded", monkeypatch)
    # Eight bits are not enough to tell these apart: 90 centres within 1e-3 of one place.
    centers = np.float32(1.0) + np.float32(1e-3) * normal(rng, 90, 16)
    rows = centers[rng.integers(90, size=400)] + np.float32(1e-4) * normal(rng, 400, 16)
    rows[0] = 40.0
    found = assign(rows, centers)
    assert_nearest(rows, centers, found)
    assert len(set(found)) > 40


def test_the_rounding_of_rows_is_kept_while_centers_move(rng, monkeypatch):
    take("rounded", monkeypatch, from_centers=50)
    rows = normal(rng, 300, 10)
    nearest = NearestCenters(torch.from_numpy(rows))
    for k in (60, 3, 200):
        centers = normal(rng, k, 10)
        assert_nearest(rows, centers, nearest.of(torch.from_numpy(centers)))
        assert nearest._rounded is not None


def test_rows_and_centers_are_left_as_they_were(rng, route):
    rows, centers = normal(rng, 100, 5), normal(rng, 70, 5)
    before = rows.copy(), centers.copy()
    assign(rows, centers)
    assert (rows == before[0]).all()
    assert (centers == before[1]).all()


def test_sparse_rows_agree_with_dense_ones(rng):
    rows = rng.standard_normal((400, 15))
    rows[rng.random(rows.shape) < 0.6] = 0
    centers = rows[:80] + 0.1 * rng.standard_normal((80, 15))
    found = NearestCenters(sparse.csr_array(rows)).of(torch.from_numpy(centers))
    squared = np.sort(squared_table(rows, centers), axis=1)
    assert (squared[:, 1] - squared[:, 0]).min() > 1e-5  # far above what float32 keys of this size are off by
    assert (found == squared_table(rows, centers).argmin(axis=1)).all()
    for dtype in (torch.float32, torch.float64):
        dense = NearestCenters(torch.from_numpy(rows).to(dtype)).of(torch.from_numpy(centers).to(dtype))
        assert (found == dense).all()


@pytest.mark.parametrize("value_bytes", [1, 1_000, 2**16, 2**30])
def test_blocks_of_any_size_give_the_same(rng, monkeypatch, value_bytes):
    take("rounded", monkeypatch)
    rows, centers = normal(rng, 700, 20), normal(rng, 90, 20)
    centers[45:] = centers[:45] + np.float32(1e-4) * normal(rng, 45, 20)
    expected = assign(rows, centers)
    monkeypatch.setattr(assignment, "VALUE_BYTES", value_bytes)
    assert (assign(rows, centers) == expected).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pair_bytes", [1, 100, 2**18])
def test_squared_differences_equal_fractions(rng, monkeypatch, dtype, pair_bytes):
    monkeypatch.setattr(assignment, "PAIR_BYTES", pair_bytes)
    rows, others = (1e3 + rng.standard_normal((n, 6)) for n in (20, 7))
    rows, others = rows.astype(dtype), others.astype(dtype)
    left, right = rng.integers(20, size=50), rng.integers(7, size=50)
    rows[left[0]] = others[right[0]]
    squared = squared_differences(torch.from_numpy(rows), left, torch.from_numpy(others), right)
    exact = [float(exact_squared_distance(rows[i], others[j])) for i, j in zip(left, right, strict=True)]
    assert squared.dtype == np.float64
    # Each difference is off by a relative u, its square by 2u, and the sum of 6 by γ(6).
    assert squared == pytest.approx(exact, rel=10 * float(np.finfo(dtype).eps), abs=0)
    assert squared[0] == 0


def test_no_pairs_have_no_differences():
    none = np.zeros(0, dtype=np.int64)
    assert squared_differences(torch.zeros(3, 2), none, torch.zeros(1, 2), none).shape == (0,)


def test_float64_norms_of_short_numbers_are_exact():
    centers = torch.tensor(np.random.default_rng(0).integers(-8, 9, size=(80, 15)) / 8)
    assert (dense_squared_norms(centers) == (centers * centers).sum(dim=1)).all()  # sums of squares without rounding


def test_float64_rows_as_near_to_two_centers_take_the_lower():
    rng = np.random.default_rng(20211107)
    rows = rng.integers(-8, 9, size=(400, 15)) / 8
    rows[rng.random(rows.shape) < 0.6] = 0
    rows[::2] = -rows[1::2]  # a mean of 0; every product and sum has few bits, so that keys could be exact
    centers = rows[:80] + 0.125
    expected = np.square(rows[:, None] - centers).sum(axis=2).argmin(axis=1)
    for kind in (torch.from_numpy(rows), sparse.csr_array(rows)):
        assert (NearestCenters(kind).of(torch.from_numpy(centers)) == expected).all()
