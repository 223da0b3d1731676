"""Rows of a feature matrix that are equal in every entry: texts that occur more than once."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.arrays.tensors import Sparse, row_blocks
from nearmiss.arrays.threads import in_blocks

__all__ = ["first_occurrences"]


def first_occurrences(rows: Tensor | Sparse) -> npt.NDArray[np.int64]:
    """Say for each row at which row its like, equal in every entry, first occurs, shape (n,).

    Rows are grouped by a 64-bit sum of their entries' bits and then compared with the first of their group; a row that
    only shares the sum counts as one of its own. -0.0 and 0.0 count as different.

    Examples
    --------
    >>> first_occurrences(torch.tensor([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0]]))
    array([0, 1, 0])
    """
    sums = _dense_bit_sums(rows) if isinstance(rows, Tensor) else _sparse_bit_sums(rows)
    _, first, group = np.unique(sums, return_index=True, return_inverse=True)
    occurrence = first[group].astype(np.int64)
    repeated = np.flatnonzero(occurrence != np.arange(len(sums)))
    if len(repeated) == 0:
        return occurrence
    if isinstance(rows, Tensor):
        same = _dense_equal(rows, repeated, occurrence[repeated])
    else:
        difference = rows[repeated] - rows[occurrence[repeated]]
        same = np.asarray(abs(difference).max(axis=1).toarray()).ravel() == 0
    occurrence[repeated[~same]] = repeated[~same]
    return occurrence


@lru_cache(maxsize=4)
def _bit_weights(n: int) -> npt.NDArray[np.int64]:
    # Fixed: these numbers only spread rows over groups, and reach no result.
    return np.random.default_rng(20210911).integers(-(2**62), 2**62, size=n) * 2 + 1


def _dense_bit_sums(matrix: Tensor) -> npt.NDArray[np.int64]:
    # Two float32 entries are read as one integer where the width allows: half the multiplications.
    integer = torch.int64 if matrix.dtype == torch.float64 or matrix.shape[1] % 2 == 0 else torch.int32
    width = matrix.shape[1] * matrix.element_size() // integer.itemsize
    weights = torch.from_numpy(_bit_weights(width)).to(matrix.device)
    sums = torch.empty(len(matrix), dtype=torch.int64, device=matrix.device)

    def add(rows: slice) -> None:
        block = matrix[rows].contiguous()
        if block.storage_offset() % 2 or block.stride(0) % 2:  # torch reads pairs only from where a pair may start
            block = block.clone(memory_format=torch.contiguous_format)
        sums[rows] = (block.view(integer) * weights).sum(dim=1)

    in_blocks(add, matrix)
    return sums.cpu().numpy()


def _sparse_bit_sums(csr: Sparse) -> npt.NDArray[np.int64]:
    terms = csr.data.view(np.int64) * _bit_weights(csr.shape[1])[csr.indices]
    running = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(terms)])  # wraps, and so do the differences
    sums: npt.NDArray[np.int64] = running[csr.indptr[1:]] - running[csr.indptr[:-1]]
    return sums


def _dense_equal(matrix: Tensor, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    same = np.empty(len(left), dtype=np.bool_)
    for part in row_blocks(len(left), matrix.shape[1] * 2 * matrix.element_size()):
        pairs = [matrix.index_select(0, torch.from_numpy(rows[part]).to(matrix.device)) for rows in (left, right)]
        same[part] = (pairs[0] == pairs[1]).all(dim=1).cpu().numpy()
    return same
