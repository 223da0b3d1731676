"""One batch from files, for people who label elsewhere: texts and labels in, the rows to label next out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from nearmiss.acquisition.base import NeighborExplanation, Signal
from nearmiss.acquisition.registry import make_strategy
from nearmiss.errors import InvalidData, PoolExhausted
from nearmiss.experiment.build import StrategyChoice
from nearmiss.experiment.features import resolve_features
from nearmiss.experiment.spec import ClassifierChoice, MaskedLMChoice
from nearmiss.experiment.surprisal import surprisal_source
from nearmiss.loop.learner import ActiveLearner
from nearmiss.loop.signals import all_needs
from nearmiss.models.registry import make_classifier
from nearmiss.text.corpus import Texts
from nearmiss.text.corpus_file import CorpusFile

__all__ = ["RANK", "REASON", "SCORE", "NextBatch", "choose_next", "neighbor_reasons"]

#: Columns added to the chosen rows; a column of that name in the input (an earlier batch) is replaced.
RANK, ROW, SCORE, REASON = "nearmiss_rank", "nearmiss_row", "nearmiss_score", "nearmiss_reason"
_NEIGHBORS_TOLD = 3
# A model over one class has nothing to tell apart; this stands for whatever the second class will be.
_UNSEEN = ("a label not seen yet", "another label not seen yet")


@dataclass(frozen=True, slots=True, eq=False)
class NextBatch:
    """The rows to label next, best first.

    Attributes
    ----------
    table
        All columns of the chosen rows, then ``nearmiss_rank`` (from 1), ``nearmiss_row`` (the id, or the row's number
        in the file), ``nearmiss_score``, and for CAL ``nearmiss_reason``.
    notes
        What was assumed, in sentences for the user.
    """

    table: pa.Table
    notes: tuple[str, ...] = ()


def choose_next(
    pool: CorpusFile,
    labeled: CorpusFile,
    n: int,
    *,
    strategy: str = "diverse-margin",
    classifier: ClassifierChoice | None = None,
    masked_lm: MaskedLMChoice | None = None,
    seed: int = 0,
) -> NextBatch:
    """Choose n rows of the pool.

    Rows whose text is labelled already are never chosen, and of equal texts only one is.

    Parameters
    ----------
    pool
        Candidates.
    labeled
        Labelled rows; may be empty, and then the batch covers the pool.
    n
        Size of the batch.
    strategy
        In its text form, the option ``features`` included.
    classifier
        None is the frozen encoder.
    masked_lm
        What ALPS measures surprisal with; None is the embedded model with a head trained on the pool.
    seed
        The same files and seed give the same batch.

    Raises
    ------
    PoolExhausted
        Fewer than n texts remain that are not labelled.
    InvalidData
        One file holds pairs and the other does not.
    """
    choice = classifier or ClassifierChoice("frozen")
    named = StrategyChoice.parse(strategy)
    chooser = make_strategy(named.strategy)
    model = make_classifier(choice.name, choice.options)
    candidates, notes = _candidates(pool, labeled)
    if n > len(candidates):
        raise PoolExhausted(asked=n, remaining=len(candidates))
    features = None if named.features is None else resolve_features(named.features, model, choice)
    names = labeled.corpus.label_names
    learner = ActiveLearner(
        _joined(labeled, candidates),
        (*names, *_UNSEEN[: max(0, 2 - len(names))]),
        classifier=model,
        strategy=chooser,
        seed=seed,
        features=features,
        surprisal=surprisal_source(masked_lm or MaskedLMChoice()) if Signal.SURPRISAL in all_needs(chooser) else None,
    )
    learner.tell(range(len(labeled)), labeled.label_ids)
    batch = learner.ask(n)
    notes += batch.notes
    if batch.strategy is not chooser:
        notes.append(f"nothing is labelled yet: {batch.strategy.card.title} chooses a batch that covers the pool")
    rows = candidates.take(batch.indices - len(labeled))
    added: dict[str, list[object]] = {
        RANK: list(range(1, n + 1)),
        ROW: list(rows.row_ids),
        SCORE: batch.scores.tolist(),
    }
    if batch.explanation is not None:
        labels = [names[label] for label in labeled.label_ids]
        added[REASON] = list(neighbor_reasons(batch.explanation, labels, labeled.row_ids))
    table = rows.table.drop_columns([name for name in (RANK, ROW, SCORE, REASON) if name in rows.table.column_names])
    for name, values in added.items():
        table = table.append_column(name, pa.array(values))
    return NextBatch(table, tuple(notes))


def _candidates(pool: CorpusFile, labeled: CorpusFile) -> tuple[CorpusFile, list[str]]:
    known = set(labeled.corpus.texts.digests)
    kept = []
    for position, digest in enumerate(pool.corpus.texts.digests):
        if digest not in known:
            known.add(digest)
            kept.append(position)
    notes = []
    if len(kept) < len(pool):
        notes.append(f"{len(pool) - len(kept)} of {len(pool)} pool rows are left out: labelled already, or repeated")
    return pool.take(kept), notes


def _joined(labeled: CorpusFile, pool: CorpusFile) -> Texts:
    first, second = labeled.corpus.texts, pool.corpus.texts
    if not len(labeled):
        return second
    if (first.second is None) != (second.second is None):
        raise InvalidData(
            "one file holds text pairs and the other single texts; name the pair column of both (--pair-column)"
        )
    return first.joined(second)


def neighbor_reasons(explanation: NeighborExplanation, labels: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Say of each pick which labelled texts are nearest to it, by name and label.

    Parameters
    ----------
    labels, ids
        Of the labelled texts, in the order in which the explanation counts them.
    """
    reasons = []
    for neighbors, distances, divergences in zip(
        explanation.neighbor_indices, explanation.distances, explanation.divergences, strict=True
    ):
        told = [
            f"{labels[i]!r} row {ids[i]} (distance {distance:.3g}, divergence {divergence:.3g})"
            for i, distance, divergence in zip(neighbors, distances, divergences, strict=True)
            if i >= 0
        ]
        reasons.append("nearest labelled: " + "; ".join(told[:_NEIGHBORS_TOLD]))
    return reasons
