import numpy as np
import pytest
import torch
from scipy import sparse
from tests.reference import kmeans as reference

from nearmiss.arrays import assignment
from nearmiss.arrays.kmeans import kmeans, kmeans_centers, nearest_distinct
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.arrays.seeding import kmeans_plus_plus
from nearmiss.errors import InvalidArray, InvalidInput


def blobs(n, d, rng, k=5):
    return 4 * rng.standard_normal((k, d))[rng.integers(k, size=n)] + rng.standard_normal((n, d))


@pytest.mark.parametrize("seed", range(5))
def test_lloyd_equals_the_blackboard(seed):
    rng = np.random.default_rng(seed)
    X = blobs(60, 4, rng)
    starts = kmeans_plus_plus(ProductPoints(X), 7, np.random.default_rng(seed)).indices
    fast = kmeans(X, 7, np.random.default_rng(seed), iterations=10)
    centers, clusters, squared = reference.lloyd(X, starts, 10)
    assert fast.assignments.tolist() == clusters
    np.testing.assert_allclose(fast.centers, centers, rtol=1e-9)
    np.testing.assert_allclose(fast.squared_distances, squared, rtol=1e-9, atol=1e-9)
    assert fast.inertia == pytest.approx(sum(squared))


def test_weighted_lloyd_equals_the_blackboard():
    rng = np.random.default_rng(8)
    X, weights = blobs(50, 3, rng), rng.random(50)
    weights[:10] = 0
    starts = kmeans_plus_plus(ProductPoints(X), 6, np.random.default_rng(8)).indices
    fast = kmeans(X, 6, np.random.default_rng(8), weights=weights)
    centers, clusters, squared = reference.lloyd(X, starts, 10, weights)
    assert fast.assignments.tolist() == clusters
    np.testing.assert_allclose(fast.centers, centers, rtol=1e-9)
    assert fast.inertia == pytest.approx(float(weights @ squared))


def test_an_empty_cluster_goes_to_the_farthest_row():
    # Three clusters over two distinct places: one starts on a duplicate, loses every tie and ends up empty.
    X = np.array([[0.0], [0.0], [0.0], [9.0], [10.0]])
    for seed in range(10):
        fast = kmeans(X, 3, np.random.default_rng(seed), init="random")
        assert sorted(fast.centers.ravel().tolist()) == [0.0, 9.0, 10.0]


@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_constant_rows_and_as_many_clusters_as_rows(init):
    constant = kmeans(np.ones((6, 3)), 4, np.random.default_rng(0), init=init)
    assert constant.inertia == 0
    assert not np.isnan(constant.centers).any()
    X = np.random.default_rng(1).standard_normal((9, 2))
    every = kmeans(X, 9, np.random.default_rng(0), init=init)
    assert sorted(every.assignments.tolist()) == list(range(9))
    assert every.inertia == pytest.approx(0, abs=1e-12)


def test_kinds_of_input_agree():
    rng = np.random.default_rng(2)
    X = blobs(80, 6, rng)
    X[X < 0.5] = 0
    expected = kmeans(X, 6, np.random.default_rng(0))
    for other in (X.astype(np.float32), torch.from_numpy(X), sparse.csr_array(X)):
        got = kmeans(other, 6, np.random.default_rng(0))
        assert got.assignments.tolist() == expected.assignments.tolist()
        np.testing.assert_allclose(got.centers, expected.centers, rtol=1e-5, atol=1e-6)


def test_same_seed_same_answer_and_it_stops_early():
    X = blobs(200, 5, np.random.default_rng(3))
    first, second = (kmeans(X, 5, np.random.default_rng(4), iterations=1000) for _ in range(2))
    assert first.centers.tobytes() == second.centers.tobytes()
    assert first.iterations < 50
    means = [X[first.assignments == c].mean(axis=0) for c in range(5)]
    np.testing.assert_allclose(first.centers, means, rtol=1e-9)  # another update would move nothing


