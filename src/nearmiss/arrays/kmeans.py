"""Lloyd's k-means, and the distinct rows that stand nearest to a set of centres."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import embedding_bag

from nearmiss.arrays.assignment import NearestCenters, squared_differences
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.arrays.product_points import ProductPoints, Rows, as_rows, dense_rows, product_blocks
from nearmiss.arrays.seeding import Float64Array, IndexArray, kmeans_plus_plus
from nearmiss.arrays.tensors import Matrix, device_of, row_blocks
from nearmiss.arrays.threads import team
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["KMeans", "NearestRows", "kmeans", "kmeans_centers", "nearest_distinct"]

Init = Literal["k-means++", "random"]
FloatMatrix = npt.NDArray[np.floating]

#: Rows looked up per centre at first; collisions seldom go deeper.
FIRST_DEPTH = 16


@dataclass(frozen=True, slots=True, eq=False)
class KMeans:
    """A partition of n rows into k clusters.

    Attributes
    ----------
    centers
        Cluster means, shape (k, d), in the precision of the rows.
    assignments
        The cluster of each row, shape (n,): that of the nearest centre, the lowest id among equals.
    squared_distances
        Of each row to its centre, shape (n,).
    inertia
        Their sum, weighted where weights were given.
    iterations
        Updates of the centres made.
    """

    centers: npt.NDArray[np.floating]
    assignments: IndexArray
    squared_distances: Float64Array
    inertia: float
    iterations: int


@dataclass(frozen=True, slots=True, eq=False)
class NearestRows:
    """One row for each of k centres, no row twice.

    Attributes
    ----------
    indices
        Row of each centre, shape (k,).
    distances
        Euclidean distance from each centre to its row, shape (k,).
    """

    indices: IndexArray
    distances: Float64Array


def kmeans(
    X: Matrix,
    n_clusters: int,
    rng: np.random.Generator,
    iterations: int = 10,
    init: Init = "k-means++",
    weights: Float64Array | None = None,
) -> KMeans:
    """Partition the rows of X by Lloyd's algorithm from one start, stopping early once no row changes its cluster.

    Centres start at distinct rows, chosen by `kmeans_plus_plus` or uniformly. A cluster that ends a step empty (or
    without weight) is moved to the row farthest from its own centre; several go to the farthest, second farthest and
    so on, the lowest index first among equals. Float32 rows are copied once where they lie far from the origin, and to
    half the bytes where the processor multiplies bfloat16.

    Parameters
    ----------
    X
        Dense (any device) or CSR, shape (n, d).
    weights
        How much each row counts in the means, shape (n,), at least 0 and not all 0; the start ignores them.

    Raises
    ------
    InvalidInput
        n_clusters is not between 1 and n, or iterations is negative.
    InvalidArray
        X holds NaN or infinity, or weights do not fit.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0], [10.0], [11.0]])
    >>> np.sort(kmeans(X, 2, np.random.default_rng(0)).centers.ravel())
    array([ 0.5, 10.5])
    """
    with team(device_of(X)):
        run = _lloyd(X, n_clusters, rng, iterations, init, weights)
        clusters = run.nearest.of(run.centers) if run.clusters is None else run.clusters
        squared = _squared_distances(run.rows, run.centers, clusters)
    return KMeans(
        centers=run.placed,
        assignments=clusters,
        squared_distances=squared,
        inertia=float(run.mass @ squared),
        iterations=run.iterations,
    )


def kmeans_centers(X: Matrix, n_clusters: int, rng: np.random.Generator, iterations: int = 10) -> FloatMatrix:
    """Give the centres of `kmeans` alone, shape (k, d): one pass over the rows less.

    Examples
    --------
    >>> np.sort(kmeans_centers(np.array([[0.0], [1.0], [10.0], [11.0]]), 2, np.random.default_rng(0)).ravel())
    array([ 0.5, 10.5])
    """
    with team(device_of(X)):
        return _lloyd(X, n_clusters, rng, iterations, "k-means++", None).placed


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """Where Lloyd's algorithm stopped; ``clusters`` is None where the centres moved after the last assignment."""

    points: ProductPoints
    nearest: NearestCenters
    mass: Float64Array
    centers: Tensor
    clusters: IndexArray | None
    iterations: int

    @property
    def rows(self) -> Rows:
        """What was clustered: the rows given, or these about their mean."""
        return self.points.factors[0]

    @property
    def placed(self) -> FloatMatrix:
        """The centres among the rows that were given."""
        origin = self.points.origin
        return (self.centers if origin is None else self.centers + origin).cpu().numpy()


