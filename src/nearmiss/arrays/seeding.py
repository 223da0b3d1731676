"""k-means++ seeding over anything that can give squared distances from its own rows.

Two ways with one law (Arthur & Vassilvitskii 2007: each next centre drawn with probability proportional to the squared
distance to the nearest centre so far): `kmeans_plus_plus_sequential`, one centre at a time, and `kmeans_plus_plus`, in
blocks with rejection, several times faster because a matrix product replaces hundreds of matrix-vector products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeGuard

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
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = [
    "CenterDistances",
    "Picks",
    "ProductPoints",
    "Rows",
    "as_rows",
    "dense_rows",
    "inner_products",
    "kmeans_plus_plus",
    "kmeans_plus_plus_sequential",
    "product_blocks",
]

IndexArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

#: Checked rows as the arithmetic below takes them.
Rows = Tensor | Sparse

#: Candidates drawn at once by `kmeans_plus_plus`: enough that a matrix product runs at full speed, few enough that
#: the distances among themselves cost nothing beside it.
CANDIDATES = 256

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


class CenterDistances(Protocol):
    """Points that can say how far they are from some of themselves; all distances squared, float64, at least 0."""

    @property
    def size(self) -> int:
        """Number of points, n."""
        ...

    @property
    def device(self) -> torch.device:
        """Where distances are computed."""
        ...

    def to_row(self, row: int) -> Float64Array:
        """Give the squared distance of every point to one of them, shape (n,)."""
        ...

    def to_nearest(self, rows: IndexArray) -> Float64Array:
        """Give the squared distance of every point to the nearest of some of them, shape (n,)."""
        ...

    def among(self, rows: IndexArray) -> Float64Array:
        """Give the squared distances of some points to one another, shape (l, l); equal rows are 0 apart."""
        ...


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
        first, *others = self.factors
        near_first, *near_others = (dense_rows(factor, rows) for factor in self.factors)
        near_first = near_first * -2
        lengths = torch.from_numpy(self.squared_norms[rows]).to(near_first)

        def nearest(block: slice) -> Float64Array:
            products = inner_products(first[block], near_first)
            for factor, near in zip(others, near_others, strict=True):
                products *= inner_products(factor[block], near)
            products += lengths
            return to_numpy(products.amin(dim=1))

        with team(self.device) as threads:
            squared = np.concatenate(list(threads.map(nearest, product_blocks(first, len(rows)))))
        return self._settle(squared + self.squared_norms, self.squared_norms)

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


@dataclass(frozen=True, slots=True, eq=False)
class Picks:
    """Rows chosen one after the other, far from one another.

    Attributes
    ----------
    indices
        Distinct rows, shape (k,).
    squared_distances
        Of each to the nearest centre or row chosen before it, shape (k,); infinite where there was none.
    """

    indices: IndexArray
    squared_distances: Float64Array


def kmeans_plus_plus_sequential(
    points: CenterDistances, n_centers: int, rng: np.random.Generator, first: int | None = None
) -> Picks:
    """Choose spread-out rows by k-means++ (Arthur & Vassilvitskii 2007, §2.2, without local trials), one at a time.

    Each centre takes one uniform number u: the first (unless given) is row ⌊u·n⌋; any other is the first row at which
    the running sum of D², the squared distance to the nearest centre so far, exceeds u times the whole. Where no
    distance is left (duplicates), row ⌊u·r⌋ of the r rows not yet chosen: the rows are always distinct.

    Raises
    ------
    InvalidInput
        n_centers is not between 1 and the number of points.

    Examples
    --------
    >>> points = ProductPoints(np.array([[0.0], [0.0], [5.0]]))
    >>> sorted(kmeans_plus_plus_sequential(points, 2, np.random.default_rng(0), first=0).indices.tolist())
    [0, 2]
    """
    _check_count(points, n_centers)
    chosen = [_first_row(points, rng, first)]
    picked_at = [np.inf]
    closest = np.full(points.size, np.inf)
    while len(chosen) < n_centers:
        closest = np.minimum(closest, points.to_row(chosen[-1]))
        closest[chosen[-1]] = 0.0
        running = np.cumsum(closest)
        uniform = rng.random(1)
        if running[-1] > 0:
            row = int(_locate(running, uniform)[0])
        else:
            free = np.setdiff1d(np.arange(points.size), chosen)
            row = int(free[int(uniform[0] * len(free))])
        chosen.append(row)
        picked_at.append(float(closest[row]))
    return Picks(np.array(chosen, dtype=np.int64), np.array(picked_at))


def kmeans_plus_plus(
    points: CenterDistances, n_centers: int, rng: np.random.Generator, first: int | None = None
) -> Picks:
    """Choose spread-out rows by k-means++ in blocks: the law of the sequential way, at the speed of matrix products.

    Many candidates are drawn at once from the present distribution, proportional to D². They are taken in turn, each
    accepted with probability D²(now) / D²(when drawn), which needs only the candidates' distances to one another:
    an accepted row is thus distributed as the next sequential pick. The random stream is a different one, so that the
    same seed gives other rows than `kmeans_plus_plus_sequential`.

    Raises
    ------
    InvalidInput
        n_centers is not between 1 and the number of points.

    Examples
    --------
    >>> points = ProductPoints(np.array([[0.0], [0.0], [5.0]]))
    >>> sorted(kmeans_plus_plus(points, 3, np.random.default_rng(0)).indices.tolist())
    [0, 1, 2]
    """
    _check_count(points, n_centers)
    with team(points.device):
        return _seed_in_blocks(points, n_centers, rng, _first_row(points, rng, first))


def _seed_in_blocks(points: CenterDistances, n_centers: int, rng: np.random.Generator, first: int) -> Picks:
    indices = np.array([first], dtype=np.int64)
    picked_at = np.array([np.inf])
    closest = np.full(points.size, np.inf)
    latest = indices
    while (missing := n_centers - len(indices)) > 0:
        closest = np.minimum(closest, points.to_nearest(latest))
        closest[latest] = 0.0
        running = np.cumsum(closest)
        if running[-1] > 0:
            candidates = _locate(running, rng.random(min(CANDIDATES, 2 * missing)))
            block = _accept(points.among(candidates), closest[candidates], rng, missing)
            latest = candidates[block.indices]
            picked_at = np.append(picked_at, block.squared_distances)
        else:
            free = np.setdiff1d(np.arange(points.size), indices)
            latest = rng.choice(free, size=missing, replace=False)
            picked_at = np.append(picked_at, np.zeros(missing))
        indices = np.append(indices, latest)
    return Picks(indices, picked_at)


def _accept(between: Float64Array, drawn_at: Float64Array, rng: np.random.Generator, limit: int) -> Picks:
    """Take candidates in turn with probability D²(now) / D²(drawn); the first always passes, a repeat never."""
    thresholds = rng.random(len(drawn_at)) * drawn_at
    now = drawn_at.copy()
    accepted: list[int] = []
    for candidate, threshold in enumerate(thresholds):
        if threshold < now[candidate]:
            accepted.append(candidate)
            if len(accepted) == limit:
                break
            # Its own entry is kept from falling: it says at what distance the candidate was taken.
            now[candidate + 1 :] = np.minimum(now[candidate + 1 :], between[candidate, candidate + 1 :])
    return Picks(np.array(accepted, dtype=np.int64), now[accepted])


def _locate(running: Float64Array, uniforms: Float64Array) -> IndexArray:
    """Find the first row whose running sum exceeds each u times the whole: never one that adds nothing."""
    rows = np.searchsorted(running, uniforms * running[-1], side="right")
    # u times the whole can round up to the whole; the last row that adds something is then meant.
    last = np.searchsorted(running, running[-1], side="left")
    return np.asarray(np.minimum(rows, last), dtype=np.int64)


def _first_row(points: CenterDistances, rng: np.random.Generator, first: int | None) -> int:
    return int(rng.random() * points.size) if first is None else first


def _check_count(points: CenterDistances, n_centers: int) -> None:
    if not 1 <= n_centers <= points.size:
        raise InvalidInput(f"asked for {n_centers} centres of {points.size} points; ask for 1 to {points.size}")
