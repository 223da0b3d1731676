"""Exact nearest neighbours, at nearly the speed of a matrix product and in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.arrays.points import Frame, Points, QueryBlock, point_sets
from nearmiss.arrays.tensors import Matrix, row_blocks
from nearmiss.errors import InvalidInput

__all__ = ["Neighbors", "nearest_neighbors"]

#: Candidates kept beyond k in the first pass; with them, few rows are left undecided.
SPARE = 6

#: References are compared in groups of this many before the smallest are sought.
GROUP = 8

#: What one pair of the second pass occupies, its sorting included.
PAIR_BYTES = 64

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


@dataclass(frozen=True, slots=True, eq=False)
class _Nearest:
    columns: Tensor
    distances: Tensor

    def first(self, k: int) -> _Nearest:
        """Keep the k nearest; among equal distances, those that stand first."""
        distances, order = torch.sort(self.distances, dim=1, stable=True)
        return _Nearest(self.columns.gather(1, order)[:, :k], distances[:, :k])


def nearest_neighbors(queries: Matrix, references: Matrix, k: int) -> Neighbors:
    """Find the k nearest references of every query by Euclidean distance, exactly.

    ``queries`` (n, d) and ``references`` (m, d) are both dense (NumPy or torch, any device) or both CSR. With fewer
    than k references, all of them are returned. Distances are computed by differences in float64; the answer does not
    depend on block sizes, threads, or the precision of the fast route. Working memory stays below about 200 MB beside
    the result, whatever n and m.

    Notes
    -----
    First pass, in the points' own precision: one matrix product per block gives D with |σ²δ² − (a² + D)| ≤ E, where δ
    is the float64 distance (`nearmiss.arrays.points` proves it). The K = k + 6 references of smallest D are kept, and
    their δ computed. Let t be the largest D among them. A reference that was not kept has D ≥ t, hence
    σ²δ² ≥ a² + t − E. If the k-th smallest δ among the kept is strictly below that, no other reference is as near, and
    the row is decided, ties included.

    Second pass, undecided rows, in float64: let t be the k-th smallest D. Those k references have σ²δ² ≤ a² + t + E, so
    the k-th smallest δ does too, and a reference with D > t + 2E has σ²δ² > a² + t + E: it is strictly farther. All
    others have their δ computed and compared.

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
    if k < 1:
        raise InvalidInput(f"asked for {k} nearest neighbours; ask for at least 1")
    if references.shape[0] == 0:
        raise InvalidInput("there are no references to find neighbours among; pass at least one row")
    sets = point_sets(queries, references)
    points = sets.points
    k = min(k, references.shape[0])
    found = Neighbors(np.empty((points.n_queries, k), np.int64), np.empty((points.n_queries, k), np.float64))
    likes = _likes(sets.occurrences, k, points.device)
    for rows in row_blocks(points.n_queries, points.fast.row_bytes):
        nearest = _with_likes(_search(points, rows, min(k, points.n_references)), likes, k)
        found.indices[rows] = nearest.columns.cpu().numpy()
        found.distances[rows] = nearest.distances.cpu().numpy() / sets.scale
    return found


def _search(points: Points, rows: slice, k: int) -> _Nearest:
    """Search one block of queries: first pass, then the second for the rows it leaves undecided."""
    frame = points.fast
    block = frame.block(rows)
    kept = _smallest(block, frame, k + SPARE)
    columns = kept.columns.sort(dim=1).values
    nearest = _Nearest(columns, points.distances(rows, columns)).first(k)
    if columns.shape[1] == points.n_references:
        return nearest
    others = block.offset + kept.distances.amax(dim=1) - block.error
    farthest = (nearest.distances[:, -1] * frame.scale).square()
    undecided = torch.nonzero(~(farthest < others)).flatten()
    if len(undecided):
        searched = _search_precisely(points, undecided + rows.start, k)
        nearest.columns[undecided] = searched.columns
        nearest.distances[undecided] = searched.distances
    return nearest


def _smallest(block: QueryBlock, frame: Frame, n: int) -> _Nearest:
    """Keep the n smallest D of each query, over all pieces of the references, as float64."""
    best = _smallest_of(block.approximate(frame.pieces[0]), n)
    for piece in frame.pieces[1:]:
        here = _smallest_of(block.approximate(piece), n)
        columns = torch.cat([best.columns, here.columns + piece.start], dim=1)
        best = _Nearest(columns, torch.cat([best.distances, here.distances], dim=1)).first(n)
    return best


