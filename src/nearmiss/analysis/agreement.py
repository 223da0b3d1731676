"""How far annotators agree, beyond what chance would bring: Cohen's κ of two, Krippendorff's α of any number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["MISSING", "Agreement", "PairAgreement", "cohen_kappa", "krippendorff_alpha", "pairwise_kappas"]

#: The class id that stands for "has not labelled this item".
MISSING = -1
#: Resampled counts held at a time.
_AT_ONCE = 4_000_000

IdArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient of agreement: 1 is perfect, 0 is what chance brings.

    Attributes
    ----------
    value
        The coefficient; None where it is not defined, because too few items count or all labels are of one class.
    low, high
        Its interval; None where there is none.
    n_items
        Items that count.
    observed
        The share of pairs of labels on an item that agree; None without items.
    confidence
        Coverage of the interval.
    """

    value: float | None
    low: float | None
    high: float | None
    n_items: int
    observed: float | None
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Cohen's κ of two annotators, by their columns."""

    first: int
    second: int
    agreement: Agreement


def cohen_kappa(first: IdArray, second: IdArray, n_classes: int, *, confidence: float = 0.95) -> Agreement:
    """Measure the agreement of two annotators by κ (Cohen 1960), with its large-sample interval.

    The standard error is that of Fleiss, Cohen & Everitt (1969, equation 13), which does not suppose κ = 0. Items that
    either has not labelled do not count.

    Parameters
    ----------
    first, second
        Class ids, shape (n,); ``MISSING`` for none.

    Raises
    ------
    InvalidArray
        Shapes differ, or a value is no class id.
    InvalidInput
        The confidence is not between 0 and 1, or there are no classes.

    Examples
    --------
    >>> both = cohen_kappa(np.array([0, 0, 1, 1, 0]), np.array([0, 0, 1, 0, 0]), 2)
    >>> round(both.value, 3), both.observed, both.n_items
    (0.545, 0.8, 5)
    """
    ratings = _checked(np.stack(_same_length(first, second), axis=1), n_classes, confidence)
    ratings = ratings[(ratings != MISSING).all(axis=1)]
    n = len(ratings)
    if not n:
        return Agreement(None, None, None, 0, None, confidence)
    table = np.zeros((n_classes, n_classes))
    np.add.at(table, (ratings[:, 0], ratings[:, 1]), 1.0 / n)
    observed = float(np.trace(table))
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    expected = float(rows @ columns)
    if math.isclose(expected, 1.0):
        return Agreement(None, None, None, n, observed, confidence)
    kappa = (observed - expected) / (1 - expected)
    error = math.sqrt(_kappa_variance(table, kappa, expected) / n)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * error
    return Agreement(kappa, max(-1.0, kappa - reach), min(1.0, kappa + reach), n, observed, confidence)


def krippendorff_alpha(
    ratings: IdArray, n_classes: int, *, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 1000
) -> Agreement:
    """Measure the agreement of any number of annotators by nominal α (Hayes & Krippendorff 2007).

    Missing labels are allowed; items with fewer than two labels do not count. The interval is the bootstrap's, over
    items.

    Parameters
    ----------
    ratings
        Class ids, shape (n items, annotators); ``MISSING`` for none.
    rng
        Draws the resamples.

    Raises
    ------
    InvalidArray
        Not two dimensions, or a value that is no class id.
    InvalidInput
        The confidence is not between 0 and 1, there are no classes, or fewer than one resample.

    Examples
    --------
    >>> ratings = np.array([[0, 0, -1], [1, 1, 1], [0, 1, 0], [-1, 2, -1]])
    >>> found = krippendorff_alpha(ratings, 3, rng=np.random.default_rng(0))
    >>> round(found.value, 3), found.n_items
    (0.562, 3)
    """
    if resamples < 1:
        raise InvalidInput(f"resamples is {resamples}; take at least 1")
    ratings = _checked(np.asarray(ratings), n_classes, confidence)
    ratings = ratings[(ratings != MISSING).sum(axis=1) >= 2]
    if not len(ratings):
        return Agreement(None, None, None, 0, None, confidence)
    # Items with the same labels in another order are alike; resampling counts of likes is resampling items.
    patterns, likes = np.unique(np.sort(ratings, axis=1), axis=0, return_counts=True)
    counts = np.stack([(patterns == c).sum(axis=1) for c in range(n_classes)], axis=1).astype(np.float64)
    weights = likes.astype(np.float64)[None, :]
    value = float(_alphas(weights, counts)[0])
    labels = counts.sum(axis=1)
    apart = _disagreements(counts)
    observed = 1 - float((likes * apart).sum() / (likes * labels).sum())
    if math.isnan(value):
        return Agreement(None, None, None, len(ratings), observed, confidence)
    drawn = np.concatenate(
        [
            _alphas(rng.multinomial(len(ratings), likes / likes.sum(), size=size).astype(np.float64), counts)
            for size in _sizes(resamples, len(patterns))
        ]
    )
    # A resample in which all labels are of one class tells nothing; it agrees.
    drawn = np.where(np.isnan(drawn), 1.0, drawn)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Agreement(value, float(low), float(high), len(ratings), observed, confidence)


