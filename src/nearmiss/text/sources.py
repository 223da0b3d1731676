"""Where a dataset is found: inside the package, in a local folder, in a single file, or on the Hugging Face hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from nearmiss.errors import InvalidData, MissingExtra, ModelUnavailable, UnknownName
from nearmiss.text.catalog import CATALOG, DatasetInfo, HubSource
from nearmiss.text.columns import ColumnNames
from nearmiss.text.corpus_file import OpenedTable
from nearmiss.text.folders import named_splits, open_folder
from nearmiss.text.hub import read_hub
from nearmiss.text.readers import looks_like_path
from nearmiss.text.tables import read_table

__all__ = ["DATA_DIR_VARIABLE", "Located", "data_folder", "embedded_folder", "locate", "locate_beside", "locate_on_hub"]

#: The environment variable that names the folder of datasets when no ``data_dir`` is given.
DATA_DIR_VARIABLE = "NEARMISS_DATA_DIR"


@dataclass(frozen=True, slots=True, eq=False)
class Located:
    """A dataset's tables, before anything is known of their columns.

    Attributes
    ----------
    name
        What reports call it.
    tables
        By role: ``pool``, ``validation``, ``test``.
    where
        Says where it was found.
    info
        None for a dataset of the user's own.
    columns
        As far as they are known.
    plan
        How the training split is divided; None to take it as it is.
    folder
        The folder of datasets it lies in; None elsewhere.
    """

    name: str
    tables: dict[str, OpenedTable]
    where: str
    info: DatasetInfo | None = None
    columns: ColumnNames = field(default_factory=ColumnNames)
    plan: HubSource | None = None
    folder: Path | None = None


def embedded_folder(name: str) -> Path:
    """Return the folder of a dataset inside the package.

    Examples
    --------
    >>> embedded_folder("banking77").name
    'banking77'
    """
    return Path(__file__).parent / "data" / name


def data_folder(data_dir: str | Path | None) -> Path | None:
    """Return the folder of datasets: the argument, else the environment's, else None.

    Raises
    ------
    InvalidData
        It is not a folder.

    Examples
    --------
    >>> data_folder("no/such/place")
    Traceback (most recent call last):
    nearmiss.errors.InvalidData: --data-dir no/such/place is not a folder; it should hold one folder for each dataset
    """
    given = str(data_dir) if data_dir is not None else os.environ.get(DATA_DIR_VARIABLE)
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        origin = "--data-dir" if data_dir is not None else DATA_DIR_VARIABLE
        raise InvalidData(f"{origin} {given} is not a folder; it should hold one folder for each dataset")
    return folder


def locate(name: str, data_dir: str | Path | None = None) -> Located:
    """Find a dataset by name or path.

    Raises
    ------
    UnknownName
        Neither a known name nor a path.
    InvalidData
        A path to nothing, or to files that cannot be read.
    ModelUnavailable
        A known dataset that is not on this machine, with the hub out of reach.

    Examples
    --------
    >>> located = locate("banking77")
    >>> located.where, list(located.tables)
    ('the package', ['test', 'pool', 'validation'])
    """
    folder = data_folder(data_dir)
    info = CATALOG.get(name)
    if info is not None and info.embedded:
        return _in_folder(name, embedded_folder(name), "the package", None)
    if folder is not None and not looks_like_path(name) and (folder / name).is_dir():
        return _in_folder(name, folder / name, str(folder / name), folder)
    if info is not None:
        return locate_on_hub(info, folder)
    path = Path(name).expanduser()
    if path.is_dir():
        return _in_folder(path.resolve().name, path, name, None)
    if looks_like_path(name) and not path.exists():
        raise InvalidData(f"no such file or folder: {name}")
    if path.exists():
        parsed = read_table(path)
        opened = OpenedTable(parsed.table, name, path.name.partition(".")[0], path.parent, parsed.notes)
        return Located(opened.name, {"pool": opened}, name)
    if name.count("/") == 1:
        mend = "check that the path exists, or connect to the network"
        tables = named_splits(read_hub(name, mend=mend), name)
        return Located(name, tables, "the Hugging Face hub")
    raise UnknownName.among("dataset (and no file or folder)", name, CATALOG)


def locate_beside(located: Located, name: str) -> Located | None:
    """Find an out-of-domain partner in the place where the dataset itself was found; None where it is not there.

    Examples
    --------
    >>> locate_beside(locate("banking77"), "imdb") is None
    True
    """
    info = CATALOG[name]
    if located.folder is not None:
        partner = located.folder / name
        if not partner.is_dir():
            return None
        return _in_folder(name, partner, str(partner), located.folder)
    if located.plan is None or info.hub is None:
        return None
    return locate_on_hub(info)


def _in_folder(name: str, folder: Path, where: str, beside: Path | None) -> Located:
    tables = open_folder(folder)
    info = CATALOG.get(name)
    columns = ColumnNames()
    if info is not None:  # our own form needs no guess
        ours = ColumnNames("text", "text_pair" if info.paired else None, "label")
        present = next(iter(tables.values())).table.column_names
        columns = ours if {ours.text, ours.pair, ours.label} - {None} <= set(present) else columns
    return Located(name, tables, where, info, columns, folder=beside)


def locate_on_hub(info: DatasetInfo, folder: Path | None = None) -> Located:
    """Load a known dataset's tables from the Hugging Face hub.

    Parameters
    ----------
    info
        Its ``hub`` entry says what to load.
    folder
        The folder of datasets that was looked in before, for the error.

    Raises
    ------
    ModelUnavailable
        No network, no ``hub`` extra, or no copy on the hub; says what was tried.
    InvalidData
        The copy lacks a split.
    """
    looked = f"{folder} has no folder {info.name!r}" if folder else f"neither --data-dir nor {DATA_DIR_VARIABLE} is set"
    embedded = ", ".join(each.name for each in CATALOG.values() if each.embedded)
    mend = (
        f"{looked}: point it at a folder with {info.name}/train.parquet and {info.name}/test.parquet, connect to the "
        f"network, or take a dataset that is in the package ({embedded})"
    )
    if info.hub is None:
        raise ModelUnavailable(f"dataset {info.name!r} is not on the Hugging Face hub, and {mend}")
    try:
        found = read_hub(info.hub.name, info.hub.config, mend=mend)
    except MissingExtra as error:
        raise ModelUnavailable(f"dataset {info.name!r}: {error}; or {mend}") from error
    return Located(
        name=info.name,
        tables=_roles(info.hub, found, info.name),
        where="the Hugging Face hub",
        info=info,
        columns=ColumnNames(info.hub.text, info.hub.pair, info.hub.label),
        plan=info.hub,
    )


def _roles(hub: HubSource, found: Mapping[str, pa.Table], name: str) -> dict[str, OpenedTable]:
    splits = {"pool": "train", "test": hub.test}
    if isinstance(hub.validation, str):
        splits["validation"] = hub.validation
    absent = sorted(set(splits.values()) - set(found))
    if absent:
        raise InvalidData(f"{hub.name} has no split {absent[0]!r}; it has {', '.join(found)}")
    return {role: OpenedTable(found[split], f"{hub.name}: {split}", name) for role, split in splits.items()}
