"""Strategies that cluster the whole pool, in two levels: far-apart candidates out of all shards, then an exact step.

The candidates are those of k-means‖ (Bahmani et al. 2012, "Scalable k-means++"): a few rounds, each drawing many texts
at once with probability in proportion to their squared distance from those drawn before, instead of one at a time in as
many rounds as texts are wanted. Each candidate then stands for the texts that it is nearest to, with their number as
its weight, and the strategy's own step is taken on the candidates alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray, PoolView, Signal, Signals
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.arrays.seeding import Picks
from nearmiss.errors import BadShard, InvalidArray
from nearmiss.loop.streams import named_generator
from nearmiss.scale.best import Best, Draws, merged
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.pool import Shard
from nearmiss.scale.signals import SignalSource
from nearmiss.scale.work import Arrays

__all__ = [
    "PER_PICK",
    "ROUNDS",
    "DrawFarShard",
    "FromCandidates",
    "Measured",
    "Spreading",
    "WeighShard",
    "joined_signals",
    "weighted_seeding",
]

#: Rounds of drawing, and texts drawn in all for each that is wanted.
ROUNDS, PER_PICK = 4, 6
#: Texts whose distances are taken together.
_BATCH_ROWS = 8_192


class Spreading(Protocol):
    """A strategy that measures distances between texts."""

    def points(self, view: PoolView) -> ProductPoints:
        """Give the texts as points, one a row."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class FromCandidates:
    """Measures how far texts are from the candidates so far.

    Attributes
    ----------
    source
        Gives the signals.
    strategy, needs
        Turns them into points, and which it reads.
    candidates, n
        Signals of the n candidates.
    without
        Rows that take no part, increasing.
    """

    source: SignalSource
    strategy: Spreading
    needs: frozenset[Signal]
    candidates: Signals
    n: int
    without: IndexArray

    @property
    def identity(self) -> str:
        """What is measured, and from what."""
        arrays = (self.candidates.features, self.candidates.log_probs)
        hashed = (None if each is None else np.asarray(each) for each in arrays)
        return hash_of(self.source.identity, repr(self.strategy), *hashed, self.without)

    def batches(self, shard: Shard) -> Iterator[Measured]:
        """Measure the texts of a shard, some at a time.

        Raises
        ------
        BadShard
            The file cannot be read, or does not hold signals.
        """
        for whole in self.source.batches(shard, self.needs, _BATCH_ROWS):
            batch = whole.kept(self.without)
            n = len(batch.rows)
            if not n:
                continue
            together = joined_signals(batch.signals, self.candidates)
            try:
                points = self.strategy.points(PoolView(n + self.n, together))
            except InvalidArray as error:
                raise BadShard(f"{self.source.pool.address}/{shard.name}: {error}") from error
            squared, nearest = points.assigned(np.arange(n, n + self.n))
            yield Measured(batch.rows, squared[:n], nearest[:n])


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Rows of the pool, their squared distances to the nearest candidate, and which that is; each (n,)."""

    rows: IndexArray
    squared: npt.NDArray[np.float64]
    nearest: IndexArray


@dataclass(frozen=True, slots=True, eq=False)
class DrawFarShard:
    """Draws texts of a shard with probability in proportion to their squared distance from the candidates so far.

    Each text gets an exponential number over its distance; the smallest of all shards together are such a draw without
    replacement (Efraimidis & Spirakis 2006), whoever computes which shard.

    Attributes
    ----------
    far
        Measures the distances.
    n
        How many are drawn from the whole pool.
    names
        Of the random generator.
    """

    far: FromCandidates
    n: int
    names: tuple[str | int, ...]

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """From what is drawn, by which numbers."""
        return hash_of("far", self.far.identity, str(self.n), repr(self.names))

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what draws from a shard."""

        def do(shard: Shard) -> Arrays:
            rng = named_generator(*self.names, shard.start)
            best, draws = Best.none(), Draws(self.names, 0)
            for found in self.far.batches(shard):
                draw, there = rng.standard_exponential(len(found.rows)), found.squared > 0
                keys = Best(found.rows[there], found.rows[there], -draw[there] / found.squared[there])
                best = merged([best, keys], self.n, draws)
            return {"rows": best.rows, "candidates": best.candidates, "scores": best.scores}

        return do


@dataclass(frozen=True, slots=True, eq=False)
class WeighShard:
    """Counts, for each candidate, the texts of a shard that are nearest to it."""

    far: FromCandidates

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """What is counted."""
        return hash_of("weigh", self.far.identity)

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what counts in a shard."""

        def do(shard: Shard) -> Arrays:
            counts = np.zeros(self.far.n, dtype=np.int64)
            for found in self.far.batches(shard):
                counts += np.bincount(found.nearest, minlength=self.far.n)
            return {"counts": counts}

        return do


def joined_signals(first: Signals, second: Signals) -> Signals:
    """Put two sets of signals one under the other.

    Examples
    --------
    >>> joined_signals(Signals(features=np.eye(2)), Signals(features=np.ones((1, 2)))).features.shape
    (3, 2)
    """

    def together(one: object, other: object) -> np.ndarray | None:
        return None if one is None or other is None else np.concatenate([np.asarray(one), np.asarray(other)])

    return Signals(together(first.log_probs, second.log_probs), together(first.features, second.features))


def weighted_seeding(
    points: ProductPoints, weights: npt.NDArray[np.float64], n: int, rng: np.random.Generator
) -> Picks:
    """Choose n rows by k-means++ where a row stands for as many as it weighs: probability w · D².

    Examples
    --------
    >>> points = ProductPoints(np.array([[0.0], [0.1], [9.0]]))
    >>> picks = weighted_seeding(points, np.array([5.0, 5.0, 1.0]), 2, np.random.default_rng(0))
    >>> int(picks.indices.max())
    2
    """
    picked = [int(rng.choice(points.size, p=weights / weights.sum()))]
    squared, distances = points.to_row(picked[0]), [np.inf]
    while len(picked) < n:
        chances = weights * squared
        chances[picked] = 0.0
        if not chances.sum() > 0:  # the rest are duplicates: as likely as they weigh
            chances = np.where(np.isin(np.arange(points.size), picked), 0.0, np.maximum(weights, 1.0))
        picked.append(int(rng.choice(points.size, p=chances / chances.sum())))
        distances.append(float(squared[picked[-1]]))
        squared = np.minimum(squared, points.to_row(picked[-1]))
    return Picks(np.array(picked, dtype=np.int64), np.array(distances))
