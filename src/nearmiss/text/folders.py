"""A dataset as a folder of files, one or more for each split."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.errors import InvalidData
from nearmiss.text.catalog import SplitSizes
from nearmiss.text.corpus_file import OpenedTable
from nearmiss.text.hub import is_saved_dataset, read_saved
from nearmiss.text.tables import is_table_path, read_table

__all__ = ["folder_sizes", "named_splits", "open_folder"]

_ROLES = {
    "train": "pool",
    "pool": "pool",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


def named_splits(found: Mapping[str, pa.Table], where: str, folder: Path | None = None) -> dict[str, OpenedTable]:
    """Give splits the roles they play here: ``pool``, ``validation``, ``test``. Others are left out.

    Examples
    --------
    >>> table = pa.table({"text": ["good film"]})
    >>> list(named_splits({"train": table, "dev": table, "unsupervised": table}, "films"))
    ['pool', 'validation']
    """
    opened: dict[str, OpenedTable] = {}
    for split, table in found.items():
        role = _ROLES.get(split.lower())
        if role is not None and table.num_rows:
            opened.setdefault(role, OpenedTable(table, f"{where}: {split}", split, folder))
    return opened


def open_folder(folder: Path) -> dict[str, OpenedTable]:
    r"""Read the splits of a folder: files named ``train``, ``validation`` or ``dev``, and ``test``; or a saved dataset.

    Files may also lie in ``data/`` and come in shards (``train-00000-of-00002.parquet``), as on the hub.

    Raises
    ------
    InvalidData
        No file of these names, two formats of one split, or a file that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for split in ("train", "test"):
    ...         _ = Path(folder, f"{split}.csv").write_text("text,label\ngood film,positive\n")
    ...     tables = open_folder(Path(folder))
    >>> sorted(tables)
    ['pool', 'test']
    """
    if is_saved_dataset(folder):
        return named_splits(read_saved(folder), str(folder), folder)
    files = _split_files(folder)
    if not files:
        raise InvalidData(
            f"{folder} holds no train or test file; put train.parquet and test.parquet there (or .csv, .jsonl), "
            "or name a single file"
        )
    return {role: _open(paths, folder) for role, paths in files.items()}


def folder_sizes(folder: Path) -> SplitSizes:
    """Count rows from file footers alone; None for a split that is not in Parquet.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     parquet.write_table(pa.table({"text": ["good", "bad"]}), Path(folder, "train.parquet"))
    ...     folder_sizes(Path(folder))
    SplitSizes(pool=2, validation=None, test=None)
    """
    counts: dict[str, int] = {}
    for role, paths in ({} if is_saved_dataset(folder) else _split_files(folder)).items():
        if all(path.suffix.lower() == ".parquet" for path in paths):
            try:
                counts[role] = sum(parquet.read_metadata(path).num_rows for path in paths)
            except (pa.ArrowException, OSError):  # a card is no place to fail; loading will say what is wrong
                continue
    return SplitSizes(counts.get("pool"), counts.get("validation"), counts.get("test"))


def _split_files(folder: Path) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for path in sorted([*folder.glob("*"), *folder.glob("data/*")]):
        stem = _SHARD.sub("", path.name.partition(".")[0])
        role = _ROLES.get(stem.lower())
        if role is not None and is_table_path(path) and path.is_file():
            files.setdefault(role, []).append(path)
    for role, paths in files.items():
        sharded = all(_SHARD.search(path.name.partition(".")[0]) for path in paths)
        if len(paths) > 1 and not (sharded and len({(path.parent, path.suffix) for path in paths}) == 1):
            raise InvalidData(
                f"{folder}: {' and '.join(path.name for path in paths)} could each be the {role}; leave one of them"
            )
    return files


def _open(paths: list[Path], folder: Path) -> OpenedTable:
    parsed = [read_table(path) for path in paths]
    where = str(paths[0])
    try:
        table = pa.concat_tables([each.table for each in parsed], promote_options="default")
    except pa.ArrowException as error:
        raise InvalidData(f"{where}: its shards have different columns: {error}") from None
    return OpenedTable(
        table, where, folder.name, folder, tuple(dict.fromkeys(n for each in parsed for n in each.notes))
    )
