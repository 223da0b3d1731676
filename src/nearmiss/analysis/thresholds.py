"""How many labels it takes to come near full supervision, and how many fewer than random takes.

A run that ends before it gets there is *censored*: it needs more labels than the budget, nobody knows how many. Such
runs are neither dropped nor counted as if they had reached the target at the end. Over seeds the median is reported,
which is known as soon as more than half of them arrive.

Intervals are percentiles of a bootstrap over seeds. With the handful of seeds that experiments have they are narrower
than they claim: read them as the spread of the seeds, not as a test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from nearmiss.analysis.curves import LearningCurves, pair
from nearmiss.analysis.significance import CONFIDENCE, ROUNDING, Interval
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = [
    "SHARES",
    "Crossing",
    "LabelReduction",
    "LabelsToReach",
    "first_reach",
    "label_reduction",
    "labels_to_reach",
    "target_of",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Shares of full-supervision accuracy that reports ask about.
SHARES = (0.90, 0.95, 0.99)
#: Bootstrap resamples of the seeds.
N_RESAMPLES = 10_000


class Crossing(StrEnum):
    """Where between two scored rounds a curve is taken to reach a target."""

    #: On the straight line between the last round below it and the first that reaches it.
    LINEAR = "linear"
    #: At the first scored round that reaches it; nothing is interpolated.
    SCORED = "scored"


@dataclass(frozen=True, slots=True)
class LabelsToReach:
    """Labels one function needs to reach a target.

    Attributes
    ----------
    share
        Share of full-supervision accuracy.
    target
        The accuracy to reach.
    seeds
        Seeds of the runs.
    per_seed
        Labels of each seed, None where the run ended before it got there.
    budget
        Labels at the last scored round: what a censored run has used without reaching the target.
    median
        Over seeds, in labels; None when no more than half of them got there: "not reached within ``budget``".
    interval
        95 % bootstrap percentile interval of the median. Its high end is infinite where it lies beyond the budget.
        None for a single seed, or when there is no median.
    start
        Labels at the first scored round, before which nothing is known.
    """

    share: float
    target: float
    seeds: tuple[int, ...]
    per_seed: tuple[float | None, ...]
    budget: int
    median: float | None
    interval: Interval | None
    start: int = 0

    @property
    def is_upper_bound(self) -> bool:
        """Whether the median is the first scored round: fewer labels might have done as well."""
        return self.median is not None and self.median <= self.start

    @property
    def n_reached(self) -> int:
        """Number of seeds that got there."""
        return sum(labels is not None for labels in self.per_seed)


@dataclass(frozen=True, slots=True)
class LabelReduction:
    """How many fewer labels a function needs than the reference, as a share of the reference's labels.

    Attributes
    ----------
    labels
        The function's labels, on the seeds and label counts both have.
    reference
        The reference's labels on the same.
    reduction
        1 − median labels / median labels of the reference: 0.3 is 30 % fewer, negative is more. None when the function
        has no median, or both reach the target at the first scored round.
    at_least
        Whether ``reduction`` is a lower bound, because the reference has no median: it is then taken to have needed
        the whole budget, and needed more.
    interval
        95 % percentile interval from a bootstrap that resamples the seeds of both together. Resamples in which one of
        them is censored count with the lowest value possible for the low end and the highest for the high end; a low
        end of minus infinity says that the function may not get there. None for a single seed, or without a reduction.
    """

    labels: LabelsToReach
    reference: LabelsToReach
    reduction: float | None
    at_least: bool
    interval: Interval | None


def target_of(full: npt.ArrayLike, share: float) -> float:
    """Compute the accuracy to reach: a share of the mean accuracy under full supervision.

    The mean is taken as known; its own uncertainty does not enter the intervals.

    Parameters
    ----------
    full
        Accuracy of models trained on the whole pool, one per seed, or one number.
    share
        Above 0, at most 1.

    Raises
    ------
    InvalidInput
        The share is out of its range.
    InvalidArray
        There is no accuracy, or one is not positive and finite.

    Examples
    --------
    >>> target_of([0.8, 1.0], 0.9)
    0.81
    """
    accuracies = np.atleast_1d(np.asarray(full, dtype=np.float64))
    if accuracies.ndim != 1 or accuracies.size == 0 or not (np.isfinite(accuracies) & (accuracies > 0)).all():
        raise InvalidArray(f"full supervision is one positive accuracy per seed, or one in all, got {accuracies}")
    if not 0 < share <= 1:
        raise InvalidInput(f"a share of full supervision lies above 0 and at most at 1, got {share}")
    return float(share * accuracies.mean())


def first_reach(curves: LearningCurves, target: float, crossing: Crossing = Crossing.LINEAR) -> FloatArray:
    """Find the labels at which each seed's curve first reaches the target, shape (s,); infinity where it never does.

    First means first: a curve may fall below the target again later. A curve that starts at or above it gets the first
    label count, which is then an upper bound, as nothing was scored before.

    Raises
    ------
    InvalidInput
        The target is not finite.

    Examples
    --------
    >>> curves = LearningCurves((0, 1), np.array([100, 200, 400]), np.array([[0.5, 0.7, 0.8], [0.5, 0.6, 0.7]]))
    >>> first_reach(curves, 0.75).tolist()
    [300.0, inf]
    >>> first_reach(curves, 0.75, Crossing.SCORED).tolist()
    [400.0, inf]
    """
    if not math.isfinite(target):
        raise InvalidInput(f"a target is a finite number, got {target}")
    values, counts = curves.values, curves.n_labeled.astype(np.float64)
    slack = ROUNDING * max(1.0, abs(target))
    above = values >= target - slack
    reached, seeds = above.any(axis=1), np.arange(len(values))
    first = np.argmax(above, axis=1)
    labels = counts[first]
    if crossing is Crossing.LINEAR:
        before = np.maximum(first - 1, 0)
        low, high = values[seeds, before], values[seeds, first]
        rise = np.where(high > low, high - low, 1.0)  # a first round has no round before it: nothing rises
        part = np.where(high > low, np.clip((target - low) / rise, 0.0, 1.0), 1.0)
        labels = counts[before] + part * (labels - counts[before])
    return np.where(reached, labels, np.inf)


def labels_to_reach(
    curves: LearningCurves,
    full: npt.ArrayLike,
    share: float,
    rng: np.random.Generator,
    *,
    crossing: Crossing = Crossing.LINEAR,
    n_resamples: int = N_RESAMPLES,
) -> LabelsToReach:
    """Find the labels one function needs for a share of full-supervision accuracy, over seeds with an interval.

    Parameters
    ----------
    curves
        Accuracy, or another metric of which more is better.
    full
        The same metric under full supervision, one number per seed, or one in all.
    share
        Above 0, at most 1; see ``SHARES``.
    rng
        Draws the resamples.
    crossing
        Whether the curve is read between scored rounds.
    n_resamples
        Resamples of the seeds.

    Raises
    ------
    InvalidInput
        The share is out of its range, or there are no resamples.
    InvalidArray
        Full supervision is not given in positive finite numbers.

    Examples
    --------
    >>> counts, rows = np.array([100, 200, 400]), np.array([[0.5, 0.7, 0.8], [0.5, 0.75, 0.9], [0.5, 0.6, 0.7]])
    >>> curves = LearningCurves((0, 1, 2), counts, rows)
    >>> result = labels_to_reach(curves, 0.75, 1.0, np.random.default_rng(0))
    >>> result.per_seed, result.median
    ((300.0, 200.0, None), 300.0)
    >>> result.interval
    Interval(low=200.0, high=inf)
    >>> labels_to_reach(curves, [0.74, 0.76], 1.0, np.random.default_rng(0), crossing=Crossing.SCORED).median
    400.0
    """
    target = target_of(full, share)
    labels = first_reach(curves, target, crossing)
    medians = _medians(labels[_resamples(len(labels), n_resamples, rng)])
    return _summary(curves, share, target, labels, medians)


def label_reduction(
    curves: LearningCurves,
    reference: LearningCurves,
    full: npt.ArrayLike,
    share: float,
    rng: np.random.Generator,
    *,
    crossing: Crossing = Crossing.LINEAR,
    n_resamples: int = N_RESAMPLES,
) -> LabelReduction | None:
    """Find how many fewer labels a function needs than the reference; None when they share no seed or label count.

    Parameters are those of `labels_to_reach`; ``reference`` is as a rule random. Where both reach the target at the
    first scored round there is no reduction to tell: nothing was scored before.

    Raises
    ------
    InvalidInput
        The share is out of its range, there are no resamples, or a round was scored without a label.
    InvalidArray
        Full supervision is not given in positive finite numbers.

    Examples
    --------
    >>> counts = np.array([100, 200, 400])
    >>> cal = LearningCurves((0, 1), counts, np.array([[0.5, 0.8, 0.9], [0.5, 0.8, 0.9]]))
    >>> random = LearningCurves((0, 1), counts, np.array([[0.5, 0.7, 0.9], [0.5, 0.6, 0.8]]))
    >>> result = label_reduction(cal, random, 0.8, 1.0, np.random.default_rng(0))
    >>> round(result.reduction, 3), result.at_least
    (0.429, False)
    """
    paired = pair(curves, reference)
    if paired is None:
        return None
    if paired.curves.n_labeled[0] < 1:
        raise InvalidInput("a round was scored without labels, and no share of none can be saved; leave that round out")
    target = target_of(full, share)
    both = np.stack([first_reach(side, target, crossing) for side in (paired.curves, paired.reference)])
    drawn = _resamples(both.shape[1], n_resamples, rng)
    ours, theirs = _medians(both[0][drawn]), _medians(both[1][drawn])
    labels = _summary(paired.curves, share, target, both[0], ours)
    compared = _summary(paired.reference, share, target, both[1], theirs)
    if labels.median is None or (labels.is_upper_bound and compared.is_upper_bound):
        return LabelReduction(labels, compared, None, False, None)
    budget = float(labels.budget)
    interval = None
    if both.shape[1] > 1:
        # Infinity stands for "somewhere beyond the budget".
        lowest, highest = 1 - ours / np.minimum(theirs, budget), 1 - np.minimum(ours, budget) / theirs
        interval = Interval(_percentiles(lowest).low, _percentiles(highest).high)
    against = budget if compared.median is None else compared.median
    return LabelReduction(labels, compared, 1 - labels.median / against, compared.median is None, interval)


def _resamples(n_seeds: int, n_resamples: int, rng: np.random.Generator) -> IntArray:
    if n_resamples < 1:
        raise InvalidInput(f"a bootstrap needs at least 1 resample, got {n_resamples}")
    return rng.integers(n_seeds, size=(n_resamples, n_seeds))


def _medians(labels: FloatArray) -> FloatArray:
    """Take the median of each row; infinite unless more than half of the row is finite."""
    ordered = np.sort(labels, axis=-1)
    n = labels.shape[-1]
    return np.asarray((ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2, dtype=np.float64)


def _percentiles(draws: FloatArray) -> Interval:
    # Quantiles that are draws themselves: between a number and infinity nothing can be interpolated.
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf").tolist()
    return Interval(low, high)


def _summary(
    curves: LearningCurves, share: float, target: float, labels: FloatArray, medians: FloatArray
) -> LabelsToReach:
    median = float(_medians(labels))
    reached = math.isfinite(median)
    return LabelsToReach(
        share=share,
        target=target,
        seeds=curves.seeds,
        per_seed=tuple(n if math.isfinite(n) else None for n in labels.tolist()),
        budget=int(curves.n_labeled[-1]),
        start=int(curves.n_labeled[0]),
        median=median if reached else None,
        interval=_percentiles(medians) if reached and len(labels) > 1 else None,
    )
