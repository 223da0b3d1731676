"""Datasets in Hugging Face's forms: by name from the hub, or from a folder that ``save_to_disk`` wrote.

Needs the ``hub`` extra, imported only when a dataset is asked for. Class names travel in the table's schema metadata,
as Hugging Face writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nearmiss.errors import InvalidData, MissingExtra, ModelUnavailable, UnknownName

if TYPE_CHECKING:
    from types import ModuleType

    import pyarrow as pa
    from datasets import Dataset, DatasetDict

__all__ = ["hub_split", "is_saved_dataset", "read_hub", "read_saved"]

_DEFAULT_SPLIT = "train"
_PROBE_SECONDS = 10
_MEND = "connect to the network, or give the path of a file or folder on this machine"


def read_hub(name: str, config: str | None = None, *, mend: str = _MEND) -> dict[str, pa.Table]:
    """Load every split of a dataset from the Hugging Face hub, its cache, or a local folder in hub form.

    Parameters
    ----------
    name
        Such as ``stanfordnlp/imdb``.
    config
        The subset, such as ``sst2`` of ``nyu-mll/glue``; None where there is one only.
    mend
        What the error advises when the dataset cannot be had.

    Returns
    -------
    dict of str to pyarrow.Table
        By split name.

    Raises
    ------
    MissingExtra
        ``datasets`` is not installed.
    ModelUnavailable
        No network and not in the cache, no dataset of that name, or one that cannot be read.

    Examples
    --------
    >>> read_hub("nobody-of-that-name/nothing")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    nearmiss.errors.ModelUnavailable: ...
    """
    datasets = _import_datasets(f"reading {name!r} from the Hugging Face hub")
    if not Path(name).is_dir():
        _probe(name, mend)
    try:
        found = datasets.load_dataset(name, config)
    except Exception as error:  # whatever downloading and parsing may raise, the user's mend is the same
        raise ModelUnavailable(
            f"dataset {_shown(name, config)} could not be loaded from the Hugging Face hub ({_first_line(error)}); "
            + mend
        ) from error
    return {split: _table(dataset) for split, dataset in found.items()}


def read_saved(folder: str | Path) -> dict[str, pa.Table]:
    """Load every split of a folder that ``Dataset.save_to_disk`` or ``DatasetDict.save_to_disk`` wrote.

    Parameters
    ----------
    folder
        Holds ``state.json`` or ``dataset_dict.json``.

    Returns
    -------
    dict of str to pyarrow.Table
        By split name; a single dataset is called ``train``.

    Raises
    ------
    MissingExtra
        ``datasets`` is not installed.
    InvalidData
        The folder is incomplete.

    Examples
    --------
    >>> import tempfile
    >>> from datasets import Dataset, disable_progress_bars
    >>> disable_progress_bars()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Dataset.from_dict({"text": ["good film"]}).save_to_disk(folder)
    ...     read_saved(folder)["train"].column_names
    ['text']
    """
    datasets = _import_datasets(f"reading the dataset folder {folder}")
    try:
        found: Dataset | DatasetDict = datasets.load_from_disk(str(folder))
    except Exception as error:  # see read_hub
        raise InvalidData(f"{folder} is not a whole saved dataset ({_first_line(error)}); save it again") from error
    if isinstance(found, datasets.DatasetDict):
        return {str(split): _table(dataset) for split, dataset in found.items()}
    return {_DEFAULT_SPLIT: _table(found)}


def is_saved_dataset(folder: Path) -> bool:
    """Say whether ``save_to_disk`` wrote this folder.

    Examples
    --------
    >>> is_saved_dataset(Path("no/such/folder"))
    False
    """
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def hub_split(splits: dict[str, pa.Table], split: str | None, where: str) -> pa.Table:
    """Pick one split: the one asked for, else ``train``, else the only one.

    Raises
    ------
    UnknownName
        No split of that name.
    InvalidData
        Several splits, none of them ``train``, and none asked for.

    Examples
    --------
    >>> hub_split({"test": "the table"}, None, "films")
    'the table'
    """
    if split is not None and split not in splits:
        raise UnknownName.among(f"split of {where}", split, splits)
    if split is None and len(splits) > 1 and _DEFAULT_SPLIT not in splits:
        raise InvalidData(f"{where} has the splits {', '.join(splits)}; read_corpus(..., split=...) takes one")
    chosen = split or (_DEFAULT_SPLIT if _DEFAULT_SPLIT in splits else next(iter(splits)))
    return splits[chosen]


def _import_datasets(purpose: str) -> ModuleType:
    try:
        import datasets
    except ImportError:
        raise MissingExtra(purpose, "hub", "datasets") from None
    module: ModuleType = datasets
    return module


def _probe(name: str, mend: str) -> None:
    """Refuse at once what cannot be had, where ``datasets`` would try again and again for half a minute."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    try:
        huggingface_hub.HfApi().dataset_info(name, timeout=_PROBE_SECONDS)
    except (RepositoryNotFoundError, HFValidationError):
        raise ModelUnavailable(
            f"the Hugging Face hub has no dataset {name!r}, or it is private; check the name (owner/name), or {mend}"
        ) from None
    except HfHubHTTPError:
        return  # the hub answers, though not with this: let the download say why
    except Exception as error:  # no network, offline mode: the kinds differ between versions of the client
        if not _is_cached(name):
            raise ModelUnavailable(
                f"dataset {name!r} is not on this machine and the Hugging Face hub cannot be reached "
                f"({_first_line(error)}); {mend}"
            ) from None


def _is_cached(name: str) -> bool:
    import datasets
    from huggingface_hub import constants

    return any(
        folder.exists()
        for folder in (
            Path(constants.HF_HUB_CACHE, "datasets--" + name.replace("/", "--")),
            Path(datasets.config.HF_DATASETS_CACHE, name.replace("/", "___")),
        )
    )


def _table(dataset: Dataset) -> pa.Table:
    table: pa.Table = dataset.with_format("arrow")[:]
    return table.replace_schema_metadata(dataset.features.arrow_schema.metadata)


def _shown(name: str, config: str | None) -> str:
    return repr(name) if config is None else f"{name!r} ({config})"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
