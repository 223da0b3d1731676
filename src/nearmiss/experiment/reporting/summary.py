"""Every number a report shows, computed once from the finished runs; how it looks is decided elsewhere."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nearmiss.analysis.curves import Estimate, LearningCurves, align, estimate
from nearmiss.analysis.significance import Comparison
from nearmiss.errors import InvalidInput
from nearmiss.experiment.records import ExperimentResult, FullSupervision, RoundRecord, RoundTiming, RunResult
from nearmiss.experiment.reporting.comparing import compared, paired_with
from nearmiss.experiment.reporting.formats import count, listing
from nearmiss.experiment.spec import REFERENCE

__all__ = ["REFERENCE", "Cost", "FunctionSummary", "Summary", "capped_pool", "summarize"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Median seconds over rounds and seeds; None where no round was timed (the initial set costs no selection)."""

    inference_seconds: float | None
    selection_seconds: float | None
    fit_seconds: float | None

    @property
    def acquisition_seconds(self) -> float | None:
        """Inference and selection together."""
        if self.inference_seconds is None or self.selection_seconds is None:
            return None
        return self.inference_seconds + self.selection_seconds


@dataclass(frozen=True, slots=True, eq=False)
class FunctionSummary:
    """One acquisition function over its finished seeds.

    Attributes
    ----------
    strategy
        Its text form, as in the spec.
    accuracy
        Test accuracy per seed and label count.
    area
        Area under the accuracy curve, over seeds.
    macro_f1, log_loss, calibration_error
        After the last round, over seeds; None where a seed's value is not finite.
    ood_accuracy
        After the last round, by out-of-domain test set.
    cost
        Seconds per round.
    area_comparison, last_comparison
        Against the reference, in area and in accuracy at the last shared label count; None for the reference itself,
        and where there is nothing to pair.
    last_compared
        That last shared label count.
    """

    strategy: str
    accuracy: LearningCurves
    area: Estimate
    macro_f1: Estimate | None
    log_loss: Estimate | None
    calibration_error: Estimate | None
    ood_accuracy: Mapping[str, Estimate]
    cost: Cost
    area_comparison: Comparison | None
    last_comparison: Comparison | None
    last_compared: int | None

    def accuracy_at(self, n_labeled: int) -> Estimate | None:
        """Accuracy over seeds at a label count; None where no round was scored there."""
        return estimate(self.accuracy.at(n_labeled)) if n_labeled in self.accuracy.n_labeled else None


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """A whole experiment in numbers.

    Attributes
    ----------
    functions
        In the order of the runs, which is that of the spec.
    budgets
        Every label count at which some function was scored, increasing.
    remarks
        Sentences on what is missing (functions without a finished run, seeds that cannot be paired), and on trainings
        that collapsed.
    peak_memory_bytes
        Largest peak of any process that worked on the runs.
    full_accuracy
        Test accuracy of models trained on the whole pool, over seeds; None where there is none.
    validation_size
        Labels spent on validation, which ``budgets`` leave out.
    pool_cap
        The size the pool was capped at; None where all of it was used.
    """

    functions: tuple[FunctionSummary, ...]
    budgets: tuple[int, ...]
    remarks: tuple[str, ...]
    peak_memory_bytes: int
    full_accuracy: Estimate | None = None
    validation_size: int = 0
    pool_cap: int | None = None

    @property
    def has_reference(self) -> bool:
        """Whether random is among the finished runs."""
        return any(function.strategy == REFERENCE for function in self.functions)

    @property
    def ranked(self) -> tuple[FunctionSummary, ...]:
        """The functions by area under the learning curve, largest first; equals stay in the order of the spec."""
        return tuple(sorted(self.functions, key=lambda function: -function.area.mean))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that occurs, in increasing order."""
        return tuple(sorted({seed for function in self.functions for seed in function.accuracy.seeds}))

    @property
    def cap(self) -> str:
        """How titles name the cap on the pool, to go on from; empty where there is none."""
        return "" if self.pool_cap is None else f", pool capped at {count(self.pool_cap)} texts"

    @property
    def price(self) -> str:
        """How many labels the last round has really cost, validation labels included, in a sentence."""
        trained = count(self.budgets[-1])
        if not self.validation_size:
            return f"The last round has cost {trained} labels in all; no labels are spent on validation."
        return (
            f"The last round has cost {count(self.budgets[-1] + self.validation_size)} labels in all: {trained} for"
            f" training and {count(self.validation_size)} for validation, which the label counts here leave out."
        )


def capped_pool(result: ExperimentResult) -> int | None:
    """Give the size a pool was capped at; None where the whole pool was used."""
    return result.pool_size if any(note.startswith("pool capped") for note in result.notes) else None


def summarize(result: ExperimentResult, full: Sequence[FullSupervision] = ()) -> Summary:
    """Compute everything a report shows.

    Parameters
    ----------
    result
        The finished runs.
    full
        Models trained on the whole pool, where that was done.

    Raises
    ------
    InvalidInput
        There is no finished run, or seeds of one function share no label count.
    """
    grouped: dict[str, list[RunResult]] = {}
    for run in result.runs:
        if run.rounds:
            grouped.setdefault(run.key.strategy, []).append(run)
    if not grouped:
        raise InvalidInput("no finished run to report on; start the experiment again and let at least one run end")
    accuracy = {name: _accuracy(runs) for name, runs in grouped.items()}
    pairs = paired_with(REFERENCE, accuracy)
    areas = compared(pairs)
    lasts = compared(pairs, lambda curves: curves.at(int(curves.n_labeled[-1])))
    functions = tuple(
        FunctionSummary(
            strategy=name,
            accuracy=accuracy[name],
            area=estimate(accuracy[name].areas()),
            macro_f1=_at_end(runs, lambda record: record.macro_f1),
            log_loss=_at_end(runs, lambda record: record.log_loss),
            calibration_error=_at_end(runs, lambda record: record.expected_calibration_error),
            ood_accuracy=_out_of_domain(runs),
            cost=_cost(runs),
            area_comparison=areas.get(name),
            last_comparison=lasts.get(name),
            last_compared=int(pairs[name].curves.n_labeled[-1]) if name in pairs else None,
        )
        for name, runs in grouped.items()
    )
    return Summary(
        functions=functions,
        budgets=tuple(sorted({int(n) for curves in accuracy.values() for n in curves.n_labeled})),
        remarks=(*_remarks(result, grouped, accuracy), *_retries(grouped)),
        peak_memory_bytes=max(
            (timing.peak_memory_bytes for runs in grouped.values() for run in runs for timing in run.timings), default=0
        ),
        full_accuracy=estimate([one.accuracy for one in full]) if full else None,
        validation_size=result.validation_size,
        pool_cap=capped_pool(result),
    )


def _accuracy(runs: Sequence[RunResult]) -> LearningCurves:
    return align(
        [
            LearningCurves(
                seeds=(run.key.seed,),
                n_labeled=np.array([record.n_labeled for record in run.rounds], dtype=np.int64),
                values=np.array([[record.accuracy for record in run.rounds]], dtype=np.float64),
            )
            for run in runs
        ]
    )


def _at_end(runs: Sequence[RunResult], metric: Callable[[RoundRecord], float]) -> Estimate | None:
    values = [metric(run.rounds[-1]) for run in runs]
    return estimate(values) if all(map(math.isfinite, values)) else None


def _out_of_domain(runs: Sequence[RunResult]) -> dict[str, Estimate]:
    names = dict.fromkeys(name for run in runs for name in run.rounds[-1].ood_accuracy)
    return {
        name: estimate([run.rounds[-1].ood_accuracy[name] for run in runs if name in run.rounds[-1].ood_accuracy])
        for name in names
    }


def _cost(runs: Sequence[RunResult]) -> Cost:
    def median(seconds: Callable[[RoundTiming], float], first_round: int) -> float | None:
        values = [seconds(timing) for run in runs for timing in run.timings if timing.round >= first_round]
        return statistics.median(values) if values else None

    return Cost(
        inference_seconds=median(lambda timing: timing.inference_seconds, 1),
        selection_seconds=median(lambda timing: timing.selection_seconds, 1),
        fit_seconds=median(lambda timing: timing.fit_seconds, 0),
    )


def _remarks(
    result: ExperimentResult, grouped: Mapping[str, Sequence[RunResult]], accuracy: Mapping[str, LearningCurves]
) -> tuple[str, ...]:
    remarks = []
    absent = [name for name in result.spec.strategies if name not in grouped]
    if absent:
        remarks.append(f"No finished run of {listing(absent)}: missing from everything below.")
    for name, curves in accuracy.items():
        missing = [seed for seed in result.spec.seeds if seed not in curves.seeds]
        if missing:
            remarks.append(
                f"{name} has no finished run for {_seeds(missing)}; its means are over {_seeds(curves.seeds)} alone,"
                f" and only seeds that {REFERENCE} has too are compared with it."
            )
        if any(len(run.rounds) > len(curves.n_labeled) for run in grouped[name]):
            remarks.append(f"Seeds of {name} were scored at different label counts; only shared ones are shown.")
    return tuple(remarks)


def _retries(grouped: Mapping[str, Sequence[RunResult]]) -> tuple[str, ...]:
    """Say in how many rounds the model gave one class to every text, and whether training again mended it."""
    records = {name: [record for run in runs for record in run.rounds] for name, runs in grouped.items()}
    total = count(sum(map(len, records.values())))
    retried = {name: sum(record.attempts > 1 for record in known) for name, known in records.items()}
    stuck = {name: sum(record.collapsed for record in known) for name, known in records.items()}
    sentences = []
    if n := sum(retried.values()):
        sentences.append(
            f"In {count(n)} of {total} rounds the model gave one class to every text and was trained again"
            f" ({_by_function(retried)}); the training that did not end so counts, else the one with the lowest loss."
        )
    if n := sum(stuck.values()):
        sentences.append(
            f"In {count(n)} of {total} rounds the model that counts gave one class to every text"
            f" ({_by_function(stuck)}); those rounds stand as they are."
        )
    return tuple(sentences)


def _by_function(counts: Mapping[str, int]) -> str:
    return listing([f"{name} {count(n)}" for name, n in counts.items() if n])


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {listing(seeds)}"
