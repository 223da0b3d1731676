"""BERTKM and BADGE over shards: candidates by oversampling, then the strategy's own step on these, weighted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray, PoolView, Signal, Signals
from nearmiss.acquisition.clustering import BertKM
from nearmiss.acquisition.gradient import Badge
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.kmeans import kmeans, nearest_distinct
from nearmiss.loop.streams import named_generator
from nearmiss.scale.best import Draws, merged
from nearmiss.scale.chosen import Chosen
from nearmiss.scale.gathering import taken
from nearmiss.scale.jobs import Jobs
from nearmiss.scale.lloyd import SumShard, moved
from nearmiss.scale.nearest import NearestInShard, nearest_of
from nearmiss.scale.oversampling import (
    PER_PICK,
    ROUNDS,
    DrawFarShard,
    FromCandidates,
    WeighShard,
    joined_signals,
    weighted_seeding,
)
from nearmiss.scale.scoring import LabeledRows, best_from, drawn_at_random
from nearmiss.scale.signals import SignalSource

__all__ = ["choose_in_two_levels"]

#: Steps of k-means over all texts, after those over the candidates.
STEPS = 3
#: Texts looked up for each centroid: the nearest may be nearest to another one too.
_DEPTH = 4
_FEATURES = frozenset({Signal.FEATURES})


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Far-apart texts: their rows (increasing), signals, and how many texts each stands for."""

    rows: IndexArray
    signals: Signals
    weights: npt.NDArray[np.float64]


def choose_in_two_levels(
    strategy: BertKM | Badge,
    source: SignalSource,
    labeled: LabeledRows,
    n: int,
    jobs: Jobs,
    names: tuple[str | int, ...],
    *,
    per_pick: int = PER_PICK,
    rounds: int = ROUNDS,
) -> Chosen:
    """Choose n texts; how near that comes to the exact step is told in docs/scaling.md.

    Parameters
    ----------
    names
        Of the random generators.
    per_pick, rounds
        Candidates drawn for each text of the batch, and in how many rounds.

    Raises
    ------
    NearmissError
        As `Jobs.carry_out`.
    """
    found = _candidates(strategy, source, labeled, n, jobs, names, per_pick=per_pick, rounds=rounds)
    rng = named_generator(*names, "exact step")
    note = f"{len(found.rows)} candidates by {rounds} rounds of oversampling stand for the pool (k-means||)"
    if isinstance(strategy, Badge):
        points = strategy.points(PoolView(len(found.rows), found.signals))
        picked = weighted_seeding(points, found.weights, n, rng)
        scores = picked.squared_distances.copy()
        scores[0] = points.squared_norms[picked.indices[0]]
        return Chosen(found.rows[picked.indices], scores, (note,))
    vectors = normalize_rows(np.asarray(found.signals.features))
    centers = kmeans(vectors, n, rng, strategy.iterations, weights=found.weights).centers
    for step in range(min(STEPS, strategy.iterations)):
        sums = jobs.carry_out(
            f"centroids, step {step + 1}", SumShard(source, centers, labeled.rows), source.pool.shards
        )
        centers = moved(centers, sums)
    work = NearestInShard(source, centers, _DEPTH, labeled.rows, normalize=True)
    near = nearest_of(jobs.carry_out("texts near centroids", work, source.pool.shards), _DEPTH)
    rows = np.union1d(near["rows"], found.rows)  # the candidates too: centroids may share all that is near
    placed = nearest_distinct(normalize_rows(np.asarray(taken(source, rows, _FEATURES, jobs).features)), centers)
    order = np.lexsort((placed.indices, placed.distances))
    return Chosen(rows[placed.indices[order]], -placed.distances[order], (note,))


def _candidates(
    strategy: BertKM | Badge,
    source: SignalSource,
    labeled: LabeledRows,
    n: int,
    jobs: Jobs,
    names: tuple[str | int, ...],
    *,
    per_pick: int,
    rounds: int,
) -> _Candidates:
    needs = frozenset(strategy.needs.pool)
    size = source.pool.rows - len(labeled.rows)
    rows = drawn_at_random(source, labeled, 1, jobs, Draws((*names, "first"), size, used=size)).rows
    signals = taken(source, rows, needs, jobs)
    each = -(-per_pick * n // rounds)
    for number in range(rounds):
        far_from = FromCandidates(source, strategy, needs, signals, len(rows), labeled.rows)
        work = DrawFarShard(far_from, each, (*names, "oversampling", number))
        parts = jobs.carry_out(f"candidates, round {number + 1} of {rounds}", work, source.pool.shards)
        far = np.sort(merged([best_from(part) for part in parts], each, Draws(("equal",), source.pool.rows)).rows)
        if not len(far):
            break  # all texts are duplicates of those that were drawn
        signals, rows = joined_signals(signals, taken(source, far, needs, jobs)), np.concatenate([rows, far])
    if len(rows) < n:  # few that differ: any will do for the rest
        more = drawn_at_random(source, labeled, n + len(rows), jobs, Draws((*names, "rest"), size, used=size)).rows
        more = np.sort(np.setdiff1d(more, rows)[: n - len(rows)])
        signals, rows = joined_signals(signals, taken(source, more, needs, jobs)), np.concatenate([rows, more])
    order = np.argsort(rows)
    signals, rows = signals.take(order), rows[order]
    weigh = WeighShard(FromCandidates(source, strategy, needs, signals, len(rows), labeled.rows))
    counts = [part["counts"] for part in jobs.carry_out("weights of candidates", weigh, source.pool.shards)]
    return _Candidates(rows, signals, np.sum(counts, axis=0).astype(np.float64))
