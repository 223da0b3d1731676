"""Which texts of a sharded pool a strategy chooses: exactly, where it scores each for itself; else in two levels."""

from __future__ import annotations

import numpy as np

from nearmiss.acquisition.base import PoolView, ScoringStrategy, Strategy
from nearmiss.acquisition.clustering import BertKM
from nearmiss.acquisition.contrastive import Cal
from nearmiss.acquisition.diverse import DiverseBatch
from nearmiss.acquisition.gradient import Badge
from nearmiss.acquisition.random import Random
from nearmiss.acquisition.registry import strategy_text
from nearmiss.acquisition.uncertainty import Bald, Entropy, LeastConfidence, Margin
from nearmiss.arrays.distances import normalize_rows
from nearmiss.errors import InvalidInput
from nearmiss.loop.streams import named_generator
from nearmiss.scale.best import Best, Draws, merged
from nearmiss.scale.chosen import Chosen
from nearmiss.scale.gathering import taken
from nearmiss.scale.jobs import Jobs
from nearmiss.scale.nearest import NearestInShard, nearest_of
from nearmiss.scale.pool import BATCH_ROWS
from nearmiss.scale.scoring import LabeledRows, ScoreShard, best_from, drawn_at_random
from nearmiss.scale.signals import SignalSource
from nearmiss.scale.two_level import choose_in_two_levels

__all__ = ["Chosen", "check_strategy", "choose"]

_EXACT = (Entropy, LeastConfidence, Margin, Bald, Cal)
_OFFERED = "random, entropy, least-confidence, margin, bald, cal, diverse-<one of these>, bertkm, badge"


def check_strategy(chooser: Strategy) -> None:
    """Refuse a strategy that does not work on shards.

    Raises
    ------
    InvalidInput
        It looks at the whole pool at once; says which do not.
    """
    inner = chooser.strategy if isinstance(chooser, DiverseBatch) else chooser
    if not isinstance(inner, (*_EXACT, Random, BertKM, Badge)):
        raise InvalidInput(
            f"{strategy_text(chooser)!r} looks at the whole pool at once and does not work on shards; take one of "
            f"{_OFFERED}"
        )
    if isinstance(inner, Cal) and inner.search == "approximate":
        raise InvalidInput("cal:search=approximate would depend on how the pool is cut; leave search out")
    if isinstance(inner, Badge) and inner.first == "largest":
        raise InvalidInput("badge:first=largest does not work on shards; leave out first")
    if isinstance(chooser, DiverseBatch) and chooser.weighted:
        raise InvalidInput("weighted=true needs the lowest score of the whole pool; leave it out for shards")
    if isinstance(chooser, DiverseBatch) and isinstance(inner, Cal) and inner.variant.anchor == "labeled":
        raise InvalidInput("diverse-cal with anchor=labeled does not work on shards; leave out one of the two")


def choose(
    chooser: Strategy,
    source: SignalSource,
    labeled: LabeledRows,
    n: int,
    jobs: Jobs,
    names: tuple[str | int, ...],
    batch_rows: int = BATCH_ROWS,
) -> Chosen:
    """Choose n texts that have no label.

    Random, the scores and CAL give what the strategy itself would give for all candidates in one view, with the
    generator of these names, to the item. DiverseBatch clusters the very texts that it would cluster, from other
    starts.

    Raises
    ------
    NearmissError
        As `Jobs.carry_out`.
    """
    size = source.pool.rows - len(labeled.rows)
    if isinstance(chooser, Random):
        best = drawn_at_random(source, labeled, n, jobs, Draws(names, size, used=size))
    elif isinstance(chooser, BertKM | Badge):
        return choose_in_two_levels(chooser, source, labeled, n, jobs, names)
    elif isinstance(chooser, Cal) and chooser.variant.anchor == "labeled":
        best = _best_by_anchor(chooser, source, labeled, n, jobs, Draws(names, size))
    elif isinstance(chooser, DiverseBatch):
        return _diverse(chooser, source, labeled, n, jobs, Draws(names, size), batch_rows)
    elif isinstance(chooser, _EXACT):
        best = _best(chooser, source, labeled, n, jobs, Draws(names, size), batch_rows)
    else:
        raise InvalidInput(f"{strategy_text(chooser)!r} does not work on shards")
    return Chosen(best.rows, best.scores)


def _best(
    strategy: ScoringStrategy,
    source: SignalSource,
    labeled: LabeledRows,
    n: int,
    jobs: Jobs,
    draws: Draws,
    batch_rows: int,
) -> Best:
    work = ScoreShard(source, strategy, labeled, n, draws, batch_rows)
    return merged([best_from(part) for part in jobs.carry_out("score", work, source.pool.shards)], n, draws)


def _diverse(
    chooser: DiverseBatch,
    source: SignalSource,
    labeled: LabeledRows,
    n: int,
    jobs: Jobs,
    draws: Draws,
    batch_rows: int,
) -> Chosen:
    """Cluster the same best texts as on one machine; the clusters begin at other ones of them."""
    wanted = min(chooser.factor * n, draws.size)
    best = _best(chooser.strategy, source, labeled, wanted, jobs, draws, batch_rows)
    rows = np.sort(best.rows)
    view = PoolView(len(rows), taken(source, rows, chooser.needs.pool, jobs), labeled.signals, labeled.labels)
    selection = chooser.select(view, n, named_generator(*draws.names, "clusters"))
    return Chosen(rows[selection.indices], selection.scores, selection.notes)


def _best_by_anchor(chooser: Cal, source: SignalSource, labeled: LabeledRows, n: int, jobs: Jobs, draws: Draws) -> Best:
    """Score the candidates that some labelled example is near to; all others score 0 (Cal, anchor=labeled)."""
    features = labeled.signals.features
    if features is None:
        raise InvalidInput("cal compares candidates with labelled examples, and there are none; pass labels")
    points = normalize_rows(features) if chooser.normalize else features
    work = NearestInShard(source, points, chooser.k, labeled.rows, chooser.normalize)
    met = np.unique(nearest_of(jobs.carry_out("neighbours", work, source.pool.shards), chooser.k)["rows"])
    view = PoolView(len(met), taken(source, met, chooser.needs.pool, jobs), labeled.signals, labeled.labels)
    scores = chooser.scores(view)
    best = merged([Best(met, labeled.candidates(met), scores)], n, draws)
    if (best.scores > 0).all() and len(best.rows) == n:
        return best
    # Among those that score 0 the order of equals decides, as it does among all candidates at once.
    ranges = [np.arange(shard.start, shard.start + shard.rows, dtype=np.int64) for shard in source.pool.shards]
    all_rows = np.setdiff1d(np.concatenate(ranges), np.union1d(labeled.rows, met))
    others = Best(all_rows, labeled.candidates(all_rows), np.zeros(len(all_rows)))
    return merged([Best(met, labeled.candidates(met), scores), others], n, draws)
