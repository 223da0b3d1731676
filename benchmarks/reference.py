"""Slow and obvious versions, in float64, and how far a batch agrees with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.arrays import Floats
from benchmarks.peers import mean_divergence

__all__ = ["Agreement", "agreement", "brute_force_cal", "inertia", "per_row_cal"]

Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

#: Scores this close count as equal: a batch may hold either of two texts that tie.
TIE = 1e-9
_BLOCK = 2000


def brute_force_cal(
    pool: Floats, pool_log_probs: Floats, labeled: Floats, labeled_log_probs: Floats, k: int = 10
) -> Float64:
    """CAL's scores from every distance in float64, a block of candidates at a time."""
    references = labeled.astype(np.float64)
    lengths = (references**2).sum(axis=1)
    log_p, log_q = labeled_log_probs.astype(np.float64), pool_log_probs.astype(np.float64)
    scores = np.empty(len(pool))
    for start in range(0, len(pool), _BLOCK):
        rows = slice(start, start + _BLOCK)
        # Without the candidate's own length, which moves all its distances alike.
        distances = lengths - 2 * (pool[rows].astype(np.float64) @ references.T)
        k_here = min(k, len(references))
        neighbors = np.argpartition(distances, k_here - 1, axis=1)[:, :k_here]
        scores[rows] = mean_divergence(neighbors, log_q[rows], log_p)
    return scores


def per_row_cal(
    pool: Floats, pool_log_probs: Floats, labeled: Floats, labeled_log_probs: Floats, k: int = 10
) -> Float64:
    """CAL's scores one candidate and one neighbour at a time, as the authors' code loops."""
    from sklearn.neighbors import KNeighborsClassifier

    index = KNeighborsClassifier(n_neighbors=k).fit(labeled, labeled_log_probs.argmax(axis=1))
    criterion = nn.KLDivLoss(reduction="none")
    neighbor_probs, candidates = torch.from_numpy(labeled_log_probs).exp(), torch.from_numpy(pool_log_probs)
    scores = []
    for features, candidate in zip(pool, candidates, strict=True):
        neighbors = index.kneighbors(X=[features], return_distance=False)[0]
        divergences = [torch.sum(criterion(candidate, p), dim=-1).numpy() for p in neighbor_probs[neighbors]]
        scores.append(float(np.mean(divergences)))
    return np.array(scores)


def inertia(rows: Floats, centers: Floats) -> float:
    """Sum of squared distances to the nearest centre, in float64, however the centres were found."""
    exact = centers.astype(np.float64)
    lengths = (exact**2).sum(axis=1)
    total = 0.0
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK].astype(np.float64)
        total += float(((lengths - 2 * (part @ exact.T)).min(axis=1) + (part**2).sum(axis=1)).sum())
    return total


@dataclass(frozen=True)
class Agreement:
    """A batch held against the b best of reference scores.

    Attributes
    ----------
    size, common
        Texts in the batch, and those of them that are among the reference's.
    tied
        Others that only a tie decides: their score equals the reference's b-th best.
    """

    size: int
    common: int
    tied: int

    @property
    def wrong(self) -> int:
        """Picks that no tie explains."""
        return self.size - self.common - self.tied

    def __str__(self) -> str:
        same = f"{self.common:,} of {self.size:,} the same"
        return (
            same
            + (f", {self.tied:,} tied" if self.tied else "")
            + (f", {self.wrong:,} different" if self.wrong else "")
        )


def agreement(batch: Indices, reference: npt.NDArray[np.floating], tie: float = TIE) -> Agreement:
    """Compare a batch with the best of the reference's scores; scores closer than ``tie`` count as equal."""
    best = np.argsort(-reference, kind="stable")[: len(batch)]
    others = np.setdiff1d(batch, best)
    bar = reference[best[-1]]
    tied = int((np.abs(reference[others] - bar) <= tie).sum())
    return Agreement(len(batch), len(np.intersect1d(batch, best)), tied)
