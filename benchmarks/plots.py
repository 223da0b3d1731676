"""Draw what the results hold."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot
from matplotlib.figure import Figure as Drawing

from benchmarks.results import Figure, Lines, Mark

__all__ = ["draw_lines", "draw_ratios"]

#: The same file for the same figures.
_SETTINGS = {"svg.hashsalt": "nearmiss", "svg.fonttype": "none", "font.size": 9}


def draw_lines(lines: Lines, folder: Path) -> Path:
    """Draw a log-log plot, ours in full colour."""
    with pyplot.rc_context(_SETTINGS):
        drawing, axes = pyplot.subplots(figsize=(7, 4.5))
        for name, points in lines.points.items():
            x, y = zip(*points, strict=True)
            ours = name.startswith("nearmiss")
            axes.loglog(x, y, marker="o", markersize=4, linewidth=2.2 if ours else 1.2, label=name)
        axes.set(title=lines.title, xlabel=lines.x_label, ylabel=lines.y_label)
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(which="major", alpha=0.3)
        ticks = sorted({x for points in lines.points.values() for x, _ in points})
        axes.set_xticks(ticks)
        axes.set_xticks([], minor=True)
        axes.legend(fontsize=8)
        return _saved(drawing, folder / f"{lines.name}.svg")


def draw_ratios(figures: list[Figure], folder: Path) -> Path:
    """Draw our seconds divided by the peers', with their marks."""
    with pyplot.rc_context(_SETTINGS):
        drawing, axes = pyplot.subplots(figsize=(8, 0.4 * len(figures) + 1.2))
        for row, each in enumerate(reversed(figures)):
            ratio = each.ratio or 1.0
            # From 1 to the ratio: a log axis has no zero to start from.
            axes.barh(row, ratio - 1, left=1, color="tab:blue" if ratio <= 1 else "tab:orange", height=0.6)
            for bound in _bounds(each.marks):
                axes.plot([bound, bound], [row - 0.4, row + 0.4], color="tab:red", linewidth=2)
        names = [f"{each.what}, {_sizes(each)}\nbeside {each.peer}" for each in reversed(figures)]
        axes.set_yticks(range(len(figures)), names, fontsize=7)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set(
            xscale="log", xlabel="nearmiss seconds / peer's seconds; red: the mark", title="Beside peers, in one run"
        )
        axes.xaxis.set_major_formatter("{x:g}")
        return _saved(drawing, folder / "ratios.svg")


def _sizes(figure: Figure) -> str:
    return " ".join(f"{name}={size:,}" for name, size in figure.sizes.items() if name in ("n", "m", "C"))


def _bounds(marks: tuple[Mark, ...]) -> list[float]:
    return [mark.high for mark in marks if mark.of == "ratio" and mark.high is not None]


def _saved(drawing: Drawing, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(drawing)
    return path
