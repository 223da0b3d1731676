"""Tables 1 to 3: the datasets, accuracy outside the domain, and what kind of texts each function picks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nearmiss.analysis.curves import Estimate, estimate
from nearmiss.errors import InvalidInput
from nearmiss.experiment.records import BatchProfile
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.summary import capped_pool
from nearmiss.experiment.reporting.tables import TextTable
from nearmiss.experiment.reporting.targets import paper
from nearmiss.experiment.reporting.targets.artefact import Artefact, Records, Value
from nearmiss.experiment.reporting.targets.grid import (
    STAND_INS,
    Grid,
    dataset_title,
    function_title,
    paper_dataset,
    titled,
)
from nearmiss.experiment.reporting.targets.scope import differences_from_paper
from nearmiss.text.catalog import CATALOG

__all__ = ["table1", "table2", "table3"]


def table1(grid: Grid) -> Artefact:
    """Set the sizes of the datasets as they were used beside the paper's, which stand there even if missing here."""
    covered = {paper_dataset(name) for name in grid.datasets}
    rows = [_size_row(grid, name) for name in grid.datasets]
    rows += [_absent_row(name) for name in paper.DATASETS if name not in covered]
    results = {name: grid.result(name) for name in grid.datasets}
    return Artefact(
        name="table1",
        title=titled("Table 1: datasets", grid.reproduction.protocol.title, results.values()),
        records=Records(
            ("dataset", "pool", "validation", "test"),
            tuple((name, one.pool_size, one.validation_size, one.test_size) for name, one in results.items()),
        ),
        tables=(
            TextTable(
                "table1",
                "Texts used here, and the paper's numbers as printed, of the dataset stood in for where there is one."
                " Validation counts labels spent beside the budget.",
                ("Dataset", "Task", "OOD", "Pool", "Paper", "Validation", "Paper", "Test", "Paper", "Classes"),
                tuple(rows),
                words=("Task", "OOD"),
            ),
        ),
        notes=differences_from_paper(grid, grid.datasets),
    )


def _size_row(grid: Grid, name: str) -> tuple[str, ...]:
    result, info = grid.result(name), CATALOG.get(name)
    printed = paper.DATASETS.get(paper_dataset(name) or "")
    outside = dict.fromkeys(domain for one in grid.summaries[name].functions for domain in one.ood_accuracy)
    return (
        f"{dataset_title(name)} (for {dataset_title(STAND_INS[name])})" if name in STAND_INS else dataset_title(name),
        info.task if info else formats.ABSENT,
        formats.listing([dataset_title(domain) for domain in outside]) or formats.ABSENT,
        f"{formats.count(result.pool_size)}{' (capped)' if capped_pool(result) else ''}",
        printed.train if printed else formats.ABSENT,
        formats.count(result.validation_size) if result.validation_size else "none",
        printed.validation if printed else formats.ABSENT,
        formats.count(result.test_size),
        printed.test if printed else formats.ABSENT,
        str(info.n_classes) if info else formats.ABSENT,
    )


def _absent_row(name: str) -> tuple[str, ...]:
    printed, absent = paper.DATASETS[name], formats.ABSENT
    sizes = (absent, printed.train, absent, printed.validation, absent, printed.test)
    return (f"{printed.title} (missing)", printed.task, absent, *sizes, str(printed.classes))


