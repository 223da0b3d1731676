"""Euclidean geometry of feature matrices: norms, unit rows, and squared distances by blocks."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from nearmiss.arrays.tensors import Matrix, Sparse, as_csr, as_matrix, is_sparse
from nearmiss.arrays.threads import in_blocks

__all__ = ["dense_squared_norms", "lies_far", "normalize_rows", "squared_distances", "squared_norms"]


@overload
def normalize_rows(X: Tensor) -> Tensor: ...
@overload
def normalize_rows(X: Sparse) -> Sparse: ...
@overload
def normalize_rows(X: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]: ...
@overload
def normalize_rows(X: Matrix) -> Matrix: ...
def normalize_rows(X: Matrix) -> Matrix:
    """Scale every row to unit Euclidean length; rows of zeros stay zero. Returns the kind it was given.

    Rows are first scaled by a power of two, so that neither very large nor very small entries lose their direction.

    Examples
    --------
    >>> normalize_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 1e-300]]))
    array([[0.6, 0.8],
           [0. , 0. ],
           [0. , 1. ]])
    """
    if is_sparse(X):
        return _normalize_sparse(as_csr(X, "features"))
    scaled = _normalize_dense(as_matrix(X, "features"))
    return scaled if isinstance(X, Tensor) else scaled.numpy()


def _normalize_dense(matrix: Tensor) -> Tensor:
    lengths = _lengths(matrix)
    if len(matrix) and float(lengths.min()) > 2.0**-40 and float(lengths.max()) < 2.0**40:
        unit = torch.empty_like(matrix)
        in_blocks(lambda block: torch.div(matrix[block], lengths[block], out=unit[block]), matrix)
        return unit
    largest = torch.linalg.vector_norm(matrix, ord=torch.inf, dim=1, keepdim=True)
    exponent = torch.frexp(largest).exponent.to(matrix.dtype)
    # In two steps: the reciprocal of a subnormal number has no representation.
    half = (exponent / 2).floor()
    scaled = matrix * torch.exp2(-half)
    scaled *= torch.exp2(half - exponent)
    norms = _lengths(scaled)
    return scaled.div_(norms.where(norms > 0, 1.0))


def _lengths(matrix: Tensor) -> Tensor:
    return dense_squared_norms(matrix).sqrt_().to(matrix.dtype)[:, None]


def dense_squared_norms(matrix: Tensor) -> Tensor:
    """Sum the squares of every row of a matrix that is known to be one, in float64, shape (n,).

    Examples
    --------
    >>> dense_squared_norms(torch.tensor([[3.0, 4.0], [1.0, 0.0]]))
    tensor([25.,  1.], dtype=torch.float64)
    """
    squares = torch.empty(len(matrix), dtype=torch.float64, device=matrix.device)

    def square(block: slice) -> None:
        if matrix.device.type != "cpu" or matrix.dtype == torch.float64:
            wide = matrix[block].to(torch.float64)
            squares[block] = torch.linalg.vecdot(wide, wide)
            return
        rows = matrix[block].numpy()
        # NumPy widens float32 on the way, several times as fast as torch does.
        with np.errstate(all="ignore"):
            np.einsum("ij,ij->i", rows, rows, dtype=np.float64, out=squares[block].numpy())

    in_blocks(square, matrix)
    return squares


def _normalize_sparse(csr: Sparse) -> Sparse:
    counts = np.diff(csr.indptr)
    largest = np.zeros(csr.shape[0])
    filled = np.flatnonzero(counts)
    largest[filled] = np.maximum.reduceat(np.abs(csr.data), csr.indptr[filled]) if len(filled) else 0.0
    _, exponent = np.frexp(largest)
    data = np.ldexp(csr.data, -np.repeat(exponent, counts))
    scaled = sparse.csr_array((data, csr.indices, csr.indptr), shape=csr.shape)
    norms = np.sqrt(np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel())
    norms[norms == 0] = 1.0
    return sparse.csr_array((data / np.repeat(norms, counts), csr.indices, csr.indptr), shape=csr.shape)


def squared_norms(X: Matrix) -> Tensor:
    """Sum the squares of every row in float64, shape (n,).

    Examples
    --------
    >>> squared_norms(np.array([[3.0, 4.0], [1.0, 0.0]]))
    tensor([25.,  1.], dtype=torch.float64)
    """
    if is_sparse(X):
        csr = as_csr(X, "features")
        return torch.from_numpy(np.asarray(csr.multiply(csr).sum(axis=1)).ravel())
    return dense_squared_norms(as_matrix(X, "features"))


def lies_far(matrix: Tensor) -> bool:
    """Tell whether rows lie so far from the origin, beside their distances from their mean, that products lose digits.

    Examples
    --------
    >>> lies_far(torch.tensor([[1.0], [-1.0]])), lies_far(torch.tensor([[9.0], [8.0]]))
    (False, True)
    """
    if len(matrix) == 0:
        return False
    mean = matrix.mean(dim=0).to(torch.float64)
    return 4 * float(mean @ mean) > float(dense_squared_norms(matrix).mean())


def squared_distances(X: Tensor, Y: Tensor) -> Tensor:
    """Compute all squared Euclidean distances between the rows of X and of Y, shape (n, m), by one matrix product.

    The expansion ‖x‖² + ‖y‖² − 2x·y is taken about the mean of Y, which keeps its rounding error near
    ``eps · d · (‖x − ȳ‖ + ‖y − ȳ‖)²``; results below zero are raised to zero. Forms the whole (n, m) matrix: the caller
    cuts X into blocks. For exact nearest neighbours use `nearmiss.arrays.neighbors`.

    Examples
    --------
    >>> squared_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[25.,  1.]])
    """
    center = Y.mean(dim=0)
    x, y = X - center, Y - center
    x_norms, y_norms = (torch.linalg.vector_norm(t, dim=1, dtype=torch.float64).square() for t in (x, y))
    products = torch.addmm(y_norms.to(x.dtype), x, y.T, alpha=-2.0)
    return products.add_(x_norms.to(x.dtype)[:, None]).clamp_(min=0.0)
