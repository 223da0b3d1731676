"""Macro-F1 by texts drawn at random, plain or weighted: its value, its interval, and each text's part in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from nearmiss.acquisition.base import IndexArray
from nearmiss.analysis.estimates import Estimate
from nearmiss.analysis.proportions import share_interval
from nearmiss.analysis.significance import Interval
from nearmiss.errors import InvalidArray

__all__ = ["Share", "check_counts", "f1_influences", "macro_f1", "weighted_share"]

FloatArray = npt.NDArray[np.float64]

#: Checks' worth by which the share of a class is drawn towards that of all.
_DRAWN = 2.0


@dataclass(frozen=True, slots=True)
class Share:
    """A share of some checks.

    Attributes
    ----------
    value
        Of their weight; 0 of nothing.
    worth
        As many checks that count alike would tell as much: (Σ w)² / Σ w² (Kish 1965).
    """

    value: float
    worth: float

    @property
    def right(self) -> float:
        """How many of so many checks that would be."""
        return self.value * self.worth


def weighted_share(right: npt.NDArray[np.bool_], part: npt.NDArray[np.bool_], weights: FloatArray) -> Share:
    """Give the share of a part of the checks that is right.

    Examples
    --------
    >>> weighted_share(np.array([True, True, False]), np.array([True, False, True]), np.array([3.0, 1.0, 1.0]))
    Share(value=0.75, worth=1.6)
    """
    inside = weights[part]
    total = float(inside.sum())
    if not total:
        return Share(0.0, 0.0)
    return Share(float(weights[part & right].sum()) / total, total**2 / float((inside**2).sum()))


def check_counts(guesses: IndexArray, labels: IndexArray, weights: FloatArray | None) -> FloatArray:
    """Give what each check counts, shape (n,): 1 where no weights are given.

    Raises
    ------
    InvalidArray
        Shapes differ, there are no checks, or a weight is not positive.
    """
    if guesses.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise InvalidArray(f"guesses of shape {guesses.shape} for labels of shape {labels.shape}; one for each check")
    if weights is None:
        return np.ones(len(labels))
    if weights.shape != labels.shape or not (weights > 0).all():
        raise InvalidArray(f"weights of shape {weights.shape} for {len(labels)} checks; give each a positive one")
    return weights


def macro_f1(
    guesses: IndexArray, labels: IndexArray, n_classes: int, level: float, weights: FloatArray | None = None
) -> Estimate:
    """Estimate the mean F1 score over all classes.

    F1 is 2 p / (1 + p), with p the share of right ones among the checks that have the class or are given it. From few
    of them it comes out too low on average, as the mean of a concave function does: by how much, if p were what it is
    seen to be (drawn somewhat towards that of all classes), is added. Each p has an exact interval; they are joined by
    the method of variance estimates recovery (Zou & Donner 2008), in which the distances of the bounds from the values
    stand for standard errors. A class that no check has or is given may have any F1: its value is that of all classes
    together, and all of the rest is uncertain. No bound is nearer than the exact one of the accuracy is to that: with
    classes alike in size the two measure much the same.

    Raises
    ------
    InvalidArray
        Shapes differ, there are no checks, or a weight is not positive.
    InvalidInput
        The level is not between 0 and 1.

    Examples
    --------
    >>> labels = np.arange(100) % 2
    >>> found = macro_f1(np.where(np.arange(100) < 10, 1 - labels, labels), labels, 2, level=0.05)
    >>> round(found.value, 3), round(found.interval.low, 3), round(found.interval.high, 3)
    (0.901, 0.822, 0.952)
    >>> round(macro_f1(labels, labels, 4, level=0.05).interval.low, 2)
    0.49
    """
    counts = check_counts(guesses, labels, weights)
    hits, parts = guesses == labels, [(guesses == c) | (labels == c) for c in range(n_classes)]
    shares = [weighted_share(hits, part, counts) for part in parts]
    seen = np.array([c for c, share in enumerate(shares) if share.worth], dtype=np.int64)
    middle = sum(share.right for share in shares) / max(1e-12, sum(share.worth for share in shares))
    values = np.full(n_classes, _f1(middle))
    below, above = values.copy(), 1 - values
    for c in seen:
        share = shares[c]
        bounds, seen_f1 = share_interval(share.right, share.worth, level), float(_f1(share.value))
        below[c], above[c] = seen_f1 - _f1(bounds.low), _f1(bounds.high) - seen_f1
        values[c] = seen_f1 + _lacking(share, middle)
    unseen = np.delete(np.arange(n_classes), seen)
    correlation = _correlation(hits, [parts[c] for c in seen], [shares[c] for c in seen], counts)
    lower = float(np.sqrt(below[seen] @ correlation @ below[seen]) + below[unseen].sum()) / n_classes
    upper = float(np.sqrt(above[seen] @ correlation @ above[seen]) + above[unseen].sum()) / n_classes
    whole, value = weighted_share(hits, np.ones(len(hits), dtype=np.bool_), counts), float(values.mean())
    exact = share_interval(whole.right, whole.worth, level)
    lower, upper = max(lower, whole.value - exact.low), max(upper, exact.high - whole.value)
    return Estimate(min(1.0, value), Interval(max(0.0, value - lower), min(1.0, value + upper)), len(labels))


def f1_influences(
    guesses: IndexArray, labels: IndexArray, n_classes: int, weights: FloatArray | None = None
) -> FloatArray:
    """Say what each check adds to macro-F1 beyond the mean, shape (n,): its influence function, times n.

    Examples
    --------
    >>> f1_influences(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0]), 2).round(2).tolist()
    [0.44, 0.16, 0.16, -0.76]
    """
    counts = check_counts(guesses, labels, weights)
    hits, influences = guesses == labels, np.zeros(len(labels))
    for c in range(n_classes):
        part = (guesses == c) | (labels == c)
        mass = counts[part].sum()
        if not mass:
            continue
        share = weighted_share(hits, part, counts).value
        # d F1 / d p = 2 / (1 + p)²; p's own influence is (hit − p) over the share of checks that are involved.
        influences += 2 / (1 + share) ** 2 * counts * _residuals(hits, part, share) / mass
    return influences * len(labels) / n_classes


def _residuals(hits: npt.NDArray[np.bool_], part: npt.NDArray[np.bool_], share: float) -> FloatArray:
    return np.where(part, hits - share, 0.0)


def _correlation(
    hits: npt.NDArray[np.bool_],
    parts: list[npt.NDArray[np.bool_]],
    shares: list[Share],
    counts: FloatArray,
) -> FloatArray:
    """Tell how the shares of two classes vary together: an error counts in both."""
    if not parts:
        return np.empty((0, 0))
    # Shrunk towards 1/2: a share of 0 or 1 in the sample would show no variation at all.
    shrunk = [(share.right + 0.5) / (share.worth + 1) for share in shares]
    rows = np.array([counts * _residuals(hits, part, share) for part, share in zip(parts, shrunk, strict=True)])
    products = rows @ rows.T
    scale = np.sqrt(np.outer(products.diagonal(), products.diagonal()))
    # Where an error in one makes the other look better the sum would vary less; that is not relied on.
    return np.asarray(np.clip(products / scale, 0.0, 1.0))


def _f1(share: npt.ArrayLike) -> FloatArray:
    p = np.asarray(share, dtype=np.float64)
    return 2 * p / (1 + p)


def _lacking(share: Share, middle: float) -> float:
    """Give what the F1 of a class lacks on average for resting on so few checks."""
    p = (share.right + _DRAWN * middle) / (share.worth + _DRAWN)
    worth = max(1, round(share.worth))
    counts = np.arange(worth + 1)
    return float(_f1(p) - binom.pmf(counts, worth, p) @ _f1(counts / worth))
