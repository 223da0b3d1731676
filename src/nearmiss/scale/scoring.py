"""The best candidates of one shard, by a strategy that scores each for itself (CAL, entropy ...), or at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearmiss.acquisition.base import IndexArray, PoolView, ScoringStrategy, Signals
from nearmiss.errors import BadShard, InvalidArray
from nearmiss.scale.best import Best, Draws, best_of, merged
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.jobs import Jobs
from nearmiss.scale.pool import BATCH_ROWS, Shard
from nearmiss.scale.signals import SignalSource
from nearmiss.scale.work import Arrays

__all__ = ["DrawShard", "LabeledRows", "ScoreShard", "best_from", "drawn_at_random"]


@dataclass(frozen=True, slots=True, eq=False)
class LabeledRows:
    """What is labelled: sent to everybody who scores.

    Attributes
    ----------
    rows
        Rows of the pool that have a label, increasing: they are no candidates. Shape (r,).
    signals, labels
        Of the m labelled texts, which need not all be in the pool.
    """

    rows: IndexArray
    signals: Signals
    labels: IndexArray

    @property
    def identity(self) -> str:
        """What it holds."""
        arrays = (self.signals.features, self.signals.log_probs)
        return hash_of(self.rows, self.labels, *(None if each is None else np.asarray(each) for each in arrays))

    def candidates(self, rows: IndexArray) -> IndexArray:
        """Give the numbers of rows among those without a label."""
        return rows - np.searchsorted(self.rows, rows)


@dataclass(frozen=True, slots=True, eq=False)
class ScoreShard:
    """Scores the candidates of a shard, and gives its best.

    Attributes
    ----------
    source
        Gives the signals.
    strategy
        Scores candidates each for itself: what else is in the view changes nothing.
    labeled
        The labelled set, and what is no candidate.
    n
        How many are wanted of the whole pool.
    draws
        Decides among equals.
    batch_rows
        Candidates scored together; memory grows with it, and results do not depend on it.
    """

    source: SignalSource
    strategy: ScoringStrategy
    labeled: LabeledRows
    n: int
    draws: Draws
    batch_rows: int = BATCH_ROWS

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """What is scored, by what, against what."""
        parts = (self.source.identity, repr(self.strategy), self.labeled.identity, str(self.n), repr(self.draws.names))
        return hash_of("score", *parts)

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what scores a shard."""
        draws = self.draws
        needs = self.strategy.needs.pool

        def do(shard: Shard) -> Arrays:
            best = Best.none()
            for batch in self.source.batches(shard, needs, self.batch_rows):
                # Labelled rows are scored too and left out after: batches alike in shape are what kernels are kept for.
                view = PoolView(len(batch.rows), batch.signals, self.labeled.signals, self.labeled.labels)
                try:
                    scores = self.strategy.scores(view)
                except InvalidArray as error:
                    raise BadShard(
                        f"{self.source.pool.address}/{shard.name}, rows {batch.rows[0] - shard.start} to "
                        f"{batch.rows[-1] - shard.start}: {error}"
                    ) from error
                kept = ~np.isin(batch.rows, self.labeled.rows)
                found = Best(batch.rows[kept], self.labeled.candidates(batch.rows[kept]), scores[kept])
                best = merged([best, best_of(found, self.n, draws)], self.n, draws)
            return _arrays(best)

        return do


@dataclass(frozen=True, slots=True, eq=False)
class DrawShard:
    """Draws a number for each candidate of a shard, as `Random` does for all at once; nothing is read."""

    labeled: LabeledRows
    n: int
    draws: Draws

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """Among which candidates is drawn."""
        return hash_of("draw", self.labeled.rows, str(self.n), repr(self.draws.names), str(self.draws.size))

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what draws for a shard."""

        def do(shard: Shard) -> Arrays:
            best = Best.none()
            for begin in range(shard.start, shard.start + shard.rows, BATCH_ROWS):
                rows = np.arange(begin, min(begin + BATCH_ROWS, shard.start + shard.rows), dtype=np.int64)
                rows = rows[~np.isin(rows, self.labeled.rows)]
                if len(rows):
                    candidates = self.labeled.candidates(rows)
                    found = Best(rows, candidates, self.draws.uniform(int(candidates[0]), len(rows)))
                    best = merged([best, best_of(found, self.n, self.draws)], self.n, self.draws)
            return _arrays(best)

        return do


def best_from(arrays: Arrays) -> Best:
    """Read what a shard's work gave."""
    return Best(arrays["rows"], arrays["candidates"], arrays["scores"])


def _arrays(best: Best) -> Mapping[str, np.ndarray]:
    return {"rows": best.rows, "candidates": best.candidates, "scores": best.scores}


def drawn_at_random(source: SignalSource, labeled: LabeledRows, n: int, jobs: Jobs, draws: Draws) -> Best:
    """Draw n candidates, each as likely."""
    parts = jobs.carry_out("draw", DrawShard(labeled, n, draws), source.pool.shards)
    return merged([best_from(part) for part in parts], n, draws)