@pytest.fixture
def torch_threads():
    """Set how many threads torch may use, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("kind", ["float32", "float64", "csr"])
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(monkeypatch, torch_threads, kind, init, native):
    monkeypatch.setattr(assignment, "multiplies_bfloat16", lambda: native)
    X = blobs(3_000, 24, np.random.default_rng(3), k=40)
    given = sparse.csr_array(np.where(X < 1, 0.0, X)) if kind == "csr" else X.astype(kind)
    answers = []
    for n_threads in (1, 1, 2, 4):
        torch_threads(n_threads)
        answers.append(kmeans(given, 70, np.random.default_rng(4), iterations=4, init=init))
    first = answers[0]
    for other in answers[1:]:
        assert other.centers.tobytes() == first.centers.tobytes()
        assert (other.assignments == first.assignments).all()
        assert other.squared_distances.tobytes() == first.squared_distances.tobytes()
        assert other.inertia == first.inertia
        assert other.iterations == first.iterations


def test_centers_alone_are_those_of_the_whole_answer():
    X = blobs(400, 6, np.random.default_rng(3)).astype(np.float32)
    for iterations in (0, 3, 100):
        whole = kmeans(X, 30, np.random.default_rng(4), iterations=iterations)
        assert kmeans_centers(X, 30, np.random.default_rng(4), iterations).tobytes() == whole.centers.tobytes()


def far_blobs(seed):
    """80 blobs at some twenty spreads from each other, 10 rows in each, ten thousand spreads from the origin."""
    rng = np.random.default_rng(seed)
    places = 4 * rng.standard_normal((80, 16))
    return (1e4 + np.repeat(places, 10, axis=0) + rng.standard_normal((800, 16))).astype(np.float32)


@pytest.mark.parametrize("native", [True, False])
def test_float32_rows_far_from_the_origin_are_partitioned_as_in_float64(monkeypatch, native):
    monkeypatch.setattr(assignment, "multiplies_bfloat16", lambda: native)
    alike = []
    for seed in range(10):
        X = far_blobs(seed)
        single, double = (
            kmeans(array, 80, np.random.default_rng(seed), iterations=100, init="random")
            for array in (X, X.astype(float))
        )
        # A sum of m numbers of size 1e4 is off by at most a relative (m - 1) u, and so is a mean.
        members = np.bincount(single.assignments, minlength=80)
        means = np.stack([X[single.assignments == c].astype(float).mean(axis=0) for c in range(80)])
        assert (np.abs(single.centers - means).max(axis=1) < members * 2.0**-24 * 1.01e4).all()
        exact = np.square(X - single.centers.astype(float)[single.assignments]).sum()
        assert single.inertia == pytest.approx(exact, rel=1e-6)
        # Means that are off by 0.02 add at most 0.0004 to a squared distance in each dimension, where it is 1.
        alike.append(
            (single.assignments == double.assignments).all()
            and single.inertia == pytest.approx(double.inertia, rel=4e-4)
        )
    # A row as near to two centres may lead the two runs apart, but that is rare.
    assert sum(alike) >= 7


def test_inertia_never_rises_with_iterations():
    X = blobs(300, 8, np.random.default_rng(5))
    inertias = [kmeans(X, 20, np.random.default_rng(6), iterations=t).inertia for t in range(6)]
    assert inertias[0] > inertias[1] >= inertias[2] >= inertias[3] >= inertias[4] >= inertias[5]


@pytest.mark.parametrize("n_clusters", [0, 5])
def test_refuses_impossible_numbers_of_clusters(n_clusters):
    with pytest.raises(InvalidInput, match="clusters of 4 rows; ask for 1 to 4"):
        kmeans(np.eye(4), n_clusters, np.random.default_rng(0))


def test_refuses_bad_iterations_weights_and_rows():
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInput, match="iterations is -1"):
        kmeans(np.eye(4), 2, rng, iterations=-1)
    for weights in (np.ones(3), np.zeros(4), np.array([1, 1, 1, -1.0]), np.array([1, 1, 1, np.nan])):
        with pytest.raises(InvalidArray, match="pass 4 finite numbers"):
            kmeans(np.eye(4), 2, rng, weights=weights)
    with pytest.raises(InvalidArray, match="NaN"):
        kmeans(np.array([[0.0], [np.nan]]), 1, rng)


@pytest.mark.parametrize("seed", range(6))
def test_nearest_distinct_follows_its_rule(seed):
    rng = np.random.default_rng(seed)
    # Few places, many centres: nearly every nearest row is contested, and many distances are equal.
    X = rng.integers(4, size=(40, 2)).astype(float)
    centers = rng.integers(4, size=(30, 2)).astype(float)
    near = nearest_distinct(X, centers)
    rows, distances = reference.nearest_distinct(X, centers)
    assert near.indices.tolist() == rows
    np.testing.assert_allclose(near.distances, distances)


def test_nearest_distinct_where_all_want_the_same_rows():
    # Every centre lists the same rows: the lists have to be made longer three times.
    X, centers = np.zeros((150, 3)), np.zeros((140, 3))
    assert nearest_distinct(X, centers).indices.tolist() == list(range(140))
    crowd = np.concatenate([np.linspace(0, 1, 60), np.linspace(50, 51, 60)])[:, None]
    centers = np.linspace(0, 0.01, 100)[:, None]
    near = nearest_distinct(crowd, centers)
    rows, _ = reference.nearest_distinct(crowd, centers)
    assert near.indices.tolist() == rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mean_of_two_rows_takes_the_lower(dtype):
    # The two are as near; rounding in the mean says one or the other.
    rng = np.random.default_rng(9)
    X = np.repeat(rng.standard_normal((100, 300)), 2, axis=0)
    X = (X + 0.1 * rng.standard_normal((200, 300))).astype(dtype)
    clusters = kmeans(X, 100, rng)
    rows = nearest_distinct(X, clusters.centers).indices
    pairs = np.flatnonzero(np.bincount(clusters.assignments) == 2)
    assert len(pairs) > 50
    assert all(rows[c] == np.flatnonzero(clusters.assignments == c)[0] for c in pairs)


def test_nearest_distinct_takes_every_kind():
    rng = np.random.default_rng(7)
    X, centers = rng.random((30, 5)), rng.random((10, 5))
    X[X < 0.5] = 0
    expected = nearest_distinct(X, centers)
    for other in (X.astype(np.float32), torch.from_numpy(X), sparse.csr_array(X)):
        got = nearest_distinct(other, centers)
        assert got.indices.tolist() == expected.indices.tolist()
        np.testing.assert_allclose(got.distances, expected.distances, rtol=1e-5)
    with pytest.raises(InvalidInput, match="10 centres cannot have a row each of 3"):
        nearest_distinct(X[:3], centers)
