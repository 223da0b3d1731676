"""How good a model is, by texts drawn at random: accuracy, recall of each class and macro-F1, each with an interval.

All intervals are taken at a *level*: 0.05 where people look once, and what `look_levels` gives where they look after
every batch; `assess` puts the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from nearmiss.acquisition.base import IndexArray
from nearmiss.analysis.looks import look_levels
from nearmiss.analysis.proportions import finite_share, share_interval
from nearmiss.analysis.significance import Interval
from nearmiss.errors import InvalidArray

__all__ = [
    "Estimate",
    "Levels",
    "Pool",
    "Quality",
    "accuracy",
    "assess",
    "f1_influences",
    "macro_f1",
    "quality",
    "quality_levels",
    "recalls",
]

FloatArray = npt.NDArray[np.float64]

#: Checks' worth by which the share of a class is drawn towards that of all.
_DRAWN = 2.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, the interval about it, and the number of texts it rests on."""

    value: float
    interval: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Pool:
    """What the checks were drawn from, and what labelling took out of it meanwhile.

    A strategy picks hard texts. A check drawn early stands for them too, but those picked since have left the pool, and
    what remains is easier. With θ the accuracy on the remaining texts, h that on the picked ones before they were
    learned and d the share of the pool that was picked after a check (on average over checks), a check is right with
    probability (1 − d) θ + d h.

    Attributes
    ----------
    remaining
        Texts without a label; a check is never among them.
    picked_since
        d.
    right_before
        h: the share of picked texts that the model would label rightly had it not learned from them.
    """

    remaining: int
    picked_since: float = 0.0
    right_before: float = 0.0

    def corrected(self, value: float) -> float:
        """Turn the share of checks that are right into that of the remaining texts: (value − d h) / (1 − d)."""
        corrected = (value - self.picked_since * self.right_before) / (1 - self.picked_since)
        return min(1.0, max(0.0, corrected))

    def applied_to(self, found: Estimate) -> Estimate:
        """Correct a value and both bounds; what was right of picked texts stands for their F1 and recall as well."""
        bounds = Interval(self.corrected(found.interval.low), self.corrected(found.interval.high))
        return Estimate(self.corrected(found.value), bounds, found.n)


@dataclass(frozen=True, slots=True)
class Levels:
    """The probabilities with which the intervals of one look may miss."""

    accuracy: float
    macro_f1: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a model is on the texts without a label, in intervals that hold at all looks together.

    Attributes
    ----------
    accuracy, macro_f1
        Each holds at all looks together with the probability asked for.
    recalls
        By class id; None for a class without a check. Taken at the level of the accuracy, each for itself.
    """

    accuracy: Estimate
    macro_f1: Estimate
    recalls: tuple[Estimate | None, ...]


def assess(
    looks: Sequence[IndexArray],
    labels: IndexArray,
    n_classes: int,
    pool: Pool,
    rng: np.random.Generator,
    *,
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
    level
        The probability that an interval misses at some look.

    Raises
    ------
    InvalidArray
        There are no checks, a look has fewer than the one before, or not all have a label.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 2, 200)
    >>> guesses = np.where(rng.random(200) < 0.9, labels, 1 - labels)
    >>> found = assess([guesses[:100], guesses], labels, 2, Pool(remaining=2000), rng)
    >>> bool(found.accuracy.interval.low < found.accuracy.value < found.accuracy.interval.high), found.accuracy.n
    (True, 200)
    """
    levels = quality_levels(looks, labels, n_classes, rng, level=level)
    return quality(looks[-1], labels, n_classes, pool, levels[-1])


