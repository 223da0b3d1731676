"""The learning curves as figures: all functions in one, and each against random; wide for a page, narrow for a phone.

Needs matplotlib, imported on use and without pyplot. A function keeps its colour, marker and dashes in all figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.rendering import FONT_SIZE, settings
from nearmiss.experiment.reporting.series import (
    Place,
    Series,
    draw,
    dress,
    ink,
    legend,
    looks_of,
    shortened,
    thin_ticks,
)
from nearmiss.experiment.reporting.summary import REFERENCE, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["NARROW", "WIDE", "Layout", "function_panels", "learning_curves"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a figure is read: its width, how its lines are named, and how many panels stand in a row.

    Attributes
    ----------
    width, height
        In inches; a legend adds to the height.
    names_at_line_ends
        Whether names stand at the ends of the lines; if not, in a legend below.
    panels
        Panels in a row.
    """

    width: float
    height: float
    names_at_line_ends: bool
    panels: int


WIDE = Layout(width=9.2, height=5.0, names_at_line_ends=True, panels=4)
NARROW = Layout(width=4.2, height=4.1, names_at_line_ends=False, panels=2)


def learning_curves(summary: Summary, layout: Layout = WIDE) -> Figure:
    """Draw mean accuracy by number of labels, one line per function, with ±1 standard deviation over seeds as a band.

    Random is a thick dashed line in the colour of the text.
    """
    from matplotlib.figure import Figure

    with settings():
        figure = Figure(figsize=(layout.width, layout.height))
        axes = figure.add_subplot()
        series = tuple(_all_series(summary).values())
        lines = [draw(axes, one, band=0.08) for one in series]
        dress(axes, summary.budgets)
        heading = _heading(summary, layout)
        axes.set_title(heading, loc="left", fontsize=FONT_SIZE, color=ink("figure-quiet"), pad=10)
        axes.set_xlabel("labels")
        if layout.names_at_line_ends:
            room = 0.09 + 0.0093 * max(len(one.label) for one in series)
            figure.subplots_adjust(left=0.065, right=1 - room, top=0.92, bottom=0.115)
            _name_line_ends(axes, series, layout)
        else:
            rows = -(-len(series) // 2)
            figure.set_figheight(layout.height + 0.22 * rows)
            below = (0.62 + 0.22 * rows) / figure.get_figheight()
            figure.subplots_adjust(left=0.12, right=0.975, top=0.925 - 0.04 * heading.count("\n"), bottom=below)
            _legend_below(figure, series, lines)
    return figure


def function_panels(summary: Summary, layout: Layout = WIDE) -> Figure:
    """Draw each function in a panel of its own, over random where there is one, largest area first; axes are shared."""
    from matplotlib.figure import Figure

    with settings():
        series = _all_series(summary)
        reference = series.pop(REFERENCE, None)
        shown = [series[function.strategy] for function in summary.ranked if function.strategy in series]
        rows = -(-len(shown) // layout.panels)
        figure = Figure(figsize=(layout.width, 1.75 * rows + 0.3))
        grid = figure.subplots(rows, layout.panels, sharex=True, sharey=True, squeeze=False).ravel()
        for position, (axes, one) in enumerate(zip(grid, shown, strict=False)):
            if reference is not None:
                draw(axes, reference, band=0.12).set(zorder=1.5, linewidth=1.8)
            draw(axes, one, band=0.2)
            dress(axes, summary.budgets)
            thin_ticks(axes, summary.budgets)
            axes.tick_params(labelbottom=position + layout.panels >= len(shown))
            name = shortened(one.label, round(18.5 * layout.width / layout.panels / 2))
            title = axes.set_title(name, loc="left", fontsize=FONT_SIZE, pad=5, parse_math=False)
            title.set_fontweight("bold")
        for axes in grid[len(shown) :]:
            axes.set_visible(False)
        inch = 1 / figure.get_figheight()
        left = 0.5 / layout.width
        figure.subplots_adjust(
            left=left, right=1 - 0.1 / layout.width, top=1 - 0.3 * inch, bottom=0.3 * inch, wspace=0.12, hspace=0.32
        )
    return figure


def _heading(summary: Summary, layout: Layout) -> str:
    """Say what is drawn; in a narrow figure the cap on the pool has a line of its own."""
    spread = ", mean ± 1 SD over seeds" if len(summary.seeds) > 1 else ", one seed"
    cap = summary.cap if layout.names_at_line_ends else summary.cap.replace(", ", ",\n", 1)
    return f"Test accuracy{spread}{cap}"


def _all_series(summary: Summary) -> dict[str, Series]:
    looks = looks_of(function.strategy for function in summary.functions)
    return {
        function.strategy: Series(
            shortened(formats.printable(function.strategy), 32), function.accuracy, looks[function.strategy]
        )
        for function in summary.functions
    }


def _name_line_ends(axes: Axes, series: Sequence[Series], layout: Layout) -> None:
    """Write names and last values right of the axes, in the order of the line ends, pushed apart where they touch."""
    low, high = axes.get_ylim()
    line_height = 1.45 * FONT_SIZE / 72 / (layout.height * axes.get_position().height)
    heights = _spread([(one.end - low) / (high - low) for one in series], line_height)
    for one, height in zip(series, heights, strict=True):
        line = {"arrowstyle": "-", "color": one.color, "linewidth": 0.8, "alpha": 0.6, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            "",
            xy=(float(one.curves.n_labeled[-1]), one.end),
            xytext=(1.03, height),
            textcoords="axes fraction",
            annotation_clip=False,
            arrowprops=line,
        )
        axes.plot(
            [1.03],
            [height],
            transform=axes.transAxes,
            clip_on=False,
            color=one.color,
            marker=one.look.marker or "_",
            markersize=5 if one.look.marker else 8,
            markeredgewidth=0 if one.look.marker else 2.6,
            linestyle="none",
        )
        text = f"{one.label}  {one.end:.1f}"
        weight = "bold" if one.is_reference else "normal"
        axes.text(1.05, height, text, transform=axes.transAxes, va="center_baseline", weight=weight, parse_math=False)


def _spread(heights: Sequence[float], gap: float) -> tuple[float, ...]:
    """Move heights between 0 and 1 as little as needed so that neighbours keep at least the gap; the order stays.

    Neighbours that touch merge into a block, centred on the mean of what its members wanted, and kept inside as far as
    the block fits.
    """
    blocks: list[list[int]] = []

    def bottom(block: list[int]) -> float:
        length = gap * (len(block) - 1)
        wanted = float(np.mean([heights[i] for i in block])) - length / 2
        return max(min(wanted, 1 - length), min(0.0, (1 - length) / 2))

    for index in sorted(range(len(heights)), key=lambda i: heights[i]):
        blocks.append([index])
        while len(blocks) > 1 and bottom(blocks[-2]) + gap * len(blocks[-2]) > bottom(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    placed = {index: bottom(block) + gap * step for block in blocks for step, index in enumerate(block)}
    return tuple(placed[i] for i in range(len(heights)))


def _legend_below(figure: Figure, series: Sequence[Series], lines: Sequence[Line2D]) -> None:
    """List the functions in two columns, best last value first, read column by column."""
    order = sorted(range(len(series)), key=lambda i: -series[i].end)
    entries = [(f"{shortened(series[i].label, 22)} {series[i].end:.1f}", lines[i]) for i in order]
    legend(figure, entries, Place("lower left", (0.02, 0.0), columns=2))
