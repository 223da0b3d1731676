import numpy as np
import pytest
import torch
from scipy import sparse, stats
from tests.reference import kmeans as reference

from nearmiss.arrays import product_points
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.arrays.seeding import kmeans_plus_plus, kmeans_plus_plus_sequential
from nearmiss.errors import InvalidArray, InvalidInput

BOTH = pytest.mark.parametrize("choose", [kmeans_plus_plus, kmeans_plus_plus_sequential])


def pairwise(X):
    return ((X[:, None] - X[None]) ** 2).sum(axis=2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["dense", "sparse", "torch"])
def test_distances_equal_those_of_the_explicit_products(dtype, kind):
    rng = np.random.default_rng(0)
    A, H = rng.standard_normal((40, 3)).astype(dtype), rng.standard_normal((40, 7)).astype(dtype)
    explicit = np.einsum("ic,id->icd", A, H).reshape(40, -1).astype(np.float64)
    exact = pairwise(explicit)
    make = {"dense": np.asarray, "sparse": sparse.csr_array, "torch": torch.from_numpy}[kind]
    points = ProductPoints(make(H), A)
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if dtype == np.float64 else {"rtol": 1e-4, "atol": 1e-4}
    rows = np.array([3, 30, 3, 8])
    np.testing.assert_allclose(points.to_row(5), exact[5], **tolerance)
    np.testing.assert_allclose(points.to_nearest(rows), exact[rows].min(axis=0), **tolerance)
    np.testing.assert_allclose(points.among(rows), exact[np.ix_(rows, rows)], **tolerance)
    np.testing.assert_allclose(points.squared_norms, (explicit**2).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_duplicates_are_exactly_zero_apart_in_float32(offset):
    rng = np.random.default_rng(1)
    H = (rng.standard_normal((50, 768)) + offset).astype(np.float32)
    A = rng.standard_normal((50, 4)).astype(np.float32)
    points = ProductPoints(np.tile(H, (40, 1)), np.tile(A, (40, 1)))
    firsts = np.arange(50)
    assert points.to_nearest(firsts).max() == 0
    assert points.among(np.array([7, 57, 107])).max() == 0
    assert np.flatnonzero(points.to_row(7) == 0).tolist() == list(range(7, 2000, 50))


def test_blocks_do_not_change_distances(monkeypatch):
    rng = np.random.default_rng(2)
    points = ProductPoints(rng.standard_normal((300, 5)))
    rows = np.array([1, 100, 299])
    whole = points.to_nearest(rows)
    monkeypatch.setattr(product_points, "PRODUCT_BYTES", 7 * 3 * 8)
    np.testing.assert_allclose(points.to_nearest(rows), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_sequential_makes_the_picks_of_the_blackboard(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((50, 3)) * rng.choice([0.1, 1, 10], size=(50, 1))
    X[10:20] = X[:10]
    picks = kmeans_plus_plus_sequential(ProductPoints(X), 25, np.random.default_rng(seed))
    rows, drawn_at = reference.plus_plus(X, 25, np.random.default_rng(seed))
    assert picks.indices.tolist() == rows
    np.testing.assert_allclose(picks.squared_distances, drawn_at, rtol=1e-9)


def test_sequential_runs_out_of_distance_as_the_blackboard_does():
    X = np.repeat(np.arange(3.0), 4)[:, None]
    for seed in range(20):
        picks = kmeans_plus_plus_sequential(ProductPoints(X), 12, np.random.default_rng(seed))
        rows, drawn_at = reference.plus_plus(X, 12, np.random.default_rng(seed))
        assert picks.indices.tolist() == rows
        assert picks.squared_distances[3:].tolist() == [0.0] * 9 == drawn_at[3:]


@BOTH
def test_all_rows_come_out_distinct_whatever_the_points(choose):
    rng = np.random.default_rng(3)
    for X in (np.ones((30, 2)), np.zeros((30, 2)), rng.integers(2, size=(30, 2)).astype(float), rng.random((30, 2))):
        picks = choose(ProductPoints(X), 30, np.random.default_rng(0))
        assert sorted(picks.indices.tolist()) == list(range(30))
        assert picks.indices.dtype == np.int64
        assert np.isinf(picks.squared_distances[0])
        assert (picks.squared_distances[1:] >= 0).all()


@BOTH
def test_the_distance_told_is_that_to_the_nearest_earlier_pick(choose):
    X = np.random.default_rng(4).standard_normal((400, 4))
    picks = choose(ProductPoints(X), 60, np.random.default_rng(0))
    exact = pairwise(X)
    for i in range(1, 60):
        nearest = exact[picks.indices[i], picks.indices[:i]].min()
        assert picks.squared_distances[i] == pytest.approx(nearest, rel=1e-9)


@BOTH
def test_the_first_row_can_be_given_and_the_seed_decides_the_rest(choose):
    points = ProductPoints(np.random.default_rng(5).standard_normal((50, 4)))
    one, same, other = (choose(points, 10, np.random.default_rng(seed), first=17) for seed in (0, 0, 1))
    assert one.indices[0] == 17
    assert one.indices.tolist() == same.indices.tolist() != other.indices.tolist()


@BOTH
def test_refuses_impossible_numbers(choose):
    for n in (0, 5):
        with pytest.raises(InvalidInput, match="ask for 1 to 4"):
            choose(ProductPoints(np.eye(4)), n, np.random.default_rng(0))


def test_refuses_factors_that_do_not_fit():
    with pytest.raises(InvalidArray, match=r"\[3, 4\] rows"):
        ProductPoints(np.eye(3), np.eye(4))
    with pytest.raises(InvalidArray, match="overflow"):
        ProductPoints(np.array([[1e19], [-1e19]], dtype=np.float32))


class OneUniform(np.random.Generator):
    """Draws nothing but the largest number below one."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))

    def random(self, size=None):
        largest = np.nextafter(1.0, 0.0)
        return largest if size is None else np.full(size, largest)


@BOTH
def test_the_largest_uniform_number_finds_a_row_that_may_be_drawn(choose):
    X = np.concatenate([np.full((5, 1), 0.1), np.zeros((5, 1))])
    picks = choose(ProductPoints(X), 2, OneUniform(), first=9)
    assert picks.indices[1] == 4  # the last row at a distance, not the last row


def exact_law(X, k):
    """Probability of every ordered choice of k rows under k-means++."""
    D2 = pairwise(X)
    law = {(i,): 1 / len(X) for i in range(len(X))}
    for _ in range(k - 1):
        longer = {}
        for rows, probability in law.items():
            closest = D2[list(rows)].min(axis=0)
            for i in np.flatnonzero(closest):
                longer[(*rows, int(i))] = probability * closest[i] / closest.sum()
        law = longer
    return law


@BOTH
def test_the_law_is_that_of_kmeans_plus_plus(choose):
    """Frequencies of ordered triples against their exact probabilities: a chi-square test over 20,000 draws.

    Places lie in two groups, so that a pick changes its neighbours' chances greatly: dropping the rejection, or not
    lowering the distances within a block, makes the statistic larger than its threshold many times over.
    """
    X = np.array([[0.0, 0.0], [0.3, 0.1], [2.0, 0.0], [2.1, 0.4], [0.0, 1.5]])
    points = ProductPoints(X)
    law = exact_law(X, 3)
    rng = np.random.default_rng(2007)
    repeats = 20_000
    counts = dict.fromkeys(law, 0)
    for _ in range(repeats):
        counts[tuple(choose(points, 3, rng).indices.tolist())] += 1
    expected = np.array(list(law.values())) * repeats
    observed = np.array(list(counts.values()))
    assert expected.min() > 5
    statistic = float(((observed - expected) ** 2 / expected).sum())
    assert statistic < stats.chi2.ppf(0.999, len(expected) - 1)


def test_blocked_and_sequential_leave_the_same_potential():
    rng = np.random.default_rng(6)
    X = rng.standard_normal((3000, 16)) * rng.gamma(1.0, size=(3000, 1))
    points = ProductPoints(X)

    def potential(choose, seed):
        return points.to_nearest(choose(points, 100, np.random.default_rng(seed)).indices).sum()

    blocked = [potential(kmeans_plus_plus, seed) for seed in range(12)]
    sequential = [potential(kmeans_plus_plus_sequential, seed) for seed in range(12)]
    assert np.mean(blocked) == pytest.approx(np.mean(sequential), rel=0.03)


def test_single_and_double_precision_make_the_same_picks():
    rng = np.random.default_rng(7)
    H = rng.standard_normal((500, 32)).astype(np.float32)
    for choose in (kmeans_plus_plus, kmeans_plus_plus_sequential):
        single = choose(ProductPoints(H), 100, np.random.default_rng(0))
        double = choose(ProductPoints(H.astype(np.float64)), 100, np.random.default_rng(0))
        assert single.indices.tolist() == double.indices.tolist()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_makes_the_picks_of_the_cpu():
    rng = np.random.default_rng(8)
    H = torch.from_numpy(rng.standard_normal((500, 32)))
    for choose in (kmeans_plus_plus, kmeans_plus_plus_sequential):
        host = choose(ProductPoints(H), 100, np.random.default_rng(0))
        device = choose(ProductPoints(H.cuda()), 100, np.random.default_rng(0))
        assert host.indices.tolist() == device.indices.tolist()
