"""Two models on the same texts: whether one is right more often, by the texts on which only one of them is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from nearmiss.analysis.significance import LEVEL, Interval, Verdict
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["PairedAnswers", "compare_answers"]


#: At the difference seen, the equation of the interval's ends can hold too, where no text or all are told apart.
_BESIDE = 1e-9


@dataclass(frozen=True, slots=True)
class PairedAnswers:
    """How often two models are right on the same texts.

    Attributes
    ----------
    n
        The texts.
    before, after
        How many the first model, and the second, answers rightly.
    lost, won
        Texts that the first alone, and the second alone, answers rightly.
    interval
        Of the difference (after - before) / n, 95 % (Tango 1998); it holds 0 wherever the test does not reject that.
    p_value
        Of McNemar's exact test (McNemar 1947), two-sided.
    """

    n: int
    before: int
    after: int
    lost: int
    won: int
    interval: Interval
    p_value: float

    @property
    def difference(self) -> float:
        """The share of right answers of the second less that of the first."""
        return (self.won - self.lost) / self.n

    @property
    def verdict(self) -> Verdict:
        """What can be said of the second model, at the 5 % level."""
        if self.p_value >= LEVEL:
            return Verdict.NO_DIFFERENCE
        return Verdict.BETTER if self.won > self.lost else Verdict.WORSE


def compare_answers(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> PairedAnswers:
    """Compare two models by which texts each answers rightly, shape (n,) each.

    Raises
    ------
    InvalidArray
        Lengths differ.
    InvalidInput
        There are no texts.

    Examples
    --------
    >>> before = np.array([True] * 30 + [False] * 10)
    >>> found = compare_answers(before, np.array([True] * 38 + [False] * 2))
    >>> found.lost, found.won, round(found.p_value, 4), str(found.verdict)
    (0, 8, 0.0078, 'better')
    >>> round(found.interval.low, 3), round(found.interval.high, 3)
    (0.095, 0.348)
    """
    if before.shape != after.shape or before.ndim != 1:
        raise InvalidArray(f"right answers of shape {before.shape} and {after.shape}; give one for each text")
    n = len(before)
    if not n:
        raise InvalidInput("no texts to compare two models on; give at least one")
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    p_value = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return PairedAnswers(n, int(before.sum()), int(after.sum()), lost, won, _interval(lost, won, n, p_value), p_value)


def _interval(lost: int, won: int, n: int, p_value: float) -> Interval:
    """Invert the score test (Tango 1998); where the exact test does not reject no difference, that is kept in."""
    seen = (won - lost) / n
    reach = float(norm.ppf(1 - LEVEL / 2))

    def beyond(difference: float, way: int) -> float:
        # The likeliest chance of being lost if the true difference were this one.
        slope = (2 * n - won + lost) * difference - won - lost
        root = math.sqrt(max(0.0, slope**2 + 8 * n * lost * difference * (1 - difference)))
        chance = (root - slope) / (4 * n)
        spread = math.sqrt(max(0.0, n * (2 * chance + difference * (1 - difference))))
        return way * (won - lost - n * difference) - reach * spread

    low = -1.0 if seen <= -1 else float(brentq(beyond, -1.0, seen - _BESIDE, args=(1,)))
    high = 1.0 if seen >= 1 else float(brentq(beyond, seen + _BESIDE, 1.0, args=(-1,)))
    return Interval(min(low, 0.0), max(high, 0.0)) if p_value >= LEVEL else Interval(low, high)
