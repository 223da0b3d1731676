"""Paired comparisons over seeds with a reference, corrected for the number of functions compared.

Runs that share a seed share their initial labelled set, so they are compared seed by seed. The test is the two-sided
paired t-test; Holm's step-down method (Holm, 1979, "A simple sequentially rejective multiple test procedure") keeps the
chance of *any* false claim among the compared functions at the level.

What cannot be tested is said, not guessed: one seed has no spread; neither have seeds that all differ by the very same
amount.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearmiss.errors import InvalidArray, InvalidInput

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "Comparison",
    "Interval",
    "PairedDifference",
    "PairedSample",
    "Verdict",
    "compare",
    "holm",
    "paired_difference",
]

FloatArray = npt.NDArray[np.float64]

#: Significance level of a verdict, after Holm's correction.
LEVEL = 0.05
#: Coverage of the intervals, each taken by itself (uncorrected).
CONFIDENCE = 0.95
#: Differences this small, relative to values of magnitude 1 and above, are rounding of equal numbers.
ROUNDING = 1e-12


class Verdict(StrEnum):
    """What a comparison allows one to say."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference shown"
    NOT_TESTED = "not tested"


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, both ends in the unit of the values."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Value minus reference, seed by seed.

    Attributes
    ----------
    differences
        One per seed; rounding error of equal numbers is set to exactly 0.
    mean
        Mean difference.
    interval
        95 % t interval of the mean; None when the seeds show no spread to base it on.
    p_value
        Of the two-sided paired t-test. None when it cannot be computed: a single seed, or the same non-zero difference
        in every seed. 1 when every difference is 0.
    """

    differences: tuple[float, ...]
    mean: float
    interval: Interval | None
    p_value: float | None

    @property
    def wins(self) -> int:
        """Seeds in which the value exceeds the reference."""
        return sum(difference > 0 for difference in self.differences)

    @property
    def losses(self) -> int:
        """Seeds in which the value falls short of the reference."""
        return sum(difference < 0 for difference in self.differences)

    @property
    def ties(self) -> int:
        """Seeds in which both are equal."""
        return len(self.differences) - self.wins - self.losses


def paired_difference(values: npt.ArrayLike, reference: npt.ArrayLike) -> PairedDifference:
    """Compare two columns of numbers, one pair per seed, by a two-sided paired t-test.

    Raises
    ------
    InvalidArray
        The columns differ in length, are empty, or hold NaN or infinity.

    Examples
    --------
    >>> result = paired_difference([4.0, 6.0, 8.0], [3.0, 4.0, 5.0])
    >>> result.differences, result.mean, round(result.p_value, 4)
    ((1.0, 2.0, 3.0), 2.0, 0.0742)
    >>> paired_difference([0.9], [0.8]).p_value is None
    True
    """
    x, y = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or x.size == 0:
        raise InvalidArray(
            f"a paired comparison needs one value and one reference per seed, got {x.shape} and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InvalidArray("a paired comparison holds NaN or infinity; leave out the seeds that have no score")
    rounding = ROUNDING * max(1.0, float(np.abs(x).max()), float(np.abs(y).max()))
    differences = np.where(np.abs(x - y) <= rounding, 0.0, x - y)
    mean, interval, p_value = float(differences.mean()), None, None
    if x.size > 1 and float(np.ptp(differences)) > rounding:
        test = stats.ttest_1samp(differences, 0.0)
        ends = test.confidence_interval(CONFIDENCE)
        interval, p_value = Interval(float(ends.low), float(ends.high)), float(test.pvalue)
    elif x.size > 1 and not differences.any():
        p_value = 1.0
    return PairedDifference(tuple(differences.tolist()), mean, interval, p_value)


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values by Holm's step-down method; compare the result with the level itself.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may fall below its predecessor, none
    exceeds 1.

    Raises
    ------
    InvalidArray
        A value is not a probability.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InvalidArray(f"p-values are a list of numbers between 0 and 1, got {p}")
    order = np.argsort(p, kind="stable")
    factors = np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return adjusted


@dataclass(frozen=True, slots=True, eq=False)
class PairedSample:
    """One function's numbers beside the reference's, seed by seed, shape (s,) each."""

    name: str
    seeds: tuple[int, ...]
    values: FloatArray
    reference: FloatArray


@dataclass(frozen=True, slots=True)
class Comparison:
    """One function against the reference, after correction.

    Attributes
    ----------
    name
        The function compared.
    seeds
        Seeds that both have; only these are paired.
    difference
        The paired difference and its own, uncorrected, test.
    adjusted_p
        Holm-adjusted p-value; None where there was nothing to test.
    verdict
        Better or worse if the adjusted p-value is below the level, by the sign of the mean difference.
    """

    name: str
    seeds: tuple[int, ...]
    difference: PairedDifference
    adjusted_p: float | None
    verdict: Verdict


def compare(samples: Sequence[PairedSample], level: float = LEVEL) -> tuple[Comparison, ...]:
    """Test every function against the reference and correct for their number.

    Larger values count as better. A function whose differences cannot be tested does not count towards the number of
    tests.

    Raises
    ------
    InvalidInput
        The level is not between 0 and 1.
    InvalidArray
        A sample's columns do not match.

    Examples
    --------
    >>> reference = np.array([0.70, 0.71, 0.72])
    >>> cal = PairedSample("cal", (0, 1, 2), np.array([0.750, 0.761, 0.771]), reference)
    >>> bald = PairedSample("bald", (0, 1, 2), np.array([0.72, 0.68, 0.73]), reference)
    >>> [(c.name, str(c.verdict)) for c in compare([cal, bald])]
    [('cal', 'better'), ('bald', 'no difference shown')]
    """
    if not 0 < level < 1:
        raise InvalidInput(f"a significance level lies between 0 and 1, got {level}")
    differences = [paired_difference(sample.values, sample.reference) for sample in samples]
    tested = {i: d.p_value for i, d in enumerate(differences) if d.p_value is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())).tolist(), strict=True))
    return tuple(
        Comparison(
            sample.name,
            sample.seeds,
            difference,
            adjusted.get(i),
            _verdict(difference.mean, adjusted.get(i), level),
        )
        for i, (sample, difference) in enumerate(zip(samples, differences, strict=True))
    )


def _verdict(mean: float, adjusted_p: float | None, level: float) -> Verdict:
    if adjusted_p is None:
        return Verdict.NOT_TESTED
    if adjusted_p >= level:
        return Verdict.NO_DIFFERENCE
    return Verdict.BETTER if mean > 0 else Verdict.WORSE