def quality_levels(
    looks: Sequence[IndexArray], labels: IndexArray, n_classes: int, rng: np.random.Generator, *, level: float = 0.05
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
    right = [(look == labels[: len(look)]).astype(float) for look in looks]
    influences = [f1_influences(look, labels[: len(look)], n_classes) for look in looks]
    by_accuracy, by_f1 = look_levels(right, rng, level=level), look_levels(influences, rng, level=level)
    return [Levels(float(a), float(f)) for a, f in zip(by_accuracy, by_f1, strict=True)]


def quality(guesses: IndexArray, labels: IndexArray, n_classes: int, pool: Pool, levels: Levels) -> Quality:
    """Measure a model by what it says of the checks, at levels that are given; errors as `assess`."""
    found = recalls(guesses, labels, n_classes, levels.accuracy)
    return Quality(
        accuracy(int((guesses == labels).sum()), len(labels), pool, levels.accuracy),
        pool.applied_to(macro_f1(guesses, labels, n_classes, levels.macro_f1)),
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
    return Estimate(pool.corrected(right / n), Interval(pool.corrected(found.low), pool.corrected(found.high)), n)


def recalls(guesses: IndexArray, labels: IndexArray, n_classes: int, level: float) -> tuple[Estimate | None, ...]:
    """Estimate for each class the share of its texts that get its label; None for a class without a check.

    Each interval holds by itself, not all of them together.

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
    _check(guesses, labels)
    found: list[Estimate | None] = []
    for c in range(n_classes):
        members = labels == c
        n, right = int(members.sum()), int((members & (guesses == c)).sum())
        found.append(Estimate(right / n, share_interval(right, n, level), n) if n else None)
    return tuple(found)


def macro_f1(guesses: IndexArray, labels: IndexArray, n_classes: int, level: float) -> Estimate:
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
        Lengths differ, or there are no checks.
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
    _check(guesses, labels)
    hits, involved = _counts(guesses, labels, n_classes)
    seen = np.flatnonzero(involved)
    middle = hits.sum() / involved.sum()
    values = np.full(n_classes, _f1(middle))
    below, above = values.copy(), 1 - values
    for c in seen:
        bounds = share_interval(int(hits[c]), int(involved[c]), level)
        seen_f1 = float(_f1(hits[c] / involved[c]))
        below[c], above[c] = seen_f1 - _f1(bounds.low), _f1(bounds.high) - seen_f1
        values[c] = seen_f1 + _lacking(int(hits[c]), int(involved[c]), middle)
    unseen = np.delete(np.arange(n_classes), seen)
    correlation = _correlation(guesses, labels, hits, involved)
    lower = float(np.sqrt(below[seen] @ correlation @ below[seen]) + below[unseen].sum()) / n_classes
    upper = float(np.sqrt(above[seen] @ correlation @ above[seen]) + above[unseen].sum()) / n_classes
    right = int(hits.sum())
    exact = share_interval(right, len(labels), level)
    share, value = right / len(labels), float(values.mean())
    lower, upper = max(lower, share - exact.low), max(upper, exact.high - share)
    return Estimate(min(1.0, value), Interval(max(0.0, value - lower), min(1.0, value + upper)), len(labels))


def f1_influences(guesses: IndexArray, labels: IndexArray, n_classes: int) -> FloatArray:
    """Say what each check adds to macro-F1 beyond the mean, shape (n,): its influence function, times n.

    Examples
    --------
    >>> f1_influences(np.array([0, 1, 1, 1]), np.array([0, 1, 1, 0]), 2).round(2).tolist()
    [0.44, 0.16, 0.16, -0.76]
    """
    _check(guesses, labels)
    hits, involved = _counts(guesses, labels, n_classes)
    influences = np.zeros(len(labels))
    for c in np.flatnonzero(involved):
        share = hits[c] / involved[c]
        # d F1 / d p = 2 / (1 + p)²; p's own influence is (hit − p) over the share of checks that are involved.
        influences += 2 / (1 + share) ** 2 * _share_influence(guesses, labels, int(c), share) / involved[c]
    return influences * len(labels) / n_classes


def _counts(guesses: IndexArray, labels: IndexArray, n_classes: int) -> tuple[IndexArray, IndexArray]:
    hits = np.bincount(labels[guesses == labels], minlength=n_classes)
    involved = np.bincount(labels, minlength=n_classes) + np.bincount(guesses, minlength=n_classes) - hits
    return hits, involved


def _share_influence(guesses: IndexArray, labels: IndexArray, c: int, share: float) -> FloatArray:
    part = (guesses == c) | (labels == c)
    return np.where(part, (guesses == labels) - share, 0.0)


def _correlation(guesses: IndexArray, labels: IndexArray, hits: IndexArray, involved: IndexArray) -> FloatArray:
    """Tell how the shares of two classes vary together: an error counts in both."""
    seen = np.flatnonzero(involved)
    # Shrunk towards 1/2: a share of 0 or 1 in the sample would show no variation at all.
    shares = (hits[seen] + 0.5) / (involved[seen] + 1)
    rows = np.array([_share_influence(guesses, labels, int(c), share) for c, share in zip(seen, shares, strict=True)])
    products = rows @ rows.T
    scale = np.sqrt(np.outer(products.diagonal(), products.diagonal()))
    # Where an error in one makes the other look better the sum would vary less; that is not relied on.
    return np.asarray(np.clip(products / scale, 0.0, 1.0))


def _f1(share: npt.ArrayLike) -> FloatArray:
    p = np.asarray(share, dtype=np.float64)
    return 2 * p / (1 + p)


def _lacking(hits: int, involved: int, middle: float) -> float:
    """Give what the F1 of a class lacks on average for resting on so few checks."""
    p = (hits + _DRAWN * middle) / (involved + _DRAWN)
    counts = np.arange(involved + 1)
    return float(_f1(p) - binom.pmf(counts, involved, p) @ _f1(counts / involved))


def _check(guesses: IndexArray, labels: IndexArray) -> None:
    if guesses.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise InvalidArray(f"guesses of shape {guesses.shape} for labels of shape {labels.shape}; one for each check")
