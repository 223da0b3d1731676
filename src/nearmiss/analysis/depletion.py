"""What labelling takes out of a pool while random checks are drawn from it: a correction for `quality`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nearmiss.analysis.estimates import Pool
from nearmiss.errors import InvalidArray

__all__ = ["pool_after"]

#: What models had guessed counts from the most recent part of texts, the half.
_RECENT = 0.5


def pool_after(
    checks: npt.NDArray[np.bool_],
    guessed: npt.NDArray[np.floating],
    texts: int,
    weights: npt.NDArray[np.floating] | None = None,
) -> Pool:
    """Describe the pool after so many answers, for an estimate from the checks among them.

    Parameters
    ----------
    checks
        Whether each answer was a random check, in the order in which they were given, shape (answers,).
    guessed
        Whether the model of that time had guessed each label, 1 or 0; NaN where there was none. Shape (answers,).
    texts
        Texts there are, answered ones included.
    weights
        What each answer counts among the checks (`active_testing`), shape (answers,); None for all alike.

    Raises
    ------
    InvalidArray
        Shapes differ, or there are more answers than texts.

    Examples
    --------
    >>> checks = np.array([True, False, False, True])
    >>> pool_after(checks, np.array([np.nan, 0.0, 1.0, 1.0]), texts=14)
    Pool(remaining=10, picked_since=0.08333333333333333, right_before=1.0, within=0.0)
    """
    answers = len(checks)
    if checks.shape != guessed.shape or checks.ndim != 1 or answers > texts:
        raise InvalidArray(f"{guessed.shape} guesses for {checks.shape} answers to {texts} texts")
    remaining = texts - answers
    drawn = np.flatnonzero(checks)
    picked = ~checks
    if not len(drawn):
        return Pool(remaining)
    since = picked.sum() - np.cumsum(picked)[drawn]
    # A check stood for the texts open when it was drawn: those that are open now, and those picked since.
    gone = float(np.mean(since / np.maximum(1, remaining + since)))
    if gone >= 1:
        return Pool(remaining)
    # Picks were what the model of their time knew least of; the one of today would know more of them, though less than
    # of others. Half-way between is where simulated projects of five datasets have them.
    counts = np.ones(answers) if weights is None else weights
    of_picks, of_checks = (_recent(guessed[part], counts[part]) for part in (picked, checks))
    if np.isnan(guessed[checks]).all():
        of_checks = of_picks  # nothing is known of them
    # Weighted checks leave so narrow an interval that this guess would be what it mostly misses by: it is allowed for.
    within = 0.0 if weights is None else abs(of_picks - of_checks) / 2
    return Pool(remaining, gone, (of_picks + of_checks) / 2, within)


def _recent(guessed: npt.NDArray[np.floating], weights: npt.NDArray[np.floating]) -> float:
    known = ~np.isnan(guessed)
    begin = int(known.sum() * _RECENT)
    recent, counts = guessed[known][begin:], weights[known][begin:]
    return float(np.average(recent, weights=counts)) if len(recent) else 0.0