def _lloyd(
    X: Matrix, n_clusters: int, rng: np.random.Generator, iterations: int, init: Init, weights: Float64Array | None
) -> _Run:
    points = ProductPoints(X)
    rows = points.factors[0]
    n = points.size
    if not 1 <= n_clusters <= n:
        raise InvalidInput(f"asked for {n_clusters} clusters of {n} rows; ask for 1 to {n}")
    if iterations < 0:
        raise InvalidInput(f"iterations is {iterations}; pass 0 or more")
    mass = np.ones(n) if weights is None else _checked_weights(weights, n)
    if init == "k-means++":
        starts = kmeans_plus_plus(points, n_clusters, rng).indices
    else:
        starts = rng.choice(n, size=n_clusters, replace=False)
    centers = dense_rows(rows, starts)
    nearest = NearestCenters(rows)
    before: IndexArray | None = None
    for done in range(iterations):
        clusters = nearest.of(centers)
        if before is not None and np.array_equal(before, clusters):
            return _Run(points, nearest, mass, centers, clusters, done)
        centers = _update(rows, centers, clusters, mass)
        before = clusters
    return _Run(points, nearest, mass, centers, None, iterations)


def _checked_weights(weights: Float64Array, n: int) -> Float64Array:
    mass = np.asarray(weights, dtype=np.float64)
    if mass.shape != (n,) or not np.isfinite(mass).all() or mass.min() < 0 or mass.max() == 0:
        raise InvalidArray(f"weights have shape {mass.shape}; pass {n} finite numbers, at least 0 and not all 0")
    return mass


def _update(rows: Rows, centers: Tensor, clusters: IndexArray, mass: Float64Array) -> Tensor:
    """Move every centre to the mean of its rows, and the empty ones to the rows farthest from their own centres."""
    totals = np.bincount(clusters, weights=mass, minlength=len(centers))
    sums = _cluster_sums(rows, clusters, mass, len(centers))
    means = sums / torch.from_numpy(np.where(totals > 0, totals, 1.0)).to(sums)[:, None]
    empty = np.flatnonzero(totals == 0)
    if len(empty):
        farthest = np.argsort(-_squared_distances(rows, centers, clusters), kind="stable")[: len(empty)]
        means[torch.from_numpy(empty).to(means.device)] = dense_rows(rows, farthest)
    return means


def _squared_distances(rows: Rows, centers: Tensor, clusters: IndexArray) -> Float64Array:
    """Compute the squared distance of every row to the centre of its cluster, shape (n,)."""
    squared = np.empty(len(clusters))

    def square(block: slice) -> None:
        if isinstance(rows, Tensor):
            own = np.arange(block.start, block.stop)
            squared[block] = squared_differences(rows, own, centers, clusters[block])
        else:
            squared[block] = np.square(rows[block].toarray() - centers.numpy()[clusters[block]]).sum(axis=1)

    with team(device_of(rows)) as threads:
        threads.each(square, product_blocks(rows, int(rows.shape[1])))
    return squared


