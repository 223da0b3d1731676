"""The report of an experiment: one self-contained HTML page, with its rounds, tables and figure as files beside it.

The terminal table and the CSV need no optional part; the page and the figures need the extra ``plots``.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearmiss.errors import MissingExtra
from nearmiss.experiment.journal import write_atomically
from nearmiss.experiment.records import ExperimentResult, FullSupervision
from nearmiss.experiment.reporting.evidence import labels_table, wins_table
from nearmiss.experiment.reporting.figures import NARROW, WIDE, function_panels, learning_curves
from nearmiss.experiment.reporting.page import Drawings, Files, ReportPage, describe, page_title, report_page
from nearmiss.experiment.reporting.rendering import figure_png, figure_svg, inline_svg
from nearmiss.experiment.reporting.summary import Summary, summarize
from nearmiss.experiment.reporting.tables import (
    accuracy_table,
    area_table,
    cost_table,
    last_table,
    markdown,
    quality_table,
    rounds_csv,
    summary_table,
)
from nearmiss.experiment.reporting.verdicts import verdict_sentences

__all__ = ["ReportPaths", "rounds_csv", "summary_table", "verdict_sentences", "write_report", "write_rounds"]

HTML = "report.html"
FILES = Files(
    rounds_csv="results.csv",
    table_markdown="table.md",
    figure_svg="learning_curves.svg",
    figure_png="learning_curves.png",
)


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the parts of a report were written."""

    html: Path
    rounds_csv: Path
    table_markdown: Path
    figure_svg: Path
    figure_png: Path


def write_report(result: ExperimentResult, directory: Path, full: Sequence[FullSupervision] = ()) -> ReportPaths:
    """Write the page, the rounds, the tables and the figure into a directory, which is made if need be.

    Everything is composed before the first file is written, and each file appears whole or not at all. The same result
    gives the same bytes on the same machine.

    Parameters
    ----------
    result
        The finished runs.
    directory
        Where the files go.
    full
        Models trained on the whole pool; with them, the report says how many labels come near them.

    Raises
    ------
    MissingExtra
        matplotlib or Jinja2 is not installed; nothing was written.
    InvalidInput
        There is no finished run.
    """
    for package in ("matplotlib", "jinja2"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtra("the report", "plots", package) from error
    summary = summarize(result, full)
    figure = learning_curves(summary, WIDE)
    contents = {
        FILES.rounds_csv: rounds_csv(result).encode(),
        FILES.table_markdown: _tables(page_title(result, summary), summary).encode(),
        FILES.figure_svg: figure_svg(figure).encode(),
        FILES.figure_png: figure_png(figure),
        HTML: _html(report_page(result, summary, _drawings(summary), FILES)).encode(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(directory / name, content)
    return ReportPaths(
        html=directory / HTML,
        rounds_csv=directory / FILES.rounds_csv,
        table_markdown=directory / FILES.table_markdown,
        figure_svg=directory / FILES.figure_svg,
        figure_png=directory / FILES.figure_png,
    )


def write_rounds(result: ExperimentResult, directory: Path) -> Path:
    """Write every round as CSV into a directory, which is made if need be; needs no optional part."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / FILES.rounds_csv
    write_atomically(path, rounds_csv(result).encode())
    return path


def _tables(title: str, summary: Summary) -> str:
    tables = (
        accuracy_table(summary),
        area_table(summary),
        labels_table(summary),
        last_table(summary),
        wins_table(summary),
        quality_table(summary),
        cost_table(summary),
    )
    return "\n".join([f"# {title}\n", *(markdown(table) for table in tables if table is not None)])


def _drawings(summary: Summary) -> Drawings:
    from markupsafe import Markup

    curves = describe(summary)
    panels = "The same curves, one function to a panel."
    several = len(summary.functions) > 2
    return Drawings(
        curves_wide=Markup(inline_svg(learning_curves(summary, WIDE), "curves-wide", curves)),
        curves_narrow=Markup(inline_svg(learning_curves(summary, NARROW), "curves-narrow", curves)),
        panels_wide=Markup(inline_svg(function_panels(summary, WIDE), "panels-wide", panels)) if several else "",
        panels_narrow=Markup(inline_svg(function_panels(summary, NARROW), "panels-narrow", panels)) if several else "",
    )


def _html(page: ReportPage) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nearmiss.experiment.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html").render(page=page)
