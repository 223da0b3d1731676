"""The figures and tables of ``nearmiss reproduce`` as files, and the page that shows them all.

Needs the extra ``plots`` for whatever has a figure.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nearmiss.errors import InvalidInput, MissingExtra, UnknownName
from nearmiss.experiment.journal import write_atomically
from nearmiss.experiment.reporting.targets.artefact import Artefact, contents_of
from nearmiss.experiment.reporting.targets.figure2 import figure2
from nearmiss.experiment.reporting.targets.figure3 import figure3
from nearmiss.experiment.reporting.targets.grid import Grid, read_grid
from nearmiss.experiment.reporting.targets.index import index_page
from nearmiss.experiment.reporting.targets.ranking import ranking
from nearmiss.experiment.reporting.targets.runtimes import table4, table5
from nearmiss.experiment.reporting.targets.samples import table1, table2, table3
from nearmiss.experiment.reproduction import TARGETS, Reproduction

_Made = TypeVar("_Made", bound="Artefact | None")

__all__ = ["INDEX", "write_index", "write_target"]

INDEX = "README.md"
#: What can be made of the main grid.
_OF_GRID: dict[str, Callable[[Grid], Artefact]] = {
    "figure2": figure2,
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
}


def write_target(reproduction: Reproduction, target: str, directory: Path) -> tuple[Path, ...]:
    """Write a figure or table beside the paper's numbers: Markdown, CSV and LaTeX, and SVG and PNG of a figure.

    Everything is composed before the first file is written; the same reproduction gives the same bytes on the same
    machine.

    Parameters
    ----------
    reproduction
        What is finished; what is missing stands as a dash and is named below.
    target
        One of ``TARGETS``.
    directory
        Where the files go; it is made if need be.

    Raises
    ------
    UnknownName
        There is no such target; says which are near.
    MissingExtra
        A figure was asked for and matplotlib is not installed.
    InvalidInput
        Nothing that the target shows is finished.
    """
    return _write(_made(reproduction, target), directory)


def write_index(reproduction: Reproduction, directory: Path) -> Path:
    """Write ``README.md``: the answer in sentences, every figure and table that can be made, and how to repeat it all.

    The ranks over all datasets are written beside it as ``ranks``; figures are linked as ``write_target`` names them.
    A target that cannot be made yet is named with the reason.

    Raises
    ------
    MissingExtra
        matplotlib is not installed.
    InvalidInput
        No run of the main grid is finished.
    """
    grid = read_grid(reproduction)
    made: list[Artefact] = []
    absent: dict[str, str] = {}
    for target in TARGETS:
        try:
            made.append(_made(reproduction, target))
        except InvalidInput as error:
            absent[target] = str(error)
    ranks = _with_plots(lambda: ranking(grid))
    if ranks is not None:
        _write(ranks, directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / INDEX
    write_atomically(path, index_page(grid, tuple(made), absent, ranks).encode())
    return path


def _made(reproduction: Reproduction, target: str) -> Artefact:
    if target not in TARGETS:
        raise UnknownName.among("target", target, TARGETS)
    if target == "figure3":
        return _with_plots(lambda: figure3(reproduction))
    grid = read_grid(reproduction)
    return _with_plots(lambda: figure2(grid)) if target == "figure2" else _OF_GRID[target](grid)


def _with_plots(make: Callable[[], _Made]) -> _Made:
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise MissingExtra("the figures", "plots", "matplotlib") from error
    return make()


def _write(artefact: Artefact, directory: Path) -> tuple[Path, ...]:
    contents = contents_of(artefact)
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(directory / name, content)
    return tuple(directory / name for name in contents)
