"""How good a model is, by texts drawn at random: accuracy, recall of each class and macro-F1, each with an interval.

All intervals are taken at a *level*: 0.05 where people look once, and what `look_levels` gives where they look after
every batch; `assess` puts the two together. Checks count alike, or each by a weight (`active_testing`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray
from nearmiss.analysis.active_testing import weighted_accuracy
from nearmiss.analysis.estimates import Estimate, Levels, Pool, Quality
from nearmiss.analysis.looks import look_levels
from nearmiss.analysis.macro_f1 import check_counts, f1_influences, macro_f1, weighted_share
from nearmiss.analysis.proportions import finite_share, share_interval
from nearmiss.errors import InvalidArray

__all__ = ["accuracy", "assess", "quality", "quality_levels", "recalls"]

FloatArray = npt.NDArray[np.float64]


def assess(
    looks: Sequence[IndexArray],
    labels: IndexArray,
    n_classes: int,
    pool: Pool,
    rng: np.random.Generator,
    *,
    weights: FloatArray | None = None,
    level: float = 0.05,
) -> Quality:
    """Measure the last of several models that people have looked at, one after the other.

    Parameters
    ----------
    looks
        For each model, the class ids that it gives to the checks that were there when it was new, in the order in which
        they were drawn: arrays of growing length, the last of shape (n,).
    labels
        The class ids that people gave to the checks, shape (n,).
    rng
        For `look_levels`.
    weights
        What each check counts (`active_testing`), 1 on average, shape (n,); None for all alike.
    level
        The probability that an interval misses at some look.

    Raises
    ------
    InvalidArray
        There are no checks, a look has fewer than the one before, not all have a label, or a weight is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 2, 200)
    >>> guesses = np.where(rng.random(200) < 0.9, labels, 1 - labels)
    >>> found = assess([guesses[:100], guesses], labels, 2, Pool(remaining=2000), rng)
    >>> bool(found.accuracy.interval.low < found.accuracy.value < found.accuracy.interval.high), found.accuracy.n
    (True, 200)
    """
    levels = quality_levels(looks, labels, n_classes, rng, weights=weights, level=level)
    return quality(looks[-1], labels, n_classes, pool, levels[-1], weights=weights)


def quality_levels(
    looks: Sequence[IndexArray],
    labels: IndexArray,
    n_classes: int,
    rng: np.random.Generator,
    *,
    weights: FloatArray | None = None,
    level: float = 0.05,
) -> list[Levels]:
    """Give each look its levels; parameters and errors as `assess`.

    Examples
    --------
    >>> labels = np.arange(60) % 2
    >>> found = quality_levels([labels[:30], labels], labels, 2, np.random.default_rng(0))
    >>> found[1].accuracy < 0.05
    True
    """
    if not looks or len(looks[-1]) != len(labels):
        raise InvalidArray(f"{len(looks)} looks, the last not at {len(labels)} labelled checks")
    errors = [(look != labels[: len(look)]).astype(float) for look in looks]
    if weights is not None:
        errors = [each * weights[: len(each)] for each in errors]
    influences = [
        f1_influences(look, labels[: len(look)], n_classes, None if weights is None else weights[: len(look)])
        for look in looks
    ]
    by_accuracy, by_f1 = look_levels(errors, rng, level=level), look_levels(influences, rng, level=level)
    return [Levels(float(a), float(f)) for a, f in zip(by_accuracy, by_f1, strict=True)]


def quality(
    guesses: IndexArray,
    labels: IndexArray,
    n_classes: int,
    pool: Pool,
    levels: Levels,
    *,
    weights: FloatArray | None = None,
) -> Quality:
    """Measure a model by what it says of the checks, at levels that are given; errors as `assess`."""
    right = guesses == labels
    if weights is None:
        share = accuracy(int(right.sum()), len(labels), pool, levels.accuracy)
    else:
        share = pool.applied_to(weighted_accuracy(right, weights, levels.accuracy))
    found = recalls(guesses, labels, n_classes, levels.accuracy, weights)
    return Quality(
        share,
        pool.applied_to(macro_f1(guesses, labels, n_classes, levels.macro_f1, weights)),
        tuple(None if each is None else pool.applied_to(each) for each in found),
    )


def accuracy(right: int, n: int, pool: Pool, level: float) -> Estimate:
    """Estimate the share of the remaining texts that a model labels right.

    Parameters
    ----------
    right, n
        Checks, and those of them it labels right.
    level
        The probability that the interval misses.

    Raises
    ------
    InvalidInput
        There are no checks, or the level is not between 0 and 1.

    Examples
    --------
    >>> found = accuracy(90, 100, Pool(remaining=5000), level=0.05)
    >>> found.value, round(found.interval.low, 3), round(found.interval.high, 3)
    (0.9, 0.823, 0.951)
    >>> round(accuracy(90, 100, Pool(5000, picked_since=0.1, right_before=0.5), level=0.05).value, 3)
    0.944
    """
    found = finite_share(right, n, n + pool.remaining, level) if pool.remaining else share_interval(right, n, level)
    return Estimate(pool.corrected(right / n), pool.bounds(found), n)


def recalls(
    guesses: IndexArray, labels: IndexArray, n_classes: int, level: float, weights: FloatArray | None = None
) -> tuple[Estimate | None, ...]:
    """Estimate for each class the share of its texts that get its label; None for a class without a check.

    Each interval holds by itself, not all of them together. Weighted checks count as many as their weights are worth.

    Parameters
    ----------
    guesses, labels
        Class ids of the checks by the model and by people, shape (n,).

    Raises
    ------
    InvalidArray
        Lengths differ.

    Examples
    --------
    >>> found = recalls(np.array([0, 0, 1]), np.array([0, 1, 1]), 3, level=0.05)
    >>> found[1].value, found[1].n, found[2]
    (0.5, 2, None)
    """
    counts = check_counts(guesses, labels, weights)
    found: list[Estimate | None] = []
    for c in range(n_classes):
        members = labels == c
        share = weighted_share(guesses == c, members, counts)
        bounds = share_interval(share.right, share.worth, level) if share.worth else None
        found.append(None if bounds is None else Estimate(share.value, bounds, int(members.sum())))
    return tuple(found)
