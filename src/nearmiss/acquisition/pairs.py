"""Candidates paired with labelled neighbours: divergences pooled by candidate, and laid out to explain a pick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray, NeighborExplanation

__all__ = ["Pairs", "Reduce"]

Reduce = Literal["mean", "max", "median"]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Candidates and labelled examples that are neighbours, in order of the candidates.

    ``counts`` says how many examples each candidate has; ``distances`` are NaN where only the set was asked for.
    """

    counts: IndexArray
    candidates: IndexArray
    examples: IndexArray
    distances: npt.NDArray[np.float64]
    divergences: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()

    def pooled(self, reduce: Reduce) -> npt.NDArray[np.float64]:
        """Pool the divergences of each candidate, shape (n,); a candidate without neighbours gets 0."""
        met = self.counts > 0
        counts = self.counts[met]
        starts = np.cumsum(counts) - counts
        pooled = np.zeros(len(self.counts))
        if reduce == "mean":
            pooled[met] = np.add.reduceat(self.divergences, starts) / counts
        elif reduce == "max":
            pooled[met] = np.maximum.reduceat(self.divergences, starts)
        else:
            ascending = self.divergences[np.lexsort((self.divergences, self.candidates))]
            pooled[met] = (ascending[starts + (counts - 1) // 2] + ascending[starts + counts // 2]) / 2
        return pooled

    def explain(self, picks: IndexArray) -> NeighborExplanation:
        """Lay out the neighbours of these candidates, nearest first, padded to the longest list."""
        counts = self.counts[picks]
        starts = (np.cumsum(self.counts) - self.counts)[picks]
        ranks = np.arange(counts.max(initial=0))
        there = ranks < counts[:, None]
        rows = np.where(there, starts[:, None] + ranks, 0)
        return NeighborExplanation(
            neighbor_indices=np.where(there, self.examples[rows], -1),
            distances=np.where(there, self.distances[rows], np.nan),
            divergences=np.where(there, self.divergences[rows], np.nan),
        )
