"""The numbers of an experiment as tables: for the terminal, as Markdown, and every round as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from nearmiss.analysis.curves import estimate
from nearmiss.analysis.significance import Comparison, Verdict
from nearmiss.experiment.records import ExperimentResult
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.summary import REFERENCE, FunctionSummary, Summary, summarize

__all__ = [
    "TextTable",
    "accuracy_table",
    "area_table",
    "cost_table",
    "last_table",
    "markdown",
    "quality_table",
    "rounds_csv",
    "summary_table",
]

#: Head of the terminal table's column that is left out first.
INTERVAL = "95 % interval"
#: Characters for a function's name in the terminal table: never less, less rather than no intervals, never more.
MIN_NAME_WIDTH, NAME_WIDTH, MAX_NAME_WIDTH = 10, 14, 24


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table in words, ready for HTML or Markdown; the first column holds the functions.

    Attributes
    ----------
    name
        A short name, fit for an anchor.
    caption
        What the numbers are, with their unit and which way is better.
    columns
        Column heads.
    rows
        One row per function, as many cells as columns.
    words
        Heads of further columns that hold words and are set left as the first is.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()


def accuracy_table(summary: Summary) -> TextTable:
    """Tabulate accuracy at each budget and the area under the curve, best area first."""
    return TextTable(
        "accuracy",
        "Test accuracy in % by number of labels, and the area under the learning curve (AULC: mean accuracy over the"
        f" range of labels); {_over_seeds(summary)}. Higher is better; sorted by AULC. {summary.price}",
        ("Function", *(formats.count(budget) for budget in summary.budgets), "AULC"),
        tuple(
            (
                function.strategy,
                *(formats.percent(function.accuracy_at(budget)) for budget in summary.budgets),
                formats.percent(function.area),
            )
            for function in summary.ranked
        ),
    )


def area_table(summary: Summary) -> TextTable | None:
    """Tabulate the paired differences to random in area under the curve; None where there are none."""
    return _difference_table(
        summary,
        "differences",
        f"Difference to {REFERENCE} in AULC (mean accuracy over the range of labels), in percentage points, paired by"
        " seed: mean, 95 % t interval, p of a two-sided paired t-test, and p after Holm's correction over the"
        " functions, on which the verdict rests.",
        lambda function: function.area_comparison,
    )


def last_table(summary: Summary) -> TextTable | None:
    """Tabulate the paired differences to random in accuracy after the last round; None where there are none."""
    return _difference_table(
        summary,
        "last",
        f"Difference to {REFERENCE} in accuracy after the last round, in percentage points, tested in the same way; a"
        " second question, with a correction and a verdict of its own.",
        lambda function: function.last_comparison,
    )


def _difference_table(
    summary: Summary, name: str, caption: str, measure: Callable[[FunctionSummary], Comparison | None]
) -> TextTable | None:
    rows = tuple(
        (
            function.strategy,
            str(comparison.verdict),
            formats.points(comparison.difference.mean),
            formats.interval(comparison.difference.interval),
            f"{comparison.difference.wins} of {len(comparison.seeds)}",
            formats.p_value(comparison.difference.p_value),
            formats.p_value(comparison.adjusted_p),
        )
        for function in summary.ranked
        if (comparison := measure(function)) is not None
    )
    columns = ("Function", "Verdict", "Difference", "95 % interval", "Seeds ahead", "p", "p (Holm)")
    return TextTable(name, caption, columns, rows) if rows else None


def quality_table(summary: Summary) -> TextTable:
    """Tabulate what else was measured after the last round."""
    domains = tuple(dict.fromkeys(name for function in summary.functions for name in function.ood_accuracy))
    return TextTable(
        "quality",
        "After the last round, on the test set: macro-F1 in % (higher is better), log-loss in nats and expected"
        f" calibration error in percentage points (lower is better); {_over_seeds(summary)}.",
        ("Function", "Macro-F1", "Log-loss", "Calibration error", *(f"Accuracy on {name}" for name in domains)),
        tuple(
            (
                function.strategy,
                formats.percent(function.macro_f1),
                formats.decimals(function.log_loss),
                formats.percent(function.calibration_error),
                *(formats.percent(function.ood_accuracy.get(name)) for name in domains),
            )
            for function in summary.ranked
        ),
    )


def cost_table(summary: Summary) -> TextTable:
    """Tabulate what a round costs."""
    return TextTable(
        "cost",
        "Seconds per round, median over rounds and seeds: inference (signals of the pool and the labelled set),"
        " selection (choosing the batch from them), and training the classifier. Lower is better.",
        ("Function", "Inference", "Selection", "Both", "Training"),
        tuple(
            (
                function.strategy,
                formats.seconds(function.cost.inference_seconds),
                formats.seconds(function.cost.selection_seconds),
                formats.seconds(function.cost.acquisition_seconds),
                formats.seconds(function.cost.fit_seconds),
            )
            for function in summary.ranked
        ),
    )


def _over_seeds(summary: Summary) -> str:
    n = len(summary.seeds)
    return "one seed" if n == 1 else f"mean ± standard deviation over {n} seeds"


def markdown(table: TextTable) -> str:
    r"""Write a table as GitHub Markdown, caption first.

    Examples
    --------
    >>> print(markdown(TextTable("cost", "Seconds.", ("Function", "Training"), (("cal|k", "1.2"),))))
    Seconds.
    <BLANKLINE>
    | Function | Training |
    | :--- | ---: |
    | cal\|k | 1.2 |
    <BLANKLINE>
    """
    sides = (":---", *(":---" if column in table.words else "---:" for column in table.columns[1:]))
    lines = [table.columns, sides, *table.rows]
    body = "\n".join("| " + " | ".join(_markdown_cell(cell) for cell in line) + " |" for line in lines)
    return f"{table.caption}\n\n{body}\n"


def _markdown_cell(cell: str) -> str:
    escaped = cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.split())


def rounds_csv(result: ExperimentResult) -> str:
    """Write one line per strategy, seed and round, with full precision.

    Needs no optional part. Out-of-domain accuracies get a column each, empty but for the last round.
    """
    domains = tuple(dict.fromkeys(name for run in result.runs for record in run.rounds for name in record.ood_accuracy))
    measures = ("n_labeled", "accuracy", "macro_f1", "log_loss", "expected_calibration_error")
    costs = ("inference_seconds", "selection_seconds", "fit_seconds", "evaluation_seconds", "peak_memory_bytes")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["strategy", "seed", "round", *measures, *costs, *(f"ood_accuracy:{name}" for name in domains)])
    for run in result.runs:
        for record, timing in zip(run.rounds, run.timings, strict=True):
            writer.writerow(
                [
                    run.key.strategy,
                    run.key.seed,
                    record.round,
                    *(getattr(record, name) for name in measures),
                    *(getattr(timing, name) for name in costs),
                    *(record.ood_accuracy.get(name, "") for name in domains),
                ]
            )
    return buffer.getvalue()


def summary_table(result: ExperimentResult, width: int = 80) -> Table:
    """Build the table that ends a run in the terminal, at most so many columns wide.

    Where there are more budgets than fit, the first, the last and evenly spaced ones between them are shown; where even
    two do not fit, the intervals are left out. Needs no optional part.

    Raises
    ------
    InvalidInput
        There is no finished run.
    """
    summary = summarize(result)
    full = _columns(summary.ranked)
    longest = max(len(function.strategy) for function in summary.functions)
    budget_width = max(5, *(len(formats.count(budget)) for budget in summary.budgets))

    def room(columns: Mapping[str, Sequence[Text]], n_budgets: int) -> int:
        """Give what is left for the names: two characters between columns, one at either edge."""
        widths = [max(len(head), *map(len, cells)) for head, cells in columns.items()]
        return width - 2 - sum(widths) - 2 * len(widths) - n_budgets * (budget_width + 2)

    fits = room(full, min(2, len(summary.budgets))) >= min(longest, NAME_WIDTH)
    columns = full if fits else {head: cells for head, cells in full.items() if head != INTERVAL}
    name_width = max(MIN_NAME_WIDTH, min(longest, MAX_NAME_WIDTH, room(columns, min(2, len(summary.budgets)))))
    budgets = _spaced(summary.budgets, (room(columns, 0) - name_width) // (budget_width + 2))
    table = Table(
        title=Text(f"Test accuracy (%) on {result.spec.dataset}, by number of labels{summary.cap}"),
        title_justify="left",
        caption=Text(
            f"AULC: mean accuracy over the range of labels, {_over_seeds(summary)}. To {REFERENCE}: difference in AULC"
            f" in points{', with its 95 % interval' if fits else ''}; p of the paired t-test after Holm's correction."
            " s/batch: inference and selection, median."
        ),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("Function", overflow="fold", width=name_width)
    for head in (*map(formats.count, budgets), *columns):
        table.add_column(head, justify="right", no_wrap=True)
    for function, *cells in zip(summary.ranked, *columns.values(), strict=True):
        name = Text(function.strategy, style="bold" if function.strategy == REFERENCE else "")
        table.add_row(name, *(Text(_mean(function, budget)) for budget in budgets), *cells)
    return table


def _columns(functions: Sequence[FunctionSummary]) -> dict[str, list[Text]]:
    """Lay out all columns of the terminal table but the names and the budgets, by their heads."""
    comparisons = [function.area_comparison for function in functions]
    return {
        "AULC": [Text(formats.percent(function.area)) for function in functions],
        f"To {REFERENCE}": [_difference(comparison) for comparison in comparisons],
        INTERVAL: [Text(formats.interval(c.difference.interval if c else None)) for c in comparisons],
        "p (Holm)": [Text(formats.p_value(c.adjusted_p if c else None)) for c in comparisons],
        "s/batch": [Text(formats.seconds(function.cost.acquisition_seconds)) for function in functions],
    }


def _mean(function: FunctionSummary, budget: int) -> str:
    value = function.accuracy_at(budget)
    return formats.ABSENT if value is None else formats.percent(estimate([value.mean]))


def _difference(comparison: Comparison | None) -> Text:
    if comparison is None:
        return Text(formats.ABSENT)
    style = {Verdict.BETTER: "green", Verdict.WORSE: "red"}.get(comparison.verdict, "")
    return Text(formats.points(comparison.difference.mean), style=style)


def _spaced(budgets: tuple[int, ...], room: int) -> tuple[int, ...]:
    """Keep the first, the last and evenly spaced budgets between, at least two if there are two."""
    n = min(len(budgets), max(room, 2))
    return tuple(budgets[i] for i in np.linspace(0, len(budgets) - 1, n).round().astype(int))
