"""What a section hands over, item by item, and the JSON file that keeps it.

A section yields items as they come and the file is rewritten after each, so that an interrupted run keeps what it has.
Results of sections that were not run again stay. Nothing is rendered here: the report is made from the file alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["Figure", "Item", "Lines", "Mark", "Note", "Record", "Results", "Table"]


@dataclass(frozen=True)
class Mark:
    """What a figure should reach: bounds on our own value, or on its ratio to the peer's."""

    of: Literal["ours", "ratio"]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Figure:
    """One row of the table of marks.

    Attributes
    ----------
    what
        What was measured.
    sizes
        Of n (pool), m (labelled), d (width), C (classes), k (neighbours), b (batch), those that apply.
    ours, theirs
        Medians, in ``unit``; of memory the peak. A ratio is always ours divided by theirs.
    peer
        Who the others are; empty where there is nobody to compare with.
    flop
        Operations of the distance products, where these are what the time should go into.
    raw
        Every single measurement by name.
    """

    what: str
    sizes: dict[str, int]
    ours: float
    unit: str = "s"
    peer: str = ""
    theirs: float | None = None
    marks: tuple[Mark, ...] = ()
    flop: float | None = None
    raw: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours divided by theirs."""
        return self.ours / self.theirs if self.theirs else None

    def met(self, mark: Mark) -> bool | None:
        """Say whether a mark is reached; None where the peer is missing."""
        value = self.ours if mark.of == "ours" else self.ratio
        if value is None:
            return None
        return (mark.low is None or value >= mark.low) and (mark.high is None or value <= mark.high)


@dataclass(frozen=True)
class Table:
    """A table of its own, cells already written out."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]


@dataclass(frozen=True)
class Note:
    """A sentence a reader must know, such as whether two batches agree."""

    text: str


@dataclass(frozen=True)
class Lines:
    """A log-log plot: points (x, y) by name."""

    name: str
    title: str
    x_label: str
    y_label: str
    points: dict[str, list[tuple[float, float]]]


Item = Figure | Table | Note | Lines
_KINDS: Mapping[str, type] = {kind.__name__: kind for kind in (Figure, Table, Note, Lines)}


@dataclass
class Record:
    """One section as it was last run.

    Attributes
    ----------
    commit
        Of nearmiss; a plus says that its files had changed since.
    machine, limits
        What it ran on, and what that can do; see ``benchmarks.machine`` and ``benchmarks.limits``.
    complete
        False where the run was interrupted or failed.
    """

    name: str
    date: str
    commit: str
    quick: bool
    machine: dict[str, str]
    limits: dict[str, float]
    items: list[Item] = field(default_factory=list)
    seconds: float = 0.0
    complete: bool = False


class Results:
    """The JSON file, section by section."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))
            self.records = {each["name"]: _record(each) for each in stored["sections"]}

    def save(self, record: Record) -> None:
        """Put a section's present state in place of its former results, and write the file."""
        self.records[record.name] = record
        sections = [{**vars(each), "items": [_stored(item) for item in each.items]} for each in self.records.values()]
        partial = self.path.with_suffix(".partial")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({"sections": sections}, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.path)


def _stored(item: Item) -> dict[str, Any]:
    return {"kind": type(item).__name__, **asdict(item)}


def _record(stored: dict[str, Any]) -> Record:
    return Record(**{**stored, "items": [_item(dict(each)) for each in stored["items"]]})


def _item(stored: dict[str, Any]) -> Item:
    kind = stored.pop("kind")
    if kind == "Figure":
        stored["marks"] = tuple(Mark(**mark) for mark in stored["marks"])
    item: Item = _KINDS[kind](**stored)
    return item
