"""The best of many scores that are found bit by bit: the same that `top_indices` finds among all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray
from nearmiss.loop.streams import named_generator

__all__ = ["Best", "Draws", "best_of", "merged"]

Float64Array = npt.NDArray[np.float64]


@dataclass(slots=True)
class Draws:
    """The generator of a selection over all candidates, as every process can make it.

    The order among equal scores is a permutation of all candidates (`top_indices`): it takes 8 bytes a candidate, and
    is drawn only where two scores are equal.

    Attributes
    ----------
    names
        Of the generator (`named_generator`).
    size
        Candidates in all.
    used
        Numbers between 0 and 1 that the strategy draws before, one a candidate (`random`).
    """

    names: tuple[str | int, ...]
    size: int
    used: int = 0
    _order: IndexArray | None = field(default=None, repr=False)

    def among_equals(self, candidates: IndexArray) -> IndexArray:
        """Give the places of candidates in the order among equals."""
        if self._order is None:
            self._order = self._advanced(self.used).permutation(self.size)
        return self._order[candidates]

    def uniform(self, start: int, n: int) -> Float64Array:
        """Give the numbers that candidates start to start + n are drawn, as ``random(size)`` gives them to all."""
        return self._advanced(start).random(n)

    def __getstate__(self) -> tuple[tuple[str | int, ...], int, int]:
        return self.names, self.size, self.used

    def __setstate__(self, state: tuple[tuple[str | int, ...], int, int]) -> None:
        self.names, self.size, self.used = state
        self._order = None

    def _advanced(self, by: int) -> np.random.Generator:
        rng = named_generator(*self.names)
        bits: Any = rng.bit_generator  # a PCG64, which alone can step so far at once
        bits.advance(by)  # random() takes one step for each number
        return rng


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """Candidates of high score, best first.

    Attributes
    ----------
    rows
        Of the pool, shape (b,).
    candidates
        Their numbers among the candidates: rows less the labelled ones before them, shape (b,).
    scores
        Shape (b,).
    """

    rows: IndexArray
    candidates: IndexArray
    scores: Float64Array

    @classmethod
    def none(cls) -> Best:
        """Give the best of nothing."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def best_of(found: Best, n: int, draws: Draws) -> Best:
    """Keep the n best, best first; equals as `top_indices` orders them.

    Examples
    --------
    >>> found = Best(np.array([10, 11, 12]), np.array([0, 1, 2]), np.array([0.1, 0.7, 0.3]))
    >>> best_of(found, 2, Draws(("a",), 3)).rows
    array([11, 12])
    """
    scores = found.scores
    high = np.arange(len(scores))
    if n < len(scores):
        high = np.flatnonzero(scores >= -np.partition(-scores, n - 1)[n - 1])
    order = high[np.argsort(-scores[high], kind="stable")]
    if (np.diff(scores[order]) == 0).any():
        order = high[np.lexsort((draws.among_equals(found.candidates[high]), -scores[high]))]
    kept = order[:n]
    return Best(found.rows[kept], found.candidates[kept], scores[kept])


def merged(parts: Sequence[Best], n: int, draws: Draws) -> Best:
    """Give the n best of all parts."""
    if not parts:
        return Best.none()
    together = Best(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.candidates for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )
    return best_of(together, n, draws)
