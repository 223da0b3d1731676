"""Points that a matrix or several factors give, and their squared distances from one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.arrays.distances import lies_far, squared_norms
from nearmiss.arrays.products import row_products
from nearmiss.arrays.tensors import (
    Matrix,
    Sparse,
    as_csr,
    as_matrix,
    block_bytes,
    device_of,
    is_sparse,
    row_blocks,
    to_numpy,
)
from nearmiss.arrays.threads import team
from nearmiss.errors import InvalidArray

__all__ = ["ProductPoints", "Rows", "as_rows", "dense_rows", "inner_products", "product_blocks"]

IndexArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

#: Checked rows as the arithmetic below takes them.
Rows = Tensor | Sparse

#: A block of products should stay in the second-level cache between its passes.
PRODUCT_BYTES = 2 * 2**20


def as_rows(X: Matrix, name: str) -> Rows:
    """Check a dense or sparse matrix, one point per row.

    Raises
    ------
    InvalidArray
        Not two-dimensional, or holds NaN or infinity.

    Examples
    --------
    >>> as_rows(np.eye(2), "features").shape
    torch.Size([2, 2])
    """
    return as_csr(X, name) if is_sparse(X) else as_matrix(X, name)


def inner_products(X: Rows, Y: Tensor) -> Tensor:
    """Compute X Yᵀ, shape (n, m); X may be sparse, Y is dense.

    Examples
    --------
    >>> inner_products(torch.eye(2), torch.tensor([[3.0, 4.0]]))
    tensor([[3.],
            [4.]])
    """
    if isinstance(X, Tensor):
        return row_products(X, Y)
    return torch.from_numpy(np.asarray(X @ np.ascontiguousarray(Y.numpy().T)))


def product_blocks(X: Rows, columns: int) -> list[slice]:
    """Cut the rows of X so that a block's products with ``columns`` others stay in fast memory.

    Examples
    --------
    >>> len(product_blocks(torch.zeros(5000, 3), 256))
    3
    """
    item = X.element_size() if isinstance(X, Tensor) else 8
    return list(row_blocks(X.shape[0], columns * item, block_bytes(device_of(X), PRODUCT_BYTES)))


def dense_rows(X: Rows, rows: IndexArray) -> Tensor:
    """Copy some rows into a dense tensor on the device of X.

    Examples
    --------
    >>> dense_rows(torch.eye(3), np.array([2, 0]))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if isinstance(X, Tensor):
        return X[torch.from_numpy(rows).to(X.device)]
    return torch.from_numpy(X[rows].toarray())


def _column(X: Rows, row: int) -> npt.NDArray[np.floating]:
    """Compute the inner products of all rows with one of them, shape (n,)."""
    if isinstance(X, Tensor) and X.device.type != "cpu":
        return to_numpy(X @ X[row])
    if isinstance(X, Tensor):
        # NumPy's matrix-vector product reads memory twice as fast as torch's.
        host = X.numpy()
        return np.asarray(host @ host[row])
    return np.asarray(X @ X[[row]].toarray().ravel())


def _loses_digits(X: Rows) -> TypeGuard[Tensor]:
    return isinstance(X, Tensor) and X.dtype == torch.float32 and lies_far(X)