def _smallest_of(values: Tensor, n: int) -> _Nearest:
    """Keep the n smallest of each row, by way of the smallest of each group: the n smallest lie in n groups at most."""
    width = values.shape[1] // GROUP
    if width <= 4 * n:
        distances, columns = values.topk(min(n, values.shape[1]), dim=1, largest=False, sorted=False)
        return _Nearest(columns, distances.to(torch.float64))
    least = values[:, : width * GROUP].reshape(-1, GROUP, width).amin(dim=1)
    groups = least.topk(n, dim=1, largest=False, sorted=False).indices
    steps = torch.arange(GROUP, device=values.device) * width
    rest = torch.arange(width * GROUP, values.shape[1], device=values.device).expand(len(values), -1)
    candidates = torch.cat([(groups[:, :, None] + steps).flatten(1), rest], dim=1)
    distances, order = values.gather(1, candidates).topk(n, dim=1, largest=False, sorted=False)
    return _Nearest(candidates.gather(1, order), distances.to(torch.float64))


def _search_precisely(points: Points, rows: Tensor, k: int) -> _Nearest:
    """Run the second pass on these queries, once for queries that are equal."""
    firsts, likes = np.unique(points.repeats(rows), return_inverse=True)
    distinct = rows[torch.from_numpy(firsts).to(rows.device)]
    frame = points.precise
    found = [_search_block_precisely(points, distinct[part], k) for part in row_blocks(len(distinct), frame.row_bytes)]
    back = torch.from_numpy(likes).to(rows.device)
    return _Nearest(torch.cat([f.columns for f in found])[back], torch.cat([f.distances for f in found])[back])


def _search_block_precisely(points: Points, rows: Tensor, k: int) -> _Nearest:
    frame = points.precise
    block = frame.block(rows)
    cut = _smallest(block, frame, k).distances.amax(dim=1) + 2 * block.error
    best = _nothing(len(rows), k, rows.device)
    for piece in frame.pieces:
        within = ~(block.approximate(piece) > cut[:, None])  # true, too, where a bound is infinite or D is NaN
        for part in row_blocks(len(rows), within.shape[1] * PAIR_BYTES):
            query, column = torch.nonzero(within[part], as_tuple=True)
            column += piece.start
            distances = points.distances(rows[part][query], column[:, None])[:, 0]
            here = _nearest_pairs(query, column, distances, _nothing(part.stop - part.start, k, rows.device))
            columns = torch.cat([best.columns[part], here.columns], dim=1)
            merged = _Nearest(columns, torch.cat([best.distances[part], here.distances], dim=1)).first(k)
            best.columns[part] = merged.columns
            best.distances[part] = merged.distances
    return best


def _nothing(n: int, k: int, device: torch.device) -> _Nearest:
    columns = torch.zeros((n, k), dtype=torch.int64, device=device)
    return _Nearest(columns, torch.full((n, k), torch.inf, dtype=torch.float64, device=device))


def _nearest_pairs(query: Tensor, column: Tensor, distances: Tensor, into: _Nearest) -> _Nearest:
    """Write the nearest pairs of each query, given in order of query and column, into a table filled with infinity."""
    n, k = into.columns.shape
    order = torch.argsort(distances, stable=True)
    order = order[torch.argsort(query[order], stable=True)]
    counts = torch.bincount(query, minlength=n)
    rank = torch.arange(len(query), device=query.device) - (counts.cumsum(0) - counts)[query]
    near = rank < k
    into.columns[query[near], rank[near]] = column[order][near]
    into.distances[query[near], rank[near]] = distances[order][near]
    return into


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


def _with_likes(nearest: _Nearest, likes: Tensor, k: int) -> _Nearest:
    """Replace each distinct reference by all rows equal to it, and keep the k nearest, lowest rows first."""
    members = likes[nearest.columns]
    if members.shape[2] == 1:
        return _Nearest(members[:, :, 0], nearest.distances)
    padded = members == PAD
    distances = nearest.distances[:, :, None].expand(members.shape).masked_fill(padded, torch.inf).flatten(1)
    columns, order = members.flatten(1).sort(dim=1)
    return _Nearest(columns, distances.gather(1, order)).first(k)
