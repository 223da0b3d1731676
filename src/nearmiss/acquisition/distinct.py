"""The batch that does not repeat itself: near-duplicates held back, and texts that are like no other if asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import Card, IndexArray, Needs, PoolView, Selection, Signal, Strategy, explained_by
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.arrays.product_points import Rows, as_rows
from nearmiss.arrays.tensors import required, take_rows
from nearmiss.errors import InvalidInput

__all__ = ["DistinctBatch"]

#: An outlier lies far from its so-manieth neighbour among so many texts of the pool, drawn at random.
_NEIGHBOR, _SAMPLE = 10, 2_000
#: Rows that are compared with one another at once.
_BLOCK = 1_024
#: After so many texts per text of the batch, what was held back fills it: the pool repeats itself all over.
_MOST = 16

_CARD = Card(
    title="Distinct batch",
    paper="Near-duplicates by cosine, as in Lee et al.: Deduplicating Training Data Makes Language Models Better. ACL "
    "2022; outliers by the distance to the k-th neighbour, Ramaswamy et al. SIGMOD 2000, definition 3.1",
    definition="The wrapped strategy's choice, less every text whose cosine with one chosen before, or with a labelled "
    "one, reaches the threshold; the strategy's next ones take their place.",
    score="The score of the wrapped strategy, best first.",
    cost="That of the wrapped strategy, then O(b (b + m) d); for the outlier guard O(n s d), s = 2,000",
    differences=(
        "Where too few distinct texts remain, those held back fill the batch, the best first: a batch is always full.",
        "The CAL authors' code has no such wrapper.",
    ),
)


@dataclass(frozen=True, slots=True)
class DistinctBatch:
    """Hold back texts that all but repeat another of the batch, or a labelled one.

    Parameters
    ----------
    strategy
        Chooses; a score of its own kind orders the batch.
    threshold
        The cosine from which on two texts count as the same.
    outliers
        The share of the pool that is held back for lying furthest from its neighbours; 0 for none.

    Raises
    ------
    InvalidInput
        The threshold is not above -1 and at most 1, or the share not from 0 to below 1.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> from nearmiss.acquisition.uncertainty import Margin
    >>> log_probs = np.log([[0.5, 0.5], [0.51, 0.49], [0.6, 0.4]])
    >>> features = np.array([[1.0, 0.0], [0.999, 0.01], [0.0, 1.0]])
    >>> view = PoolView(3, Signals(log_probs=log_probs, features=features))
    >>> chosen = DistinctBatch(Margin()).select(view, 2, np.random.default_rng(0))
    >>> chosen.indices, chosen.notes
    (array([0, 2]), ('1 text was held back: it all but repeats another (cosine of 0.95 or more)',))
    """

    strategy: Strategy
    threshold: float = 0.95
    outliers: float = 0.0

    def __post_init__(self) -> None:
        if not -1 < self.threshold <= 1 or not 0 <= self.outliers < 1:
            raise InvalidInput(
                f"the distinct batch has threshold={self.threshold}, outliers={self.outliers}; pass a cosine above -1 "
                "and at most 1, and a share from 0 to below 1"
            )

    @property
    def card(self) -> Card:
        """The card of the batch, its title naming the wrapped strategy."""
        return replace(_CARD, title=f"{_CARD.title} of {self.strategy.card.title}")

    @property
    def needs(self) -> Needs:
        """What the wrapped strategy needs, and features of the pool and of the labelled set."""
        inner = self.strategy.needs
        return Needs(pool=inner.pool | {Signal.FEATURES}, labeled=inner.labeled | {Signal.FEATURES})

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
        pool = normalize_rows(as_rows(required(view.pool.features, "pool features", view.size), "pool features"))
        labeled = None
        if len(view.labels):
            given = required(view.labeled.features, "labeled features", len(view.labels))
            labeled = normalize_rows(as_rows(given, "labeled features"))
        typical = self._typical(pool, view.size, n, rng)
        within = view if len(typical) == view.size else view.narrowed(typical)
        asked = n
        first: Selection | None = None
        while True:
            found = self.strategy.select(within, asked, rng)
            first = first if first is not None else found
            order, scores = _continued(first, found)
            kept = _distinct(pool, labeled, typical[order], self.threshold, n)
            if kept.sum() >= n or asked == within.size or asked >= _MOST * n:
                break
            asked = min(2 * asked, within.size)
        chosen = np.concatenate([np.flatnonzero(kept), np.flatnonzero(~kept)])[:n]
        held = int(chosen.max()) + 1 - n  # ranked before the last one chosen, and passed over
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
        explanation = explained_by(self.strategy, within, order[chosen])
        notes = (*first.notes, *self._notes(held, view.size - within.size))
        return Selection(typical[order[chosen]], scores[chosen], explanation, notes)

    def _typical(self, pool: Rows, size: int, n: int, rng: np.random.Generator) -> IndexArray:
        """Give the rows that are no outliers, at least n."""
        every = np.arange(size, dtype=np.int64)
        held = min(round(self.outliers * size), size - n)
        if held < 1:
            return every
        sample = np.sort(rng.choice(size, min(size, _SAMPLE), replace=False))
        furthest = nearest_neighbors(pool, take_rows(pool, sample), _NEIGHBOR + 1).distances[:, -1]
        return np.sort(np.lexsort((every, furthest))[: size - held])

    def _notes(self, repeats: int, outliers: int) -> tuple[str, ...]:
        notes = []
        if repeats:
            were, they = ("text was", "it all but repeats") if repeats == 1 else ("texts were", "they all but repeat")
            notes.append(f"{repeats} {were} held back: {they} another (cosine of {self.threshold:g} or more)")
        if outliers:
            notes.append(f"{outliers} texts were held back that are like no other")
        return tuple(notes)


def _continued(first: Selection, more: Selection) -> tuple[IndexArray, npt.NDArray[np.float64]]:
    """Put what a larger choice adds after the choice that was asked for first."""
    new = ~np.isin(more.indices, first.indices)
    return np.concatenate([first.indices, more.indices[new]]), np.concatenate([first.scores, more.scores[new]])


def _distinct(pool: Rows, labeled: Rows | None, rows: IndexArray, threshold: float, n: int) -> npt.NDArray[np.bool_]:
    """Say of each row, in order, whether it is no near-duplicate of one kept before, nor of a labelled text.

    Those after the n-th that is kept are not looked at, and not kept.
    """
    # |x − y|² = 2 − 2 cos for vectors of length one; of two that are the same to the last digit, rounding is let pass.
    reach = np.sqrt(max(0.0, 2 - 2 * threshold)) + 1e-6
    kept = np.zeros(len(rows), dtype=np.bool_)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        vectors = take_rows(pool, block)
        free = np.ones(len(block), dtype=np.bool_)
        if labeled is not None:
            free &= nearest_neighbors(vectors, labeled, 1).distances[:, 0] > reach
        before = rows[kept]
        if len(before):
            free &= nearest_neighbors(vectors, take_rows(pool, before), 1).distances[:, 0] > reach
        near = nearest_neighbors(vectors, vectors, len(block))
        for place in range(len(block)):
            close = near.indices[place][near.distances[place] <= reach]
            free[place] &= not free[close[close < place]].any()
            if free[place] and kept.sum() + free[: place + 1].sum() == n:
                free[place + 1 :] = False
                break
        kept[start : start + len(block)] = free
        if kept.sum() >= n:
            break
    return kept
