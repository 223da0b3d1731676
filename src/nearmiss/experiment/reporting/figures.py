"""The learning curves as figures: all functions in one, and each against random; wide for a page, narrow for a phone.

Needs matplotlib, imported on use and without pyplot. A function keeps its colour, marker and dashes in all figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.rendering import FONT_SIZE, PALETTE, settings
from nearmiss.experiment.reporting.summary import REFERENCE, FunctionSummary, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["NARROW", "WIDE", "Layout", "function_panels", "learning_curves"]


@dataclass(frozen=True, slots=True)
class _Look:
    """A colour by its role, a marker (none if empty), and lengths on and off in line widths (solid if empty)."""

    role: str
    marker: str
    dashes: tuple[float, ...]


REFERENCE_LOOK = _Look("series-reference", "", (4.0, 2.0))
SERIES = tuple(role for role in PALETTE if role.startswith("series-") and role != REFERENCE_LOOK.role)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
#: The order in which functions take their looks: every colour with a solid line, then dashed, then dotted.
LOOKS = tuple(
    _Look(role, marker, dashes)
    for dashes, (role, marker) in product(((), (5.0, 1.5), (1.2, 1.2)), zip(SERIES, MARKERS, strict=True))
)


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


@dataclass(frozen=True, slots=True)
class _Series:
    """One function and how it is drawn."""

    function: FunctionSummary
    look: _Look

    @property
    def color(self) -> str:
        return _ink(self.look.role)

    @property
    def is_reference(self) -> bool:
        return self.look is REFERENCE_LOOK

    @property
    def label(self) -> str:
        return _shortened(formats.printable(self.function.strategy), 32)

    @property
    def end(self) -> float:
        """Mean accuracy of the last round, in %."""
        return 100 * float(self.function.accuracy.means()[-1])


def learning_curves(summary: Summary, layout: Layout = WIDE) -> Figure:
    """Draw mean accuracy by number of labels, one line per function, with ±1 standard deviation over seeds as a band.

    Random is a thick dashed line in the colour of the text.
    """
    from matplotlib.figure import Figure

    with settings():
        figure = Figure(figsize=(layout.width, layout.height))
        axes = figure.add_subplot()
        series = _all_series(summary)
        lines = [_draw(axes, one, band=0.08) for one in series]
        _dress(axes, summary)
        spread = ", mean ± 1 SD over seeds" if len(summary.seeds) > 1 else ", one seed"
        axes.set_title(f"Test accuracy{spread}", loc="left", fontsize=FONT_SIZE, color=_ink("figure-quiet"), pad=10)
        axes.set_xlabel("labels")
        if layout.names_at_line_ends:
            room = 0.09 + 0.0093 * max(len(one.label) for one in series)
            figure.subplots_adjust(left=0.065, right=1 - room, top=0.92, bottom=0.115)
            _name_line_ends(axes, series, layout)
        else:
            rows = -(-len(series) // 2)
            figure.set_figheight(layout.height + 0.22 * rows)
            below = (0.62 + 0.22 * rows) / figure.get_figheight()
            figure.subplots_adjust(left=0.12, right=0.975, top=0.925, bottom=below)
            _legend_below(figure, series, lines)
    return figure


def function_panels(summary: Summary, layout: Layout = WIDE) -> Figure:
    """Draw each function in a panel of its own, over random where there is one, largest area first; axes are shared."""
    from matplotlib.figure import Figure

    with settings():
        series = {one.function.strategy: one for one in _all_series(summary)}
        reference = series.pop(REFERENCE, None)
        shown = [series[function.strategy] for function in summary.ranked if function.strategy in series]
        rows = -(-len(shown) // layout.panels)
        figure = Figure(figsize=(layout.width, 1.75 * rows + 0.3))
        grid = figure.subplots(rows, layout.panels, sharex=True, sharey=True, squeeze=False).ravel()
        for position, (axes, one) in enumerate(zip(grid, shown, strict=False)):
            if reference is not None:
                _draw(axes, reference, band=0.12).set(zorder=1.5, linewidth=1.8)
            _draw(axes, one, band=0.2)
            _dress(axes, summary)
            _thin_ticks(axes, summary)
            axes.tick_params(labelbottom=position + layout.panels >= len(shown))
            name = _shortened(one.label, round(18.5 * layout.width / layout.panels / 2))
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


def _all_series(summary: Summary) -> tuple[_Series, ...]:
    others = [function for function in summary.functions if function.strategy != REFERENCE]
    looks = {function.strategy: LOOKS[i % len(LOOKS)] for i, function in enumerate(others)}
    return tuple(_Series(function, looks.get(function.strategy, REFERENCE_LOOK)) for function in summary.functions)


def _ink(role: str) -> str:
    return PALETTE[role].light


def _draw(axes: Axes, series: _Series, band: float) -> Line2D:
    curves = series.function.accuracy
    means, deviations = 100 * curves.means(), curves.deviations()
    if deviations is not None:
        low, high = means - 100 * deviations, means + 100 * deviations
        axes.fill_between(curves.n_labeled, low, high, color=series.color, alpha=band, linewidth=0, zorder=1)
    (line,) = axes.plot(
        curves.n_labeled,
        means,
        color=series.color,
        marker=series.look.marker or ("o" if len(means) == 1 else None),
        markersize=4.5,
        markeredgewidth=0,
        linestyle=(0, series.look.dashes) if series.look.dashes else "solid",
        linewidth=2.6 if series.is_reference else 1.6,
        zorder=3 if series.is_reference else 2,
    )
    return line


def _dress(axes: Axes, summary: Summary) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_ink("figure-axis"))
    axes.grid(axis="y", color=_ink("figure-grid"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=_ink("figure-text"))
    if len(summary.budgets) <= 8:
        axes.set_xticks(summary.budgets)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.count(round(value))))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    first, last = summary.budgets[0], summary.budgets[-1]
    margin = 0.02 * (last - first) or 1.0
    axes.set_xlim(first - margin, last + margin)


def _thin_ticks(axes: Axes, summary: Summary) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xticks(sorted({summary.budgets[0], summary.budgets[-1]}))
    ends = axes.get_xticklabels()
    if len(ends) > 1:
        # Kept inside their panel, where the neighbour's first label begins.
        ends[0].set_horizontalalignment("left")
        ends[-1].set_horizontalalignment("right")
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize="small", colors=_ink("figure-quiet"))


def _name_line_ends(axes: Axes, series: Sequence[_Series], layout: Layout) -> None:
    """Write names and last values right of the axes, in the order of the line ends, pushed apart where they touch."""
    low, high = axes.get_ylim()
    line_height = 1.45 * FONT_SIZE / 72 / (layout.height * axes.get_position().height)
    heights = _spread([(one.end - low) / (high - low) for one in series], line_height)
    for one, height in zip(series, heights, strict=True):
        line = {"arrowstyle": "-", "color": one.color, "linewidth": 0.8, "alpha": 0.6, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            "",
            xy=(float(one.function.accuracy.n_labeled[-1]), one.end),
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


def _legend_below(figure: Figure, series: Sequence[_Series], lines: Sequence[Line2D]) -> None:
    """List the functions in two columns, best last value first, read column by column."""
    order = sorted(range(len(series)), key=lambda i: -series[i].end)
    # Placeholders first: a legend drops names that begin with an underscore and reads $ as mathematics.
    legend = figure.legend(
        [lines[i] for i in order],
        [str(i) for i in order],
        loc="lower left",
        bbox_to_anchor=(0.02, 0.0),
        ncols=2,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
        labelspacing=0.4,
        borderaxespad=0,
        fontsize="small",
    )
    for text, i in zip(legend.get_texts(), order, strict=True):
        text.set_parse_math(False)
        text.set_text(f"{_shortened(series[i].label, 22)} {series[i].end:.1f}")


def _shortened(name: str, length: int) -> str:
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[: length - 1 - half]}…{name[-half:]}"
