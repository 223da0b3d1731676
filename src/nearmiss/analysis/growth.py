"""How accuracy grows with labels, for random ones and for picked ones: one law for both, fitted to the same checks.

Both curves rise from the same start towards the same end, which all labels of the pool would give:

    accuracy(m) = a − (a − a₀) · ((1 − s) (1 + m/m₁)^(−c₁) + s (1 + m/m₁)^(−c₂))

Up to some m₁ labels, a few a class, little is learned; then the error falls by a power law, and at last by a slower one
(Hestness et al. 2017 and Viering & Loog 2021 describe these phases). The random curve is seen only at its start, where
models of some of the random checks are asked about the others; the picked one is seen whole, by the models of the past.
All are asked about the same checks, so that what they have in common says nothing either way.

What a few dozen checks cannot say is left open: the parameters have wide priors, and what is given is a sample of their
posterior distribution, from which every interval follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.analysis.random_curve import CurvePoints
from nearmiss.errors import InvalidArray

__all__ = ["Growth", "fit_growth", "spread_sizes"]

FloatArray = npt.NDArray[np.float64]

#: Curves drawn from the prior, and those kept of them.
_DRAWN, _KEPT = 40_000, 4_000
#: By how much a model's accuracy differs from what its number of labels would give, for which labels they were.
_NOISE = 0.009
#: Correlations between checks' answers are believed so much less than they were seen.
_SHRINKAGE = 0.1
#: Of the factor by which picked labels are worth more than random ones, in logarithms: usual (about half more, up to
#: three times as much), and, as likely, almost anything: centre and spread of each. Chosen, like the prior's other
#: numbers, on simulated projects of five datasets; `nearmiss simulate-worth` tells how that holds on others.
_USUAL, _ANY = (0.45, 0.5), (1.3, 1.3)
#: Sizes at which the random curve is read, as multiples of the labels there are.
_REACH = (0.01, 300.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Curves of one kind, a parameter each by draw, shape (draws,)."""

    start: FloatArray
    end: FloatArray
    onset: FloatArray
    fast: FloatArray
    slow: FloatArray
    slow_share: FloatArray

    def at(self, labels: npt.ArrayLike) -> FloatArray:
        """Give the accuracies after so many labels, shape (draws,) or (draws, sizes)."""
        sizes = np.asarray(labels, dtype=np.float64)
        column = (slice(None),) + (None,) * sizes.ndim
        time = np.log1p(sizes / self.onset[column])
        share = self.slow_share[column]
        left = (1 - share) * np.exp(-self.fast[column] * time) + share * np.exp(-self.slow[column] * time)
        return np.asarray(self.end[column] - (self.end - self.start)[column] * left)

    def take(self, draws: npt.NDArray[np.int64]) -> _Curve:
        """Give some of the curves."""
        names = ("start", "end", "onset", "fast", "slow", "slow_share")
        return _Curve(*(getattr(self, name)[draws] for name in names))


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """A sample of what may be: each draw is a pair of curves, and the accuracy of the model in use.

    Attributes
    ----------
    labels
        Picked labels that the model in use learned from.
    accuracy
        What its accuracy may be, shape (draws,).
    equivalent
        Randomly chosen labels that would give that accuracy, shape (draws,); a size never reached is infinite.
    random_accuracy
        What as many randomly chosen labels would give, shape (draws,).
    """

    labels: int
    accuracy: FloatArray
    equivalent: FloatArray
    random_accuracy: FloatArray
    _picked: _Curve
    _noise: FloatArray

    def gain(self, more: float) -> FloatArray:
        """Give what the accuracy may grow by with so many more picked labels, shape (draws,)."""
        return self._picked.at(self.labels + more) - self.accuracy + self._noise


