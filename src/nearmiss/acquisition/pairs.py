"""Candidates paired with labelled neighbours: their divergences, pooled by candidate, and laid out for a pick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.acquisition.base import IndexArray, NeighborExplanation
from nearmiss.arrays.divergence import cross_entropy, kl_divergence
from nearmiss.arrays.tensors import block_bytes, row_blocks, to_numpy
from nearmiss.arrays.threads import team

__all__ = ["Pairs", "Reduce", "cross_entropies", "kl_divergences", "rows_of"]

Reduce = Literal["mean", "max", "median"]

#: Temporaries of one class and one pair: two log-probabilities, a probability and their products, in float64.
CLASS_BYTES = 48

#: Temporaries of one block of pairs: several passes are made over them, and they should stay in cache.
PAIRS_BYTES = 2**22


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


def kl_divergences(
    log_p: Tensor, log_q: Tensor, candidates: IndexArray, examples: IndexArray
) -> npt.NDArray[np.float64]:
    """Compute KL(p(y|example) ‖ p(y|candidate)) of each pair, in nats, shape (P,).

    Examples
    --------
    >>> p, q, first = torch.log(torch.tensor([[0.8, 0.2]])), torch.log(torch.tensor([[0.4, 0.6]])), np.array([0])
    >>> kl_divergences(p, q, first, first).round(3)
    array([0.335])
    """

    def of(part: slice) -> npt.NDArray[np.float64]:
        return to_numpy(kl_divergence(rows_of(log_p, examples[part]), rows_of(log_q, candidates[part])))

    return _by_blocks(of, len(candidates), log_q)


def cross_entropies(
    labels: IndexArray, log_q: Tensor, candidates: IndexArray, examples: IndexArray
) -> npt.NDArray[np.float64]:
    """Compute −log p(gold label of the example|candidate) of each pair, in nats, shape (P,).

    Examples
    --------
    >>> cross_entropies(np.array([1]), torch.log(torch.tensor([[0.4, 0.6]])), np.array([0]), np.array([0])).round(3)
    array([0.511])
    """

    def of(part: slice) -> npt.NDArray[np.float64]:
        return to_numpy(cross_entropy(labels[examples[part]], rows_of(log_q, candidates[part])))

    return _by_blocks(of, len(candidates), log_q)


def _by_blocks(
    divergences: Callable[[slice], npt.NDArray[np.float64]], n: int, log_q: Tensor
) -> npt.NDArray[np.float64]:
    parts = row_blocks(n, CLASS_BYTES * log_q.shape[1], block_bytes(log_q.device, PAIRS_BYTES))
    with team(log_q.device) as threads:
        return np.concatenate([np.empty(0), *threads.map(divergences, parts)])


def rows_of(matrix: Tensor, indices: IndexArray) -> Tensor:
    """Copy some rows, wherever the matrix lies.

    Examples
    --------
    >>> rows_of(torch.tensor([[1.0], [2.0]]), np.array([1]))
    tensor([[2.]])
    """
    return matrix.index_select(0, torch.from_numpy(indices).to(matrix.device))