def table2(grid: Grid) -> Artefact:
    """Set accuracy on out-of-domain test sets after the last round beside the paper's.

    Raises
    ------
    InvalidInput
        No run was scored on an out-of-domain test set.
    """
    scored = tuple(
        (name, domain)
        for name, summary in grid.summaries.items()
        for domain in dict.fromkeys(domain for one in summary.functions for domain in one.ood_accuracy)
    )
    if not scored:
        raise InvalidInput(
            "no finished run was scored on an out-of-domain test set, so there is no table 2; sst2, imdb and qqp have"
            " one"
        )
    heads = [head for pair in scored for head in (f"{_arrow(pair)}", "Paper")]
    rows = []
    for strategy in grid.functions:
        cells = []
        for name, domain in scored:
            function = grid.function(name, strategy)
            cells.append(formats.percent(function.ood_accuracy.get(domain) if function else None))
            printed = paper.OUT_OF_DOMAIN.get((name, domain), {}).get(strategy)
            cells.append(formats.ABSENT if printed is None else f"{printed.mean:.1f} ± {printed.std:.1f}")
        rows.append((function_title(strategy), *cells))
    if any(grid.reproduction.full.get(name) for name, _ in scored):
        rows.append(("Full supervision", *(cell for pair in scored for cell in (_full(grid, pair), formats.ABSENT))))
    absent = [_arrow(pair) for pair in paper.OUT_OF_DOMAIN if pair not in scored]
    missing = [f"Not scored here: {formats.listing(absent)}."] if absent else []
    datasets = tuple(dict.fromkeys(name for name, _ in scored))
    return Artefact(
        name="table2",
        title=titled(
            "Table 2: out-of-domain accuracy",
            grid.reproduction.protocol.title,
            [grid.result(name) for name in datasets],
        ),
        records=_out_of_domain_records(grid),
        tables=(
            TextTable(
                "table2",
                "Accuracy in % on another test set than the one trained for, after the last round: mean ± standard"
                " deviation over seeds, trained on → tested on. Higher is better. No test is made of these"
                " differences.",
                ("Function", *heads),
                tuple(rows),
            ),
        ),
        notes=(*missing, *differences_from_paper(grid, datasets)),
    )


def _arrow(pair: tuple[str, str]) -> str:
    return f"{dataset_title(pair[0])} → {dataset_title(pair[1])}"


def _full(grid: Grid, pair: tuple[str, str]) -> str:
    name, domain = pair
    values = [one.ood_accuracy[domain] for one in grid.reproduction.full.get(name, ()) if domain in one.ood_accuracy]
    return formats.percent(estimate(values) if values else None)


def _out_of_domain_records(grid: Grid) -> Records:
    rows: list[tuple[Value, ...]] = []
    for name in grid.datasets:
        for run in grid.result(name).runs:
            for domain, accuracy in run.rounds[-1].ood_accuracy.items():
                printed = paper.OUT_OF_DOMAIN.get((name, domain), {}).get(run.key.strategy)
                numbers = (None, None) if printed is None else (printed.mean / 100, printed.std / 100)
                rows.append((name, domain, run.key.strategy, run.key.seed, accuracy, *numbers))
    return Records(("trained_on", "tested_on", "function", "seed", "accuracy", "paper_mean", "paper_std"), tuple(rows))


@dataclass(frozen=True, slots=True)
class _Measure:
    """One column of Table 3."""

    head: str
    read: Callable[[BatchProfile], float]
    printed: Callable[[paper.PaperProfile], float] | None
    reading: str


_MEASURES = (
    _Measure(
        "DIV.-I ↑",
        lambda one: one.input_diversity,
        lambda one: one.input_diversity,
        "DIV.-I, of all texts acquired: Jaccard similarity of their token set with that of the rest of the pool. Higher"
        " is read as more diverse, for the picks then cover the pool's vocabulary; it also grows with the number and"
        " length of the texts picked.",
    ),
    _Measure(
        "DIV.-I first ↑",
        lambda one: one.first_input_diversity,
        None,
        "DIV.-I first, of the first batch alone: the same, smaller because the batch is.",
    ),
    _Measure(
        "DIV.-F ↑",
        lambda one: one.feature_diversity,
        lambda one: one.feature_diversity,
        "DIV.-F, of the first batch: one over the mean distance from each text of the pool to the nearest pick. Higher"
        " is more diverse, for every text then has a pick nearby. Its size depends on the model's features: compare"
        " rows, not with the paper's column.",
    ),
    _Measure(
        "UNC. ↑",
        lambda one: one.uncertainty,
        lambda one: one.uncertainty,
        "UNC., of all texts acquired: mean entropy in nats under a model trained on the whole pool. Higher means texts"
        " that stay hard with all labels known, which uncertainty-based functions seek; some of those are only noise.",
    ),
    _Measure(
        "REPR. ↓",
        lambda one: one.representativeness,
        lambda one: one.representativeness,
        "REPR. as the paper prints it: one over the mean kNN density of the first batch, so in truth a distance. Lower"
        " is more representative; the paper's §6.2 reads high as representative, which its definition does not bear"
        " out.",
    ),
    _Measure(
        "Density ↑",
        lambda one: one.density,
        None,
        "Density: the mean kNN density itself, one over the mean distance to the ten nearest texts of the pool. Higher"
        " is more representative, for the picks then lie where many texts are. Both depend on the model's features.",
    ),
)


