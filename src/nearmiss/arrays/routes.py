"""Which of two routes to the same neighbours is taken: the one that turns out to be the faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain

from torch import Tensor

from nearmiss.arrays.coarse import CoarseFrame, multiplies_bfloat16
from nearmiss.arrays.dense_points import PreparedFrame
from nearmiss.arrays.frames import Points
from nearmiss.arrays.neighbor_sets import coarse_sets, fine_sets
from nearmiss.arrays.tensors import block_bytes, row_blocks
from nearmiss.arrays.threads import Team

__all__ = ["sets_by_block"]

#: Keys of one block of queries.
KEY_BYTES = 48 * 2**20

#: Queries below which a block is not worth cutting for another thread.
LEAST_ROWS = 64

#: Blocks below which no other route is tried, and references below which it cannot gain.
TRIED_FROM_BLOCKS = 6
TRIED_FROM_REFERENCES = 1000

#: From some queries to what is wanted of them.
Route = Callable[[slice], Tensor]


def sets_by_block(points: Points, k: int, team: Team) -> Iterator[tuple[slice, Tensor]]:
    """Go through the queries in blocks, and give the k nearest distinct references of each, in any order.

    Both routes give the same sets, so that the clock may choose: the first two blocks are timed, one on each.
    """

    def fine(rows: slice) -> Tensor:
        return fine_sets(points, rows, k)

    blocks = _blocks(points, team)
    frame = _coarse_frame(points, k) if len(blocks) >= TRIED_FROM_BLOCKS else None
    if frame is None:
        yield from zip(blocks, team.map(fine, blocks), strict=True)
        return

    def coarse(rows: slice) -> Tensor:
        return coarse_sets(points, frame, rows, k)

    tried = list(team.map(_timed, zip((coarse, fine), blocks[:2], strict=True)))
    faster = coarse if tried[0][0] < tried[1][0] else fine
    found = chain((sets for _, sets in tried), team.map(faster, blocks[2:]))
    yield from zip(blocks, found, strict=True)


def _blocks(points: Points, team: Team) -> list[slice]:
    """Cut the queries into blocks of bounded memory, and few queries into one for each thread."""
    row_bytes = points.fast.row_bytes
    share = max(LEAST_ROWS, -(-points.n_queries // team.size))
    limit = min(block_bytes(points.device, KEY_BYTES), share * row_bytes)
    return list(row_blocks(points.n_queries, row_bytes, limit))


def _timed(trial: tuple[Route, slice]) -> tuple[float, Tensor]:
    route, rows = trial
    start = time.perf_counter()
    found = route(rows)
    return time.perf_counter() - start, found


def _coarse_frame(points: Points, k: int) -> CoarseFrame | None:
    """Give the bfloat16 frame, where the processor multiplies that format and float32 frame and sizes allow it."""
    fine = points.fast
    if points.n_references < max(TRIED_FROM_REFERENCES, 2 * k) or not isinstance(fine, PreparedFrame):
        return None
    if points.device.type != "cpu" or fine.references is None or not multiplies_bfloat16():
        return None
    return CoarseFrame(fine) if fine.references.itemsize == 4 else None
