"""Figure 3: CAL's variants against CAL itself, in the paper's groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nearmiss.analysis.significance import Comparison, Verdict
from nearmiss.errors import InvalidInput
from nearmiss.experiment.records import ExperimentResult
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.comparing import compared, paired_with
from nearmiss.experiment.reporting.series import Series, looks_of
from nearmiss.experiment.reporting.summary import REFERENCE, FunctionSummary
from nearmiss.experiment.reporting.tables import TextTable
from nearmiss.experiment.reporting.targets import paper
from nearmiss.experiment.reporting.targets.artefact import Artefact, Drawing
from nearmiss.experiment.reporting.targets.figure2 import AREA, curve_records
from nearmiss.experiment.reporting.targets.grid import Grid, dataset_title, function_title, read_grid, titled
from nearmiss.experiment.reporting.targets.panels import Panel, small_multiples
from nearmiss.experiment.reporting.targets.scope import conditions
from nearmiss.experiment.reproduction import Reproduction

__all__ = ["figure3"]

CAL = "cal"
OTHERS = "Not in the paper"


@dataclass(frozen=True, slots=True, eq=False)
class _Variant:
    """One line of the figure: how it is called, what it varies, and its numbers."""

    title: str
    group: str
    finding: str
    function: FunctionSummary


def figure3(reproduction: Reproduction) -> Artefact:
    """Draw CAL's variants in groups, CAL and random in each, and test every variant against CAL.

    Raises
    ------
    InvalidInput
        No run of the ablation is finished.
    """
    if reproduction.ablation is None or not reproduction.ablation.runs:
        raise InvalidInput(
            f"no run of the ablation on {reproduction.protocol.ablation_dataset} is finished, so there is no figure 3;"
            " run 'nearmiss reproduce figure3' to its end first"
        )
    grid = _ablation_grid(reproduction, reproduction.ablation)
    (dataset,) = grid.datasets
    variants = _variants(grid, dataset)
    comparisons = compared(paired_with(CAL, grid.curves(dataset)))
    title = titled(
        f"Figure 3: variants of CAL on {dataset_title(dataset)}", reproduction.protocol.title, [grid.result(dataset)]
    )
    return Artefact(
        name="figure3",
        title=title,
        records=curve_records(grid),
        tables=(_table(grid, dataset, variants, comparisons),),
        findings=_findings(variants, comparisons),
        notes=(
            AREA,
            "Differences to CAL are paired by seed: mean, 95 % t interval, and p of a paired t-test after Holm's"
            " correction over all rows. The paper prints no numbers for this figure.",
            *_coverage(variants),
            *conditions(grid, grid.datasets),
        ),
        drawing=Drawing(
            small_multiples(title, _panels(grid, dataset, variants), shared=True),
            f"Learning curves of {len(variants)} variants of CAL on {dataset_title(dataset)}, in groups.",
        ),
    )


def _ablation_grid(reproduction: Reproduction, ablation: ExperimentResult) -> Grid:
    """Read the ablation as a grid of its own; CAL and random come from the main grid where the ablation lacks them."""
    dataset = ablation.spec.dataset
    known = {run.key for run in ablation.runs}
    main = reproduction.experiments.get(dataset)
    borrowed = [
        run
        for run in (main.runs if main is not None else ())
        if run.key not in known and run.key.strategy in (REFERENCE, CAL)
    ]
    strategies = tuple(dict.fromkeys((*(run.key.strategy for run in borrowed), *ablation.spec.strategies)))
    merged = replace(ablation, runs=(*borrowed, *ablation.runs), spec=ablation.spec.replace(strategies=strategies))
    return read_grid(replace(reproduction, experiments={dataset: merged}))


def _variants(grid: Grid, dataset: str) -> tuple[_Variant, ...]:
    titles = {one.strategy: one.title for one in grid.reproduction.protocol.ablations}
    variants = []
    for function in grid.summaries[dataset].functions:
        if function.strategy in (REFERENCE, CAL):
            continue
        title = titles.get(function.strategy, function_title(function.strategy))
        known = _in_paper(function.strategy)
        group, finding = (OTHERS, "not in it") if known is None else (known.group, known.finding)
        variants.append(_Variant(title, group, finding, function))
    order = [*dict.fromkeys(one.group for one in paper.FIGURE_3), OTHERS]
    return tuple(sorted(variants, key=lambda one: order.index(one.group)))


def _in_paper(strategy: str) -> paper.PaperVariant | None:
    """Find the paper's variant that differs from CAL in the same single option."""
    name, _, written = strategy.partition(":")
    options = written.split(",")
    known = {f"{one.option}={one.value}": one for one in paper.FIGURE_3}
    return known.get(options[0]) if name == CAL and len(options) == 1 else None


