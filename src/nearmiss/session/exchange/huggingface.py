"""A folder that ``datasets.load_dataset`` reads: the rows, the classes, and a card that tells how each label came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from nearmiss.errors import InvalidInput
from nearmiss.session.exchange.dataset_card import dataset_card
from nearmiss.session.exchange.item_table import items_as_table
from nearmiss.session.exchange.records import ExchangedItem
from nearmiss.session.exchange.whole import write_whole_file, write_whole_folder
from nearmiss.text.writers import write_table

__all__ = ["ROWS", "write_huggingface"]

#: Where the rows lie in the folder.
ROWS = "data/train.parquet"
_CARD = "README.md"
_CONTENTS = frozenset({_CARD, "data"})


def write_huggingface(
    items: Sequence[ExchangedItem],
    path: Path,
    *,
    label_names: Sequence[str],
    guideline: str = "",
    overwrite: bool = False,
) -> None:
    """Write a dataset folder, whole or not at all.

    Parameters
    ----------
    items
        At least one.
    path
        The folder to be.
    label_names
        The classes in the order of their ids; every label that holds is among them.
    guideline
        What annotators were told; goes into the card.
    overwrite
        Replace an earlier export; a folder that holds anything else never is.

    Raises
    ------
    InvalidInput
        No items, an undeclared label, a name declared twice, a folder that is there already.
    InvalidData
        The disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     items = [ExchangedItem("7", "good film", label="pos")]
    ...     write_huggingface(items, Path(folder, "films"), label_names=["neg", "pos"])
    ...     sorted(file.name for file in Path(folder, "films").iterdir())
    ['README.md', 'data']
    """
    names = list(label_names)
    if len(set(names)) < len(names):
        raise InvalidInput(f"a label name is declared twice in {', '.join(names)}; name each class once")
    table = _with_classes(items_as_table(items), names)
    card = dataset_card(items, path.name, names, guideline)

    def fill(folder: Path) -> None:
        rows = folder / ROWS
        rows.parent.mkdir()
        write_table(table, rows)
        write_whole_file(folder / _CARD, [card])

    write_whole_folder(path, fill, contents=_CONTENTS, overwrite=overwrite)


def _with_classes(table: pa.Table, names: list[str]) -> pa.Table:
    ids = {name: number for number, name in enumerate(names)}
    labels = table["label"].to_pylist()
    for number, label in enumerate(labels, start=1):
        if label is not None and label not in ids:
            raise InvalidInput(f"item {number}: label {label!r} is not among the label names ({', '.join(names)})")
    column = pa.array([None if label is None else ids[label] for label in labels], pa.int64())
    table = table.set_column(table.column_names.index("label"), "label", column)
    if not names:
        return table
    feature = {"names": names, "_type": "ClassLabel"}
    declaration = {"info": {"features": {"label": feature}}}
    return table.replace_schema_metadata({"huggingface": json.dumps(declaration)})
