"""What the experiment allows one to say about each function, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearmiss.analysis.significance import Comparison, Verdict
from nearmiss.experiment.records import ExperimentResult
from nearmiss.experiment.reporting.formats import count, interval, listing, p_value, points
from nearmiss.experiment.reporting.summary import REFERENCE, FunctionSummary, Summary, summarize

__all__ = ["FunctionVerdict", "Verdicts", "judge", "verdict_sentences"]


@dataclass(frozen=True, slots=True)
class FunctionVerdict:
    """What can be said about one function; ``text`` reads on from its name."""

    strategy: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The answer to "which functions beat random here".

    Attributes
    ----------
    headline
        One sentence or two for all functions together.
    functions
        One verdict for each function but random: better first, then worse, no difference shown, not tested; within
        each, by difference. Empty where there is nothing to compare with.
    resolution
        How small a difference could have been seen; empty where nothing was tested.
    """

    headline: str
    functions: tuple[FunctionVerdict, ...]
    resolution: str


def verdict_sentences(result: ExperimentResult) -> tuple[str, ...]:
    """Say which functions beat random, which do worse, and where nothing can be concluded.

    Verdicts are on the area under the learning curve (AULC), by a paired t-test over seeds with Holm's correction.

    Raises
    ------
    InvalidInput
        There is no finished run.
    """
    summary = summarize(result)
    verdicts = judge(summary)
    sentences = [f"{function.strategy} {function.text}" for function in verdicts.functions]
    return tuple(filter(None, [verdicts.headline, *sentences, verdicts.resolution, *summary.remarks]))


def judge(summary: Summary) -> Verdicts:
    """Turn the comparisons of a summary into sentences."""
    compared = [function for function in summary.functions if function.area_comparison is not None]
    order = list(Verdict)
    functions = sorted(
        ((comparison, function) for function in compared if (comparison := function.area_comparison)),
        key=lambda item: (order.index(item[0].verdict), -item[0].difference.mean),
    )
    comparisons = [comparison for comparison, _ in functions]
    return Verdicts(
        headline=_headline(summary, comparisons),
        functions=tuple(
            FunctionVerdict(function.strategy, comparison.verdict, _sentence(comparison, function))
            for comparison, function in functions
        ),
        resolution=_resolution(comparisons),
    )


def _headline(summary: Summary, comparisons: Sequence[Comparison]) -> str:
    if not summary.has_reference:
        return (
            f"{REFERENCE} is not among the finished runs, so no comparison is possible:"
            f" add {REFERENCE} to the strategies to learn which functions beat it."
        )
    if not comparisons:
        return f"No other function has a finished run on a seed of {REFERENCE}: there is nothing to compare it with."
    names = {verdict: [c.name for c in comparisons if c.verdict is verdict] for verdict in Verdict}
    total = len(comparisons)
    if len(names[Verdict.NOT_TESTED]) == total:
        return _untested_headline(comparisons)
    better, worse = names[Verdict.BETTER], names[Verdict.WORSE]
    if better:
        verb = "beats" if len(better) == 1 else "beat"
        parts = [f"{len(better)} of {total} function{_s(total)} {verb} {REFERENCE} here: {listing(better)}."]
    elif total > 1:
        parts = [f"None of {total} functions is shown to beat {REFERENCE} here."]
    else:
        parts = [f"{comparisons[0].name} is not shown to beat {REFERENCE} here."]
    if worse:
        parts.append(f"{len(worse)} {'does' if len(worse) == 1 else 'do'} worse: {listing(worse)}.")
    if names[Verdict.NO_DIFFERENCE] and (better or worse):
        parts.append(f"For {len(names[Verdict.NO_DIFFERENCE])} no difference is shown.")
    if names[Verdict.NOT_TESTED]:
        parts.append(f"{len(names[Verdict.NOT_TESTED])} could not be tested.")
    return " ".join(parts)


def _untested_headline(comparisons: Sequence[Comparison]) -> str:
    ahead = sum(comparison.difference.mean > 0 for comparison in comparisons)
    reason = (
        "one seed cannot show that any function is better or worse"
        if all(len(comparison.seeds) == 1 for comparison in comparisons)
        else "these seeds do not allow a test"
    )
    total = len(comparisons)
    verb = "ends" if ahead == 1 else "end"
    return f"{ahead} of {total} function{_s(total)} {verb} ahead of {REFERENCE} in AULC here, but {reason}."


def _sentence(comparison: Comparison, function: FunctionSummary) -> str:
    difference = comparison.difference
    mean, n = points(difference.mean), len(comparison.seeds)
    spread = f"{mean} points of AULC (95 % interval {interval(difference.interval)})"
    corrected = f"after Holm correction (p = {p_value(comparison.adjusted_p)})".replace("= <", "< ")
    match comparison.verdict:
        case Verdict.BETTER:
            text = f"beats {REFERENCE}: {spread}, ahead in {_of_seeds(difference.wins, n)}; significant {corrected}."
        case Verdict.WORSE:
            text = (
                f"does worse than {REFERENCE}: {spread}, behind in {_of_seeds(difference.losses, n)};"
                f" significant {corrected}."
            )
        case Verdict.NO_DIFFERENCE if difference.interval is None:
            text = f"has the same AULC as {REFERENCE} in all {n} seeds."
        case Verdict.NO_DIFFERENCE:
            text = f"is ahead of {REFERENCE} in {_of_seeds(difference.wins, n)}, {spread}; not significant {corrected}."
        case Verdict.NOT_TESTED if n == 1:
            text = (
                f"differs from {REFERENCE} by {mean} points of AULC on the one shared seed; one seed cannot be tested."
            )
        case Verdict.NOT_TESTED:
            text = (
                f"differs from {REFERENCE} by {mean} points of AULC in each of {n} seeds;"
                " differences without spread cannot be tested."
            )
    if function.last_comparison is None or function.last_compared is None:
        return text
    last = points(function.last_comparison.difference.mean)
    return f"{text} At {count(function.last_compared)} labels: {last} points of accuracy."


def _resolution(comparisons: Sequence[Comparison]) -> str:
    tested = [(c.difference.interval, len(c.seeds)) for c in comparisons if c.difference.interval]
    if not tested:
        return ""
    reaches = [(ends.high - ends.low) / 2 for ends, _ in tested]
    seeds = [n for _, n in tested]
    return (
        f"With {_range(str(min(seeds)), str(max(seeds)))} seeds, the 95 % intervals reach"
        f" {_range(f'±{100 * min(reaches):.1f}', f'±{100 * max(reaches):.1f}')} points around the differences:"
        " smaller ones are not resolved here."
    )


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _of_seeds(number: int, total: int) -> str:
    return f"{number} of {total} seeds"


def _s(number: int) -> str:
    return "" if number == 1 else "s"
