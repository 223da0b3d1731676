"""Learning curves over seeds: their mean and spread, the area under them, and the value at a budget.

No value is interpolated or extrapolated: a curve is known at the label counts where a model was trained and scored,
and nowhere else. The only place where something is assumed between two rounds is the trapezoid of the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["Estimate", "LearningCurves", "PairedCurves", "align", "estimate", "pair"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and how far the seeds lie apart.

    Attributes
    ----------
    mean
        Arithmetic mean, in the unit of the values.
    std
        Sample standard deviation (n - 1 in the denominator); None for a single seed, which has no spread.
    n
        Number of seeds.
    """

    mean: float
    std: float | None
    n: int


def estimate(values: npt.ArrayLike) -> Estimate:
    """Summarise one number per seed by mean and sample standard deviation.

    Raises
    ------
    InvalidArray
        There is no value, or one is not finite.

    Examples
    --------
    >>> estimate([1.0, 2.0, 3.0])
    Estimate(mean=2.0, std=1.0, n=3)
    >>> estimate([0.8]).std is None
    True
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise InvalidArray(f"expected one finite value per seed, got an array of shape {array.shape}: {array}")
    std = float(array.std(ddof=1)) if array.size > 1 else None
    return Estimate(mean=float(array.mean()), std=std, n=array.size)


@dataclass(frozen=True, slots=True, eq=False)
class LearningCurves:
    """One metric of one acquisition function: s seeds scored at the same r label counts.

    Attributes
    ----------
    seeds
        Distinct seeds, one per row of ``values``.
    n_labeled
        Label counts, strictly increasing, shape (r,).
    values
        The metric (accuracy, macro-F1, log-loss ...), shape (s, r), finite.

    Raises
    ------
    InvalidArray
        Shapes do not match, label counts do not increase, a seed occurs twice, or a value is not finite.

    Examples
    --------
    >>> curves = LearningCurves((0, 1), np.array([100, 200, 400]), np.array([[0.5, 0.7, 0.8], [0.5, 0.8, 0.8]]))
    >>> curves.means().round(3).tolist()
    [0.5, 0.75, 0.8]
    >>> curves.areas().round(3).tolist()
    [0.7, 0.75]
    """

    seeds: tuple[int, ...]
    n_labeled: IntArray
    values: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.seeds), len(self.n_labeled))
        if self.n_labeled.ndim != 1 or 0 in shape or self.values.shape != shape:
            raise InvalidArray(
                f"{shape[0]} seeds and {shape[1]} label counts need values of shape {shape} without a zero,"
                f" got {self.values.shape}"
            )
        if len(set(self.seeds)) != len(self.seeds):
            raise InvalidArray(f"each seed may occur once, got {self.seeds}")
        if (np.diff(self.n_labeled) <= 0).any():
            raise InvalidArray(f"label counts must increase from round to round, got {self.n_labeled.tolist()}")
        if not np.isfinite(self.values).all():
            raise InvalidArray("a learning curve holds NaN or infinity; a round without a score must be left out")

    def means(self) -> FloatArray:
        """Mean over seeds at each label count, shape (r,)."""
        means: FloatArray = np.mean(self.values, axis=0)
        return means

    def deviations(self) -> FloatArray | None:
        """Sample standard deviation over seeds at each label count, shape (r,); None for a single seed."""
        if len(self.seeds) == 1:
            return None
        deviations: FloatArray = np.std(self.values, axis=0, ddof=1)
        return deviations

    def areas(self) -> FloatArray:
        """Area under each seed's curve over the width of its label range, shape (s,).

        The trapezoid rule over label counts, divided by (last count - first count): the mean of the metric over the
        range of labels, in the metric's own unit. With one round the range has no width, and the area is that
        round's value.
        """
        if len(self.n_labeled) == 1:
            return self.values[:, 0].copy()
        width = float(self.n_labeled[-1] - self.n_labeled[0])
        return np.asarray(np.trapezoid(self.values, self.n_labeled, axis=1) / width, dtype=np.float64)

    def at(self, n_labeled: int) -> FloatArray:
        """Values of a round, shape (s,): the round trained on exactly that many labels, never an interpolation.

        Raises
        ------
        InvalidInput
            No round was trained on that many labels.
        """
        (columns,) = np.nonzero(self.n_labeled == n_labeled)
        if columns.size == 0:
            known = ", ".join(map(str, self.n_labeled))
            raise InvalidInput(f"no round was scored at {n_labeled} labels; ask for one of {known}")
        return self.values[:, columns[0]].copy()

    def restricted_to(self, seeds: Sequence[int], n_labeled: npt.ArrayLike) -> LearningCurves:
        """Keep the given seeds, in the given order, and those label counts.

        Raises
        ------
        InvalidInput
            A seed or a label count is not in these curves.
        """
        counts = np.unique(np.asarray(n_labeled, dtype=np.int64))
        absent = [*sorted(set(seeds) - set(self.seeds)), *np.setdiff1d(counts, self.n_labeled).tolist()]
        if absent:
            raise InvalidInput(f"not in these curves: {absent}; they have seeds {self.seeds} at {self.n_labeled}")
        rows = np.array([self.seeds.index(seed) for seed in seeds], dtype=np.int64)
        columns = np.searchsorted(self.n_labeled, counts)
        return LearningCurves(tuple(seeds), counts, self.values[np.ix_(rows, columns)])


def align(curves: Sequence[LearningCurves]) -> LearningCurves:
    """Stack curves of different seeds at the label counts that all of them share.

    Raises
    ------
    InvalidArray
        There are no curves, they share no label count, or a seed occurs twice.

    Examples
    --------
    >>> short = LearningCurves((0,), np.array([10, 20]), np.array([[0.5, 0.6]]))
    >>> long = LearningCurves((1,), np.array([10, 20, 30]), np.array([[0.4, 0.7, 0.8]]))
    >>> align([short, long]).values.tolist()
    [[0.5, 0.6], [0.4, 0.7]]
    """
    if not curves:
        raise InvalidArray("no curves to stack; give at least one")
    shared = reduce(np.intersect1d, [curve.n_labeled for curve in curves])
    if shared.size == 0:
        raise InvalidArray("the curves share no label count; use the same initial set, batch and budget for all seeds")
    values = np.concatenate([curve.values[:, np.searchsorted(curve.n_labeled, shared)] for curve in curves])
    return LearningCurves(tuple(seed for curve in curves for seed in curve.seeds), shared, values)


@dataclass(frozen=True, slots=True, eq=False)
class PairedCurves:
    """Two functions on exactly the same seeds and label counts: row i of one is compared with row i of the other."""

    curves: LearningCurves
    reference: LearningCurves


def pair(curves: LearningCurves, reference: LearningCurves) -> PairedCurves | None:
    """Cut two functions to the seeds and label counts both have; None when there are none.

    Examples
    --------
    >>> counts = np.array([10, 20])
    >>> cal = LearningCurves((0, 1), counts, np.array([[0.5, 0.7], [0.6, 0.8]]))
    >>> random = LearningCurves((1, 2), counts, np.array([[0.6, 0.7], [0.5, 0.6]]))
    >>> pair(cal, random).reference.seeds
    (1,)
    """
    seeds = tuple(seed for seed in curves.seeds if seed in reference.seeds)
    counts = np.intersect1d(curves.n_labeled, reference.n_labeled)
    if not seeds or counts.size == 0:
        return None
    return PairedCurves(curves.restricted_to(seeds, counts), reference.restricted_to(seeds, counts))
