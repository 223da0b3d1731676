"""Acquisition by the model's doubt: entropy, least confidence, margin, and disagreement under dropout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.acquisition.base import Card, Needs, PoolView, Selection, Signal
from nearmiss.arrays.divergence import as_log_probs, entropy, mutual_information
from nearmiss.arrays.selection import top_indices
from nearmiss.arrays.tensors import required, row_blocks, to_numpy

__all__ = ["Bald", "Entropy", "LeastConfidence", "Margin"]

#: Temporaries of one class and one row: log-probability, probability and their product, in float64.
CLASS_BYTES = 24

#: True of every function here.
TIES = (
    "Ties: the authors' code leaves ties and the order of the batch to numpy.argpartition; "
    "ours breaks ties by the seeded generator and orders the batch by score."
)


class _Uncertainty(ABC):
    """The candidates of highest score, where a score depends on the predictions for one candidate alone."""

    @property
    def needs(self) -> Needs:
        """Log-probabilities of the pool."""
        return Needs(pool=frozenset({Signal.LOG_PROBS}))

    def scores(self, view: PoolView) -> npt.NDArray[np.float64]:
        """Compute the score of every candidate, shape (n,); what it is, and its unit, the card says.

        Raises
        ------
        InvalidArray
            The pool's log-probabilities are missing or not that.
        """
        return _by_blocks(self._score, self._log_probs(view))

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose the n candidates of highest score.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            As ``scores``.
        """
        view.require(n)
        scores = self.scores(view)
        picks = top_indices(scores, n, rng)
        return Selection(picks, scores[picks])

    @staticmethod
    @abstractmethod
    def _score(log_probs: Tensor) -> Tensor:
        """Score candidates, which stand on the last axis but one, shape (n,)."""

    def _log_probs(self, view: PoolView) -> Tensor:
        return as_log_probs(required(view.pool.log_probs, "pool log_probs", view.size), "pool log_probs")


@dataclass(frozen=True)
class Entropy(_Uncertainty):
    """Take the candidates whose predicted class distribution has the highest entropy.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> log_probs = np.log(np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]))
    >>> view = PoolView(size=3, pool=Signals(log_probs=log_probs))
    >>> Entropy().select(view, 2, np.random.default_rng(0)).indices
    array([1, 2])
    """

    card: ClassVar[Card] = Card(
        title="Entropy",
        paper="Shannon 1948; uncertainty sampling: Lewis and Gale 1994; Settles 2009, §3.1",
        definition="Highest H(x) = −Σ_c p(y=c|x) log p(y=c|x).",
        score="the predictive entropy, in nats",
        cost="n forward passes, then O(nC)",
        differences=(TIES,),
    )

    @staticmethod
    def _score(log_probs: Tensor) -> Tensor:
        return entropy(log_probs)


@dataclass(frozen=True)
class LeastConfidence(_Uncertainty):
    """Take the candidates whose most probable class is least probable.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> log_probs = np.log(np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]))
    >>> LeastConfidence().scores(PoolView(size=3, pool=Signals(log_probs=log_probs))).round(3)
    array([0.1, 0.5, 0.3])
    """

    card: ClassVar[Card] = Card(
        title="Least confidence",
        paper="Lewis and Gale 1994; Settles 2009, §3.1",
        definition="Highest 1 − max_c p(y=c|x).",
        score="1 less the probability of the most probable class",
        cost="n forward passes, then O(nC)",
        differences=("Not in the paper's experiments; in the authors' repository.", TIES),
    )

    @staticmethod
    def _score(log_probs: Tensor) -> Tensor:
        # expm1 keeps the order of candidates whose probability is 1 to the last bit; + 0.0 turns -0.0 into 0.0.
        return -torch.expm1(log_probs.to(torch.float64).amax(dim=1).clamp(max=0.0)) + 0.0


@dataclass(frozen=True)
class Margin(_Uncertainty):
    """Take the candidates whose two most probable classes are closest.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> log_probs = np.log(np.array([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]))
    >>> Margin().scores(PoolView(size=2, pool=Signals(log_probs=log_probs))).round(3)
    array([-0.2,  0. ])
    """

    card: ClassVar[Card] = Card(
        title="Margin",
        paper='Scheffer et al. 2001; Luo et al. 2005 ("breaking ties")',
        definition="Lowest p(y=c₁|x) − p(y=c₂|x), with c₁ and c₂ the two most probable classes.",
        score="the margin with its sign turned, −(p₁ − p₂), so that higher means sooner",
        cost="n forward passes, then O(nC)",
        differences=(
            "Neither in the paper nor in the authors' code; later work requires it as a baseline.",
            "Ties are broken by the seeded generator; the batch is ordered by score.",
        ),
    )

    @staticmethod
    def _score(log_probs: Tensor) -> Tensor:
        first_two = log_probs.to(torch.float64).topk(min(2, log_probs.shape[1]), dim=1).values.exp()
        second = first_two[:, 1] if first_two.shape[1] == 2 else torch.zeros_like(first_two[:, 0])
        return second - first_two[:, 0]


@dataclass(frozen=True)
class Bald(_Uncertainty):
    """Take the candidates on which sampled models, each sure of itself, disagree.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> passes = np.log(np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.5, 0.5]]]))
    >>> Bald().scores(PoolView(size=2, pool=Signals(mc_log_probs=passes))).round(3)
    array([0.368, 0.   ])
    """

    card: ClassVar[Card] = Card(
        title="BALD (Bayesian active learning by disagreement)",
        paper="Houlsby et al. 2011, eq. 2; with MC dropout: Gal, Islam and Ghahramani 2017",
        definition="Highest mutual information H(E_s p_s(y|x)) − E_s H(p_s(y|x)) over S passes with dropout on.",
        score="the mutual information of prediction and model, in nats, at most log S",
        cost="S·n forward passes, then O(SnC)",
        differences=(
            "Not in the paper's experiments; in the authors' repository, as is BatchBALD, which is not offered here.",
            "Gal et al. sample every layer that has dropout. The tuned classifier, which gives the samples here, drops "
            "out in its tuned layers and before its head alone: the layers below are computed once, and their share of "
            "the model's doubt is left out.",
            "S is 10 by default (the classifier's mc_samples).",
            TIES,
        ),
    )

    @property
    def needs(self) -> Needs:
        """Log-probabilities of the pool under S stochastic passes."""
        return Needs(pool=frozenset({Signal.MC_LOG_PROBS}))

    @staticmethod
    def _score(log_probs: Tensor) -> Tensor:
        return mutual_information(log_probs)

    def _log_probs(self, view: PoolView) -> Tensor:
        name = "pool mc_log_probs"
        return as_log_probs(required(view.pool.mc_log_probs, name, view.size, axis=1), name, ndim=3)


def _by_blocks(score: Callable[[Tensor], Tensor], log_probs: Tensor) -> npt.NDArray[np.float64]:
    """Score candidates, which stand on the last axis but one, a block at a time."""
    n = log_probs.shape[-2]
    row_bytes = CLASS_BYTES * log_probs.numel() // max(1, n)
    scores = np.empty(n)
    for rows in row_blocks(n, row_bytes):
        scores[rows] = to_numpy(score(log_probs[..., rows, :]))
    return scores
