"""Which references are the nearest of each query: decided by bounds, by distances where bounds leave a doubt.

First, in the points' own precision: one matrix product per block gives each pair a key, from which σ²δ² is bounded
from both sides, δ being the float64 distance and σ a scale (`nearmiss.arrays.frames` has the proof). The K = k + 6
references of smallest key are kept, in order of their keys. A larger key never has a smaller lower bound.

A row is decided at once if the upper bound of its k-th key lies below the lower bound of the next: then any other
reference, kept or not, is strictly farther than each of the first k.

Of the other rows, δ of all K is computed. No reference left out has a smaller bound than the largest of the K keys;
if the k-th smallest δ lies strictly below it, the row is decided, ties included.

What is still undecided is searched with keys in float64: let t be the k-th smallest upper bound. At least k
references are as near as t, and one whose lower bound exceeds t is strictly farther than the k-th. All others have
their δ computed and compared.

The coarse route
----------------
Where a processor multiplies bfloat16 natively, values in that format may say first which references are near enough to
be looked at (`nearmiss.arrays.coarse`): all others are strictly farther than the k nearest. The few get keys in the
points' own precision, from the products of these pairs alone, and these keys are treated as above: the k nearest are
among them, and those of them that are not kept have no smaller bound than the last that is. A query with many
such references, since they lie close together, is searched in float32 from the start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nearmiss.arrays.coarse import CoarseFrame
from nearmiss.arrays.frames import ALL, Points, QueryBlock, Rows
from nearmiss.arrays.narrowing import Candidates, boundary, candidates
from nearmiss.arrays.tensors import row_blocks

__all__ = ["Nearest", "coarse_sets", "fine_sets"]

#: Candidates kept beyond k; with them, few rows are left undecided.
SPARE = 6

#: Values of one block of the coarse route, which is gone over several times.
COARSE_BYTES = 48 * 2**20

#: What one pair of the precise search occupies, its sorting included.
PAIR_BYTES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """References of each query and their distances, both of shape (B, k)."""

    columns: Tensor
    distances: Tensor

    def first(self, k: int) -> Nearest:
        """Keep the k nearest; among equal distances, those that stand first."""
        distances, order = torch.sort(self.distances, dim=1, stable=True)
        # Copied out: a slice would keep the whole table alive.
        return Nearest(self.columns.gather(1, order[:, :k]), distances[:, :k].contiguous())


def fine_sets(points: Points, rows: Rows, k: int) -> Tensor:
    """Find the k nearest distinct references of some queries, in any order, shape (B, k)."""
    n = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    if k == points.n_references:
        return torch.arange(k, device=points.device).expand(n, k)
    block = points.fast.block(rows)
    few = candidates(block, points.fast, min(k + SPARE, points.n_references))
    return _nearest_of(points, _Queries(rows, block, ALL), few, k)


def coarse_sets(points: Points, coarse: CoarseFrame, rows: slice, k: int) -> Tensor:
    """Find the same by the coarse route."""
    columns = torch.empty((rows.stop - rows.start, k), dtype=torch.int64)
    for part in row_blocks(len(columns), coarse.row_bytes, COARSE_BYTES):
        part_rows = slice(rows.start + part.start, rows.start + part.stop)
        block = coarse.block(part_rows)
        near = block.near(k, k + SPARE + 1)
        columns[part][near.queries] = _nearest_of(
            points, _Queries(part_rows, block.fine, near.queries), near.candidates, k
        )
        crowded = torch.ones(part.stop - part.start, dtype=torch.bool).index_fill_(0, near.queries, False)
        if bool(crowded.any()):
            others = torch.nonzero(crowded).flatten()
            columns[part][others] = fine_sets(points, _some(part_rows, others), k)
    return columns


@dataclass(frozen=True, slots=True, eq=False)
class _Queries:
    """Some queries of a block."""

    rows: Rows
    block: QueryBlock
    chosen: Rows

    def of(self, positions: Tensor) -> Tensor:
        """Say which queries of the block stand at these positions."""
        return positions if isinstance(self.chosen, slice) else self.chosen[positions]


def _nearest_of(points: Points, queries: _Queries, few: Candidates, k: int) -> Tensor:
    """Find the k nearest of the candidates: by the bounds that their keys give, where these decide."""
    kth, following = boundary(few.keys, k)
    block = queries.block
    decided = (block.upper(kth, queries.chosen) < block.lower(following, queries.chosen))[:, 0]
    columns = torch.empty((len(kth), k), dtype=torch.int64, device=points.device)
    columns[decided] = few.up_to(kth[:, 0], decided, k)
    undecided = torch.nonzero(~decided).flatten()
    if len(undecided):
        positions = queries.of(undecided)
        kept = few.of(undecided).smallest(k + SPARE)
        lower, upper = block.lower(kept.keys, positions), block.upper(kept.keys, positions)
        others = lower[:, -1] if lower.shape[1] < points.n_references else torch.full_like(lower[:, -1], torch.inf)
        bounded = _Bounded(kept.columns, lower, upper, others)
        columns[undecided] = _settled(points, _some(queries.rows, positions), bounded, k)
    return columns


def _some(rows: Rows, positions: Tensor) -> Tensor:
    return positions + rows.start if isinstance(rows, slice) else rows[positions]


@dataclass(frozen=True, slots=True, eq=False)
class _Bounded:
    """References kept for some queries, shape (B, K), with bounds on σ²δ², and a lower bound for all others, (B,)."""

    columns: Tensor
    lower: Tensor
    upper: Tensor
    others: Tensor


def _settled(points: Points, rows: Tensor, kept: _Bounded, k: int) -> Tensor:
    """Find the k nearest references, computing the distance of those alone about which the bounds leave a doubt."""
    inside = kept.upper < kept.lower[:, k : k + 1]
    doubtful = ~inside & ~(kept.lower > kept.upper[:, k - 1 : k])
    query, place = torch.nonzero(doubtful, as_tuple=True)
    distances = torch.full(kept.columns.shape, torch.inf, dtype=torch.float64, device=points.device)
    distances[inside] = -1.0
    columns = kept.columns[query, place]
    distances[query, place] = points.distances(rows[query], columns[:, None])[:, 0]
    order = kept.columns.argsort(dim=1)  # equal distances go to the lower column
    nearest = Nearest(kept.columns.gather(1, order), distances.gather(1, order)).first(k)
    farthest = (nearest.distances[:, -1] * points.fast.scale).square()
    undecided = torch.nonzero(~(farthest < kept.others)).flatten()
    if len(undecided):
        nearest.columns[undecided] = _search_precisely(points, rows[undecided], k)
    return nearest.columns


def _search_precisely(points: Points, rows: Tensor, k: int) -> Tensor:
    """Search all references with keys in float64, once for queries that are equal."""
    firsts, likes = np.unique(points.repeats(rows), return_inverse=True)
    distinct = rows[torch.from_numpy(firsts).to(rows.device)]
    parts = row_blocks(len(distinct), points.precise.row_bytes)
    found = [_search_block_precisely(points, distinct[part], k) for part in parts]
    return torch.cat(found)[torch.from_numpy(likes).to(rows.device)]


def _search_block_precisely(points: Points, rows: Tensor, k: int) -> Tensor:
    frame = points.precise
    block = frame.block(rows)
    few = candidates(block, frame, k)
    cut = block.upper(few.smallest(k).keys[:, -1:])
    best = _nothing(len(rows), k, rows.device)
    for piece in frame.pieces:
        within = ~(block.lower(block.keys(piece)) > cut)  # true, too, where a bound is infinite or NaN
        for part in row_blocks(len(rows), within.shape[1] * PAIR_BYTES):
            query, column = torch.nonzero(within[part], as_tuple=True)
            column += piece.start
            distances = points.distances(rows[part][query], column[:, None])[:, 0]
            here = _nearest_pairs(query, column, distances, _nothing(part.stop - part.start, k, rows.device))
            columns = torch.cat([best.columns[part], here.columns], dim=1)
            merged = Nearest(columns, torch.cat([best.distances[part], here.distances], dim=1)).first(k)
            best.columns[part] = merged.columns
            best.distances[part] = merged.distances
    return best.columns


def _nothing(n: int, k: int, device: torch.device) -> Nearest:
    columns = torch.zeros((n, k), dtype=torch.int64, device=device)
    return Nearest(columns, torch.full((n, k), torch.inf, dtype=torch.float64, device=device))


def _nearest_pairs(query: Tensor, column: Tensor, distances: Tensor, into: Nearest) -> Nearest:
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