def table3(grid: Grid) -> Artefact:
    """Set what kind of texts each function picks beside the paper's means over datasets, and give each dataset.

    Raises
    ------
    InvalidInput
        Nothing was measured.
    """
    profiles = {name: tuple(grid.reproduction.profiles.get(name, ())) for name in grid.datasets}
    profiles = {name: known for name, known in profiles.items() if known}
    if not profiles:
        raise InvalidInput(
            "no acquired texts have been measured, so there is no table 3; run 'nearmiss reproduce table3' first"
        )
    datasets = tuple(profiles)
    functions = [name for name in grid.functions if any(one.strategy == name for p in profiles.values() for one in p)]
    everywhere = [name for name in functions if all(any(o.strategy == name for o in p) for p in profiles.values())]
    rows = [_profile_row(function_title(name), _over_datasets(name, profiles), name) for name in everywhere]
    single = [
        (dataset_title(dataset), function_title(name), *(formats.decimals(_value(name, known, m)) for m in _MEASURES))
        for dataset, known in profiles.items()
        for name in functions
    ]
    partly = [function_title(name) for name in functions if name not in everywhere]
    return Artefact(
        name="table3",
        title=titled(
            "Table 3: diversity, uncertainty and representativeness of what is acquired",
            grid.reproduction.protocol.title,
            [grid.result(name) for name in datasets],
        ),
        records=_profile_records(profiles),
        tables=(
            TextTable(
                "table3",
                f"Mean over {len(datasets)} dataset{'s' if len(datasets) > 1 else ''} of the mean over seeds. ↑: a"
                " higher number is more of the property, ↓: a lower one is.",
                ("Function", *(head for m in _MEASURES for head in ((m.head, "Paper") if m.printed else (m.head,)))),
                tuple(rows),
            ),
            TextTable(
                "table3-datasets",
                "The same on each dataset, mean ± standard deviation over seeds.",
                ("Dataset", "Function", *(m.head for m in _MEASURES)),
                tuple(single),
            ),
        ),
        notes=(
            *([f"Left out of the means for want of a dataset: {formats.listing(partly)}."] if partly else []),
            *(m.reading for m in _MEASURES),
            *differences_from_paper(grid, datasets),
        ),
    )


def _value(strategy: str, profiles: Sequence[BatchProfile], measure: _Measure) -> Estimate | None:
    values = [measure.read(one) for one in profiles if one.strategy == strategy]
    return estimate(values) if values else None


def _over_datasets(strategy: str, profiles: dict[str, tuple[BatchProfile, ...]]) -> list[float]:
    means = []
    for measure in _MEASURES:
        values = [value.mean for known in profiles.values() if (value := _value(strategy, known, measure)) is not None]
        means.append(estimate(values).mean)
    return means


def _profile_row(title: str, means: Sequence[float], strategy: str) -> tuple[str, ...]:
    printed = paper.PROFILES.get(strategy)
    cells = []
    for measure, mean in zip(_MEASURES, means, strict=True):
        cells.append(f"{mean:.3f}")
        if measure.printed is not None:
            cells.append(formats.ABSENT if printed is None else f"{measure.printed(printed):.3f}")
    return (title, *cells)


def _profile_records(profiles: dict[str, tuple[BatchProfile, ...]]) -> Records:
    columns = (
        "dataset",
        "function",
        "seed",
        "input_diversity",
        "first_input_diversity",
        "feature_diversity",
        "uncertainty",
        "representativeness",
        "density",
    )
    rows: list[tuple[Value, ...]] = [
        (dataset, one.strategy, one.seed, *(measure.read(one) for measure in _MEASURES))
        for dataset, known in profiles.items()
        for one in known
    ]
    return Records(columns, tuple(rows))
