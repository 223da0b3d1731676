"""A pool as a folder of Parquet files: which there are, what they hold, and their rows a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.acquisition.base import IndexArray
from nearmiss.errors import BadShard, InvalidData, InvalidInput
from nearmiss.scale.folders import Folder, absolute

__all__ = ["BATCH_ROWS", "ColumnsOfPool", "RowBatch", "Shard", "ShardedPool"]

#: Texts read and scored together: enough that matrix products run at full speed, and few enough that a batch with its
#: neighbours takes some hundred megabytes.
BATCH_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Shard:
    """One file of a pool.

    Attributes
    ----------
    number, name
        Its place in the pool, and its name within the folder.
    rows
        Texts in it.
    start
        Texts in the shards before it: row r of it is row start + r of the pool.
    version
        Changes when the file does.
    """

    number: int
    name: str
    rows: int
    start: int
    version: str = ""


@dataclass(frozen=True, slots=True)
class ColumnsOfPool:
    """Which column holds what.

    Attributes
    ----------
    id
        Names a text, the same whenever the pool is read. Where there is no such column, a text is named by its shard
        and row.
    text, pair
        The text, and the second of a pair.
    features, log_probs, mc_log_probs
        Signals that come with the pool: lists of floats of one length, d or C; of S lists of C.
    """

    id: str = "id"
    text: str = "text"
    pair: str = ""
    features: str = "features"
    log_probs: str = "log_probs"
    mc_log_probs: str = "mc_log_probs"


@dataclass(frozen=True, slots=True, eq=False)
class RowBatch:
    """Some rows of a shard, in increasing order.

    Attributes
    ----------
    shard, places
        Where they come from, and which rows of it they are, shape (n,).
    table
        The columns that were asked for.
    columns, address
        The pool's.
    """

    shard: Shard
    places: IndexArray
    table: pa.Table
    columns: ColumnsOfPool
    address: str

    @property
    def rows(self) -> IndexArray:
        """Their rows in the pool, shape (n,)."""
        return self.shard.start + self.places

    def ids(self) -> pa.ChunkedArray[Any]:
        """Give their names, as text.

        Raises
        ------
        BadShard
            One is missing, or they cannot be read as text.
        """
        if self.columns.id not in self.table.column_names:
            return pa.chunked_array([[f"{self.shard.name}:{place}" for place in self.places]], pa.string())
        values: Any = self.table.column(self.columns.id)
        if values.null_count:
            raise self._bad(values.is_null().to_pylist().index(True), f"has no {self.columns.id}")
        try:
            named: pa.ChunkedArray[Any] = values.cast(pa.string())
        except pa.ArrowException as error:
            raise self.bad(f"column {self.columns.id!r} cannot be read as text: {_said(error)}") from error
        return named

    def texts(self, column: str) -> tuple[str, ...]:
        """Give the texts of a column.

        Raises
        ------
        BadShard
            One is missing, or is no text.
        """
        values = self.table.column(column).to_pylist()
        for row, value in enumerate(values):
            if not isinstance(value, str):
                raise self._bad(row, f"has no text in column {column!r}")
        return tuple(map(str, values))

    def floats(self, column: str) -> npt.NDArray[np.floating]:
        """Give lists of floats as an array, shape (n, d); lists of lists as (S, n, C).

        Raises
        ------
        BadShard
            They are of different lengths, missing, or no numbers.
        """
        values: Any = self.table.column(column).combine_chunks()
        shape = [len(values)]
        while pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type):
            if values.null_count:
                raise self.bad(f"column {column!r} has rows without a value")
            width = len(values.flatten()) // len(values) if len(values) else 0
            if pa.types.is_list(values.type) and len(values):
                lengths = values.value_lengths().to_numpy()
                if (lengths != lengths[0]).any():
                    odd = int((lengths != lengths[0]).argmax())
                    raise self.bad(f"column {column!r} has lists of {lengths[0]} and (entry {odd}) {lengths[odd]}")
            shape.append(width)
            values = values.flatten()
        if not pa.types.is_floating(values.type) or values.null_count or len(shape) < 2:
            raise self.bad(f"column {column!r} holds {values.type}, not lists of floats without gaps")
        array = values.to_numpy(zero_copy_only=False).reshape(shape)
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        return np.ascontiguousarray(array.swapaxes(0, 1)) if array.ndim == 3 else array

    def bad(self, reason: str) -> BadShard:
        """Say what is wrong with the shard."""
        return BadShard(f"{self.address}/{self.shard.name}: {reason}")

    def _bad(self, place: int, reason: str) -> BadShard:
        return self.bad(f"row {self.places[place]} {reason}")


@dataclass(frozen=True, slots=True)
class ShardedPool:
    """The shards of a pool, in the order of their names.

    Attributes
    ----------
    address
        Of the folder.
    shards
        Those that can be read.
    columns
        Which column holds what.
    present
        The columns that all shards have.
    skipped
        What was wrong with the shards that are left out.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parquet.write_table(pa.table({"id": ["a", "b"], "text": ["one", "two"]}), f"{folder}/part-0.parquet")
    ...     pool = ShardedPool.open(folder)
    ...     [(batch.ids().to_pylist(), batch.rows.tolist()) for batch in pool.batches(pool.shards[0], ["id"])]
    [(['a', 'b'], [0, 1])]
    """

    address: str
    shards: tuple[Shard, ...]
    columns: ColumnsOfPool = field(default_factory=ColumnsOfPool)
    present: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()

    @classmethod
    def open(cls, address: str, columns: ColumnsOfPool | None = None, *, skip_bad: bool = False) -> ShardedPool:
        """Look at every file's footer, and read nothing else.

        Parameters
        ----------
        address
            A folder of Parquet files.
        skip_bad
            Leave out files that cannot be read, instead of refusing them.

        Raises
        ------
        InvalidInput
            There is no such folder, or no Parquet file in it.
        BadShard
            A file cannot be read, or lacks columns that others have; it is named.
        """
        wanted, address = columns or ColumnsOfPool(), absolute(address)
        folder = Folder(address)
        files = folder.files(".parquet")
        if not files:
            raise InvalidInput(
                f"{address}: holds no Parquet file; cut a file into shards with: nearmiss shard FILE OUT"
            )
        shards: list[Shard] = []
        skipped: list[str] = []
        present: frozenset[str] | None = None
        start = 0
        for file in files:
            try:
                with _parquet(folder, file.name) as opened:
                    names, rows = frozenset(opened.schema_arrow.names), int(opened.metadata.num_rows)
                if present is not None and _known(names, wanted) != _known(present, wanted):
                    raise BadShard(
                        f"{address}/{file.name}: has the columns {_listed(_known(names, wanted))}, and others have "
                        f"{_listed(_known(present, wanted))}; write it anew with the same ones"
                    )
            except BadShard as error:
                if not skip_bad:
                    raise
                skipped.append(str(error))
                continue
            present = names if present is None else present & names
            shards.append(Shard(len(shards), file.name, rows, start, f"{file.size} {file.version}"))
            start += rows
        if not shards:
            raise InvalidData(f"{address}: none of its {len(files)} files can be read. The first: {skipped[0]}")
        return cls(address, tuple(shards), wanted, present or frozenset(), tuple(skipped))

    @property
    def rows(self) -> int:
        """Texts in all shards, those included that turned out to be bad after they were counted."""
        return self.shards[-1].start + self.shards[-1].rows

    def batches(self, shard: Shard, columns: Sequence[str], batch_rows: int = BATCH_ROWS) -> Iterator[RowBatch]:
        """Read a shard a batch of rows at a time; a column that it lacks is left out.

        Raises
        ------
        BadShard
            The file cannot be read, or has changed.
        """
        if not shard.rows:
            return
        wanted = [name for name in columns if name in self.present]
        first = 0
        with _parquet(Folder(self.address), shard.name) as file:
            try:
                if not wanted:  # rows without a column: only their number counts
                    for begin in range(0, shard.rows, batch_rows):
                        n = min(batch_rows, shard.rows - begin)
                        yield self._batch(shard, np.arange(begin, begin + n), pa.table({"": pa.nulls(n)}))
                    return
                for read in file.iter_batches(batch_rows, columns=wanted):
                    places = np.arange(first, first + read.num_rows)
                    yield self._batch(shard, places, pa.Table.from_batches([read]))
                    first += read.num_rows
            except (OSError, pa.ArrowException) as error:
                raise BadShard(f"{self.address}/{shard.name}: cannot be read at row {first}: {_said(error)}") from error
        if first != shard.rows:
            raise BadShard(f"{self.address}/{shard.name}: has {first} rows and had {shard.rows}; it has changed")

    def take(self, shard: Shard, places: IndexArray, columns: Sequence[str]) -> RowBatch:
        """Read some rows of a shard, given in increasing order; only the row groups that they are in.

        Raises
        ------
        BadShard
            The file cannot be read, or has changed.
        """
        wanted = [name for name in columns if name in self.present]
        with _parquet(Folder(self.address), shard.name) as file:
            try:
                sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
                ends = np.cumsum(sizes)
                group_of = np.searchsorted(ends, places, side="right")
                parts = []
                for group in np.unique(group_of):
                    inside = places[group_of == group] - (ends[group] - sizes[group])
                    parts.append(file.read_row_group(int(group), columns=wanted).take(pa.array(inside)))
                table = pa.concat_tables(parts) if parts else file.schema_arrow.empty_table().select(wanted)
            except (OSError, pa.ArrowException, IndexError) as error:
                raise BadShard(f"{self.address}/{shard.name}: cannot be read: {_said(error)}") from error
        return self._batch(shard, places, table)

    def _batch(self, shard: Shard, places: IndexArray, table: pa.Table) -> RowBatch:
        return RowBatch(shard, places, table, self.columns, self.address)


@contextmanager
def _parquet(folder: Folder, name: str) -> Iterator[parquet.ParquetFile]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(folder.open(name))
            opened = stack.enter_context(parquet.ParquetFile(file))
        except (OSError, pa.ArrowException) as error:
            raise BadShard(f"{folder.address}/{name}: cannot be read as Parquet: {_said(error)}") from error
        yield opened


def _known(names: frozenset[str], columns: ColumnsOfPool) -> frozenset[str]:
    """Keep the columns that mean something here."""
    wanted = (columns.id, columns.text, columns.pair, columns.features, columns.log_probs, columns.mc_log_probs)
    return names & frozenset(wanted)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none that is known"


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
