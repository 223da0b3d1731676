"""Which of two routes to the same neighbours is taken: the one that turns out to be the faster."""

from __future__ import annotations

import time
from collections.abc import Iterator

from torch import Tensor

from nearmiss.arrays.coarse import CoarseFrame, multiplies_bfloat16
from nearmiss.arrays.dense_points import PreparedFrame
from nearmiss.arrays.frames import Points
from nearmiss.arrays.neighbor_sets import COARSE_SPARE, coarse_sets, fine_sets
from nearmiss.arrays.tensors import row_blocks

__all__ = ["sets_by_block"]

#: Keys of one block of queries.
KEY_BYTES = 48 * 2**20

#: Blocks below which no other route is tried, and references below which it cannot gain.
TRIED_FROM_BLOCKS = 6
TRIED_FROM_REFERENCES = 1000


def sets_by_block(points: Points, k: int) -> Iterator[tuple[slice, Tensor]]:
    """Go through the queries in blocks, and give the k nearest distinct references of each, in any order.

    Both routes give the same sets, so that the clock may choose: the first two blocks are timed, one on each.
    """
    blocks = list(row_blocks(points.n_queries, points.fast.row_bytes, KEY_BYTES))
    coarse = _coarse_frame(points, k) if len(blocks) >= TRIED_FROM_BLOCKS else None
    if coarse is None:
        for rows in blocks:
            yield rows, fine_sets(points, rows, k)
        return
    seconds = []
    for rows, route in zip(blocks, (True, False), strict=False):
        start = time.perf_counter()
        found = coarse_sets(points, coarse, rows, k) if route else fine_sets(points, rows, k)
        seconds.append(time.perf_counter() - start)
        yield rows, found
    for rows in blocks[2:]:
        yield rows, coarse_sets(points, coarse, rows, k) if seconds[0] < seconds[1] else fine_sets(points, rows, k)


def _coarse_frame(points: Points, k: int) -> CoarseFrame | None:
    """Give the bfloat16 frame, where the processor multiplies that format and float32 frame and sizes allow it."""
    fine = points.fast
    if points.n_references < max(TRIED_FROM_REFERENCES, k + COARSE_SPARE + 1) or not isinstance(fine, PreparedFrame):
        return None
    if points.device.type != "cpu" or fine.references is None or not multiplies_bfloat16():
        return None
    return CoarseFrame(fine) if fine.references.itemsize == 4 else None
