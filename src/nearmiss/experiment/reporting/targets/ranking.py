"""The functions over all datasets: mean ranks, whether they differ, and who is ahead of whom how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nearmiss.analysis.ranks import RankComparison, Scores, compare_ranks
from nearmiss.analysis.wins import WinMatrix, count_shown_wins, count_wins
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.rendering import FONT_SIZE, settings
from nearmiss.experiment.reporting.series import ink, shortened
from nearmiss.experiment.reporting.tables import TextTable
from nearmiss.experiment.reporting.targets.artefact import Artefact, Drawing, Records, Value
from nearmiss.experiment.reporting.targets.grid import Grid, dataset_title, function_title, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ranking"]

WIDTH, LINE = 9.2, 0.27


def ranking(grid: Grid) -> Artefact | None:
    """Rank the functions that have runs on every dataset by AULC; None with fewer than two datasets or functions."""
    everywhere = [name for name in grid.functions if all(grid.function(d, name) for d in grid.datasets)]
    runs = _runs(grid, everywhere) if everywhere else None
    if runs is None or len(runs.functions) < 2 or len(set(runs.datasets)) < 2:
        return None
    means = runs.per_dataset()
    ranks = compare_ranks(means)
    # Tables read best in the order of the ranks.
    columns = [means.functions.index(name) for name in ranks.functions]
    ordered = Scores(ranks.functions, runs.datasets, runs.values[:, columns])
    title = titled(
        f"Functions over {len(means.datasets)} datasets",
        grid.reproduction.protocol.title,
        map(grid.result, means.datasets),
    )
    return Artefact(
        name="ranks",
        title=title,
        records=_records(means),
        tables=(
            _rank_table(ranks),
            _win_table("wins-datasets", _COUNTED, count_wins(ordered.per_dataset())),
            _win_table("wins-shown", _SHOWN, count_shown_wins(ordered)),
        ),
        findings=_findings(ranks),
        notes=(
            "Rank 1 is the largest mean AULC on a dataset; seeds are averaged first, for a dataset is one observation."
            " Only seeds and label counts that all these functions have are used.",
            *_left_out(grid, means),
        ),
        drawing=Drawing(_plot(title, ranks), f"Mean ranks: {_in_words(ranks)}."),
    )


def _left_out(grid: Grid, means: Scores) -> list[str]:
    functions = [function_title(name) for name in grid.functions if name not in means.functions]
    datasets = [dataset_title(name) for name in grid.datasets if name not in means.datasets]
    sentences = []
    if functions:
        sentences.append(f"Left out for want of runs on some dataset: {formats.listing(functions)}.")
    if datasets:
        sentences.append(f"Left out for want of a seed that all functions have: {formats.listing(datasets)}.")
    return sentences


_COUNTED = (
    "Win–tie–loss over datasets: on how many datasets the row's function has the larger mean AULC than the column's,"
    " the same, or the smaller. Counts, not tests."
)
_SHOWN = (
    "The same where a paired t-test over seeds shows it, after Holm's correction over the pairs of each dataset; what"
    " is not shown counts as a tie, which is no proof of equality."
)


def _runs(grid: Grid, functions: Sequence[str]) -> Scores | None:
    """Give one row per dataset and seed that all functions have, at the label counts they share; None where none is."""
    rows, names = [], []
    for dataset in grid.datasets:
        curves = [grid.curves(dataset)[name] for name in functions]
        seeds = [seed for seed in curves[0].seeds if all(seed in one.seeds for one in curves)]
        counts = set(curves[0].n_labeled.tolist()).intersection(*(one.n_labeled.tolist() for one in curves))
        if seeds and counts:
            areas = [one.restricted_to(seeds, sorted(counts)).areas() for one in curves]
            rows.append(np.stack(areas, axis=1))
            names += [dataset] * len(seeds)
    return Scores(tuple(functions), tuple(names), np.concatenate(rows)) if rows else None


def _rank_table(ranks: RankComparison) -> TextTable:
    return TextTable(
        "ranks",
        f"Mean rank by AULC over {ranks.n_datasets} datasets, 1 the best of {len(ranks.functions)}. Lower is better.",
        ("Function", "Mean rank"),
        tuple(
            (function_title(name), f"{rank:.2f}") for name, rank in zip(ranks.functions, ranks.mean_ranks, strict=True)
        ),
    )


def _win_table(name: str, caption: str, matrix: WinMatrix) -> TextTable:
    k = len(matrix.functions)
    rows = []
    for i, function in enumerate(matrix.functions):
        cells = [
            formats.ABSENT
            if i == j or matrix.untested[i, j] == matrix.n
            else formats.record(int(matrix.wins[i, j]), int(matrix.ties[i, j]), int(matrix.losses[i, j]))
            for j in range(k)
        ]
        rows.append((function_title(function), *cells))
    return TextTable(name, caption, ("Function", *map(function_title, matrix.functions)), tuple(rows))


def _findings(ranks: RankComparison) -> tuple[str, ...]:
    order = f"Mean ranks, best first: {_in_words(ranks)}."
    if ranks.untested is not None or ranks.friedman is None or ranks.critical_difference is None:
        return (order, f"Nothing can be concluded on the order over datasets; {ranks.untested}.")
    test = f"Friedman test in Iman and Davenport's form, p = {formats.p_value(ranks.friedman.p_value)}"
    test = test.replace("= <", "< ")
    if not ranks.differ:
        return (order, f"The functions are not shown to differ over datasets ({test}): nothing can be concluded.")
    apart = f"mean ranks {ranks.critical_difference:.2f} apart or more differ (Nemenyi, 5 %)"
    pairs = _shown_pairs(ranks)
    shown = f"shown to differ: {'; '.join(pairs)}" if pairs else "yet no single pair is that far apart"
    return (order, f"The functions differ over datasets ({test}); {apart}; {shown}.")


def _shown_pairs(ranks: RankComparison) -> list[str]:
    """Say for each function which ones it is shown to be ahead of."""
    pairs = []
    for i, name in enumerate(ranks.functions):
        behind = [
            function_title(other)
            for other in ranks.functions[i + 1 :]
            if not any(name in group and other in group for group in ranks.groups)
        ]
        if behind:
            pairs.append(f"{function_title(name)} ahead of {formats.listing(behind)}")
    return pairs


def _in_words(ranks: RankComparison) -> str:
    return ", ".join(
        f"{function_title(name)} {rank:.2f}" for name, rank in zip(ranks.functions, ranks.mean_ranks, strict=True)
    )


def _records(means: Scores) -> Records:
    rows: list[tuple[Value, ...]] = [
        (dataset, name, float(means.values[i, j]))
        for i, dataset in enumerate(means.datasets)
        for j, name in enumerate(means.functions)
    ]
    return Records(("dataset", "function", "mean_area"), tuple(rows))


def _plot(title: str, ranks: RankComparison) -> Figure:
    """Draw names on a scale of mean ranks, best left, and a bar over those not shown to differ."""
    from matplotlib.figure import Figure

    k = len(ranks.functions)
    half = (k + 1) // 2
    bars = len(ranks.groups)
    depth = LINE * half + 0.16 * bars + 0.2
    height = 1.25 + depth
    with settings():
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0.27, 0.1 / height, 0.46, depth / height))
        _scale(axes, k, depth)
        for row, group in enumerate(ranks.groups):
            _bar(axes, ranks, group, -0.18 - 0.16 * row)
        for i, (name, rank) in enumerate(zip(ranks.functions, ranks.mean_ranks, strict=True)):
            left = i < half
            line = i if left else k - 1 - i
            _name(
                axes, f"{shortened(function_title(name), 24)}", rank, -0.2 - 0.16 * bars - LINE * (line + 0.3), k, left
            )
        if ranks.critical_difference is not None:
            _critical(axes, ranks.critical_difference, k)
        top = 1 - 0.14 / height
        figure.text(0.013, top, title, va="top", fontsize=FONT_SIZE + 0.5, weight="bold", parse_math=False)
        quiet, size = ink("figure-quiet"), FONT_SIZE - 1.5
        figure.text(0.013, top - 0.22 / height, _subtitle(ranks), va="top", fontsize=size, color=quiet)
    return figure


def _subtitle(ranks: RankComparison) -> str:
    if ranks.untested is not None:
        return f"Mean ranks by AULC, 1 is best; not tested, {ranks.untested.split(':')[0]}"
    return "Mean ranks by AULC, 1 is best; bars join functions that are not shown to differ"


def _scale(axes: Axes, k: int, depth: float) -> None:
    axes.set_xlim(1, k)
    axes.set_ylim(-depth, 0)
    axes.set_yticks([])
    axes.set_xticks(range(1, k + 1))
    axes.xaxis.tick_top()
    axes.tick_params(colors=ink("figure-text"), length=4)
    for side in ("bottom", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["top"].set_color(ink("figure-axis"))


def _bar(axes: Axes, ranks: RankComparison, group: tuple[str, ...], height: float) -> None:
    within = [rank for name, rank in zip(ranks.functions, ranks.mean_ranks, strict=True) if name in group]
    ends = [min(within) - 0.06, max(within) + 0.06]
    axes.plot(ends, [height] * 2, color=ink("series-0"), linewidth=4, solid_capstyle="butt", clip_on=False, zorder=3)


def _name(axes: Axes, name: str, rank: float, height: float, k: int, left: bool) -> None:
    edge = 1 - 0.03 * k if left else k + 0.03 * k
    axes.plot([rank, rank, edge], [0, height, height], color=ink("figure-axis"), linewidth=1.0, clip_on=False, zorder=2)
    axes.plot([rank], [0], marker="o", color=ink("figure-text"), markersize=4, clip_on=False, zorder=4)
    text, side = (f"{name}  {rank:.2f} ", "right") if left else (f" {rank:.2f}  {name}", "left")
    axes.text(edge, height, text, ha=side, va="center_baseline", parse_math=False)


def _critical(axes: Axes, difference: float, k: int) -> None:
    """Draw the critical difference as a length, over the right end of the scale."""
    depth = -axes.get_ylim()[0]
    height = 0.42
    axes.plot([k - difference, k], [height] * 2, color=ink("figure-text"), linewidth=1.6, marker="|", clip_on=False)
    axes.text(
        k + 0.02 * k,
        height,
        f"critical difference {difference:.2f}",
        ha="left",
        va="center_baseline",
        fontsize="small",
        color=ink("figure-quiet"),
        parse_math=False,
    )
    axes.set_ylim(-depth, 0)
