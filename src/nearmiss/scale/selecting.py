"""The next batch out of a sharded pool: read, score, merge; or candidates first, and an exact step on these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nearmiss.acquisition.base import (
    IndexArray,
    NeighborExplanation,
    PoolView,
    Signal,
    Signals,
    Strategy,
    explained_by,
)
from nearmiss.acquisition.contrastive import Cal
from nearmiss.acquisition.diverse import DiverseBatch
from nearmiss.acquisition.registry import make_strategy, strategy_text
from nearmiss.errors import BadShard, InvalidInput, PoolExhausted
from nearmiss.experiment.oneshot import RANK, REASON, SCORE, neighbor_reasons
from nearmiss.models.logistic import LogisticHead, LogisticSettings
from nearmiss.models.store import default_cache_dir
from nearmiss.scale.choosing import Chosen, check_strategy, choose
from nearmiss.scale.encoding import ReadTexts, signals_pool
from nearmiss.scale.folders import Folder, absolute
from nearmiss.scale.gathering import rows_in, taken
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.jobs import Jobs, Progress, ShardsLeftOut
from nearmiss.scale.labels import JoinedLabels, KnownLabels, join_labels
from nearmiss.scale.pool import BATCH_ROWS, ShardedPool
from nearmiss.scale.readers import FrozenReader, SavedModelReader
from nearmiss.scale.scoring import LabeledRows
from nearmiss.scale.signals import SignalSource
from nearmiss.scale.work import Executor, StreamingExecutor

__all__ = ["ShardBatch", "select_from_shards"]


@dataclass(frozen=True, slots=True, eq=False)
class ShardBatch:
    """The texts to label next.

    Attributes
    ----------
    rows
        Of the pool, best first, shape (b,).
    ids
        Their names.
    scores
        As the strategy's card says, shape (b,).
    table
        ``id``, the texts where the pool has them, ``shard``, and the rank and score.
    explanation
        The labelled neighbours behind each pick, by their places in ``labeled_ids``; for CAL alone.
    labeled_ids
        Names of the labelled texts in the pool, in its order.
    notes
        What must be known of how it was chosen.
    """

    rows: IndexArray
    ids: tuple[str, ...]
    scores: npt.NDArray[np.float64]
    table: pa.Table
    explanation: NeighborExplanation | None = None
    labeled_ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def select_from_shards(
    pool: ShardedPool,
    n: int,
    *,
    strategy: str = "diverse-margin",
    labels: KnownLabels | None = None,
    reader: FrozenReader | SavedModelReader | None = None,
    executor: Executor | None = None,
    work_dir: str | Path | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    batch_rows: int = BATCH_ROWS,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> ShardBatch:
    """Choose n texts of a pool of any size; texts that have a label are no candidates.

    Where the pool has the signals that the strategy reads as columns, those are used. Else its texts are read: by a
    frozen encoder, under a logistic regression that learns from the labels; or by a classifier that was saved.

    Parameters
    ----------
    strategy
        In its text form.
    labels
        By id.
    reader
        Reads the texts; None is the embedded frozen encoder.
    executor
        Does the work on shards; None is this process.
    work_dir
        A folder, or an address that every process sees: holds the signals of shards that were read, and what is
        finished of a selection. None is in the cache of nearmiss.
    skip_bad
        Leave out shards that cannot be read, and say so.
    batch_rows
        Texts scored together: memory, not the result, depends on it.
    tell
        Told how far it is.

    Raises
    ------
    PoolExhausted
        Fewer than n texts have no label.
    BadShard
        A shard cannot be read.
    InvalidInput
        The strategy does not work on shards, or reads what there is not.
    NearmissError
        A model cannot be loaded, the disk is full ...
    """
    chooser = make_strategy(strategy)
    check_strategy(chooser)
    if n < 1:
        raise InvalidInput(f"asked for a batch of {n} texts; ask for at least 1")
    work = Folder(absolute(str(work_dir or default_cache_dir() / "shards")))
    parts = (pool.address, repr(pool.shards), strategy, str(n), str(seed), *(labels.ids if labels else ()))
    doing = executor or StreamingExecutor()
    jobs = Jobs(doing, work.below("jobs").below(hash_of(*parts)), skip_bad, tell)
    if labels is not None and isinstance(reader, SavedModelReader):
        labels = labels.coded_as(reader.label_names, f"the classes of {reader.folder}")
    with doing.ready():
        while True:  # ends: there are fewer shards each time
            try:
                batch = _selected(pool, n, chooser, labels, reader, jobs, work, seed, batch_rows)
                break
            except ShardsLeftOut:
                pool = replace(pool, shards=jobs.sound(pool.shards))
    jobs.forget()
    return batch


def _selected(
    pool: ShardedPool,
    n: int,
    chooser: Strategy,
    labels: KnownLabels | None,
    reader: FrozenReader | SavedModelReader | None,
    jobs: Jobs,
    work: Folder,
    seed: int,
    batch_rows: int,
) -> ShardBatch:
    """Choose from shards that are sound, as far as is known."""
    joined = JoinedLabels(np.empty(0, np.int64), np.empty(0, np.int64))
    if labels is not None:
        joined = join_labels(pool, labels, jobs)
    remaining = sum(shard.rows for shard in pool.shards) - len(joined.rows)
    if n > remaining:
        raise PoolExhausted(asked=n, remaining=remaining)
    source = _source(pool, chooser, joined, reader, jobs, work)
    needs = chooser.needs.labeled
    if needs and not len(joined.rows):
        raise InvalidInput(
            f"{strategy_text(chooser)!r} compares with labelled texts, and there are none: pass labels, or begin with "
            "bertkm or random"
        )
    classes = _class_ids(chooser, joined, given=reader is None and source.head is None)
    known = taken(source, joined.rows, needs, jobs) if needs else Signals()
    labeled = LabeledRows(joined.rows, known, classes)
    found = choose(chooser, source, labeled, n, jobs, ("shards", seed), batch_rows)
    return _told(pool, source, chooser, labeled, found, jobs, joined)


def _class_ids(chooser: Strategy, joined: JoinedLabels, *, given: bool) -> IndexArray:
    """Give class ids as the log-probabilities have them; of those that came with the pool only numbers say how."""
    inner = chooser.strategy if isinstance(chooser, DiverseBatch) else chooser
    if not (given and isinstance(inner, Cal) and inner.variant.divergence == "cross-entropy"):
        return joined.labels
    if not all(name.isdigit() for name in joined.names):
        raise InvalidInput(
            f"labels are {', '.join(joined.names[:5])}, and the pool's log_probs do not say which column is whose: for "
            "divergence=cross-entropy, write labels as numbers of columns, from 0"
        )
    return np.array([int(joined.names[label]) for label in joined.labels], dtype=np.int64)


def _source(
    pool: ShardedPool,
    chooser: Strategy,
    joined: JoinedLabels,
    reader: FrozenReader | SavedModelReader | None,
    jobs: Jobs,
    work: Folder,
) -> SignalSource:
    """Find the signals among the columns, or read the texts."""
    needs = chooser.needs.pool | chooser.needs.labeled
    given, columns = SignalSource(pool), pool.columns
    if not needs or (reader is None and columns.text not in pool.present):
        given.check(needs)
        return given
    if reader is None:
        try:
            given.check(needs)
        except InvalidInput:
            reader = FrozenReader()
        else:
            return given
    if columns.text not in pool.present:
        raise InvalidInput(f"{pool.address}: there is no column {columns.text!r} with texts to read")
    if columns.pair and columns.pair not in pool.present:
        raise InvalidInput(f"{pool.address}: there is no column {columns.pair!r} with second texts")
    read = jobs.carry_out("read texts", ReadTexts(pool, reader, work.below("signals")), pool.shards, keep=False)
    signals = signals_pool(pool, work.below("signals"), [part["name"].tobytes().decode() for part in read])
    head = None
    if isinstance(reader, FrozenReader) and Signal.LOG_PROBS in needs:
        if not len(joined.rows):
            raise InvalidInput(
                f"{strategy_text(chooser)!r} reads what a model says, and none can be trained without labels: pass "
                "them, or begin with bertkm or random"
            )
        features = np.asarray(taken(SignalSource(signals), joined.rows, {Signal.FEATURES}, jobs).features)
        head = LogisticHead.train(features, joined.labels, max(2, len(joined.names)), LogisticSettings())
    source = SignalSource(signals, head)
    source.check(needs)
    return source


def _told(
    pool: ShardedPool,
    source: SignalSource,
    chooser: Strategy,
    labeled: LabeledRows,
    found: Chosen,
    jobs: Jobs,
    joined: JoinedLabels,
) -> ShardBatch:
    """Fetch names and texts of the batch, and why it was chosen."""
    order = np.argsort(found.rows)
    rows = found.rows[order]
    columns = [name for name in (pool.columns.text, pool.columns.pair) if name in pool.present]
    ids: list[str] = []
    shard_names: list[str] = []
    tables = []
    for shard in pool.shards:
        inside = rows_in(shard, rows)
        if not len(inside):
            continue
        try:
            read = pool.take(shard, inside - shard.start, [pool.columns.id, *columns])
            ids += map(str, read.ids().to_pylist())
        except BadShard as error:
            jobs.leave_out(shard, error)
        shard_names += [shard.name] * len(inside)
        tables.append(read.table.select(columns))
    back = np.argsort(order)  # from the order of the pool to that of the batch
    table = pa.table({"id": [ids[place] for place in back], "shard": [shard_names[place] for place in back]})
    if columns:
        texts = pa.concat_tables(tables).take(pa.array(back.tolist(), pa.int64()))
        for name in columns:
            table = table.append_column(name, texts.column(name))
    table = table.append_column(RANK, pa.array(list(range(1, len(rows) + 1))))
    table = table.append_column(SCORE, pa.array(found.scores))
    explanation = _explained(chooser, source, labeled, rows, back, jobs)
    if explanation is not None:
        reasons = neighbor_reasons(explanation, [joined.names[c] for c in joined.labels], joined.ids)
        table = table.append_column(REASON, pa.array(reasons))
    notes = (*joined.notes, *found.notes, *(f"left out: {fault}" for fault in (*pool.skipped, *jobs.faults.values())))
    named = tuple(ids[place] for place in back)
    return ShardBatch(found.rows, named, found.scores, table, explanation, joined.ids, notes)


def _explained(
    chooser: Strategy, source: SignalSource, labeled: LabeledRows, rows: IndexArray, order: IndexArray, jobs: Jobs
) -> NeighborExplanation | None:
    inner = chooser.strategy if isinstance(chooser, DiverseBatch) else chooser
    if not isinstance(inner, Cal) or inner.variant.anchor == "labeled":
        return None
    signals = taken(source, rows, inner.needs.pool, jobs)
    return explained_by(inner, PoolView(len(rows), signals, labeled.signals, labeled.labels), order)
