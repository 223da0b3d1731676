"""On a GPU the answers are the CPU's, and inputs stay where they lie."""

import numpy as np
import pytest
import torch
from benchmarks.traffic import HostTraffic

from nearmiss.arrays import neighbor_sets
from nearmiss.arrays.duplicates import first_occurrences
from nearmiss.arrays.kmeans import kmeans, nearest_distinct
from nearmiss.arrays.neighbors import nearest_neighbors, nearest_sets

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def there(array):
    return torch.from_numpy(np.ascontiguousarray(array)).to("cuda")


def scattered(rng):
    return rng.normal(size=(1_500, 48)), rng.normal(size=(2_500, 48))


def duplicated(rng):
    queries, references = scattered(rng)
    references[rng.choice(2_500, size=800, replace=False)] = references[0]
    queries[:100] = references[:100]
    return queries, references


def tied(rng):
    return tuple(rng.integers(-2, 3, size=(n, 5)) for n in (600, 2_500))


def nearly_tied(rng):
    """So close together, far from 0 in one direction, that float32 products cannot tell them apart."""
    queries, references = (rng.normal(size=(n, 24)) for n in (300, 2_000))
    references *= 1e-4
    references[0] = 40.0  # what the radius of the references, and with it the bound, follows
    return 1e-4 * queries, references


def in_pieces(rng):
    """More references than one piece holds."""
    return rng.normal(size=(200, 768)), rng.normal(size=(12_000, 768))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("made", [scattered, duplicated, tied, nearly_tied, in_pieces])
def test_neighbours_are_those_of_the_cpu(rng, made, dtype):
    queries, references = (array.astype(dtype) for array in made(rng))
    here, far = nearest_neighbors(queries, references, 10), nearest_neighbors(there(queries), there(references), 10)
    np.testing.assert_allclose(far.distances, here.distances, rtol=1e-12)
    assert (far.indices == here.indices).all()
    assert (nearest_sets(there(queries), there(references), 10) == np.sort(here.indices, axis=1)).all()


@pytest.mark.parametrize(("made", "precise"), [(scattered, False), (nearly_tied, True)])
def test_the_precise_search_is_taken_where_the_bounds_need_it(rng, monkeypatch, made, precise):
    searched = []
    search = neighbor_sets._search_precisely
    monkeypatch.setattr(
        neighbor_sets,
        "_search_precisely",
        lambda points, rows, k: searched.append(len(rows)) or search(points, rows, k),
    )
    queries, references = (array.astype(np.float32) for array in made(rng))
    found = nearest_sets(there(queries), there(references), 10)
    assert bool(searched) == precise
    assert (found == nearest_sets(queries, references, 10)).all()


@pytest.mark.parametrize("columns", [slice(0, 64), slice(0, 63), slice(1, 64), slice(1, 63)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeats_are_found_in_views_of_any_alignment(rng, columns, dtype):
    rows = rng.normal(size=(700, 64)).astype(dtype)
    rows[rng.choice(700, size=300)] = rows[5]
    assert (first_occurrences(there(rows)[:, columns]) == first_occurrences(torch.from_numpy(rows)[:, columns])).all()


def blobs(rng, n=3_000, d=32, k=40):
    return 4 * rng.normal(size=(k, d))[rng.integers(k, size=n)] + rng.normal(size=(n, d))


def test_kmeans_in_float64_is_that_of_the_cpu(rng):
    X = blobs(rng)
    here, far = (kmeans(each, 60, np.random.default_rng(3)) for each in (X, there(X)))
    assert (far.assignments == here.assignments).all()
    assert far.iterations == here.iterations
    np.testing.assert_allclose(far.centers, here.centers, rtol=1e-9, atol=1e-12)
    assert far.inertia == pytest.approx(here.inertia, rel=1e-9)
    nearest = [nearest_distinct(each, here.centers).indices for each in (X, there(X))]
    assert (nearest[0] == nearest[1]).all()


def test_kmeans_in_float32_is_nearly_that_of_the_cpu_and_twice_the_same(rng):
    X = blobs(rng).astype(np.float32)
    here, far, again = (kmeans(each, 60, np.random.default_rng(3)) for each in (X, there(X), there(X)))
    assert (far.assignments == here.assignments).mean() > 0.99
    assert far.inertia == pytest.approx(here.inertia, rel=1e-3)
    assert (again.assignments == far.assignments).all()
    assert (again.centers == far.centers).all()


def test_weights_and_empty_clusters_are_treated_alike(rng):
    X, weights = np.repeat(rng.normal(size=(30, 4)), 10, axis=0), rng.random(300)
    weights[:40] = 0
    here, far = (kmeans(each, 25, np.random.default_rng(3), weights=weights) for each in (X, there(X)))
    assert (far.assignments == here.assignments).all()
    np.testing.assert_allclose(far.centers, here.centers, rtol=1e-9, atol=1e-12)


def test_no_copy_to_the_host_is_larger_than_the_answer(rng):
    n, m, k = 3_000, 2_000, 5
    queries, references = (there(rng.normal(size=(size, 256)).astype(np.float32)) for size in (n, m))
    with HostTraffic() as traffic:
        nearest_sets(queries, references, k)
    assert traffic.down, "the answer at least comes to the host"
    assert max(traffic.down) <= 8 * n * k
    assert sum(traffic.down) <= 8 * (n * k + m)  # the sets, and what tells repeated references
    assert sum(traffic.up) <= 16 * m
