"""Is CAL better than random, entropy and margin? Dataset by dataset, with every number, whichever way it comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearmiss.analysis.curves import LearningCurves
from nearmiss.analysis.significance import Comparison, PairedSample, Verdict, compare
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.comparing import paired_with
from nearmiss.experiment.reporting.tables import TextTable
from nearmiss.experiment.reporting.targets.grid import Grid, dataset_title, function_title

__all__ = ["Bout", "bout_table", "bouts", "contest_sentences"]

CAL = "cal"
#: What CAL must beat to be worth its cost: doing nothing, the paper's runner-up, and the cheapest of the later ones.
RIVALS = ("random", "entropy", "margin")


@dataclass(frozen=True, slots=True)
class Bout:
    """CAL against one function on one dataset."""

    dataset: str
    rival: str
    comparison: Comparison


def bouts(grid: Grid) -> tuple[Bout, ...]:
    """Compare CAL's area under the curve with each rival's, paired by seed, with Holm's correction over all of them."""
    sides: list[tuple[str, str]] = []
    samples = []
    for dataset in grid.datasets:
        curves = grid.curves(dataset)
        for rival in RIVALS:
            if CAL not in curves or rival not in curves:
                continue
            paired = paired_with(rival, {rival: curves[rival], CAL: curves[CAL]}).get(CAL)
            if paired is None:
                continue
            sides.append((dataset, rival))
            samples.append(_sample(f"{dataset} {rival}", paired.curves, paired.reference))
    return tuple(Bout(*side, comparison) for side, comparison in zip(sides, compare(samples), strict=True))


def _sample(name: str, curves: LearningCurves, reference: LearningCurves) -> PairedSample:
    return PairedSample(name, curves.seeds, curves.areas(), reference.areas())


def bout_table(known: Sequence[Bout]) -> TextTable | None:
    """Tabulate every comparison; None where there is none."""
    if not known:
        return None
    return TextTable(
        "cal",
        "CAL's AULC minus another function's, in percentage points, paired by seed: mean, 95 % t interval, seeds ahead,"
        f" p of a two-sided paired t-test, and p after Holm's correction over all {len(known)} rows.",
        ("Dataset", "Against", "Verdict on CAL", "Difference", "95 % interval", "Seeds ahead", "p", "p (Holm)"),
        tuple(
            (
                dataset_title(bout.dataset),
                function_title(bout.rival),
                str(bout.comparison.verdict),
                formats.points(difference.mean),
                formats.interval(difference.interval),
                f"{difference.wins} of {len(bout.comparison.seeds)}",
                formats.p_value(difference.p_value),
                formats.p_value(bout.comparison.adjusted_p),
            )
            for bout in known
            for difference in (bout.comparison.difference,)
        ),
        words=("Against", "Verdict on CAL"),
    )


def contest_sentences(known: Sequence[Bout]) -> tuple[str, ...]:
    """Say against each rival where CAL is shown to be better, worse, and where neither is shown."""
    if not known:
        return ("CAL and its rivals (random, entropy, margin) share no finished run: nothing can be concluded on CAL.",)
    sentences = [_headline(known)]
    for rival in RIVALS:
        against = [bout for bout in known if bout.rival == rival]
        if against:
            sentences.append(_sentence(rival, against))
        else:
            sentences.append(f"CAL against {function_title(rival)}: not compared, for they share no finished run.")
    if same := _twins(known):
        sentences.append(
            f"ENTROPY and MARGIN chose alike in every run on {formats.listing(same)}, as they must with two classes:"
            " their rows there repeat one comparison, and the correction counts it twice."
        )
    if not any(bout.comparison.verdict in (Verdict.BETTER, Verdict.WORSE) for bout in known):
        sentences.append("No comparison is significant, so nothing can be concluded on CAL from these runs.")
    return tuple(sentences)


def _twins(known: Sequence[Bout]) -> list[str]:
    """Name the datasets on which CAL differs from entropy and from margin by the same numbers."""
    differences = {(bout.dataset, bout.rival): bout.comparison.difference.differences for bout in known}
    return [
        dataset_title(dataset)
        for dataset in dict.fromkeys(bout.dataset for bout in known)
        if (dataset, "entropy") in differences
        and differences[dataset, "entropy"] == differences.get((dataset, "margin"))
    ]


def _headline(known: Sequence[Bout]) -> str:
    datasets = tuple(dict.fromkeys(bout.dataset for bout in known))
    rivals = tuple(rival for rival in RIVALS if any(bout.rival == rival for bout in known))
    beaten = [
        dataset_title(dataset)
        for dataset in datasets
        if {bout.rival for bout in known if bout.dataset == dataset and bout.comparison.verdict is Verdict.BETTER}
        == set(rivals)
    ]
    names = formats.listing([function_title(rival) for rival in rivals])
    total = f"{len(datasets)} dataset{'' if len(datasets) == 1 else 's'}"
    where = f"on {len(beaten)} of {total} ({formats.listing(beaten)})" if beaten else f"on none of {total}"
    every = f"{'both' if len(rivals) == 2 else 'each'} of {names}" if len(rivals) > 1 else names
    return f"CAL is shown to beat {every} {where}. Numbers are points of AULC, CAL minus the other."


def _sentence(rival: str, against: Sequence[Bout]) -> str:
    name, total = function_title(rival), len(against)
    by_verdict = {verdict: [bout for bout in against if bout.comparison.verdict is verdict] for verdict in Verdict}
    better = by_verdict[Verdict.BETTER]
    parts = [
        f"CAL against {name}: shown to be better on {len(better)} of {total} dataset{'s' if total > 1 else ''}"
        f"{_where(better)}"
    ]
    words = {
        Verdict.WORSE: "shown to be worse on",
        Verdict.NO_DIFFERENCE: "no difference shown on",
        Verdict.NOT_TESTED: "not testable on",
    }
    parts += [
        f"{text} {len(found)}{_where(found)}" for verdict, text in words.items() if (found := by_verdict[verdict])
    ]
    return f"{'; '.join(parts)}."


def _where(found: Sequence[Bout]) -> str:
    cells = [f"{dataset_title(one.dataset)} {formats.points(one.comparison.difference.mean)}" for one in found]
    return f" ({', '.join(cells)})" if cells else ""
