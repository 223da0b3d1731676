"""The bound on which exactness stands, measured against fractions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from tests.reference.neighbors import exact_squared_distance

from nearmiss.arrays.points import point_sets


def worst_ratio(x, y, frame_name):
    """Return how far from the middle of its bounds σ²δ² (exact) lies at most, 1 being a bound itself."""
    sets = point_sets(x, y)
    frame = getattr(sets.points, frame_name)
    block = frame.block(slice(0, x.shape[0]))
    keys = torch.cat([block.keys(piece).clone() for piece in frame.pieces], dim=1)
    lower, upper = block.lower(keys).numpy(), block.upper(keys).numpy()
    dense = [part.toarray() if sparse.issparse(part) else part for part in (x, y[np.unique(sets.occurrences)])]
    exact = np.array([[float(exact_squared_distance(a, b)) for b in dense[1]] for a in dense[0]]) * frame.scale**2
    return (abs(exact - (lower + upper) / 2) / ((upper - lower) / 2)).max()


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    dimension=st.sampled_from([1, 3, 7, 17, 64]),  # at 7, with 4 queries, references are left as they lie
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    scale=st.sampled_from([1e-42, 1e-20, 1.0, 1e15]),
    outlier=st.sampled_from([1.0, 1e3]),
)
def test_the_error_stays_within_the_bound(seed, dimension, offset, scale, outlier):
    rng = np.random.default_rng(seed)
    x, y = ((rng.normal(size=(n, dimension)) + offset) * scale for n in (4, 12))
    y[0] *= outlier
    single = x.astype(np.float32), y.astype(np.float32)
    assert worst_ratio(*single, "fast") <= 1
    assert worst_ratio(*single, "precise") <= 1
    assert worst_ratio(x, y, "fast") <= 1


def test_the_bound_holds_for_sparse_points(rng):
    x, y = (sparse.random_array((n, 50), density=0.1, rng=rng, format="csr") for n in (10, 20))
    assert worst_ratio(x, y, "fast") <= 1


def test_the_bound_is_of_use(rng):
    """A bound that is never wrong could still be so wide that nothing is decided by it."""
    x, y = (rng.normal(size=(n, 384)).astype(np.float32) for n in (50, 1_000))
    block = point_sets(x, y).points.fast.block(slice(0, 50))
    assert (block.error < 5e-4 * block.offset).all()


def test_queries_whose_products_would_overflow_have_no_bound():
    x, y = np.array([[1e30], [1.0]], dtype=np.float32), np.array([[1.0], [2.0]], dtype=np.float32)
    assert torch.isinf(point_sets(x, y).points.fast.block(slice(0, 2)).error).tolist() == [True, False]


def test_shorter_matrix_products_send_the_fast_route_to_float64():
    x = np.eye(3, dtype=np.float32)
    assert point_sets(x, x).points.fast.block(slice(0, 3)).keys(slice(0, 3)).dtype == torch.float32
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert point_sets(x, x).points.fast.block(slice(0, 3)).keys(slice(0, 3)).dtype == torch.float64
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_distance_does_not_depend_on_what_is_computed_beside_it(rng, n_threads):
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        points = point_sets(rng.normal(size=(600, 70)), rng.normal(size=(300, 70))).points
        columns = torch.from_numpy(rng.integers(0, 300, size=(600, 16)))
        together = points.distances(slice(0, 600), columns)
        rows = torch.arange(600).repeat_interleave(16)
        assert torch.equal(points.distances(rows, columns.reshape(-1, 1)).reshape(600, 16), together)
        assert torch.equal(points.distances(slice(5, 6), columns[5:6, :1]), together[5:6, :1])
    finally:
        torch.set_num_threads(before)
