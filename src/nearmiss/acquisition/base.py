"""What every acquisition function is handed, and what it answers.

A strategy sees arrays, never texts or models::

    view      = PoolView(pool=Signals(...), labeled=Signals(...), labels=...)
    selection = strategy.select(view, n, rng)

``strategy.needs`` says beforehand which signals it will read, so that nobody computes one in vain.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from nearmiss.arrays.tensors import required, take_rows
from nearmiss.errors import InvalidArray, InvalidInput, PoolExhausted

__all__ = [
    "Array",
    "Card",
    "Explaining",
    "FloatArray",
    "IndexArray",
    "Needs",
    "NeighborExplanation",
    "PoolView",
    "Scored",
    "ScoringStrategy",
    "Selection",
    "Signal",
    "Signals",
    "Strategy",
    "Telling",
    "explained_by",
    "scored_by",
]

FloatArray = npt.NDArray[np.floating]
IndexArray = npt.NDArray[np.int64]
#: Dense NumPy, a torch tensor on any device, or (features only) a SciPy CSR matrix.
Array = FloatArray | Tensor | sparse.csr_array


class Signal(StrEnum):
    """One kind of thing a model can say about a text."""

    LOG_PROBS = "log_probs"
    FEATURES = "features"
    MC_LOG_PROBS = "mc_log_probs"
    SURPRISAL = "surprisal"


@dataclass(frozen=True, slots=True)
class Needs:
    """Which signals a strategy reads, of the pool and of the labelled set."""

    pool: AbstractSet[Signal] = frozenset()
    labeled: AbstractSet[Signal] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What is known about n texts; a signal nobody asked for is None.

    Attributes
    ----------
    log_probs
        Natural-log class probabilities, shape (n, C). ``-inf`` (a probability of exactly 0) is allowed.
    features
        The representation Φ in which distances are taken, shape (n, d), dense or sparse.
    mc_log_probs
        Log-probabilities of S stochastic passes (MC dropout), shape (S, n, C).
    surprisal
        Masked-LM surprisal vectors (ALPS), shape (n, l), l2-normalised.
    """

    log_probs: FloatArray | Tensor | None = None
    features: Array | None = None
    mc_log_probs: FloatArray | Tensor | None = None
    surprisal: FloatArray | Tensor | None = None

    def take(self, rows: IndexArray) -> Signals:
        """Give the signals of these texts, in this order."""
        passes = self.mc_log_probs
        if isinstance(passes, Tensor):
            some: FloatArray | Tensor | None = passes[:, torch.from_numpy(rows).to(passes.device)]
        else:
            some = None if passes is None else passes[:, rows]
        return Signals(
            None if self.log_probs is None else cast("FloatArray | Tensor", take_rows(self.log_probs, rows)),
            None if self.features is None else take_rows(self.features, rows),
            some,
            None if self.surprisal is None else cast("FloatArray | Tensor", take_rows(self.surprisal, rows)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PoolView:
    """The unlabelled pool and the labelled set as a strategy sees them.

    Attributes
    ----------
    size
        Number of unlabelled candidates, n. Indices of a Selection run from 0 to n - 1.
    pool, labeled
        Signals of the n candidates and of the m labelled examples.
    labels
        Class ids of the labelled examples, shape (m,).
    """

    size: int
    pool: Signals = field(default_factory=Signals)
    labeled: Signals = field(default_factory=Signals)
    labels: IndexArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def narrowed(self, rows: IndexArray) -> PoolView:
        """Give the view that has only these candidates, in this order; index i of it is ``rows[i]`` of this one.

        Examples
        --------
        >>> view = PoolView(3, Signals(features=np.eye(3)))
        >>> view.narrowed(np.array([2, 0])).pool.features.argmax(axis=1)
        array([2, 0])

        Raises
        ------
        InvalidArray
            A signal has not one row for each candidate.
        """
        for name in ("log_probs", "features", "mc_log_probs", "surprisal"):
            signal = getattr(self.pool, name)
            if signal is not None:
                required(signal, f"pool {name}", self.size, axis=int(name == "mc_log_probs"))
        return replace(self, size=len(rows), pool=self.pool.take(rows))

    def require(self, n: int) -> None:
        """Refuse a batch that the pool cannot fill.

        Raises
        ------
        PoolExhausted
            n exceeds the number of candidates.
        InvalidInput
            n is less than one.
        """
        if n < 1:
            raise InvalidInput(f"asked for a batch of {n} texts; ask for at least 1")
        if n > self.size:
            raise PoolExhausted(asked=n, remaining=self.size)


@dataclass(frozen=True, slots=True, eq=False)
class NeighborExplanation:
    """Why CAL picked each item: its neighbours and how much their predictions differ.

    Attributes
    ----------
    neighbor_indices
        Rows of the labelled set, nearest first, shape (b, k); -1 pads an item with fewer neighbours.
    distances
        Euclidean distances to them, shape (b, k); NaN where padded.
    divergences
        Divergence of each neighbour's prediction from the item's, in nats, shape (b, k); NaN where padded.
    """

    neighbor_indices: IndexArray
    distances: npt.NDArray[np.float64]
    divergences: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The batch to label next, best first.

    Attributes
    ----------
    indices
        Distinct rows of the pool, shape (b,), in order of preference.
    scores
        The quantity each was chosen by, shape (b,), float64; what it means is said by the strategy's card.
    explanation
        The neighbours behind each pick, for strategies that have them.
    notes
        What must be known of how the batch was chosen, in sentences for the user.
    """

    indices: IndexArray
    scores: npt.NDArray[np.float64]
    explanation: NeighborExplanation | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.indices.shape != self.scores.shape or self.indices.ndim != 1:
            raise InvalidArray(
                f"a selection pairs each index with a score: got {self.indices.shape} and {self.scores.shape}"
            )

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, slots=True)
class Card:
    """The fidelity card of a strategy: what it is, what it costs, and where implementations differ.

    Attributes
    ----------
    title
        Full name.
    paper
        Where it was defined.
    definition
        One or two sentences, in the paper's symbols.
    score
        What ``Selection.scores`` holds.
    cost
        Order of growth, with the paper's symbols: n pool, m labelled, d dimensions, C classes, b batch.
    differences
        Every point where ours, the CAL authors' published code, and the paper differ; empty when none is known.
    """

    title: str
    paper: str
    definition: str
    score: str
    cost: str
    differences: tuple[str, ...] = ()


@runtime_checkable
class Strategy(Protocol):
    """An acquisition function: arrays in, indices out."""

    @property
    def card(self) -> Card:
        """What it is, what it costs, and where implementations differ."""
        ...

    @property
    def needs(self) -> Needs:
        """The signals this strategy reads."""
        ...

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        """
        ...


@runtime_checkable
class ScoringStrategy(Strategy, Protocol):
    """A strategy that gives every candidate a score, higher meaning sooner."""

    def scores(self, view: PoolView) -> npt.NDArray[np.float64]:
        """Score all candidates, shape (n,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """The scores of all candidates, shape (n,), and what must be known of how they came about."""

    values: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()


@runtime_checkable
class Telling(Protocol):
    """A scoring strategy that has something to tell about its scores."""

    def scored(self, view: PoolView) -> Scored:
        """Score all candidates, and tell what must be known of the scores."""
        ...


def scored_by(strategy: ScoringStrategy, view: PoolView) -> Scored:
    """Score all candidates, with what the strategy has to tell if it tells anything."""
    return strategy.scored(view) if isinstance(strategy, Telling) else Scored(strategy.scores(view))


@runtime_checkable
class Explaining(Protocol):
    """A strategy that can say, for any rows of the pool, which labelled neighbours speak for them."""

    def explain(self, view: PoolView, indices: IndexArray) -> NeighborExplanation:
        """Explain these rows of the pool, in their order."""
        ...


def explained_by(strategy: Strategy, view: PoolView, indices: IndexArray) -> NeighborExplanation | None:
    """Explain these rows of the pool where the strategy can."""
    return strategy.explain(view, indices) if isinstance(strategy, Explaining) else None
