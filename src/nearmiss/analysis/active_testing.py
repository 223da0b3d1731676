"""Active testing: checks drawn the likelier, the less sure the model is of them, and weighed accordingly.

Most checks of a good model are of texts that it surely labels right, and tell little. Here every check is drawn from
the open texts with a probability in proportion to an *acceptance* that grows with the model's doubt, and counts the
more, the smaller that was: the weighted mean of errors is an unbiased estimate of the share of errors among the open
texts (importance sampling; Sawade et al. 2010, Kossen et al. 2021). Checks are spent where errors are. The price is
that they are a random sample no longer: a learning curve cannot be drawn from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray
from nearmiss.analysis.estimates import Estimate
from nearmiss.analysis.proportions import share_interval
from nearmiss.analysis.significance import Interval
from nearmiss.errors import InvalidArray

__all__ = ["WeightedDraws", "acceptance", "draw_weighted", "weighted_accuracy"]

FloatArray = npt.NDArray[np.float64]

#: A text that the model is sure of is drawn a fifth as often as one of which it knows nothing: it might be sure and
#: wrong, and no weight is then above 5.
_LEAST = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class WeightedDraws:
    """Texts in the order in which they are drawn as checks.

    Attributes
    ----------
    places
        First the one to draw first, shape (n,).
    weights
        What each counts: the mean acceptance of the texts left by then, over its own; shape (n,).
    """

    places: IndexArray
    weights: FloatArray


def acceptance(probabilities: npt.NDArray[np.floating]) -> FloatArray:
    """Give how readily each text is drawn as a check, shape (n,).

    It grows evenly from 0.2, where the model is certain, to 1, where it knows nothing.

    Parameters
    ----------
    probabilities
        Of the classes, shape (n, C).

    Examples
    --------
    >>> acceptance(np.array([[1.0, 0.0], [0.75, 0.25], [0.5, 0.5]]))
    array([0.2, 0.6, 1. ])
    """
    n_classes = probabilities.shape[1]
    if n_classes < 2:
        return np.ones(len(probabilities))
    doubt = (1 - probabilities.max(axis=1, initial=0.0).astype(np.float64)) / (1 - 1 / n_classes)
    return np.asarray(_LEAST + (1 - _LEAST) * np.clip(doubt, 0.0, 1.0))


def draw_weighted(accepts: FloatArray, n: int, rng: np.random.Generator) -> WeightedDraws:
    """Draw texts one after another, each in proportion to its acceptance among those left (Efraimidis & Spirakis 2006).

    The order of any part of the texts is a draw of that part in the same proportions: some may be labelled meanwhile,
    and are passed over.

    Parameters
    ----------
    accepts
        As `acceptance`, shape (N,).
    n
        How many; fewer where there are no more.

    Raises
    ------
    InvalidArray
        An acceptance is not positive.

    Examples
    --------
    >>> drawn = draw_weighted(np.array([1.0, 0.2, 0.2, 0.2]), 4, np.random.default_rng(1))
    >>> drawn.places.tolist(), drawn.weights.round(2).tolist()
    ([0, 1, 3, 2], [0.4, 1.0, 1.0, 1.0])
    """
    if not (accepts > 0).all():
        raise InvalidArray("an acceptance is not positive: a text that is never drawn leaves the estimate biased")
    places = np.argsort(rng.standard_exponential(len(accepts)) / accepts, kind="stable")[:n]
    drawn = accepts[places]
    left = accepts.sum() - np.concatenate([[0.0], np.cumsum(drawn)[:-1]]) if len(drawn) else drawn
    return WeightedDraws(places, left / (len(accepts) - np.arange(len(drawn))) / drawn)


def weighted_accuracy(right: npt.NDArray[np.bool_], weights: FloatArray, level: float) -> Estimate:
    """Estimate the share of texts that a model labels right: 1 less the weighted mean of errors.

    The interval is that of Clopper and Pearson for as many unweighted checks as would have the same variance (Korn &
    Graubard 1998): but for no more than if all errors had the least weight, for few checks may vary little by chance;
    and where no check is wrong, for as many as would show an error as surely.

    Parameters
    ----------
    right
        Whether each check is labelled right, shape (n,).
    weights
        What each counts, 1 on average, shape (n,).
    level
        The probability that the interval misses.

    Raises
    ------
    InvalidArray
        Shapes differ, there are no checks, or a weight is not positive.
    InvalidInput
        The level is not between 0 and 1.

    Examples
    --------
    >>> right = np.arange(100) >= 20
    >>> plain = weighted_accuracy(right, np.ones(100), 0.05)
    >>> sought = weighted_accuracy(right, np.where(right, 1.1, 0.6), 0.05)
    >>> round(plain.value, 2), round(sought.value, 2)
    (0.8, 0.88)
    >>> sought.interval.high - sought.interval.low < plain.interval.high - plain.interval.low
    True
    """
    if right.shape != weights.shape or not len(right) or not (weights > 0).all():
        raise InvalidArray(f"weights of shape {weights.shape} for {len(right)} checks; give each a positive one")
    n = len(right)
    errors = np.where(right, 0.0, weights)
    risk = min(1.0, float(errors.mean()))
    variance = float(errors.var()) / n
    if 0 < risk < 1:
        worth = min(n / float(weights.min()), risk * (1 - risk) / max(variance, 1e-12))
    else:
        worth = n / float(weights.max())
    found = share_interval(risk * worth, worth, level)
    return Estimate(1 - risk, Interval(1 - found.high, 1 - found.low), n)
