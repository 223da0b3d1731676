"""What the report's template is handed: every value it prints, computed beforehand."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from nearmiss._version import __version__
from nearmiss.analysis.significance import PairedDifference, Verdict
from nearmiss.experiment.machine import usable_cores
from nearmiss.experiment.records import ExperimentResult
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.evidence import labels_table, wins_table
from nearmiss.experiment.reporting.rendering import PALETTE, Ink
from nearmiss.experiment.reporting.summary import REFERENCE, Summary
from nearmiss.experiment.reporting.tables import (
    TextTable,
    accuracy_table,
    area_table,
    cost_table,
    last_table,
    quality_table,
)
from nearmiss.experiment.reporting.verdicts import FunctionVerdict, Verdicts, judge

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = [
    "Bar",
    "Differences",
    "Drawings",
    "Fact",
    "Files",
    "ReportPage",
    "VerdictGroup",
    "describe",
    "page_title",
    "report_page",
]

TONES = {Verdict.BETTER: "better", Verdict.WORSE: "worse"}
HEADINGS = {
    Verdict.BETTER: f"Better than {REFERENCE}",
    Verdict.WORSE: f"Worse than {REFERENCE}",
    Verdict.NO_DIFFERENCE: "No difference shown",
    Verdict.NOT_TESTED: "Not tested",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the settings."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Files:
    """Names of what stands beside the page."""

    rounds_csv: str
    table_markdown: str
    figure_svg: str
    figure_png: str


@dataclass(frozen=True, slots=True)
class Drawings:
    """Inline SVG of the figures; the panels are empty where there is only one function."""

    curves_wide: Markup | str
    curves_narrow: Markup | str
    panels_wide: Markup | str
    panels_narrow: Markup | str


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval drawn on a scale from 0 to 100, with its mean and the place of zero; width 0 where there is none."""

    tone: str
    zero: float
    mean: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Differences:
    """The table of differences, each row with its bar."""

    table: TextTable
    bars: tuple[Bar, ...]

    @property
    def rows(self) -> tuple[tuple[tuple[str, ...], Bar], ...]:
        """Rows and bars side by side."""
        return tuple(zip(self.table.rows, self.bars, strict=True))


