"""The balanced batch: the best of any score, so taken that classes with few labels come first."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nearmiss.acquisition.base import (
    Card,
    IndexArray,
    Needs,
    PoolView,
    ScoringStrategy,
    Selection,
    Signal,
    explained_by,
    scored_by,
)
from nearmiss.arrays.divergence import as_log_probs
from nearmiss.arrays.selection import top_indices
from nearmiss.arrays.tensors import required, to_numpy

__all__ = ["BalancedBatch"]

_CARD = Card(
    title="Balanced batch",
    paper="After Aggarwal, Popescu & Hudelot: Active Learning for Imbalanced Datasets. WACV 2020, which adds a "
    "balancing step to any acquisition function",
    definition="One text after another, of the class that has the fewest labels, those of the batch counted as the "
    "model guesses them; within a class the highest score first.",
    score="The score of the wrapped strategy, best first.",
    cost="That of the scores, then O(n log n + b C)",
    differences=(
        "The aim is the paper's, a labelled set with less imbalance; the step is ours: labels given before count as "
        "well, so that a class that was neglected catches up.",
        "The CAL authors' code has no such wrapper.",
    ),
)


@dataclass(frozen=True, slots=True)
class BalancedBatch:
    """Choose by a score, for the classes with the fewest labels first.

    Parameters
    ----------
    strategy
        Whose scores say which texts of a class are worth labelling.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> from nearmiss.acquisition.uncertainty import Margin
    >>> log_probs = np.log([[0.5, 0.5], [0.6, 0.4], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8]])
    >>> view = PoolView(5, Signals(log_probs=log_probs), labels=np.array([0, 0, 0]))
    >>> Margin().select(view, 2, np.random.default_rng(0)).indices
    array([0, 1])
    >>> BalancedBatch(Margin()).select(view, 2, np.random.default_rng(0)).indices
    array([4, 3])
    """

    strategy: ScoringStrategy

    @property
    def card(self) -> Card:
        """The card of the batch, its title naming the wrapped strategy."""
        return replace(_CARD, title=f"{_CARD.title} over {self.strategy.card.title}")

    @property
    def needs(self) -> Needs:
        """What the wrapped strategy needs, and log-probabilities of the pool."""
        inner = self.strategy.needs
        return Needs(pool=inner.pool | {Signal.LOG_PROBS}, labeled=inner.labeled)

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, the highest score first.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        """
        view.require(n)
        scored = scored_by(self.strategy, view)
        guessed = _guesses(view)
        order = top_indices(scored.values, view.size, rng)
        chosen = _evenly(guessed[order], view.labels, n)
        indices = order[np.sort(chosen)]
        return Selection(indices, scored.values[indices], explained_by(self.strategy, view, indices), scored.notes)


def _guesses(view: PoolView) -> IndexArray:
    log_probs = as_log_probs(required(view.pool.log_probs, "pool log_probs", view.size), "pool log_probs")
    return np.asarray(to_numpy(log_probs).argmax(axis=1), dtype=np.int64)


def _evenly(guessed: IndexArray, labels: IndexArray, n: int) -> IndexArray:
    """Choose n places of a ranking: each of the class that has the fewest labels so far, the first in rank."""
    classes = int(max(guessed.max(), labels.max() if len(labels) else 0)) + 1
    waiting = [np.flatnonzero(guessed == c).tolist()[::-1] for c in range(classes)]
    counts = np.bincount(labels, minlength=classes)
    chosen = []
    for _ in range(n):
        c = min((c for c in range(classes) if waiting[c]), key=lambda c: (counts[c], waiting[c][-1]))
        chosen.append(waiting[c].pop())
        counts[c] += 1
    return np.array(chosen, dtype=np.int64)
