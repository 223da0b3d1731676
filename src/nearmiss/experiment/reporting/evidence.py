"""What a report must say besides its means: who beats whom, and how soon each function comes near all there is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nearmiss.analysis.curves import LearningCurves
from nearmiss.analysis.ranks import Scores
from nearmiss.analysis.thresholds import SHARES, LabelReduction, LabelsToReach, label_reduction, labels_to_reach
from nearmiss.analysis.wins import count_wins
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.comparing import paired_with
from nearmiss.experiment.reporting.summary import REFERENCE, FunctionSummary, Summary
from nearmiss.experiment.reporting.tables import TextTable

__all__ = ["labels_reached", "labels_table", "wins_table"]

#: Of the bootstrap behind the intervals; fixed, so that the same runs give the same page.
RESAMPLING_SEED = 20210907


def wins_table(summary: Summary) -> TextTable | None:
    """Tabulate for each pair of functions the seeds in which one is ahead; None where there is only one function."""
    if len(summary.functions) < 2:
        return None
    ranked = summary.ranked
    curves = {one.strategy: one.accuracy for one in summary.functions}
    return TextTable(
        "wins",
        "Win–tie–loss over seeds: in how many of the seeds that both have the row's function has the larger AULC than"
        " the column's, the same, or the smaller. Counts, not tests; sorted by AULC.",
        ("Function", *(one.strategy for one in ranked)),
        tuple((row.strategy, *(_duel(row.strategy, column.strategy, curves) for column in ranked)) for row in ranked),
    )


def _duel(row: str, column: str, curves: Mapping[str, LearningCurves]) -> str:
    paired = None if row == column else paired_with(column, {row: curves[row], column: curves[column]}).get(row)
    if paired is None:
        return formats.ABSENT
    values = np.stack([paired.curves.areas(), paired.reference.areas()], axis=1)
    matrix = count_wins(Scores((row, column), tuple(map(str, paired.curves.seeds)), values))
    return formats.record(int(matrix.wins[0, 1]), int(matrix.ties[0, 1]), int(matrix.wins[1, 0]))


def labels_reached(function: FunctionSummary, summary: Summary, share: float) -> LabelsToReach | None:
    """Find the labels a function needs for a share of full supervision; None where that is not known."""
    if summary.full_accuracy is None:
        return None
    rng = np.random.default_rng(RESAMPLING_SEED)
    return labels_to_reach(function.accuracy, summary.full_accuracy.mean, share, rng)


#: How the labels of the table below are read.
LEGEND = (
    "> n: no more than half of the seeds got there within the n labels of the budget; in brackets, how many did."
    " ≤ n: they were there at the first scored round. Saved: ≥ where the other side never got there; an interval"
    " that ends in −∞ or 100 holds resamples in which one side never did, and says no more than that. Intervals of"
    " a handful of seeds are narrower than they claim."
)


def labels_table(summary: Summary) -> TextTable | None:
    """Tabulate the labels needed to come near full supervision; None where full supervision is not known."""
    full = summary.full_accuracy
    if full is None:
        return None
    reference = next((one for one in summary.functions if one.strategy == REFERENCE), None)
    heads = [
        head
        for share in SHARES
        for head in (f"{100 * share:.0f} % ({100 * share * full.mean:.1f})", f"Saved over {REFERENCE}")
    ]
    return TextTable(
        "labels",
        f"Labels needed to reach 90, 95 and 99 % of full supervision ({formats.percent(full)} % accuracy after training"
        f" on the whole pool, {full.n} seed{'s' if full.n > 1 else ''}; the accuracy to reach stands in brackets):"
        " median over seeds, read on the straight line between rounds, with a 95 % bootstrap interval over seeds."
        f" {LEGEND}",
        ("Function", *heads),
        tuple((one.strategy, *_reached_cells(one, summary, reference)) for one in summary.ranked),
    )


def _reached_cells(function: FunctionSummary, summary: Summary, reference: FunctionSummary | None) -> list[str]:
    cells = []
    for share in SHARES:
        cells.append(formats.labels(labels_reached(function, summary, share)))
        if reference is None or function is reference:
            cells.append(formats.ABSENT)
        else:
            cells.append(_saved(function, reference, summary, share))
    return cells


def _saved(function: FunctionSummary, reference: FunctionSummary, summary: Summary, share: float) -> str:
    reduction: LabelReduction | None = None
    if summary.full_accuracy is not None:
        rng = np.random.default_rng(RESAMPLING_SEED)
        reduction = label_reduction(function.accuracy, reference.accuracy, summary.full_accuracy.mean, share, rng)
    return formats.reduction(reduction)
