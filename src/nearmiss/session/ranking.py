"""From what a model says to the order in which texts are asked about, and the reason for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import Array, FloatArray, IndexArray, PoolView, Signal, Signals, Strategy
from nearmiss.acquisition.registry import make_strategy, strategy_text
from nearmiss.analysis.active_testing import acceptance, draw_weighted
from nearmiss.arrays.divergence import kl_divergence
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.errors import InvalidInput
from nearmiss.models.base import Inference
from nearmiss.session.ground import Ground
from nearmiss.session.origins import Neighbor, Origin, Source
from nearmiss.session.queue import QueueEntry
from nearmiss.session.seeds import mixed

__all__ = ["COVER", "Ranking", "cover", "described", "explained", "needed_signals", "rank", "weighted_checks"]

#: After the batch a strategy would choose comes a reserve this many times its size: nobody ever waits for a model.
_RESERVE = 4
_NEIGHBORS = 5
_GUESSES = 5
#: A cover is sought among this many texts, drawn at random: clustering more would take minutes.
_COVERED = 8_000
#: The strategy that covers the pool where none is asked for.
COVER = "typiclust"


@dataclass(frozen=True, slots=True)
class Ranking:
    """Texts in the order in which they are to be asked about.

    Attributes
    ----------
    entries
        First the one to label first.
    notes
        What the strategy has to tell of its batch, in sentences.
    """

    entries: tuple[QueueEntry, ...]
    notes: tuple[str, ...] = ()


def rank(
    strategy: Strategy,
    inference: Inference,
    features: Array,
    ground: Ground,
    *,
    model: int,
    batch: int,
    rng: np.random.Generator,
) -> Ranking:
    """Order the open texts: the batch the strategy would choose, then a reserve, each with its reason.

    Parameters
    ----------
    inference
        What the model says of every text, row by row.
    features
        The representation in which distances are taken, shape (n, d).
    """
    open_rows = np.setdiff1d(np.arange(ground.texts, dtype=np.int64), ground.closed_rows)
    entries: list[QueueEntry] = []
    notes: tuple[str, ...] = ()
    for size in (batch, _RESERVE * batch):
        taken = np.array([entry.item - 1 for entry in entries], dtype=np.int64)
        candidates = np.setdiff1d(open_rows, taken)
        n = min(size, len(candidates))
        if not n:
            break
        # The reserve comes after the batch: it is chosen as if that were labelled, as the model guesses.
        known = np.concatenate([ground.rows, taken])
        classes = np.concatenate([ground.classes, _guessed(inference, taken)])
        view = PoolView(
            len(candidates), _signals(inference, features, candidates), _signals(inference, features, known), classes
        )
        selection = strategy.select(view, n, rng)
        notes = selection.notes if not entries else notes
        rows = candidates[selection.indices]
        origin = Origin(Source.MODEL, strategy_text(strategy), model=model)
        entries += _entries(origin, rows, selection.scores, inference, features, ground)
    return Ranking(tuple(entries), notes)


def described(
    numbers: Sequence[int], inference: Inference, features: Array, ground: Ground, *, model: int
) -> tuple[QueueEntry, ...]:
    """Say of texts that are drawn at random what is said of picks, so that nothing tells them apart beforehand."""
    rows = np.array([number - 1 for number in numbers], dtype=np.int64)
    return tuple(
        _entries(Origin(Source.RANDOM, model=model), rows, np.full(len(rows), np.nan), inference, features, ground)
    )


def weighted_checks(
    inference: Inference, features: Array, ground: Ground, n: int, *, model: int, rng: np.random.Generator
) -> tuple[QueueEntry, ...]:
    """Draw the next random checks by the model's doubt, each with what it counts (`active_testing`)."""
    if inference.log_probs is None:
        raise InvalidInput("the classifier gave no log-probabilities when asked for them")
    open_rows = np.setdiff1d(np.arange(ground.texts, dtype=np.int64), ground.closed_rows)
    drawn = draw_weighted(acceptance(np.exp(inference.log_probs[open_rows].astype(np.float64))), n, rng)
    told = described((open_rows[drawn.places] + 1).tolist(), inference, features, ground, model=model)
    return tuple(
        QueueEntry(entry.item, replace(entry.origin, weight=float(weight)))
        for entry, weight in zip(told, drawn.weights, strict=True)
    )


def explained(
    entries: Sequence[QueueEntry], inference: Inference, features: Array, ground: Ground, *, model: int
) -> tuple[QueueEntry, ...]:
    """Say of texts that were chosen without the model what is said of picks; who chose them stays told."""
    rows = np.array([entry.item - 1 for entry in entries], dtype=np.int64)
    unscored = np.full(len(rows), np.nan)
    said = _entries(Origin(Source.MODEL, model=model), rows, unscored, inference, features, ground)
    return tuple(
        QueueEntry(
            entry.item,
            replace(told.origin, source=entry.origin.source, strategy=entry.origin.strategy, score=entry.origin.score),
        )
        for entry, told in zip(entries, said, strict=True)
    )


