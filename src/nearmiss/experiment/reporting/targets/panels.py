"""Learning curves in small multiples: one panel a dataset, or a group of functions, with one legend for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nearmiss.experiment.reporting.rendering import FONT_SIZE, settings
from nearmiss.experiment.reporting.series import Place, Series, draw, dress, ink, legend, shortened, thin_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["FULL_SUPERVISION", "Panel", "small_multiples"]

FULL_SUPERVISION = "Full supervision"
WIDTH, ROW_HEIGHT, PANELS = 9.2, 2.35, 3
#: Inches above the panels for the title, and between the rows for panel titles and ticks.
HEAD, GAP = 0.55, 0.62


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One small figure.

    Attributes
    ----------
    title
        What it is about.
    series
        Its lines; a line's look is the same in every panel it occurs in.
    full_accuracy
        Mean accuracy after training on the whole pool, drawn as a level; None draws nothing.
    """

    title: str
    series: tuple[Series, ...]
    full_accuracy: float | None = None

    @property
    def budgets(self) -> tuple[int, ...]:
        """Every label count at which something was scored, increasing."""
        return tuple(sorted({int(n) for one in self.series for n in one.curves.n_labeled}))


def small_multiples(title: str, panels: Sequence[Panel], shared: bool = False) -> Figure:
    """Draw panels in rows of three and one legend, beside the last panel or below.

    Parameters
    ----------
    title
        Stands above all; names the model and the cap on pools.
    panels
        In reading order, each with a scale of its own.
    shared
        Give all panels one vertical scale, where they show the same dataset.
    """
    from matplotlib.figure import Figure

    free = -len(panels) % PANELS
    rows = -(-len(panels) // PANELS)
    names = dict.fromkeys(one.label for panel in panels for one in panel.series)
    below = 0.0 if free else 0.25 * -(-(len(names) + 1) // 4) + 0.2
    with settings():
        height = HEAD + rows * (ROW_HEIGHT + GAP) + below
        figure = Figure(figsize=(WIDTH, height))
        grid = figure.subplots(rows, PANELS, sharey=shared, squeeze=False).ravel().tolist()
        lines: dict[str, Line2D] = {}
        for axes, panel in zip(grid, panels, strict=False):
            lines |= _panel(axes, panel)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.subplots_adjust(
            left=0.6 / WIDTH,
            right=1 - 0.12 / WIDTH,
            top=1 - (HEAD + 0.3) / height,
            bottom=(0.32 + below) / height,
            wspace=0.24 if not shared else 0.1,
            hspace=GAP / ROW_HEIGHT + 0.02,
        )
        figure.text(
            0.12 / WIDTH, 1 - 0.14 / height, title, va="top", fontsize=FONT_SIZE + 0.5, weight="bold", parse_math=False
        )
        figure.text(
            0.12 / WIDTH,
            1 - 0.36 / height,
            _subtitle(panels),
            va="top",
            fontsize=FONT_SIZE - 1.5,
            color=ink("figure-quiet"),
        )
        _legend(figure, lines, grid[len(panels) :], below)
    return figure


def _panel(axes: Axes, panel: Panel) -> Mapping[str, Line2D]:
    # Many bands on one another turn to mud, so each is fainter the more there are.
    band = min(0.12, 0.4 / max(1, len(panel.series)))
    lines = {one.label: draw(axes, one, band=band, size=4.6) for one in panel.series}
    for one in panel.series:
        lines[one.label].set_linewidth(2.0 if one.is_reference else 1.2)
    dress(axes, panel.budgets)
    thin_ticks(axes, panel.budgets)
    if panel.full_accuracy is not None:
        color, dots = ink("figure-text"), (0, (1, 2))
        lines[FULL_SUPERVISION] = axes.axhline(100 * panel.full_accuracy, color=color, linewidth=1.0, linestyle=dots)
    title = axes.set_title(shortened(panel.title, 28), loc="left", fontsize=FONT_SIZE, pad=5, parse_math=False)
    title.set_fontweight("bold")
    return lines


def _subtitle(panels: Sequence[Panel]) -> str:
    several = any(len(one.curves.seeds) > 1 for panel in panels for one in panel.series)
    return f"Test accuracy by number of labels{', mean ± 1 SD over seeds' if several else ', one seed'}"


def _legend(figure: Figure, lines: Mapping[str, Line2D], empty: Sequence[Axes], below: float) -> None:
    entries = sorted(lines.items(), key=lambda entry: entry[0] == FULL_SUPERVISION)
    if empty:
        corner = empty[0].get_position()
        columns = 2 if len(empty) > 1 and len(entries) > 8 else 1
        legend(figure, entries, Place("upper left", (corner.x0, corner.y1), columns))
    else:
        top = (below - 0.1) / figure.get_figheight()
        legend(figure, entries, Place("upper left", (0.6 / WIDTH, top), min(4, len(entries))))