@dataclass(frozen=True, slots=True)
class VerdictGroup:
    """The functions of one verdict under a heading."""

    heading: str
    tone: str
    functions: tuple[FunctionVerdict, ...]


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The whole page.

    Attributes
    ----------
    title, facts
        What was run on what, in two lines.
    reference
        The function that all others are held against.
    verdicts, groups
        The answer in sentences, and again grouped by verdict.
    differences
        Differences to the reference with their intervals; None where nothing can be compared.
    notes
        What a reader must know: the runner's notes, and runs that are missing.
    drawings, curves_caption, panels_caption
        The figures.
    tables, memory
        The remaining numbers.
    settings, environment, files, version
        How to repeat it, and where else the numbers are.
    palette
        Colours by role, for the style sheet.
    """

    title: str
    facts: str
    reference: str
    verdicts: Verdicts
    groups: tuple[VerdictGroup, ...]
    differences: Differences | None
    notes: tuple[str, ...]
    drawings: Drawings
    curves_caption: str
    panels_caption: str
    tables: tuple[TextTable, ...]
    memory: str
    settings: str
    environment: tuple[Fact, ...]
    files: Files
    version: str
    palette: Mapping[str, Ink]


def report_page(result: ExperimentResult, summary: Summary, drawings: Drawings, files: Files) -> ReportPage:
    """Gather everything the template prints."""
    verdicts = judge(summary)
    return ReportPage(
        title=page_title(result, summary),
        facts=_facts(result, summary),
        reference=REFERENCE,
        verdicts=verdicts,
        groups=_groups(verdicts),
        differences=_differences(summary),
        notes=(*result.notes, *summary.remarks),
        drawings=drawings,
        curves_caption=_curves_caption(summary),
        panels_caption=_panels_caption(summary),
        tables=tuple(
            table
            for table in (
                accuracy_table(summary),
                labels_table(summary),
                last_table(summary),
                wins_table(summary),
                quality_table(summary),
                cost_table(summary),
            )
            if table is not None
        ),
        memory=f"Peak memory of a process: {formats.mebibytes(summary.peak_memory_bytes)}. A process works on several"
        " runs in turn, so its peak is not the cost of one function.",
        settings=result.spec.to_toml(),
        environment=_environment(),
        files=files,
        version=__version__,
        palette=PALETTE,
    )


def describe(summary: Summary) -> str:
    """Say in words what the learning-curve figure shows, for those who cannot see it."""
    ends = ", ".join(
        f"{formats.printable(function.strategy)} {100 * function.accuracy.means()[-1]:.1f} %"
        for function in sorted(summary.functions, key=lambda function: -function.accuracy.means()[-1])
    )
    return (
        f"Learning curves: test accuracy by number of labels, {formats.count(summary.budgets[0])} to"
        f" {formats.count(summary.budgets[-1])}, mean over seeds. After the last round: {ends}."
    )


def page_title(result: ExperimentResult, summary: Summary) -> str:
    """Say what was run on what, and whether the pool was capped."""
    functions, seeds = len(summary.functions), len(summary.seeds)
    return (
        f"Active learning on {result.spec.dataset}:"
        f" {functions} function{'s' if functions > 1 else ''}, {seeds} seed{'s' if seeds > 1 else ''}{summary.cap}"
    )


def _facts(result: ExperimentResult, summary: Summary) -> str:
    first, last = formats.count(summary.budgets[0]), formats.count(summary.budgets[-1])
    labels = f"{first} labels" if first == last else f"{first} to {last} labels"
    runs = sum(len(function.accuracy.seeds) for function in summary.functions)
    minutes, seconds = divmod(round(result.wall_seconds), 60)
    return (
        f"Pool of {formats.count(result.pool_size)} texts, test set of {formats.count(result.test_size)}, {labels},"
        f" classifier {result.spec.classifier.name}. {runs} run{'s' if runs > 1 else ''} in"
        f" {f'{formats.count(minutes)} min ' if minutes else ''}{seconds} s."
    )


def _groups(verdicts: Verdicts) -> tuple[VerdictGroup, ...]:
    grouped = {verdict: tuple(f for f in verdicts.functions if f.verdict is verdict) for verdict in Verdict}
    return tuple(
        VerdictGroup(HEADINGS[verdict], TONES.get(verdict, "unclear"), functions)
        for verdict, functions in grouped.items()
        if functions
    )


def _differences(summary: Summary) -> Differences | None:
    table = area_table(summary)
    comparisons = [c for function in summary.ranked if (c := function.area_comparison) is not None]
    if table is None:
        return None
    marks = [0.0, *(mark for c in comparisons for mark in _marks(c.difference))]
    low, high = min(marks), max(marks)
    # A little room on both sides, and any width at all where every difference is 0.
    low, width = low - 0.04 * (high - low), 1.08 * (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / width, 2)

    bars = []
    for c in comparisons:
        ends = c.difference.interval
        left, right = (place(ends.low), place(ends.high)) if ends else (0.0, 0.0)
        tone = TONES.get(c.verdict, "unclear")
        bars.append(Bar(tone, place(0.0), place(c.difference.mean), left, round(right - left, 2)))
    return Differences(table, tuple(bars))


def _marks(difference: PairedDifference) -> tuple[float, ...]:
    ends = difference.interval
    return (difference.mean,) if ends is None else (difference.mean, ends.low, ends.high)


def _curves_caption(summary: Summary) -> str:
    seeds = len(summary.seeds)
    spread = f", mean over {seeds} seeds; bands are ±1 standard deviation (SD)" if seeds > 1 else ", one seed"
    dashed = f" The thick dashed line is {REFERENCE}." if summary.has_reference else ""
    return f"Test accuracy by number of labels{spread}. Functions are listed by accuracy after the last round.{dashed}"


def _panels_caption(summary: Summary) -> str:
    over = f", over {REFERENCE} (dashed)" if summary.has_reference else ""
    return f"The same curves, one function to a panel{over}, largest area under the curve first; all axes are the same."


def _environment() -> tuple[Fact, ...]:
    packages = {"nearmiss": __version__} | {name: _version(name) for name in ("torch", "numpy", "scikit-learn")}
    cores = usable_cores()
    return (
        Fact("Versions", ", ".join(f"{name} {number}" for name, number in packages.items())),
        Fact("Python", platform.python_version()),
        Fact("Machine", f"{platform.system()} {platform.machine()}, {cores} core{'s' if cores > 1 else ''}"),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
