"""Which of two routes to the same neighbours is taken: the one that turns out to be the faster."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch import Tensor

from nearmiss.arrays.coarse import CoarseFrame, multiplies_bfloat16
from nearmiss.arrays.dense_points import PreparedFrame
from nearmiss.arrays.frames import Points
from nearmiss.arrays.neighbor_sets import coarse_sets, fine_sets
from nearmiss.arrays.tensors import block_bytes, row_blocks
from nearmiss.arrays.threads import Team

__all__ = ["search_by_block"]

#: What a block of queries takes, keys above all: as much as stays near the cores, or what a thousand queries need,
#: since references are read anew for every block. At most so much, for one block and for all under way at a time.
NEAR_KEY_BYTES = 16 * 2**20
QUERIES = 1024
KEY_BYTES = 48 * 2**20
ALL_KEY_BYTES = 256 * 2**20

#: Queries below which a block is not worth cutting for another thread.
LEAST_ROWS = 64

#: Blocks for each thread below which no other route is tried, and references below which it cannot gain.
TRIED_FROM_BLOCKS = 4
TRIED_FROM_REFERENCES = 1000


def search_by_block(points: Points, k: int, threads: Team, use: Callable[[slice, Tensor], None]) -> None:
    """Find the k nearest distinct references of each query, in any order, and hand them on block by block.

    Both routes give the same sets, so that the clock may choose: the first two blocks are timed, one on each.

    Parameters
    ----------
    use
        Called by the thread that searched a block, with the block and its sets, shape (B, k).
    """

    def fine(rows: slice) -> None:
        use(rows, fine_sets(points, rows, k))

    blocks = _blocks(points, threads)
    frame = _coarse_frame(points, k) if len(blocks) >= TRIED_FROM_BLOCKS * threads.size else None
    if frame is None:
        threads.each(fine, blocks)
        return

    def coarse(rows: slice) -> None:
        use(rows, coarse_sets(points, frame, rows, k))

    seconds = list(threads.map(_timed, zip((coarse, fine), blocks[:2], strict=True)))
    threads.each(coarse if seconds[0] < seconds[1] else fine, blocks[2:])


def _blocks(points: Points, threads: Team) -> list[slice]:
    """Cut the queries into blocks of bounded memory, and few queries into one for each thread."""
    row_bytes = points.fast.row_bytes
    share = max(LEAST_ROWS, -(-points.n_queries // threads.size))
    room = min(max(NEAR_KEY_BYTES, QUERIES * row_bytes), KEY_BYTES, ALL_KEY_BYTES // threads.size)
    limit = min(block_bytes(points.device, room), share * row_bytes)
    return list(row_blocks(points.n_queries, row_bytes, limit))


def _timed(trial: tuple[Callable[[slice], None], slice]) -> float:
    route, rows = trial
    start = time.perf_counter()
    route(rows)
    return time.perf_counter() - start


def _coarse_frame(points: Points, k: int) -> CoarseFrame | None:
    """Give the bfloat16 frame, where the processor multiplies that format and float32 frame and sizes allow it."""
    fine = points.fast
    if points.n_references < max(TRIED_FROM_REFERENCES, 2 * k) or not isinstance(fine, PreparedFrame):
        return None
    if points.device.type != "cpu" or fine.references is None or not multiplies_bfloat16():
        return None
    return CoarseFrame(fine) if fine.references.itemsize == 4 else None
