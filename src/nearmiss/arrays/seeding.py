"""k-means++ seeding over anything that can give squared distances from its own rows.

Two ways with one law (Arthur & Vassilvitskii 2007: each next centre drawn with probability proportional to the squared
distance to the nearest centre so far): `kmeans_plus_plus_sequential`, one centre at a time, and `kmeans_plus_plus`, in
blocks with rejection, several times faster because a matrix product replaces hundreds of matrix-vector products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from nearmiss.arrays.threads import team
from nearmiss.errors import InvalidInput

__all__ = ["CenterDistances", "Picks", "kmeans_plus_plus", "kmeans_plus_plus_sequential"]

IndexArray = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

#: Candidates drawn at once by `kmeans_plus_plus`: enough that a matrix product runs at full speed, few enough that
#: the distances among themselves cost nothing beside it.
CANDIDATES = 256


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
    >>> from nearmiss.arrays.product_points import ProductPoints
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
    >>> from nearmiss.arrays.product_points import ProductPoints
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
