"""Tables 4 and 5: seconds per acquisition, inference apart from selection, then both together with averages."""

from __future__ import annotations

import statistics

from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.tables import TextTable
from nearmiss.experiment.reporting.targets import paper
from nearmiss.experiment.reporting.targets.artefact import Artefact, Records, Value
from nearmiss.experiment.reporting.targets.grid import (
    Grid,
    dataset_title,
    function_title,
    paper_dataset,
    titled,
)
from nearmiss.experiment.reporting.targets.scope import differences_from_paper

__all__ = ["table4", "table5"]

READING = (
    "Seconds, lower is better. Inference is the model's pass over the pool (and, for CAL, the labelled set); selection"
    " is all that follows. The paper's seconds are of a V100 on whole pools and of other code, ours of the machine this"
    " was run on: compare rows, not numbers.",
    "What no label changes is done once before the runs and not counted here: filling caches of hidden states, ALPS's"
    " surprisal vectors, training a masked-LM head.",
    "Where runs share the machine's cores with others, times vary; medians over rounds and seeds bear it best.",
)


def table4(grid: Grid) -> Artefact:
    """Set inference and selection seconds per acquisition beside the paper's."""
    datasets = _ordered(grid)
    rows: list[tuple[str, ...]] = []
    for strategy in grid.functions:
        rows.append((function_title(strategy), *(_pair(grid, name, strategy) for name in datasets)))
        if strategy in paper.RUNTIMES:
            rows.append((f"{function_title(strategy)}, paper", *(_printed_pair(name, strategy) for name in datasets)))
    return Artefact(
        name="table4",
        title=titled(
            "Table 4: inference and selection time", grid.reproduction.protocol.title, map(grid.result, datasets)
        ),
        records=_records(grid, datasets),
        tables=(
            TextTable(
                "table4",
                "Seconds for one acquisition as (inference, selection), median over rounds and seeds; below each"
                " function, the paper's, – where the paper found it not feasible.",
                ("Function", *map(dataset_title, datasets)),
                tuple(rows),
            ),
        ),
        notes=(*READING, *differences_from_paper(grid, grid.datasets)),
    )


def table5(grid: Grid) -> Artefact:
    """Set total seconds per acquisition and their averages over datasets beside the paper's."""
    datasets = _ordered(grid)
    rows: list[tuple[str, ...]] = []
    for strategy in grid.functions:
        totals = {name: _total(grid, name, strategy) for name in datasets}
        by_paper = {known: totals[name] for name in datasets if (known := paper_dataset(name))}
        averages = [formats.seconds(_average([by_paper.get(one) for one in over])) for over in paper.AVERAGES.values()]
        rows.append((function_title(strategy), *(formats.seconds(totals[name]) for name in datasets), *averages))
        if strategy in paper.RUNTIMES:
            printed = [
                formats.ABSENT if (total := paper.TOTALS[strategy].get(average)) is None else str(total)
                for average in paper.AVERAGES
            ]
            cells = [_printed_total(name, strategy) for name in datasets]
            rows.append((f"{function_title(strategy)}, paper", *cells, *printed))
    return Artefact(
        name="table5",
        title=titled("Table 5: time for one acquisition", grid.reproduction.protocol.title, map(grid.result, datasets)),
        records=_records(grid, datasets),
        tables=(
            TextTable(
                "table5",
                "Seconds for one acquisition, inference and selection together; below each function, the paper's."
                " AVG.-ALL is over all seven datasets of the paper, AVG.-3 over DBpedia, IMDB and SST-2, AVG.-6 over"
                " all but QQP; a stand-in counts for what it stands for, and – stands where one is missing.",
                ("Function", *map(dataset_title, datasets), *paper.AVERAGES),
                tuple(rows),
            ),
        ),
        notes=(*READING, *differences_from_paper(grid, grid.datasets)),
    )


def _ordered(grid: Grid) -> tuple[str, ...]:
    """Order datasets as the paper's columns, by growing pool; others follow."""
    order = {name: i for i, name in enumerate(paper.RUNTIME_ORDER)}
    return tuple(sorted(grid.datasets, key=lambda name: order.get(paper_dataset(name) or "", len(order))))


def _pair(grid: Grid, dataset: str, strategy: str) -> str:
    function = grid.function(dataset, strategy)
    if function is None or function.cost.acquisition_seconds is None:
        return formats.ABSENT
    return f"({formats.seconds(function.cost.inference_seconds)}, {formats.seconds(function.cost.selection_seconds)})"


def _printed_pair(dataset: str, strategy: str) -> str:
    known = paper.RUNTIMES[strategy].get(paper_dataset(dataset) or "")
    return formats.ABSENT if known is None else f"({known.inference}, {known.selection})"


def _total(grid: Grid, dataset: str, strategy: str) -> float | None:
    function = grid.function(dataset, strategy)
    return None if function is None else function.cost.acquisition_seconds


def _printed_total(dataset: str, strategy: str) -> str:
    known = paper.RUNTIMES[strategy].get(paper_dataset(dataset) or "")
    return formats.ABSENT if known is None else str(known.inference + known.selection)


def _average(totals: list[float | None]) -> float | None:
    known = [total for total in totals if total is not None]
    return statistics.fmean(known) if len(known) == len(totals) else None


def _records(grid: Grid, datasets: tuple[str, ...]) -> Records:
    rows: list[tuple[Value, ...]] = []
    for dataset in datasets:
        for strategy in grid.functions:
            function = grid.function(dataset, strategy)
            if function is None:
                continue
            cost = function.cost
            printed = paper.RUNTIMES.get(strategy, {}).get(paper_dataset(dataset) or "")
            seconds = (None, None) if printed is None else (printed.inference, printed.selection)
            rows.append(
                (dataset, strategy, cost.inference_seconds, cost.selection_seconds, cost.acquisition_seconds, *seconds)
            )
    columns = (
        "inference_seconds",
        "selection_seconds",
        "total_seconds",
        "paper_inference_seconds",
        "paper_selection_seconds",
    )
    return Records(("dataset", "function", *columns), tuple(rows))
