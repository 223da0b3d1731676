"""Looking again and again at a growing sample, without fooling oneself: the level each look may use.

A model is replaced after every batch, and each time people look at how many of the random checks it labels right. One
95 % interval a look would miss the truth at *some* look far more often than 5 times in 100. These are *repeated
confidence intervals* (Jennison & Turnbull 1989): the 5 % is spent bit by bit as checks come in (Lan & DeMets 1983), so
that all intervals together hold in 95 of 100 projects, whenever somebody stops.

Successive models err on much the same texts, and so do the checks of successive looks overlap: a look costs little that
says almost what the last one said. How alike two looks are is read from the texts themselves: their joint law is
simulated by giving every check a normal multiplier (the multiplier bootstrap; Chernozhukov, Chetverikov & Kato 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["look_levels", "spent"]

FloatArray = npt.NDArray[np.float64]

#: Simulated projects. What is spent at a look is a multiple of one in so many.
PATHS = 20_000
#: Checks at which spending begins, and doublings of them in which half of what is left is spent.
_BEGIN, _HALVING = 16, 4.0
#: Simulated projects taken at once.
_BLOCK = 2_000


def spent(n: int) -> float:
    """Give the share of the error probability that is spent by the time there are n checks.

    It grows with the doublings of n and never reaches 1: there is no last look.

    Examples
    --------
    >>> [round(spent(n), 2) for n in (10, 20, 100, 1000)]
    [0.0, 0.05, 0.37, 0.64]
    """
    doublings = max(0.0, float(np.log2(n / _BEGIN))) if n else 0.0
    return float(1 - 2.0 ** (-doublings / _HALVING))


def look_levels(
    looks: Sequence[FloatArray], rng: np.random.Generator, *, level: float = 0.05, paths: int = PATHS
) -> FloatArray:
    """Give each look the level at which its own interval is to be taken, shape (number of looks,).

    Intervals at these levels hold at all looks together with probability 1 − level. A level depends on its look and
    those before it alone: what was said is not taken back.

    Parameters
    ----------
    looks
        At each look, what every check adds to the estimate (1 for right and 0 for wrong, or an influence value), in the
        order in which they were drawn; a look has all checks of the one before, and perhaps more.
    rng
        Draws the multipliers.
    level
        The probability that some interval misses.
    paths
        Simulated projects.

    Raises
    ------
    InvalidArray
        A look has fewer checks than the one before it, or none.
    InvalidInput
        The level is not between 0 and 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> right = (rng.random(400) < 0.9).astype(float)
    >>> once = look_levels([right], rng)
    >>> often = look_levels([right[:n] for n in range(20, 401, 20)], rng)
    >>> bool(0.02 < once[0] < 0.03), bool(once[0] > often[-1] > 0.0005)
    (True, True)
    """
    if not 0 < level < 1:
        raise InvalidInput(f"level is {level}; it must be between 0 and 1")
    sizes = [len(look) for look in looks]
    if not sizes:
        return np.empty(0)
    if min(sizes) < 1 or any(later < earlier for earlier, later in pairwise(sizes)):
        raise InvalidArray(f"looks at {sizes[:10]} checks; each must have those of the one before, and at least one")
    deviations = np.abs(_deviations(looks, rng, paths))
    alive = np.ones(paths, dtype=np.bool_)
    bounds = np.empty(len(looks))
    for position, (n, deviation) in enumerate(zip(sizes, deviations, strict=True)):
        allowed = int(paths * level * spent(n)) - int(paths - alive.sum())
        among = np.sort(deviation[alive])
        # The allowed number of simulated projects may lie beyond the bound, none more.
        bounds[position] = among[len(among) - 1 - max(0, allowed)]
        alive &= deviation <= bounds[position]
    return np.asarray(2 * norm.sf(bounds))


def _deviations(looks: Sequence[FloatArray], rng: np.random.Generator, paths: int) -> npt.NDArray[np.float32]:
    """Simulate how far each look's estimate is off, in standard errors, shape (looks, paths)."""
    widest = len(looks[-1])
    weights = np.zeros((len(looks), widest), dtype=np.float32)
    for row, look in zip(weights, looks, strict=True):
        centered = look - look.mean()
        norm_of = np.linalg.norm(centered)
        # Where all checks agree nothing tells how they vary; as many alike looks as there are checks in common.
        row[: len(look)] = centered / norm_of if norm_of > 0 else 1 / np.sqrt(len(look))
    blocks = [
        weights @ rng.standard_normal((widest, min(_BLOCK, paths - start)), dtype=np.float32)
        for start in range(0, paths, _BLOCK)
    ]
    return np.concatenate(blocks, axis=1)
