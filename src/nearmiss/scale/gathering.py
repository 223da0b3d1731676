"""Some rows of a pool, wherever they lie: labelled texts found by their ids, and signals of rows that were chosen."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nearmiss.acquisition.base import IndexArray, Signal, Signals
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.jobs import Jobs
from nearmiss.scale.pool import Shard, ShardedPool
from nearmiss.scale.signals import SignalSource
from nearmiss.scale.work import Arrays

__all__ = ["FindIds", "TakeSignals", "rows_in", "taken"]


@dataclass(frozen=True, slots=True)
class FindIds:
    """Finds the rows of a shard that have one of the given ids.

    Attributes
    ----------
    pool
        Whose ids.
    ids
        Looked for, in increasing order.
    """

    pool: ShardedPool
    ids: tuple[str, ...]

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """Which ids are looked for, and where."""
        return hash_of("find", self.pool.address, self.pool.columns.id, *self.ids)

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what looks through a shard."""
        wanted = pa.array(self.ids, pa.string())
        place_of = {name: place for place, name in enumerate(self.ids)}

        def do(shard: Shard) -> Arrays:
            rows: list[int] = []
            places: list[int] = []
            for batch in self.pool.batches(shard, [self.pool.columns.id]):
                names = batch.ids()
                for place in np.flatnonzero(np.asarray(pc.is_in(names, wanted).to_numpy())):
                    rows.append(int(batch.rows[place]))
                    places.append(place_of[str(names[int(place)].as_py())])
            return {"rows": np.array(rows, dtype=np.int64), "places": np.array(places, dtype=np.int64)}

        return do


@dataclass(frozen=True, slots=True, eq=False)
class TakeSignals:
    """Takes the signals of some rows out of each shard.

    Attributes
    ----------
    source
        Gives them.
    rows
        Of the pool, increasing, shape (r,).
    needs
        Which signals.
    """

    source: SignalSource
    rows: IndexArray
    needs: AbstractSet[Signal]

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """Which signals of which rows."""
        return hash_of("take", self.source.identity, self.rows, *sorted(self.needs))

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what takes them out of a shard."""

        def do(shard: Shard) -> Arrays:
            taken = self.source.take(shard, rows_in(shard, self.rows) - shard.start, self.needs)
            given = {
                Signal.FEATURES: taken.features,
                Signal.LOG_PROBS: taken.log_probs,
                Signal.MC_LOG_PROBS: taken.mc_log_probs,
            }
            return {str(name): np.asarray(values) for name, values in given.items() if values is not None}

        return do


def rows_in(shard: Shard, rows: IndexArray) -> IndexArray:
    """Keep those rows of the pool, increasing, that a shard has."""
    return rows[np.searchsorted(rows, shard.start) : np.searchsorted(rows, shard.start + shard.rows)]


def _joined(parts: list[Arrays]) -> Signals:
    """Join what was taken out of shards, in their order."""

    def joined(name: Signal, axis: int = 0) -> np.ndarray | None:
        found = [part[name] for part in parts if name in part]
        return np.concatenate(found, axis=axis) if found else None

    return Signals(joined(Signal.LOG_PROBS), joined(Signal.FEATURES), joined(Signal.MC_LOG_PROBS, 1))


def taken(source: SignalSource, rows: IndexArray, needs: AbstractSet[Signal], jobs: Jobs) -> Signals:
    """Give the signals of some rows, increasing."""
    shards = tuple(shard for shard in source.pool.shards if len(rows_in(shard, rows)))
    return _joined(jobs.carry_out("take rows", TakeSignals(source, rows, needs), shards))
