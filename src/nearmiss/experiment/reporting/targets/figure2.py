"""Figure 2: test accuracy by number of labels, every function on every dataset."""

from __future__ import annotations

from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.series import Series, looks_of
from nearmiss.experiment.reporting.tables import TextTable
from nearmiss.experiment.reporting.targets import paper
from nearmiss.experiment.reporting.targets.artefact import Artefact, Drawing, Records, Value
from nearmiss.experiment.reporting.targets.grid import Grid, dataset_title, function_title, titled
from nearmiss.experiment.reporting.targets.panels import Panel, small_multiples
from nearmiss.experiment.reporting.targets.scope import differences_from_paper

__all__ = ["curve_records", "figure2"]

AREA = "AULC is the mean accuracy over the range of labels: the area under the learning curve over its width."


def figure2(grid: Grid) -> Artefact:
    """Draw the learning curves of the main grid, and tabulate where they end and what area they enclose."""
    results = [grid.result(name) for name in grid.datasets]
    title = titled("Figure 2: test accuracy during active learning", grid.reproduction.protocol.title, results)
    return Artefact(
        name="figure2",
        title=title,
        records=curve_records(grid),
        tables=(_ends(grid), _areas(grid)),
        notes=(
            AREA,
            "The paper prints no numbers for this figure; its words stand in the last column.",
            *_full_supervision(grid),
            *differences_from_paper(grid, grid.datasets),
        ),
        drawing=Drawing(small_multiples(title, _panels(grid)), _description(grid)),
    )


def _panels(grid: Grid) -> list[Panel]:
    looks = looks_of(grid.functions)
    panels = []
    for name, summary in grid.summaries.items():
        known = {one.strategy: one for one in summary.functions}
        series = tuple(
            Series(function_title(strategy), known[strategy].accuracy, looks[strategy])
            for strategy in grid.functions
            if strategy in known
        )
        full = summary.full_accuracy
        panels.append(Panel(dataset_title(name), series, None if full is None else full.mean))
    return panels


def _ends(grid: Grid) -> TextTable:
    """Tabulate accuracy after the last round; the labels that were bought by then stand in the heads."""
    heads = [
        f"{dataset_title(name)} ({formats.count(summary.budgets[-1])})" for name, summary in grid.summaries.items()
    ]
    rows = []
    for strategy in grid.functions:
        cells = []
        for name, summary in grid.summaries.items():
            function = grid.function(name, strategy)
            cells.append(formats.percent(None if function is None else function.accuracy_at(summary.budgets[-1])))
        rows.append((function_title(strategy), *cells, _words(strategy)))
    if any(summary.full_accuracy for summary in grid.summaries.values()):
        full = [formats.percent(summary.full_accuracy) for summary in grid.summaries.values()]
        rows.append(("Full supervision", *full, formats.ABSENT))
    return TextTable(
        "figure2-last",
        "Test accuracy in % after the last round, mean ± standard deviation over seeds; the number of labels stands in"
        " brackets. Higher is better.",
        ("Function", *heads, "In the paper"),
        tuple(rows),
        words=("In the paper",),
    )


def _areas(grid: Grid) -> TextTable:
    return TextTable(
        "figure2-area",
        "Area under the learning curve (AULC) in %, mean ± standard deviation over seeds. Higher is better.",
        ("Function", *map(dataset_title, grid.datasets)),
        tuple(
            (
                function_title(strategy),
                *(
                    formats.percent(None if (one := grid.function(name, strategy)) is None else one.area)
                    for name in grid.datasets
                ),
            )
            for strategy in grid.functions
        ),
    )


def _words(strategy: str) -> str:
    return paper.FIGURE_2.get(strategy, "not in it")


def _full_supervision(grid: Grid) -> list[str]:
    absent = [dataset_title(name) for name, summary in grid.summaries.items() if summary.full_accuracy is None]
    if len(absent) == len(grid.datasets):
        return ["No model was trained on the whole pool, so no line of full supervision is drawn."]
    return [f"No model was trained on the whole pool of {formats.listing(absent)}."] if absent else []


def curve_records(grid: Grid) -> Records:
    """Give every accuracy of the main grid, one row per dataset, function, seed and round, then full supervision."""
    rows: list[tuple[Value, ...]] = []
    for name in grid.datasets:
        for run in grid.result(name).runs:
            rows += [(name, run.key.strategy, run.key.seed, record.n_labeled, record.accuracy) for record in run.rounds]
        rows += [
            (name, "full-supervision", one.seed, grid.result(name).pool_size, one.accuracy)
            for one in grid.reproduction.full.get(name, ())
        ]
    return Records(("dataset", "function", "seed", "n_labeled", "accuracy"), tuple(rows))


def _description(grid: Grid) -> str:
    best = []
    for name, summary in grid.summaries.items():
        leader = max(summary.functions, key=lambda one: one.area.mean)
        best.append(f"{dataset_title(name)} {function_title(leader.strategy)}")
    return f"Learning curves, one panel per dataset. Largest mean area under the curve: {formats.listing(best)}."