def _panels(grid: Grid, dataset: str, variants: Sequence[_Variant]) -> list[Panel]:
    summary = grid.summaries[dataset]
    full = summary.full_accuracy
    # Each group takes its looks anew, CAL's always the first, for a panel holds few lines.
    frame = [one for one in summary.functions if one.strategy in (REFERENCE, CAL)]
    looks = looks_of([CAL, REFERENCE, *(one.function.strategy for one in variants)])
    panels = []
    for group in dict.fromkeys(one.group for one in variants):
        lines = [(function_title(one.strategy), one) for one in frame]
        lines += [(one.title, one.function) for one in variants if one.group == group]
        series = tuple(Series(title, one.accuracy, looks[one.strategy]) for title, one in lines)
        panels.append(Panel(group, series, None if full is None else full.mean))
    return panels


def _table(grid: Grid, dataset: str, variants: Sequence[_Variant], comparisons: dict[str, Comparison]) -> TextTable:
    summary = grid.summaries[dataset]
    frame = [
        _Variant(function_title(one.strategy), "", formats.ABSENT, one)
        for name in (CAL, REFERENCE)
        for one in summary.functions
        if one.strategy == name
    ]
    last = formats.count(summary.budgets[-1])
    return TextTable(
        "figure3",
        f"Area under the learning curve and accuracy at {last} labels in %, mean ± standard deviation over seeds, and"
        " the difference to CAL in AULC, in percentage points. Higher is better.",
        ("Variant", "Group", "AULC", f"At {last}", "To CAL", "95 % interval", "p (Holm)", "Verdict", "In the paper"),
        tuple(
            (
                one.title,
                one.group or formats.ABSENT,
                formats.percent(one.function.area),
                formats.percent(one.function.accuracy_at(summary.budgets[-1])),
                *_difference(comparisons.get(one.function.strategy)),
                one.finding,
            )
            for one in (*frame, *variants)
        ),
        words=("Group", "Verdict", "In the paper"),
    )


def _difference(comparison: Comparison | None) -> tuple[str, str, str, str]:
    if comparison is None:
        return (formats.ABSENT,) * 4
    difference = comparison.difference
    return (
        formats.points(difference.mean),
        formats.interval(difference.interval),
        formats.p_value(comparison.adjusted_p),
        str(comparison.verdict),
    )


def _findings(variants: Sequence[_Variant], comparisons: dict[str, Comparison]) -> tuple[str, ...]:
    if not comparisons:
        return ("CAL itself has no finished run that a variant could be held against: nothing can be concluded.",)
    sentences = []
    for verdict, words in ((Verdict.WORSE, "worse than CAL"), (Verdict.BETTER, "better than CAL")):
        names = [one.title for one in variants if _verdict(one, comparisons) is verdict]
        if names:
            sentences.append(f"Shown to be {words}: {formats.listing(names)}.")
    undecided = [one.title for one in variants if _verdict(one, comparisons) is Verdict.NO_DIFFERENCE]
    if undecided:
        sentences.append(f"No difference to CAL is shown for {formats.listing(undecided)}; that is not proof of none.")
    untested = [one.title for one in variants if _verdict(one, comparisons) in (None, Verdict.NOT_TESTED)]
    if untested:
        sentences.append(f"Nothing can be concluded on {formats.listing(untested)}: these seeds allow no test.")
    return tuple(sentences)


def _verdict(variant: _Variant, comparisons: dict[str, Comparison]) -> Verdict | None:
    comparison = comparisons.get(variant.function.strategy)
    return None if comparison is None else comparison.verdict


def _coverage(variants: Sequence[_Variant]) -> list[str]:
    known = [_in_paper(one.function.strategy) for one in variants]
    absent = [f"{one.option} = {one.value}" for one in paper.FIGURE_3 if one not in known]
    sentences = []
    if absent:
        sentences.append(
            f"Of the paper's variants, {formats.listing(absent)} {'is' if len(absent) == 1 else 'are'} missing here."
        )
    added = [one.title for one in variants if one.group == OTHERS]
    if added:
        sentences.append(f"{formats.listing(added)} {'is' if len(added) == 1 else 'are'} not in the paper.")
    return sentences
