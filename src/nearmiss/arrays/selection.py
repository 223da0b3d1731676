"""The best of a list of scores, with ties broken by the caller's generator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nearmiss.errors import InvalidArray

__all__ = ["top_indices"]


def top_indices(scores: npt.NDArray[np.floating], n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return the positions of the n highest scores, best first.

    Equal scores come in an order drawn from rng, so the answer depends on no sorting routine. The generator moves on
    by one permutation whether or not there are ties.

    Raises
    ------
    InvalidArray
        scores is not one-dimensional or holds NaN.

    Examples
    --------
    >>> top_indices(np.array([0.1, 0.7, 0.3]), 2, np.random.default_rng(0))
    array([1, 2])
    """
    if scores.ndim != 1:
        raise InvalidArray(f"scores have shape {scores.shape}; pass one score per candidate")
    if np.isnan(scores).any():
        raise InvalidArray(f"the score of candidate {int(np.isnan(scores).argmax())} is NaN; remove that candidate")
    ranks, drawn = -scores, rng.permutation(len(scores))
    if not 0 < n < len(scores):
        return np.lexsort((drawn, ranks))[:n].astype(np.int64)
    # Only what is as high as the n-th need be sorted.
    high = np.flatnonzero(ranks <= np.partition(ranks, n - 1)[n - 1])
    return high[np.lexsort((drawn[high], ranks[high]))[:n]].astype(np.int64)
