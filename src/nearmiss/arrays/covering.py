"""Farthest-first traversal: rows that cover the others, each the farthest from all before it."""

from __future__ import annotations

import numpy as np

from nearmiss.arrays.seeding import CenterDistances, Float64Array, IndexArray, Picks
from nearmiss.arrays.threads import team

__all__ = ["farthest_first"]

#: Rows that are looked at together.
LEADERS = 128


def farthest_first(points: CenterDistances, closest: Float64Array, n: int, rng: np.random.Generator) -> Picks:
    """Pick n rows, each the farthest from the centres given and from all rows picked before it (Gonzalez 1985).

    Works in blocks: of the farthest rows, those that stay above every row outside the block while picks are made are
    the very rows that one-at-a-time picking takes, and only distances within the block are needed to see that.

    Parameters
    ----------
    closest
        Squared distance of every row to the nearest centre so far, shape (size,); -inf for a row not on offer, of
        which there are at most size − n.
    rng
        Decides among equally far rows.

    Examples
    --------
    >>> from nearmiss.arrays.product_points import ProductPoints
    >>> points = ProductPoints(np.array([[1.0], [9.0], [5.0]]))
    >>> farthest_first(points, np.array([1.0, 81.0, 25.0]), 2, np.random.default_rng(0))
    Picks(indices=array([1, 2]), squared_distances=array([81., 16.]))
    """
    with team(points.device):
        return _traverse(points, closest, n, rng.permutation(points.size))


def _traverse(points: CenterDistances, closest: Float64Array, n: int, priority: IndexArray) -> Picks:
    indices = np.empty(0, dtype=np.int64)
    squared = np.empty(0)
    while (missing := n - len(indices)) > 0:
        if closest.max() <= 0:
            # Everything left repeats a centre or a pick.
            picked = np.lexsort((priority, -closest))[:missing]
            return Picks(np.append(indices, picked), np.append(squared, np.zeros(missing)))
        # No row outside the block exceeds the bar.
        bar = float(np.partition(closest, -LEADERS - 1)[-LEADERS - 1]) if points.size > LEADERS else -np.inf
        block = np.flatnonzero(closest > bar)
        if len(block) == 0:
            block = np.lexsort((priority, -closest))[:1]
        taken = _lead(points.among(block), closest[block], priority[block], bar, missing)
        picked = block[taken.indices]
        indices = np.append(indices, picked)
        squared = np.append(squared, taken.squared_distances)
        closest = np.minimum(closest, points.to_nearest(picked))
        closest[picked] = -np.inf
    return Picks(indices, squared)


def _lead(between: Float64Array, now: Float64Array, priority: np.ndarray, bar: float, limit: int) -> Picks:
    """Pick within a block, farthest first, for as long as the farthest exceeds the bar; one pick always succeeds."""
    taken: list[int] = []
    squared: list[float] = []
    while len(taken) < limit:
        best = int(np.lexsort((priority, -now))[0])
        if taken and now[best] <= bar:
            break
        taken.append(best)
        squared.append(float(now[best]))
        now = np.minimum(now, between[best])
        now[best] = -np.inf
    return Picks(np.array(taken, dtype=np.int64), np.array(squared))
