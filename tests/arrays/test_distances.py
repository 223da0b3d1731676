import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from nearmiss.arrays.distances import normalize_rows, squared_distances, squared_norms

SCALES = st.sampled_from([0.0, 1.0, 1e-300, 5e-324, 1e300])


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-1, 1)), SCALES)
def test_rows_reach_unit_length_at_any_scale_dense_and_sparse(array, scale):
    array = array * scale
    unit = normalize_rows(array)
    for row, original in zip(unit, array, strict=True):
        direction = original / (abs(original).max() or 1.0)
        assert row == pytest.approx(direction / (math.hypot(*direction) or 1.0), abs=1e-15)
    assert normalize_rows(sparse.csr_array(array)).toarray() == pytest.approx(unit, rel=1e-14, abs=1e-300)


def test_float32_rows_of_any_size_keep_their_direction():
    directions = np.array([[0.6, 0.8]], dtype=np.float32)
    for scale in (1e-44, 1e-20, 1.0, 1e20, 3e38):
        unit = normalize_rows(np.float32(scale) * directions)
        assert unit.dtype == np.float32
        assert unit == pytest.approx(directions, abs=0.05 if scale < 1e-40 else 1e-6)


def test_the_kind_of_array_is_kept_and_the_input_left_alone():
    array = np.array([[3.0, 4.0]])
    assert isinstance(normalize_rows(array), np.ndarray)
    assert isinstance(normalize_rows(torch.from_numpy(array)), torch.Tensor)
    assert isinstance(normalize_rows(sparse.csr_array(array)), sparse.csr_array)
    assert array.tolist() == [[3.0, 4.0]]


def test_sparse_rows_without_entries_stay_empty():
    csr = sparse.csr_array(np.array([[0.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    assert normalize_rows(csr).toarray().tolist() == [[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    assert normalize_rows(sparse.csr_array((2, 3))).nnz == 0


def test_squared_norms_agree_dense_and_sparse(rng):
    array = rng.normal(size=(5, 7)) * (rng.random((5, 7)) < 0.5)
    expected = (array**2).sum(axis=1)
    assert squared_norms(array).numpy() == pytest.approx(expected)
    assert squared_norms(sparse.csr_array(array)).numpy() == pytest.approx(expected)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_squared_distances_survive_a_large_common_offset(rng, dtype, tolerance):
    x, y = (rng.normal(size=(n, 6)).astype(dtype) + dtype(64) for n in (5, 9))
    expected = ((x[:, None].astype(float) - y.astype(float)) ** 2).sum(axis=2)
    found = squared_distances(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    assert found == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert (squared_distances(torch.from_numpy(x), torch.from_numpy(x)).diagonal() >= 0).all()