def cover(
    features: Array,
    ground: Ground,
    n: int,
    rng: np.random.Generator,
    *,
    method: str = COVER,
    found: Sequence[QueueEntry] = (),
    surprisal: Callable[[IndexArray], FloatArray] | None = None,
) -> tuple[QueueEntry, ...]:
    """Choose a first batch that covers the pool, before there is a model.

    Parameters
    ----------
    features
        Vectors that need no label, shape (n, d).
    method
        The strategy that covers, in its text form: by default TypiClust (Hacohen et al. 2022), which passes over the
        clusters that hold a label or a text looked for.
    found
        Texts that were looked for; they take every second place, as far as they go.
    surprisal
        Gives the surprisal vectors of rows, for a method that reads them.
    """
    looked_for = np.array([entry.item - 1 for entry in found], dtype=np.int64)
    known = np.union1d(ground.rows, looked_for)
    open_rows = np.setdiff1d(np.arange(ground.texts, dtype=np.int64), np.union1d(ground.closed_rows, looked_for))
    rows = np.sort(rng.permutation(open_rows)[:_COVERED])
    n = min(n - len(found), len(rows))
    if n < 1:
        return tuple(found)
    strategy = make_strategy(method)
    view = PoolView(
        len(rows),
        Signals(features=features[rows], surprisal=None if surprisal is None else surprisal(rows)),
        Signals(features=features[known]),
        np.zeros(len(known), dtype=np.int64),  # that they are known counts, not as what
    )
    selection = strategy.select(view, n, rng)
    chosen = [
        QueueEntry(int(row) + 1, Origin(Source.COVER, method, float(score)))
        for row, score in zip(rows[selection.indices], selection.scores, strict=True)
    ]
    return mixed(found, chosen)


def _guessed(inference: Inference, rows: IndexArray) -> IndexArray:
    if inference.log_probs is None or not len(rows):
        return np.empty(0, dtype=np.int64)
    return np.asarray(inference.log_probs[rows].argmax(axis=1), dtype=np.int64)


def _signals(inference: Inference, features: Array, rows: IndexArray) -> Signals:
    return Signals(
        log_probs=None if inference.log_probs is None else inference.log_probs[rows],
        features=features[rows],
        mc_log_probs=None if inference.mc_log_probs is None else inference.mc_log_probs[:, rows],
    )


def _entries(
    origin: Origin,
    rows: IndexArray,
    scores: npt.NDArray[np.float64],
    inference: Inference,
    features: Array,
    ground: Ground,
) -> list[QueueEntry]:
    log_probs = inference.log_probs
    if log_probs is None:
        raise InvalidInput("the classifier gave no log-probabilities when asked for them")
    neighbors = _neighbors(rows, log_probs, features, ground)
    entries = []
    for position, (row, score) in enumerate(zip(rows.tolist(), scores.tolist(), strict=True)):
        probabilities = np.exp(log_probs[row].astype(np.float64))
        best = np.argsort(-probabilities, kind="stable")[:_GUESSES]
        reason = replace(
            origin,
            score=None if np.isnan(score) else float(score),
            labels=tuple(ground.labels[c] for c in best),
            probabilities=tuple(round(float(probabilities[c]), 4) for c in best),
            neighbors=neighbors[position],
        )
        entries.append(QueueEntry(row + 1, reason))
    return entries


def _neighbors(rows: IndexArray, log_probs: FloatArray, features: Array, ground: Ground) -> list[tuple[Neighbor, ...]]:
    if not len(ground.rows) or not len(rows):
        return [()] * len(rows)
    found = nearest_neighbors(features[rows], features[ground.rows], _NEIGHBORS)
    k = found.indices.shape[1]
    nearest = ground.rows[found.indices.ravel()]
    # KL(p(y|neighbour) ‖ p(y|candidate)), as CAL scores it (Margatina et al. 2021, Algorithm 1, line 5).
    divergences = np.asarray(kl_divergence(log_probs[nearest], log_probs[np.repeat(rows, k)])).reshape(-1, k)
    guesses = log_probs[ground.rows].argmax(axis=1)
    return [
        tuple(
            Neighbor(
                int(ground.rows[j]) + 1,
                ground.labels[int(ground.classes[j])],
                round(float(distance), 4),
                round(float(divergence), 4),
                ground.labels[int(guesses[j])],
                round(float(np.exp(log_probs[ground.rows[j], guesses[j]])), 4),
            )
            for j, distance, divergence in zip(indices, distances, gaps, strict=True)
        )
        for indices, distances, gaps in zip(found.indices, found.distances, divergences, strict=True)
    ]


def needed_signals(strategy: Strategy) -> frozenset[Signal]:
    """Name what to ask the classifier for: what the strategy reads, and what a reason is told with."""
    return frozenset(strategy.needs.pool) | frozenset(strategy.needs.labeled) | {Signal.LOG_PROBS, Signal.FEATURES}