def _cluster_sums(rows: Rows, clusters: IndexArray, mass: Float64Array, n_clusters: int) -> Tensor:
    """Sum the rows of each cluster, always in the same order: atomic additions would differ from run to run."""
    if not isinstance(rows, Tensor):
        n = len(clusters)
        indicator_matrix = sparse.csr_array((mass, (clusters, np.arange(n))), shape=(n_clusters, n))
        return torch.from_numpy((indicator_matrix @ rows).toarray())
    order = np.argsort(clusters, kind="stable")
    starts = np.searchsorted(clusters, np.arange(n_clusters + 1), sorter=order)
    members, weights = torch.from_numpy(order).to(rows.device), torch.from_numpy(mass[order]).to(rows)

    def summed(part: slice) -> Tensor:
        own = slice(int(starts[part.start]), int(starts[part.stop]))
        bags = torch.from_numpy(starts[part] - own.start).to(rows.device)
        return embedding_bag(members[own], rows, bags, mode="sum", per_sample_weights=weights[own])

    with team(rows.device) as threads:
        parts = row_blocks(n_clusters, 1, -(-n_clusters // threads.size))
        return torch.cat(list(threads.map(summed, parts)))


def nearest_distinct(X: Matrix, centers: npt.NDArray[np.floating]) -> NearestRows:
    """Give each centre a row of X of its own, near it.

    The rule: go through all pairs of centre and row in order of distance (among equals the lower centre, then the
    lower row, first) and join a pair where neither is taken yet. A centre whose nearest row went to a closer centre
    thus gets the nearest of those left. Distances from one centre that only rounding tells apart are equal: the mean
    of two rows is as far from the one as from the other.

    Raises
    ------
    InvalidInput
        There are more centres than rows.

    Examples
    --------
    Both centres are nearest to row 1; the closer one gets it.

    >>> near = nearest_distinct(np.array([[0.0], [5.0], [9.0]]), np.array([[4.0], [5.5]]))
    >>> near.indices, near.distances
    (array([0, 1]), array([4. , 0.5]))
    """
    rows = as_rows(X, "features")
    n, k = int(rows.shape[0]), len(centers)
    if k > n:
        raise InvalidInput(f"{k} centres cannot have a row each of {n}; ask for at most {n}")
    result = NearestRows(np.full(k, -1, dtype=np.int64), np.full(k, np.nan))
    free = np.arange(n)
    precision = np.finfo(np.float32 if isinstance(rows, Tensor) and rows.dtype == torch.float32 else np.float64)
    depth = FIRST_DEPTH
    while len(waiting := np.flatnonzero(result.indices < 0)):
        queries: Matrix = centers[waiting]
        if isinstance(rows, Tensor):
            queries = torch.from_numpy(np.ascontiguousarray(queries)).to(rows)
            near = nearest_neighbors(queries, rows if len(free) == n else rows[free], min(depth, len(free)))
        else:
            near = nearest_neighbors(sparse.csr_array(queries), rows[free], min(depth, len(free)))
        _join(waiting, _in_order(free[near.indices], near.distances, centers[waiting], precision), result)
        free = np.setdiff1d(free, result.indices)
        # Each pass serves at least `depth` centres, so doubling it keeps the passes few even if all rows are equal.
        depth *= 2
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Lists:
    """For each centre, rows in the order in which it would take them: by rank, then by row; shapes (c, depth)."""

    rows: IndexArray
    ranks: Float64Array
    distances: Float64Array


def _in_order(
    rows: IndexArray, distances: Float64Array, centers: npt.NDArray[np.floating], precision: np.finfo[np.floating]
) -> _Lists:
    """Rank rows by distance, giving those that rounding cannot tell apart the rank of the nearest of them."""
    lengths = np.linalg.norm(centers.astype(np.float64), axis=1, keepdims=True)
    tolerance = 16 * float(precision.eps) * (lengths + distances[:, 1:])
    starts = np.ones(distances.shape, dtype=np.bool_)
    starts[:, 1:] = np.diff(distances, axis=1) > tolerance
    ranks = np.maximum.accumulate(np.where(starts, distances, 0.0), axis=1)
    order = np.lexsort((rows, ranks), axis=1)
    return _Lists(*(np.take_along_axis(table, order, axis=1) for table in (rows, ranks, distances)))


def _join(centers: IndexArray, lists: _Lists, result: NearestRows) -> None:
    """Join centres and listed rows in order of rank, until a centre has come to the end of its list."""
    taken: set[int] = set()

    def entry(i: int, position: int) -> tuple[float, int, int, int, int]:
        return float(lists.ranks[i, position]), int(centers[i]), int(lists.rows[i, position]), i, position

    heap = [entry(i, 0) for i in range(len(centers))]
    heapq.heapify(heap)
    while heap:
        _, center, row, i, position = heapq.heappop(heap)
        if row not in taken:
            taken.add(row)
            result.indices[center] = row
            result.distances[center] = lists.distances[i, position]
        elif position + 1 < lists.rows.shape[1]:
            heapq.heappush(heap, entry(i, position + 1))
        else:
            return
