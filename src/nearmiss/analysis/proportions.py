"""Exact intervals for a share: of texts drawn one by one from a pool that has an end, or from one that has none."""

from __future__ import annotations

from collections.abc import Callable

from scipy.stats import beta, hypergeom

from nearmiss.analysis.significance import Interval
from nearmiss.errors import InvalidInput

__all__ = ["finite_share", "share_interval"]


def share_interval(right: float, n: float, level: float) -> Interval:
    """Bound the probability behind n independent trials (Clopper & Pearson 1934).

    Parameters
    ----------
    right, n
        Trials, and those of them that went right; of weighted ones, as many as they are worth, not always whole.
    level
        The probability that the interval misses the true share is at most this.

    Raises
    ------
    InvalidInput
        There are no trials, more are right than there are, or the level is not between 0 and 1.

    Examples
    --------
    >>> found = share_interval(8, 10, 0.05)
    >>> round(found.low, 3), round(found.high, 3)
    (0.444, 0.975)
    """
    _check(right, n, level)
    low = 0.0 if right == 0 else float(beta.ppf(level / 2, right, n - right + 1))
    high = 1.0 if right == n else float(beta.ppf(1 - level / 2, right + 1, n - right))
    return Interval(low, high)


def finite_share(right: int, n: int, size: int, level: float) -> Interval:
    """Bound the share among the texts that were not drawn, after n of ``size`` texts were drawn without replacement.

    The hypergeometric law is inverted exactly; once all texts are drawn but a few, little is left to be unsure of.

    Parameters
    ----------
    right, n
        Texts drawn, and those of them that are right.
    size
        Texts there were before the first draw.
    level
        The probability that the interval misses the true share is at most this.

    Raises
    ------
    InvalidInput
        As ``share_interval``, or nothing remains.

    Examples
    --------
    >>> found = finite_share(80, 100, 1000, 0.05)
    >>> round(found.low, 3), round(found.high, 3)
    (0.703, 0.878)
    >>> finite_share(80, 100, 101, 0.05)
    Interval(low=0.0, high=1.0)
    """
    _check(right, n, level)
    if n >= size:
        raise InvalidInput(f"{n} of {size} texts were drawn: none remains to tell a share of")
    # Of all K that may be right, those stay under which what was drawn is no rarity on either side.
    low = _first(right, size - (n - right), lambda k: float(hypergeom.sf(right - 1, size, k, n)) > level / 2)
    high = _last(right, size - (n - right), lambda k: float(hypergeom.cdf(right, size, k, n)) > level / 2)
    return Interval((low - right) / (size - n), (high - right) / (size - n))


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Find the least whole number from low to high at which a condition that stays true has become true."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Find the greatest whole number from low to high at which a condition that stays false is still true."""
    return high - _first(0, high - low, lambda step: holds(high - step))


def _check(right: float, n: float, level: float) -> None:
    if not n > 0 or not 0 <= right <= n:
        raise InvalidInput(f"{right} right of {n}; give at least one case, and no more right than there are")
    if not 0 < level < 1:
        raise InvalidInput(f"level is {level}; it must be between 0 and 1")
