"""What picking was worth, and what more labels would bring: intervals, and when it is too early to tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearmiss.analysis.growth import Growth
from nearmiss.analysis.significance import Interval
from nearmiss.errors import InvalidInput

__all__ = ["FEWEST_CHECKS", "Forecast", "Savings", "forecast", "savings"]

#: Fewer random checks see too little of the random curve.
FEWEST_CHECKS = 60
#: An interval whose ends differ by more says nothing that anybody could use.
_WIDEST = 8.0
_LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class Savings:
    """How many randomly chosen labels would have given the quality that picked ones gave.

    Attributes
    ----------
    labels
        Labels given: picked ones and random checks.
    equivalent
        Randomly chosen labels for the same accuracy, the middle of the estimate.
    interval
        Of these, 90 %; its upper end is infinite where that may be more than the pool has.
    worse
        The probability that as many randomly chosen labels would have given a better model.
    told
        Whether there is enough to say a number; else it is too early.
    """

    labels: int
    equivalent: float
    interval: Interval
    worse: float
    told: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """What more labels would bring.

    Attributes
    ----------
    labels
        How many more.
    gain
        By how much accuracy would grow, the middle of the forecast.
    interval
        Of that, 90 %.
    """

    labels: int
    gain: float
    interval: Interval


def savings(growth: Growth, *, labels: int, checks: int, pool: int) -> Savings:
    """Compare the labels given with the randomly chosen ones that would have done as well.

    Parameters
    ----------
    labels
        Labels given, random checks included.
    checks
        The random checks among them.
    pool
        Texts there are: so many labels would be all of them.

    Raises
    ------
    InvalidInput
        A number is not positive.
    """
    if min(labels, checks, pool) < 1:
        raise InvalidInput(f"labels={labels}, checks={checks}, pool={pool}; all must be positive")
    low, middle, high = _quantiles(growth.equivalent)
    beyond = high > pool
    told = checks >= FEWEST_CHECKS and min(high, pool) <= _WIDEST * max(low, 1.0) and low < pool
    worse = float((growth.random_accuracy > growth.accuracy).mean())
    return Savings(labels, min(middle, pool), Interval(min(low, pool), np.inf if beyond else high), worse, told)


def forecast(growth: Growth, more: int, *, checks_share: float = 0.0) -> Forecast:
    """Say what so many more labels would bring, if so large a share of them are random checks.

    Raises
    ------
    InvalidInput
        ``more`` is not positive, or the share not from 0 to below 1.
    """
    if more < 1 or not 0 <= checks_share < 1:
        raise InvalidInput(f"more={more}, checks_share={checks_share}; give labels, and a share from 0 to below 1")
    low, middle, high = _quantiles(growth.gain(more * (1 - checks_share)))
    return Forecast(more, middle, Interval(low, high))


def _quantiles(draws: np.ndarray) -> tuple[float, float, float]:
    tail = (1 - _LEVEL) / 2
    # Not between two draws: some are infinite.
    low, middle, high = np.quantile(draws, [tail, 0.5, 1 - tail], method="inverted_cdf")
    return float(low), float(middle), float(high)
