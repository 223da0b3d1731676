"""A dataset cut into shards: Parquet files of so many rows, each row with an id that stays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.errors import InvalidInput
from nearmiss.scale.folders import Folder
from nearmiss.text.corpus_file import CorpusFile

__all__ = ["Cut", "cut_into_shards"]

#: Row groups are what is read at a time: no larger than a batch that is scored.
_GROUP_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Cut:
    """What was written: files, and texts in all."""

    shards: int
    rows: int


def cut_into_shards(file: CorpusFile, address: str, rows: int = 50_000) -> Cut:
    """Write texts, ids and all other columns as ``part-00000.parquet`` and so on.

    Parameters
    ----------
    file
        As `read_corpus` gives it. Its text column becomes ``text``, that of second texts ``pair``; the ids of its rows
        (or their numbers) become ``id``.
    address
        A folder that does not hold Parquet files yet.
    rows
        Of each shard, the last aside.

    Raises
    ------
    InvalidInput
        rows is less than 1, ids occur twice, or the folder holds shards.
    InvalidData
        The disk is full, or refuses.
    """
    if rows < 1:
        raise InvalidInput(f"shards of {rows} rows; take at least 1")
    ids = [str(each) for each in file.row_ids]
    column = file.columns.row_id
    if column is not None and [str(value) for value in file.table.column(column).to_pylist()] != ids:
        raise InvalidInput(
            f"column {column!r} does not name each row once, and labels are joined by id; name another (--id-column), "
            "or rename this one to have rows named by their numbers"
        )
    folder = Folder(address)
    if folder.is_there() and folder.files(".parquet"):
        raise InvalidInput(f"{address} holds shards already; name another folder, or remove them")
    texts = file.corpus.texts
    table = pa.table({"id": ids, "text": list(texts.first)})
    if texts.second is not None:
        table = table.append_column("pair", pa.array(list(texts.second)))
    used = (file.columns.text, file.columns.pair, file.columns.row_id)
    for name in file.table.column_names:
        if name in used:
            continue
        if name in table.column_names:
            raise InvalidInput(f"another column is called {name!r}, which shards keep for their own use; rename it")
        table = table.append_column(name, file.table.column(name))
    count = 0
    for start in range(0, table.num_rows, rows):
        try:
            folder.write(f"part-{count:05d}.parquet", partial(_write, table.slice(start, rows)))
        except BaseException:  # a part of the shards would be taken for the pool
            for number in range(count):
                folder.remove_file(f"part-{number:05d}.parquet")
            raise
        count += 1
    return Cut(count, table.num_rows)


def _write(part: pa.Table, file: BinaryIO) -> None:
    parquet.write_table(part, file, row_group_size=_GROUP_ROWS, compression="zstd")
