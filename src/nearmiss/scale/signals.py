"""The signals of a pool, shard by shard: from its own columns, or from a store; log-probabilities perhaps by a head."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from nearmiss.acquisition.base import IndexArray, Signal, Signals
from nearmiss.errors import InvalidInput
from nearmiss.models.logistic import LogisticHead, log_softmax_rows
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.pool import BATCH_ROWS, RowBatch, Shard, ShardedPool

__all__ = ["SignalBatch", "SignalSource"]


@dataclass(frozen=True, slots=True, eq=False)
class SignalBatch:
    """Signals of some rows of the pool."""

    rows: IndexArray
    signals: Signals

    def kept(self, without: IndexArray) -> SignalBatch:
        """Leave out rows, given in increasing order."""
        among = without[np.searchsorted(without, self.rows[0]) : np.searchsorted(without, self.rows[-1], "right")]
        if not len(among):
            return self
        places = np.flatnonzero(~np.isin(self.rows, among))
        return SignalBatch(self.rows[places], self.signals.take(places))


@dataclass(frozen=True, slots=True, eq=False)
class SignalSource:
    """Where the signals of a pool come from.

    Attributes
    ----------
    pool
        Has columns of signals.
    head
        Turns features into log-probabilities; None where the pool has them. That costs less than to keep them.
    """

    pool: ShardedPool
    head: LogisticHead | None = None

    @property
    def identity(self) -> str:
        """What the signals are."""
        head = (None, None) if self.head is None else (self.head.weights, self.head.biases)
        return hash_of(self.pool.address, repr(self.pool.columns), repr(self.pool.shards), *head)

    def check(self, needs: AbstractSet[Signal]) -> None:
        """Refuse what cannot be given.

        Raises
        ------
        InvalidInput
            A signal is neither a column of the pool, nor follows from one.
        """
        columns = self.pool.columns
        named = {
            Signal.FEATURES: columns.features,
            Signal.LOG_PROBS: columns.log_probs,
            Signal.MC_LOG_PROBS: columns.mc_log_probs,
        }
        for signal in sorted(needs):
            if signal is Signal.LOG_PROBS and self.head is not None:
                continue
            if named.get(signal) not in self.pool.present:
                has = ", ".join(sorted(self.pool.present))
                raise InvalidInput(
                    f"{self.pool.address}: the strategy reads {signal}, and the pool has no column "
                    f"{named.get(signal, signal)!r} (it has {has}); add it, or choose another strategy"
                )

    def batches(self, shard: Shard, needs: AbstractSet[Signal], batch_rows: int = BATCH_ROWS) -> Iterator[SignalBatch]:
        """Give the signals of a shard, a batch of rows at a time.

        Raises
        ------
        BadShard
            The file cannot be read, or does not hold signals.
        """
        for batch in self.pool.batches(shard, self._columns(needs), batch_rows):
            yield SignalBatch(batch.rows, self._signals(batch, needs))

    def take(self, shard: Shard, rows: IndexArray, needs: AbstractSet[Signal]) -> Signals:
        """Give the signals of some rows of the shard, increasing; errors as ``batches``."""
        return self._signals(self.pool.take(shard, rows, self._columns(needs)), needs)

    def _columns(self, needs: AbstractSet[Signal]) -> list[str]:
        columns, wanted = self.pool.columns, []
        if Signal.FEATURES in needs or (Signal.LOG_PROBS in needs and self.head is not None):
            wanted.append(columns.features)
        if Signal.LOG_PROBS in needs and self.head is None:
            wanted.append(columns.log_probs)
        if Signal.MC_LOG_PROBS in needs:
            wanted.append(columns.mc_log_probs)
        return wanted

    def _signals(self, batch: RowBatch, needs: AbstractSet[Signal]) -> Signals:
        columns, there = self.pool.columns, batch.table.column_names
        floats = {name: batch.floats(name) for name in self._columns(needs) if name in there}
        features, log_probs = floats.get(columns.features), floats.get(columns.log_probs)
        if features is not None and not np.isfinite(features).all():
            row = batch.places[(~np.isfinite(features)).any(axis=1).argmax()]
            raise batch.bad(f"the features of row {row} are not finite")
        if self.head is not None and Signal.LOG_PROBS in needs and features is not None:
            log_probs = log_softmax_rows(self.head.logits(features))
        return Signals(
            log_probs=log_probs,
            features=features if Signal.FEATURES in needs else None,
            mc_log_probs=floats.get(columns.mc_log_probs),
        )
