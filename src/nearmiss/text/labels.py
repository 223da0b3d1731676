"""A column of labels into class ids and class names."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nearmiss.errors import InvalidData

__all__ = ["UNLABELED", "EncodedLabels", "declared_names", "encode_labels"]

#: The id of a row without a label.
UNLABELED = -1

_INTEGER = re.compile(r"[+-]?\d+(\.0+)?")
_JSON_BLOCK = re.compile(r"```json\s*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedLabels:
    """Labels as ids.

    Attributes
    ----------
    ids
        Shape (n,), int64; ``UNLABELED`` where a row has none.
    names
        Class names in the order of their ids.
    notes
        Sentences a user should see.
    """

    ids: npt.NDArray[np.int64]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def encode_labels(values: Sequence[object], names: Sequence[str] | None, where: str) -> EncodedLabels:
    """Turn labels of any plain kind into class ids.

    A label is a name, or an id that counts the names from 0. Without declared names they are what occurs: strings
    sorted, numbers in numeric order, ``false`` before ``true``. Empty, null and NaN are no label; so is -1 beside
    declared names, which is how GLUE's unlabelled test sets write it.

    Parameters
    ----------
    values
        Strings, integers, whole floats or booleans; None for none.
    names
        The declared class names; None takes what occurs.
    where
        What errors call the column.

    Raises
    ------
    InvalidData
        A label that is not among the declared names, a fraction, a list (several labels a row), names declared twice.

    Examples
    --------
    >>> encode_labels(["pos", "neg", None], None, "films.csv").ids
    array([ 1,  0, -1])
    >>> encode_labels([1, 0], ["negative", "positive"], "films.csv").names
    ('negative', 'positive')
    """
    written = [_written(value, row, where) for row, value in enumerate(values, start=1)]
    if names is not None:
        return EncodedLabels(_ids(written, _Declared(tuple(names), where), where), tuple(names))
    present = {label for label in written if label is not None}
    if all(_INTEGER.fullmatch(label) for label in present):
        written = [None if label is None else _whole(label) for label in written]
        found = tuple(sorted({label for label in written if label is not None}, key=int))
    else:
        found = tuple(sorted(present))
    return EncodedLabels(_ids(written, _Declared(found, where), where), found, _look_alikes(found))


class _Declared:
    """Which id a written label has among these names."""

    def __init__(self, names: tuple[str, ...], where: str) -> None:
        self.names = names
        self._ids = {name.strip(): position for position, name in enumerate(names)}
        if len(self._ids) < len(names):
            raise InvalidData(f"{where}: a label name is declared twice in {', '.join(names)}")
        # Among names that are words, a number can only mean a position.
        self._counted = not any(_INTEGER.fullmatch(name) for name in self._ids)

    def id_of(self, label: str) -> int | None:
        if label in self._ids:
            return self._ids[label]
        if not _INTEGER.fullmatch(label):
            return None
        whole = _whole(label)
        if whole == "-1":
            return self._ids.get(whole, UNLABELED)
        if self._counted:
            return int(whole) if 0 <= int(whole) < len(self.names) else None
        return self._ids.get(whole)


def _whole(label: str) -> str:
    return str(int(label.partition(".")[0]))


def _written(value: object, row: int, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if value.is_integer():
            return str(int(value))
        raise InvalidData(f"{where}: row {row}: label {value} is a fraction; a class is a name or a whole number")
    if isinstance(value, str):
        return value.strip() or None
    raise InvalidData(
        f"{where}: row {row}: the label is {_kind(value)}; each row needs one name or whole number "
        "(several labels a row are not supported)"
    )


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else f"of type {type(value).__name__}"


def _ids(written: Sequence[str | None], declared: _Declared, where: str) -> npt.NDArray[np.int64]:
    ids = np.full(len(written), UNLABELED, dtype=np.int64)
    for row, label in enumerate(written):
        if label is None:
            continue
        position = declared.id_of(label)
        if position is None:
            raise InvalidData(_undeclared(label, row + 1, declared.names, where))
        ids[row] = position
    return ids


def _undeclared(label: str, row: int, names: tuple[str, ...], where: str) -> str:
    near = difflib.get_close_matches(label, names, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"{where}: row {row}: label {label!r} is not among the declared names ({shown}){hint}"


def _look_alikes(names: Sequence[str]) -> tuple[str, ...]:
    by_folded: dict[str, str] = {}
    notes = []
    for name in names:
        other = by_folded.setdefault(name.casefold(), name)
        if other != name:
            notes.append(f"labels {other!r} and {name!r} differ only in case and count as two classes")
    return tuple(notes)


def declared_names(schema: pa.Schema, label_column: str, folder: Path | None) -> tuple[str, ...] | None:
    """Find the class names that a file's schema or its folder declares.

    Looked for in this order: the ``ClassLabel`` that Hugging Face datasets writes into a schema, a ``json`` block
    ``{"label_names": [...]}`` in the folder's README.md, the features of its dataset_info.json.

    Parameters
    ----------
    schema
        Of the file.
    label_column
        The column in question.
    folder
        Where the file lies; None for what lies nowhere.

    Returns
    -------
    tuple of str or None
        Names in the order of their ids; None where nothing declares them.

    Raises
    ------
    InvalidData
        A declaration that is not a list of names.

    Examples
    --------
    >>> declaration = '{"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}'
    >>> schema = pa.schema([("label", pa.int64())], metadata={"huggingface": declaration})
    >>> declared_names(schema, "label", None)
    ('neg', 'pos')
    """
    names = _class_label((schema.metadata or {}).get(b"huggingface"), label_column)
    if names is None and folder is not None:
        names = _from_readme(folder / "README.md")
    if names is None and folder is not None:
        names = _class_label(_content(folder / "dataset_info.json"), label_column)
    return names


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _class_label(declaration: bytes | None, column: str) -> tuple[str, ...] | None:
    if declaration is None:
        return None
    try:
        info = json.loads(declaration)
    except ValueError:
        return None
    feature = _at(info, "info", "features", column) or _at(info, "features", column)
    names = _at(feature, "names")
    return tuple(str(name) for name in names) if isinstance(names, list) else None


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _from_readme(path: Path) -> tuple[str, ...] | None:
    content = _content(path)
    if content is None:
        return None
    for block in _JSON_BLOCK.findall(content.decode("utf-8", "replace").replace("\r\n", "\n")):
        try:
            names = _at(json.loads(block), "label_names")
        except ValueError:
            continue
        if names is None:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidData(f'{path}: "label_names" must be a list of strings')
        return tuple(names)
    return None
