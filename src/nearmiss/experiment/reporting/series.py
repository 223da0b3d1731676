"""One function as a line on a figure: its look, the band around it, and the axes it stands on.

Needs matplotlib, imported on use and without pyplot. Every figure draws its lines through here, so that a function
looks the same wherever it appears: colour, marker and dashes each tell it apart on their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Literal

from nearmiss.analysis.curves import LearningCurves
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.rendering import PALETTE
from nearmiss.experiment.reporting.summary import REFERENCE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = [
    "LOOKS",
    "REFERENCE_LOOK",
    "SERIES",
    "Look",
    "Place",
    "Series",
    "draw",
    "dress",
    "ink",
    "legend",
    "looks_of",
    "shortened",
    "thin_ticks",
]


@dataclass(frozen=True, slots=True)
class Look:
    """A colour by its role, a marker (none if empty), and lengths on and off in line widths (solid if empty)."""

    role: str
    marker: str
    dashes: tuple[float, ...]


REFERENCE_LOOK = Look("series-reference", "", (4.0, 2.0))
SERIES = tuple(role for role in PALETTE if role.startswith("series-") and role != REFERENCE_LOOK.role)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
#: The order in which functions take their looks: every colour with a solid line, then dashed, then dotted.
LOOKS = tuple(
    Look(role, marker, dashes)
    for dashes, (role, marker) in product(((), (5.0, 1.5), (1.2, 1.2)), zip(SERIES, MARKERS, strict=True))
)


def looks_of(strategies: Iterable[str]) -> dict[str, Look]:
    """Give each function its look, in order; random always has the same one and uses up none.

    Examples
    --------
    >>> looks = looks_of(["cal", "random", "margin"])
    >>> looks["random"] == REFERENCE_LOOK, looks["margin"] == LOOKS[1]
    (True, True)
    """
    names = list(dict.fromkeys(strategies))
    others = [name for name in names if name != REFERENCE]
    looks = {name: LOOKS[i % len(LOOKS)] for i, name in enumerate(others)}
    return {name: looks.get(name, REFERENCE_LOOK) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One function's accuracy and how it is drawn."""

    label: str
    curves: LearningCurves
    look: Look

    @property
    def color(self) -> str:
        """Its colour on a light page."""
        return ink(self.look.role)

    @property
    def is_reference(self) -> bool:
        """Whether it is drawn as what all others are held against."""
        return self.look is REFERENCE_LOOK

    @property
    def end(self) -> float:
        """Mean accuracy of the last round, in %."""
        return 100 * float(self.curves.means()[-1])


def ink(role: str) -> str:
    """Give a role's colour on a light page."""
    return PALETTE[role].light


def draw(axes: Axes, series: Series, band: float, size: float = 4.5) -> Line2D:
    """Draw the mean over seeds, and ±1 standard deviation as a band of the given opacity."""
    curves = series.curves
    means, deviations = 100 * curves.means(), curves.deviations()
    if deviations is not None:
        low, high = means - 100 * deviations, means + 100 * deviations
        axes.fill_between(curves.n_labeled, low, high, color=series.color, alpha=band, linewidth=0, zorder=1)
    (line,) = axes.plot(
        curves.n_labeled,
        means,
        color=series.color,
        marker=series.look.marker or ("o" if len(means) == 1 else None),
        markersize=size,
        markeredgewidth=0,
        linestyle=(0, series.look.dashes) if series.look.dashes else "solid",
        linewidth=2.6 if series.is_reference else 1.6,
        zorder=3 if series.is_reference else 2,
    )
    return line


def dress(axes: Axes, budgets: Sequence[int]) -> None:
    """Set grid, spines and ticks for accuracy in % by number of labels."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(ink("figure-axis"))
    axes.grid(axis="y", color=ink("figure-grid"), linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=ink("figure-text"))
    if len(budgets) <= 8:
        axes.set_xticks(budgets)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.count(round(value))))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    first, last = budgets[0], budgets[-1]
    margin = 0.02 * (last - first) or 1.0
    axes.set_xlim(first - margin, last + margin)


def thin_ticks(axes: Axes, budgets: Sequence[int]) -> None:
    """Keep few and quiet ticks, for a panel among others."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xticks(sorted({budgets[0], budgets[-1]}))
    ends = axes.get_xticklabels()
    if len(ends) > 1:
        # Kept inside their panel, where the neighbour's first label begins.
        ends[0].set_horizontalalignment("left")
        ends[-1].set_horizontalalignment("right")
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.tick_params(labelsize="small", colors=ink("figure-quiet"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a legend stands: a corner of it, at a point of the figure, and how many columns it has."""

    corner: Literal["lower left", "upper left"]
    at: tuple[float, float]
    columns: int


def legend(figure: Figure, entries: Sequence[tuple[str, Line2D]], place: Place) -> None:
    """List lines by name, in reading order, below or beside the axes."""
    # Placeholders first: a legend drops names that begin with an underscore and reads $ as mathematics.
    drawn = figure.legend(
        [line for _, line in entries],
        [str(i) for i in range(len(entries))],
        loc=place.corner,
        bbox_to_anchor=place.at,
        ncols=place.columns,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
        labelspacing=0.4,
        borderaxespad=0,
        fontsize="small",
    )
    for text, (name, _) in zip(drawn.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(name)


def shortened(name: str, length: int) -> str:
    """Cut a name in the middle, so that its beginning and its end stay.

    Examples
    --------
    >>> shortened("cal:divergence=cross-entropy", 16)
    'cal:dive…entropy'
    """
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[: length - 1 - half]}…{name[-half:]}"
