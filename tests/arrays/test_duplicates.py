import numpy as np
import pytest
import torch
from scipy import sparse

from nearmiss.arrays.duplicates import first_occurrences


def first_occurrences_by_looking(rows):
    return [next(i for i, other in enumerate(rows) if (other == row).all()) for row in rows]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rows_are_found_dense_and_sparse(rng, dtype):
    rows = rng.integers(0, 2, size=(200, 5)).astype(dtype)
    expected = first_occurrences_by_looking(rows)
    assert first_occurrences(torch.from_numpy(rows)).tolist() == expected
    assert first_occurrences(sparse.csr_array(rows.astype(np.float64))).tolist() == expected


def test_rows_that_differ_in_one_bit_are_different():
    rows = np.ones((3, 400), dtype=np.float32)
    rows[1, 399] = np.nextafter(np.float32(1), np.float32(2))
    assert first_occurrences(torch.from_numpy(rows)).tolist() == [0, 1, 0]


def test_blocks_and_strides_make_no_difference(rng):
    rows = rng.integers(0, 3, size=(3_000, 200)).astype(np.float64)
    rows[2_999] = rows[7]
    wide = torch.from_numpy(np.repeat(rows, 2, axis=1))[:, ::2]
    found = first_occurrences(wide)
    assert found[2_999] == 7
    assert (found[:2_999] == np.arange(2_999)).all()


def test_no_rows():
    assert len(first_occurrences(torch.empty(0, 3))) == 0
    assert len(first_occurrences(sparse.csr_array((0, 3)))) == 0
