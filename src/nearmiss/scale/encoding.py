"""Texts read once per model: each shard's signals, kept as a Parquet file named after the model and the content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.acquisition.base import Signals
from nearmiss.errors import BadShard, InvalidData
from nearmiss.scale.folders import Folder
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.pool import ColumnsOfPool, Shard, ShardedPool
from nearmiss.scale.readers import TextReader
from nearmiss.scale.work import Arrays
from nearmiss.text.corpus import Texts

__all__ = ["ReadTexts", "signals_pool", "signals_table"]

#: Texts read together: long enough that batches of like length fill up, short enough for their states to stay small.
_READ_AT_ONCE = 8_192
_HASHED_AT_ONCE = 2**23
#: Columns of a file of signals.
SIGNALS = ColumnsOfPool()


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """Reads the texts of a shard, unless the store has their signals already.

    Attributes
    ----------
    pool
        Whose texts.
    reader
        Reads them.
    store
        Where signals are kept: every process must see it.
    """

    pool: ShardedPool
    reader: TextReader
    store: Folder

    loads_a_model: ClassVar[bool] = True

    @property
    def identity(self) -> str:
        """What is read, and by which model."""
        return hash_of("read", self.pool.address, self.reader.key, repr(self.pool.columns))

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what reads a shard; the model is loaded with the first one that no earlier call has read."""
        key = self.reader.key
        loaded: list[Callable[[Texts], Signals]] = []

        def read(texts: Texts) -> Signals:
            if not loaded:
                loaded.append(self.reader.start())
            return loaded[0](texts)

        def do(shard: Shard) -> Arrays:
            digest = self._digest(shard)
            name = f"{key}/{digest}.parquet"
            if not self.store.exists(name):
                self.store.write(name, lambda file: self._write(file, shard, read))
            return {"name": np.frombuffer(name.encode(), dtype=np.uint8)}

        return do

    def _digest(self, shard: Shard) -> str:
        """Hash the file, and which of its columns are read."""
        digest = blake2b(f"{self.pool.columns.text}\n{self.pool.columns.pair}\n".encode(), digest_size=16)
        try:
            with Folder(self.pool.address).open(shard.name) as file:
                while block := file.read(_HASHED_AT_ONCE):
                    digest.update(block)
        except OSError as error:
            raise BadShard(f"{self.pool.address}/{shard.name}: cannot be read: {error.strerror or error}") from error
        return digest.hexdigest()

    def _write(self, file: BinaryIO, shard: Shard, read: Callable[[Texts], Signals]) -> None:
        columns = self.pool.columns
        writer: parquet.ParquetWriter | None = None
        try:
            for batch in self.pool.batches(shard, [columns.text, columns.pair], _READ_AT_ONCE):
                second = batch.texts(columns.pair) if columns.pair else None
                table = signals_table(read(Texts(batch.texts(columns.text), second)))
                if writer is None:
                    writer = parquet.ParquetWriter(file, table.schema, use_dictionary=False, compression="none")
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()


def signals_table(signals: Signals) -> pa.Table:
    """Lay out signals as columns, lists of float32 of one length.

    Examples
    --------
    >>> signals_table(Signals(features=np.eye(2))).column_names
    ['features']
    """
    found: dict[str, pa.Array[Any]] = {}
    for name, values in ((SIGNALS.features, signals.features), (SIGNALS.log_probs, signals.log_probs)):
        if values is not None:
            found[name] = _lists(np.asarray(values, dtype=np.float32))
    return pa.table(found)


def signals_pool(pool: ShardedPool, store: Folder, names: Sequence[str]) -> ShardedPool:
    """Give the signals of a pool as a pool of their own, shard by shard and row by row the same.

    Raises
    ------
    InvalidData
        A file of signals has not as many rows as its shard.
    """
    shards: list[Shard] = []
    present: frozenset[str] = frozenset({SIGNALS.features})
    for shard, name in zip(pool.shards, names, strict=True):
        if not shard.rows:
            shards.append(Shard(shard.number, name, 0, shard.start))
            continue
        try:
            with store.open(name) as file, parquet.ParquetFile(file) as opened:
                rows, present = int(opened.metadata.num_rows), frozenset(opened.schema_arrow.names)
        except (OSError, pa.ArrowException) as error:
            raise InvalidData(f"{store.address}/{name} cannot be read: {error}; delete it") from error
        if rows != shard.rows:
            raise InvalidData(f"{store.address}/{name}: has {rows} rows for {shard.rows} texts; delete it")
        shards.append(Shard(shard.number, name, rows, shard.start))
    return ShardedPool(store.address, tuple(shards), SIGNALS, present)


def _lists(values: npt.NDArray[np.float32]) -> pa.Array[Any]:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