def pairwise_kappas(ratings: IdArray, n_classes: int, *, confidence: float = 0.95) -> tuple[PairAgreement, ...]:
    """Measure κ of every two annotators who share at least two items.

    Parameters
    ----------
    ratings
        Class ids, shape (n items, annotators); ``MISSING`` for none.

    Raises
    ------
    InvalidArray, InvalidInput
        As ``cohen_kappa``.

    Examples
    --------
    >>> [(pair.first, pair.second) for pair in pairwise_kappas(np.array([[0, 0, -1], [1, 0, 1]]), 2)]
    [(0, 1)]
    """
    ratings = _checked(np.asarray(ratings), n_classes, confidence)
    pairs = []
    for first, second in combinations(range(ratings.shape[1]), 2):
        agreement = cohen_kappa(ratings[:, first], ratings[:, second], n_classes, confidence=confidence)
        if agreement.n_items >= 2:
            pairs.append(PairAgreement(first, second, agreement))
    return tuple(pairs)


def _kappa_variance(table: FloatArray, kappa: float, expected: float) -> float:
    """Give n times the variance of κ."""
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    agreeing = np.diag(table) @ (1 - (rows + columns) * (1 - kappa)) ** 2
    apart = table * (columns[:, None] + rows[None, :]) ** 2
    disagreeing = (1 - kappa) ** 2 * (apart.sum() - np.trace(apart))
    variance = (agreeing + disagreeing - (kappa - expected * (1 - kappa)) ** 2) / (1 - expected) ** 2
    return max(0.0, float(variance))


def _disagreements(counts: FloatArray) -> FloatArray:
    """Give each item's pairs of different labels, over its labels less one."""
    labels = counts.sum(axis=1)
    apart: FloatArray = (labels**2 - (counts**2).sum(axis=1)) / (labels - 1)
    return apart


def _alphas(weights: FloatArray, counts: FloatArray) -> FloatArray:
    """Give α for each row of item weights, shape (R,); NaN where all labels are of one class."""
    totals = weights @ counts
    n = totals.sum(axis=1)
    observed = weights @ _disagreements(counts) / n
    expected = (n**2 - (totals**2).sum(axis=1)) / (n * (n - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        alphas: FloatArray = np.where(expected > 0, 1 - observed / expected, np.nan)
    return alphas


def _sizes(resamples: int, patterns: int) -> list[int]:
    at_once = max(1, _AT_ONCE // patterns)
    return [min(at_once, resamples - start) for start in range(0, resamples, at_once)]


def _same_length(first: IdArray, second: IdArray) -> tuple[IdArray, IdArray]:
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim != 1 or first.shape != second.shape:
        raise InvalidArray(f"labels of shapes {first.shape} and {second.shape}; give one of each annotator an item")
    return first, second


def _checked(ratings: npt.NDArray[np.generic], n_classes: int, confidence: float) -> IdArray:
    if n_classes < 1:
        raise InvalidInput(f"n_classes is {n_classes}; it must be at least 1")
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence is {confidence}; it must lie between 0 and 1")
    if ratings.ndim != 2:
        raise InvalidArray(f"ratings of shape {ratings.shape}; expected one row an item, one column an annotator")
    if ratings.size and not np.issubdtype(ratings.dtype, np.integer):
        raise InvalidArray(f"ratings of type {ratings.dtype}; expected whole numbers, {MISSING} for none")
    checked = ratings.astype(np.int64)
    if checked.size and not (checked.min() >= MISSING and checked.max() < n_classes):
        raise InvalidArray(
            f"ratings run from {checked.min()} to {checked.max()}; class ids run from 0 to {n_classes - 1}, "
            f"and {MISSING} stands for none"
        )
    return checked