def fit_growth(random: CurvePoints, picked: CurvePoints, n_classes: int, rng: np.random.Generator) -> Growth:
    """Fit both curves to what models say of the same n checks, and draw from what remains possible.

    Parameters
    ----------
    random
        Models of randomly chosen texts (`random_curve`).
    picked
        Models of picked texts, the one in use last.
    n_classes
        C; learning begins after some labels a class.

    Raises
    ------
    InvalidArray
        They are not about the same checks, or no model is in use.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> answers = lambda rates: (rng.random((200, 1)) > 1 - np.array(rates)).astype(float)
    >>> random = CurvePoints(np.array([10, 40, 160]), answers([0.4, 0.6, 0.75]))
    >>> picked = CurvePoints(np.array([40, 160, 640]), answers([0.6, 0.8, 0.88]))
    >>> found = fit_growth(random, picked, 4, rng)
    >>> bool(0.8 < np.median(found.accuracy) < 0.95), bool(np.median(found.gain(100)) > 0)
    (True, True)
    """
    if random.right.shape[0] != picked.right.shape[0] or not len(picked.sizes):
        raise InvalidArray(
            f"random models were asked {random.right.shape[0]} checks, {len(picked.sizes)} picked ones "
            f"{picked.right.shape[0]}; ask both about the same, and at least one picked"
        )
    answers = np.hstack([random.right, picked.right])
    seen, covariance = answers.mean(axis=0), _covariance(answers)
    by_random, by_picked = _prior(n_classes, rng)
    expected = np.hstack([by_random.at(random.sizes), by_picked.at(picked.sizes)])
    off = expected - seen
    log_likelihood = -0.5 * np.einsum("ij,ij->i", off @ np.linalg.inv(covariance), off)
    kept = _draw(log_likelihood, _KEPT, rng)
    by_random, by_picked = by_random.take(kept), by_picked.take(kept)
    labels = int(picked.sizes[-1])
    # The model in use lies off its curve by chance: part of what it is seen to lie off is that.
    pull = _NOISE**2 / covariance[-1, -1]
    spread = _NOISE * np.sqrt(1 - pull)
    accuracy = by_picked.at(labels) - pull * off[kept, -1] + rng.normal(0, spread, _KEPT)
    equivalent = _reached(by_random, accuracy, labels)
    chosen = _draw(_log_usual(np.log(equivalent / labels)), _KEPT, rng)
    return Growth(
        labels,
        accuracy[chosen],
        equivalent[chosen],
        by_random.at(labels)[chosen],
        by_picked.take(chosen),
        rng.normal(0, _NOISE, _KEPT),
    )


def spread_sizes(sizes: npt.NDArray[np.int64], most: int = 6) -> npt.NDArray[np.int64]:
    """Choose models that tell how a curve grew, the last among them: from a tenth of its labels, evenly by doublings.

    Parameters
    ----------
    sizes
        How many labels each model learned from, growing, shape (models,).

    Examples
    --------
    >>> spread_sizes(np.arange(10, 210, 10)).tolist()
    [1, 3, 5, 7, 12, 19]
    """
    last = len(sizes) - 1
    wanted = np.geomspace(max(sizes[0], sizes[-1] / 10), sizes[-1], most)
    return np.unique(np.append(np.searchsorted(sizes, wanted).clip(0, last), last))


def _prior(n_classes: int, rng: np.random.Generator) -> tuple[_Curve, _Curve]:
    """Draw pairs of curves: of random labels, and of picked ones, which are like them but somewhat quicker."""

    def about(middle: float, spread: float) -> FloatArray:
        return middle * np.exp(rng.normal(0, spread, _DRAWN))

    start = rng.uniform(0.5 / n_classes, max(1 / n_classes, 0.5), _DRAWN)
    end = start + (1 - start) * rng.beta(2, 1, _DRAWN)
    random = _Curve(
        start, end, about(4.0 * n_classes, 1.0), about(1.3, 0.4), about(0.3, 0.4), rng.beta(0.8, 1.6, _DRAWN)
    )
    picked = _Curve(
        start,
        end,
        random.onset * about(0.74, 0.28),
        random.fast * about(1.05, 0.18),
        random.slow * about(1.1, 0.21),
        np.minimum(1.0, random.slow_share * about(0.9, 0.21)),
    )
    return random, picked


def _covariance(answers: FloatArray) -> FloatArray:
    """Give the covariance of the accuracies seen, shape (points, points), no surer than so many checks allow."""
    n, points = answers.shape
    seen = np.atleast_2d(np.cov(answers.T)) / n
    seen = (1 - _SHRINKAGE) * seen + _SHRINKAGE * np.diag(np.diag(seen))
    # The inverse of a covariance that was estimated from few cases is too large by this (Hartlap et al. 2007).
    excess = (n - 1) / (n - points - 2) if n > points + 4 else 2.0
    return np.asarray(seen * excess + np.eye(points) * (_NOISE**2 + 0.1 / n**2))


def _reached(curve: _Curve, accuracy: FloatArray, labels: int) -> FloatArray:
    """Find how many labels bring each curve to an accuracy, shape (draws,)."""
    sizes = labels * np.geomspace(*_REACH, 160)
    below = (curve.at(sizes) < accuracy[:, None]).sum(axis=1)
    return np.asarray(np.append(sizes, np.inf)[below])


def _log_usual(factors: FloatArray) -> FloatArray:
    """Give the prior's logarithm of a density of log factors by which picked labels are worth more."""
    # What is beyond reach counts as the furthest that is not.
    reached = np.minimum(factors, np.log(_REACH[1]))
    parts = [-0.5 * ((reached - centre) / spread) ** 2 - np.log(spread) for centre, spread in (_USUAL, _ANY)]
    return np.asarray(np.logaddexp(*parts))


def _draw(log_weights: FloatArray, n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    weights = np.exp(log_weights - log_weights.max())
    return rng.choice(len(weights), n, p=weights / weights.sum())
