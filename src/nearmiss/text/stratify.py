"""Draw rows so that every class keeps its share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["stratified_sample"]

IntArray = npt.NDArray[np.int64]


def stratified_sample(labels: IntArray, n: int, rng: np.random.Generator, *, keep: int = 0) -> IntArray:
    """Draw n positions with each class in proportion to its size.

    Shares are rounded by largest remainder. A class gets at least one place while there are places for all classes.

    Parameters
    ----------
    labels
        Class ids, shape (m,).
    n
        How many to draw; fewer come back when ``keep`` leaves fewer.
    rng
        Decides which rows of a class are drawn, never how many.
    keep
        Rows of each class that must not be drawn (1 for a held-out set: the rest then still has every class).

    Returns
    -------
    IntArray
        Distinct positions, ascending.

    Examples
    --------
    >>> labels = np.array([0] * 8 + [1] * 4)
    >>> drawn = stratified_sample(labels, 6, np.random.default_rng(0))
    >>> np.bincount(labels[drawn])
    array([4, 2])
    """
    classes, counts = np.unique(labels, return_counts=True)
    quotas = _quotas(counts, n, np.maximum(counts - keep, 0))
    drawn = [
        rng.choice(np.flatnonzero(labels == one), size=quota, replace=False)
        for one, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *drawn])).astype(np.int64)


def _quotas(counts: IntArray, n: int, ceilings: IntArray) -> IntArray:
    n = min(n, int(ceilings.sum()))
    shares = n * counts / max(int(counts.sum()), 1)
    quotas = np.minimum(np.floor(shares).astype(np.int64), ceilings)
    if n >= np.count_nonzero(ceilings):
        quotas = np.maximum(quotas, np.minimum(ceilings, 1))
    while quotas.sum() > n:  # the guaranteed places are taken from the classes furthest above their share
        quotas[np.argmax(np.where(quotas > 1, quotas - shares, -np.inf))] -= 1
    while quotas.sum() < n:
        quotas[np.argmax(np.where(quotas < ceilings, shares - quotas, -np.inf))] += 1
    return quotas
