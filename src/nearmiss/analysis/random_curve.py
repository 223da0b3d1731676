"""The start of the random learning curve, from random checks alone: what models of a few of them say of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray
from nearmiss.analysis.cross_validation import dealt_folds
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["FEWEST_CHECKS", "CurvePoints", "random_curve"]

FloatArray = npt.NDArray[np.float64]

_FOLDS, _SIZES = 5, 6
#: Fewer checks make no curve.
FEWEST_CHECKS = 4 * _FOLDS
#: Models of fewer texts say little of how a curve goes on.
_SMALLEST = 8


@dataclass(frozen=True, slots=True, eq=False)
class CurvePoints:
    """Models trained on more and more texts, all measured by the same ones.

    Attributes
    ----------
    sizes
        How many texts each learned from, shape (g,).
    right
        Whether it labels a check right, shape (n, g); between 0 and 1 where several models of that size were asked.
    """

    sizes: IndexArray
    right: FloatArray

    def __post_init__(self) -> None:
        if self.right.ndim != 2 or self.sizes.shape != (self.right.shape[1],):
            raise InvalidArray(f"right of shape {self.right.shape} for sizes of shape {self.sizes.shape}")


def random_curve(
    labels: IndexArray,
    n_classes: int,
    guess: Callable[[IndexArray, IndexArray], IndexArray],
    rng: np.random.Generator,
    *,
    repeats: int = 2,
) -> CurvePoints:
    """Train on some of the checks, of every size up to four fifths of them, and ask about those left out.

    The checks are a random sample, so that a model of m of them is what m randomly chosen labels give. Every check is
    asked about by models that have not seen it (five folds, dealt out anew at every repeat).

    Parameters
    ----------
    labels
        Class ids of the checks, shape (n,).
    guess
        Trains on some checks and gives the class ids of others, both by position.
    repeats
        Deals; the points are means over them.

    Raises
    ------
    InvalidInput
        Fewer than 20 checks, or fewer than one repeat.

    Examples
    --------
    >>> labels = np.arange(40) % 2
    >>> often = lambda train, test: np.full(len(test), np.bincount(labels[train]).argmax())
    >>> found = random_curve(labels, 2, often, np.random.default_rng(0))
    >>> found.sizes, found.right.shape
    (array([ 8, 11, 14, 18, 24, 32]), (40, 6))
    """
    n = len(labels)
    if n < FEWEST_CHECKS or repeats < 1:
        raise InvalidInput(f"{n} checks, {repeats} repeats; a curve needs {FEWEST_CHECKS} checks and a repeat")
    top = n - -(-n // _FOLDS)
    low = min(max(_SMALLEST, min(2 * n_classes, top // 3)), top // 2)
    sizes = np.unique(np.round(np.geomspace(low, top, _SIZES)).astype(np.int64))
    right = np.zeros((n, len(sizes)))
    for _ in range(repeats):
        folds = dealt_folds(labels, _FOLDS, rng)
        for fold in range(_FOLDS):
            test = np.flatnonzero(folds == fold)
            rest = rng.permutation(np.flatnonzero(folds != fold))
            for place, size in enumerate(sizes):
                right[test, place] += (guess(rest[:size], test) == labels[test]) / repeats
    return CurvePoints(sizes, right)
