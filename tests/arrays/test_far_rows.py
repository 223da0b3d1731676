"""k-means of float32 rows whose common distance from the origin dwarfs their distances from one another."""

import numpy as np
import pytest

from nearmiss.arrays.kmeans import kmeans
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.errors import InvalidArray


def blobs(n, d, rng, k, s=4):
    return (1e4 + s * rng.standard_normal((k, d))[rng.integers(k, size=n)] + rng.standard_normal((n, d))).astype(
        np.float32
    )


@pytest.mark.parametrize("seed", range(3))
def test_seeding_spreads_centers_far_from_the_origin(seed):
    X = blobs(3_000, 16, np.random.default_rng(seed), 80)
    single, double = (kmeans(array, 80, np.random.default_rng(seed)) for array in (X, X.astype(float)))
    assert single.inertia == pytest.approx(double.inertia, rel=0.02)


def test_distances_of_far_float32_points_are_not_zero():
    X = blobs(300, 16, np.random.default_rng(0), 80)
    squared = ProductPoints(X).to_row(0)
    exact = np.square(X.astype(float) - X[0].astype(float)).sum(axis=1)
    assert (squared[1:] > 0).all(), f"{(squared == 0).sum()} of 300 are 0; the largest is {exact.max():.0f}"


def test_means_of_many_far_float32_rows():
    X = blobs(20_000, 16, np.random.default_rng(0), 5)
    single = kmeans(X, 5, np.random.default_rng(0), init="random")
    means = np.stack([X[single.assignments == c].astype(float).mean(axis=0) for c in range(5)])
    assert np.abs(single.centers - means).max() < 1e-2  # float32 has steps of 1e-3 there


def test_float32_rows_whose_squares_vanish_are_refused():
    X = (np.random.default_rng(0).standard_normal((300, 9)) * 1e-24).astype(np.float32)
    with pytest.raises(InvalidArray, match="scale the features up"):
        kmeans(X, 5, np.random.default_rng(0))