class ProductPoints:
    """Points that are outer products of one row from each factor, g_i = a_i ⊗ h_i ⊗ …, never formed.

    Inner products of outer products are products of inner products, so that
    ``‖g_i − g_j‖² = ‖a_i‖²‖h_i‖² + ‖a_j‖²‖h_j‖² − 2 (a_i·a_j)(h_i·h_j)``. One factor alone is plain points.

    Distances that rounding cannot tell from zero (duplicates) are exactly 0. Plain points in float32 that lie
    far from the origin are moved to their mean: products of long vectors that hardly differ lose the difference.

    Parameters
    ----------
    factors
        Matrices with one row per point, dense (any device) or CSR.

    Attributes
    ----------
    factors
        The same, checked, and moved where that was called for.
    origin
        Where the moved points' origin was, shape (d,); None if they were not moved.

    Raises
    ------
    InvalidArray
        A factor is not a finite matrix, lengths differ, or squared lengths overflow or vanish.

    Examples
    --------
    >>> points = ProductPoints(np.array([[1.0], [2.0]]), np.array([[3.0, 0.0], [0.0, 1.0]]))
    >>> points.to_row(0)
    array([ 0., 13.])
    """

    def __init__(self, *factors: Matrix) -> None:
        self.factors = tuple(as_rows(factor, "features") for factor in factors)
        lengths = sorted({int(factor.shape[0]) for factor in self.factors})
        if len(lengths) != 1:
            raise InvalidArray(f"factors of points have {lengths} rows; pass one row per point in each")
        self.origin: Tensor | None = None
        if len(factors) == 1 and _loses_digits(self.factors[0]):
            self.origin = self.factors[0].mean(dim=0)
            self.factors = (self.factors[0] - self.origin,)
        self.squared_norms: Float64Array = np.ones(lengths[0])
        for factor in self.factors:
            self.squared_norms *= to_numpy(squared_norms(factor))
        single = any(isinstance(factor, Tensor) and factor.dtype == torch.float32 for factor in self.factors)
        precision = np.finfo(np.float32 if single else np.float64)
        if not bool((self.squared_norms < float(precision.max) / 8).all()):
            raise InvalidArray("squared lengths of the features overflow; scale the features down or pass float64")
        if 0 < self.squared_norms.max(initial=0.0) < 8 * float(precision.tiny):
            raise InvalidArray("squared lengths of the features vanish; scale the features up or pass float64")
        dimension = max(int(factor.shape[1]) for factor in self.factors)
        # Twice the usual error of a sum of that many rounded products, relative to the squared length.
        self._rounding = 2 * float(precision.eps) * max(4.0, float(np.sqrt(dimension)))

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.squared_norms)

    @property
    def device(self) -> torch.device:
        """Where the first factor lies."""
        return device_of(self.factors[0])

    def to_row(self, row: int) -> Float64Array:
        """Give the squared distance of every point to one of them, shape (n,)."""
        products = np.ones(self.size)
        for factor in self.factors:
            products *= _column(factor, row)
        return self._settle(self.squared_norms + self.squared_norms[row] - 2 * products, self.squared_norms)

    def to_nearest(self, rows: IndexArray) -> Float64Array:
        """Give the squared distance of every point to the nearest of some of them, shape (n,)."""
        beyond = self._beyond_own_length(rows)
        with team(self.device) as threads:
            blocks = threads.map(lambda block: to_numpy(beyond(block).amin(dim=1)), self._blocks(rows))
            squared = np.concatenate(list(blocks))
        return self._settle(squared + self.squared_norms, self.squared_norms)

    def assigned(self, rows: IndexArray) -> tuple[Float64Array, IndexArray]:
        """Give the squared distance of every point to the nearest of some of them, and which of these; both (n,)."""
        beyond = self._beyond_own_length(rows)

        def nearest(block: slice) -> tuple[Float64Array, IndexArray]:
            squared, places = beyond(block).min(dim=1)
            return to_numpy(squared), np.asarray(places.cpu().numpy(), dtype=np.int64)

        with team(self.device) as threads:
            found = list(threads.map(nearest, self._blocks(rows)))
        squared = np.concatenate([part for part, _ in found]) + self.squared_norms
        return self._settle(squared, self.squared_norms), np.concatenate([places for _, places in found])

    def _blocks(self, rows: IndexArray) -> list[slice]:
        return product_blocks(self.factors[0], len(rows))

    def _beyond_own_length(self, rows: IndexArray) -> Callable[[slice], Tensor]:
        """Give what computes squared distances of a block of points to some rows, less the points' squared lengths."""
        first, *others = self.factors
        near_first, *near_others = (dense_rows(factor, rows) for factor in self.factors)
        near_first = near_first * -2
        lengths = torch.from_numpy(self.squared_norms[rows]).to(near_first)

        def beyond(block: slice) -> Tensor:
            products = inner_products(first[block], near_first)
            for factor, near in zip(others, near_others, strict=True):
                products *= inner_products(factor[block], near)
            products += lengths
            return products

        return beyond

    def among(self, rows: IndexArray) -> Float64Array:
        """Give the squared distances of some points to one another, shape (l, l); equal rows are 0 apart."""
        products = np.ones((len(rows), len(rows)))
        for factor in self.factors:
            near = dense_rows(factor, rows)
            products *= to_numpy(near @ near.T)
        lengths = self.squared_norms[rows]
        settled = self._settle(lengths[:, None] + lengths - 2 * products, lengths[:, None])
        settled[rows[:, None] == rows] = 0.0
        return settled

    def _settle(self, squared: Float64Array, lengths: Float64Array) -> Float64Array:
        squared[squared <= self._rounding * lengths] = 0.0
        return squared
