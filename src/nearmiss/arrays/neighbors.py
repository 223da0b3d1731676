"""Exact nearest neighbours, at nearly the speed of a matrix product and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.arrays.frames import Points
from nearmiss.arrays.neighbor_sets import Nearest
from nearmiss.arrays.points import point_sets
from nearmiss.arrays.routes import search_by_block
from nearmiss.arrays.tensors import Matrix, device_of, row_blocks
from nearmiss.arrays.threads import Team, team
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["Neighbors", "in_order", "nearest_neighbors", "nearest_sets"]

#: Sets that are brought into order together.
ORDERED_AT_ONCE = 256

#: What one repeat of one neighbour occupies while repeats are put back.
LIKE_BYTES = 64

#: Stands after every row number.
PAD = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """The nearest references of each query, nearest first.

    Attributes
    ----------
    indices
        Rows of the references, shape (n, k), int64; among equal distances the lower row comes first.
    distances
        Euclidean distances, shape (n, k), float64.
    """

    indices: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]


def nearest_neighbors(queries: Matrix, references: Matrix, k: int) -> Neighbors:
    """Find the k nearest references of every query by Euclidean distance, exactly.

    ``queries`` (n, d) and ``references`` (m, d) are both dense (NumPy or torch, any device) or both CSR. With fewer
    than k references, all of them are returned. Distances are computed by differences in float64; the answer does not
    depend on block sizes, threads, or the precision of the fast route. Working memory stays below about 500 MB beside
    the result on few cores, whatever n and m.

    Notes
    -----
    A matrix product in the points' own precision (or in bfloat16, where that turns out to be faster) bounds every
    distance from both sides; the few references that the bounds leave in doubt are compared by their distances.
    `nearmiss.arrays.frames` and `nearmiss.arrays.coarse` prove the bounds, `nearmiss.arrays.neighbor_sets` that they
    suffice.

    References equal in every entry are searched once and put back afterwards, lowest rows first: an element among the k
    nearest implies that the first of its likes is, so k distinct references suffice.

    Raises
    ------
    InvalidInput
        k is below 1, or there are no references.
    InvalidArray
        NaN or infinity, different widths, or one sparse and the other dense.

    Examples
    --------
    >>> found = nearest_neighbors(np.array([[0.0], [9.0]]), np.array([[1.0], [8.0], [-1.0]]), k=2)
    >>> found.indices
    array([[0, 2],
           [1, 0]])
    >>> found.distances
    array([[1., 1.],
           [1., 8.]])
    """
    with team(device_of(queries)) as threads:
        search = _Search.over(queries, references, k)
        shape = search.points.n_queries, search.k
        found = Neighbors(np.empty(shape, np.int64), np.empty(shape, np.float64))

        def keep(rows: slice, columns: Tensor) -> None:
            nearest = search.ordered(rows, columns)
            found.indices[rows] = nearest.columns.cpu().numpy()
            found.distances[rows] = nearest.distances.cpu().numpy() / search.scale

        search.run(threads, keep)
    return found


def nearest_sets(queries: Matrix, references: Matrix, k: int) -> npt.NDArray[np.int64]:
    """Find which k references are the nearest of every query, exactly, without their order.

    The sets are those of `nearest_neighbors`, shape (n, k), lower rows first. Faster, since the distance of a neighbour
    need not be computed where bounds decide that it is one.

    Raises
    ------
    InvalidInput
        k is below 1, or there are no references.
    InvalidArray
        NaN or infinity, different widths, or one sparse and the other dense.

    Examples
    --------
    >>> nearest_sets(np.array([[0.0], [9.0]]), np.array([[1.0], [8.0], [-1.0]]), k=2)
    array([[0, 2],
           [0, 1]])
    """
    with team(device_of(queries)) as threads:
        search = _Search.over(queries, references, k)
        found = np.empty((search.points.n_queries, search.k), np.int64)

        def keep(rows: slice, columns: Tensor) -> None:
            nearest = search.ordered(rows, columns).columns if search.repeated else columns
            found[rows] = nearest.sort(dim=1).values.cpu().numpy()

        search.run(threads, keep)
    return found


def in_order(queries: Matrix, references: Matrix, sets: npt.NDArray[np.int64]) -> Neighbors:
    """Bring sets of references, one of shape (k,) for each query, into the order of `nearest_neighbors`.

    Raises
    ------
    InvalidArray
        NaN or infinity, different widths, one sparse and the other dense, or not one set for each query.

    Examples
    --------
    >>> in_order(np.array([[0.0], [9.0]]), np.array([[1.0], [8.0], [-1.0]]), np.array([[0, 2], [0, 1]])).indices
    array([[0, 2],
           [1, 0]])
    """
    if sets.ndim != 2 or len(sets) != queries.shape[0]:
        raise InvalidArray(f"sets have shape {sets.shape}; pass one row for each of {queries.shape[0]} queries")
    found = Neighbors(np.sort(sets.astype(np.int64), axis=1), np.empty(sets.shape))
    with team(device_of(queries)) as threads:
        given = point_sets(queries, references, distinct=False)

        def order(rows: slice) -> None:
            columns = torch.from_numpy(found.indices[rows]).to(given.points.device)
            nearest = Nearest(columns, given.points.distances(rows, columns)).first(columns.shape[1])
            found.indices[rows] = nearest.columns.cpu().numpy()
            found.distances[rows] = nearest.distances.cpu().numpy() / given.scale

        threads.each(order, row_blocks(len(sets), 1, ORDERED_AT_ONCE))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """A search over distinct references, of which ``likes`` says where each stands among those that were given."""

    points: Points
    likes: Tensor
    n_given: int
    scale: float
    k: int

    @classmethod
    def over(cls, queries: Matrix, references: Matrix, k: int) -> _Search:
        if k < 1:
            raise InvalidInput(f"asked for {k} nearest neighbours; ask for at least 1")
        if references.shape[0] == 0:
            raise InvalidInput("there are no references to find neighbours among; pass at least one row")
        sets = point_sets(queries, references)
        k = min(k, references.shape[0])
        likes = _likes(sets.occurrences, k, sets.points.device)
        return cls(sets.points, likes, len(sets.occurrences), sets.scale, k)

    @property
    def repeated(self) -> bool:
        """Whether some references are equal."""
        return self.points.n_references < self.n_given

    def run(self, threads: Team, use: Callable[[slice, Tensor], None]) -> None:
        """Find the nearest distinct references of each query, in any order, and hand them on block by block."""
        search_by_block(self.points, min(self.k, self.points.n_references), threads, use)

    def ordered(self, rows: slice, columns: Tensor) -> Nearest:
        """Bring the nearest of a block of queries into order, and put repeats back."""
        columns = columns.sort(dim=1).values
        nearest = Nearest(columns, self.points.distances(rows, columns)).first(self.k)
        parts = row_blocks(len(columns), self.k * self.likes.shape[1] * LIKE_BYTES)
        found = [_with_likes(Nearest(nearest.columns[p], nearest.distances[p]), self.likes, self.k) for p in parts]
        return Nearest(torch.cat([f.columns for f in found]), torch.cat([f.distances for f in found]))


def _likes(occurrences: npt.NDArray[np.int64], k: int, device: torch.device) -> Tensor:
    """List, for each distinct reference, the rows equal to it: lowest first, at most k, then PAD, shape (u, ·)."""
    m = len(occurrences)
    order = np.argsort(occurrences, kind="stable")
    counts = np.bincount(occurrences, minlength=m)
    counts = counts[counts > 0]
    rank = np.arange(m) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((len(counts), min(k, int(counts.max()))), PAD)
    kept = rank < table.shape[1]
    table[np.repeat(np.arange(len(counts)), counts)[kept], rank[kept]] = order[kept]
    return torch.from_numpy(table).to(device)


def _with_likes(nearest: Nearest, likes: Tensor, k: int) -> Nearest:
    """Replace each distinct reference by all rows equal to it, and keep the k nearest, lowest rows first."""
    members = likes[nearest.columns]
    if members.shape[2] == 1:
        return Nearest(members[:, :, 0], nearest.distances)
    padded = members == PAD
    distances = nearest.distances[:, :, None].expand(members.shape).masked_fill(padded, torch.inf).flatten(1)
    columns, order = members.flatten(1).sort(dim=1)
    return Nearest(columns, distances.gather(1, order)).first(k)
