"""What a simulated project would have said of itself at each model, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nearmiss.acquisition.base import IndexArray
from nearmiss.analysis.depletion import pool_after
from nearmiss.analysis.estimates import Estimate
from nearmiss.analysis.growth import Growth, fit_growth, spread_sizes
from nearmiss.analysis.quality import quality, quality_levels
from nearmiss.analysis.random_curve import FEWEST_CHECKS, CurvePoints, random_curve
from nearmiss.analysis.savings import forecast, savings
from nearmiss.experiment.worth.benches import RandomCurve
from nearmiss.experiment.worth.projects import Bench, Track
from nearmiss.models.logistic import LogisticHead, LogisticSettings

__all__ = ["AHEAD", "Look", "Said", "Worth", "growth_of", "judge_quality", "judge_worth"]

#: Labels ahead for which a forecast is made.
AHEAD = (100, 500, 1000)
#: Curves are fitted anew after so many labels.
_EVERY = 100


@dataclass(frozen=True, slots=True)
class Said:
    """A number that was given with its interval, and the truth."""

    value: float
    low: float
    high: float
    true: float

    @property
    def held(self) -> bool:
        """Whether the interval has the truth."""
        return bool(self.low <= self.true <= self.high)


@dataclass(frozen=True, slots=True)
class Look:
    """What was said of one model.

    Attributes
    ----------
    labels, checks
        Given when it was new.
    accuracy, macro_f1
        On the texts without a label.
    recalls
        For each class whose recall was given, whether its interval has it.
    naive_held
        Whether a 95 % interval that is taken as if nobody had looked before has the accuracy.
    tested
        Its accuracy on texts that belong to no project.
    changed
        The share of all texts that it labels otherwise than the model before it; None for the first.
    """

    labels: int
    checks: int
    accuracy: Said
    macro_f1: Said
    recalls: dict[int, bool]
    naive_held: bool
    tested: float
    changed: float | None


@dataclass(frozen=True, slots=True)
class Worth:
    """What was said of labelling itself.

    Attributes
    ----------
    labels, checks
        Given so far.
    told
        Whether a number was shown, or that it is too early.
    equivalent
        Randomly chosen labels for the same accuracy.
    worse, truly_worse
        The probability that as many randomly chosen labels would have been better, and whether they are.
    gains
        By labels ahead; those past the end of the project are left out.
    forecasts
        All forecasts, by labels ahead: the middle and the upper bound.
    """

    labels: int
    checks: int
    told: bool
    equivalent: Said
    worse: float
    truly_worse: bool
    gains: dict[int, Said]
    forecasts: dict[int, tuple[float, float]]


def judge_quality(track: Track, rng: np.random.Generator) -> list[Look]:
    """Say what every model with a random check would have been said to be worth."""
    models = [model for model in range(len(track.at)) if len(track.check_rows(model))]
    if not models:
        return []
    rows = track.check_rows(models[-1])
    labels = track.truth[rows]
    looks = [track.guesses[model, track.check_rows(model)].astype(np.int64) for model in models]
    weights = track.weights[track.checks][: len(rows)] if track.is_weighted else None
    levels = quality_levels(looks, labels, track.n_classes, rng, weights=weights)
    judged = []
    for model, guesses, level in zip(models, looks, levels, strict=True):
        n, known = len(guesses), int(track.at[model])
        counts = track.weights[:known] if track.is_weighted else None
        pool = pool_after(track.checks[:known], track.guessed(model), len(track.truth), counts)
        counted = None if weights is None else weights[:n]
        found = quality(guesses, labels[:n], track.n_classes, pool, level, weights=counted)
        rest = np.setdiff1d(np.arange(len(track.truth)), track.order[:known])
        truth, given = track.truth[rest], track.guesses[model, rest].astype(np.int64)
        right = float((truth == given).mean())
        share = float((guesses == labels[:n]).mean())
        reach = 1.96 * np.sqrt(share * (1 - share) / n)
        judged.append(
            Look(
                known,
                n,
                _said(found.accuracy, right),
                _said(found.macro_f1, _macro_f1(given, truth, track.n_classes)),
                _recalls(found.recalls, given, truth),
                bool(share - reach <= right <= share + reach),
                float(track.tested[model]),
                float((track.guesses[model] != track.guesses[model - 1]).mean()) if model else None,
            )
        )
    return judged


def judge_worth(bench: Bench, track: Track, curve: RandomCurve, rng: np.random.Generator) -> Iterator[Worth]:
    """Say what would have been said of labelling, every 100 labels from 20 checks on; of weighted ones, nothing."""
    last = -_EVERY
    for model, given in enumerate(track.at.tolist()):
        checks = len(track.check_rows(model))
        if track.is_weighted or checks < FEWEST_CHECKS or given - last < _EVERY:
            continue
        last = given
        growth = growth_of(bench, track, model, rng)
        found = savings(growth, labels=given, checks=checks, pool=len(track.truth))
        tested, picks = float(track.tested[model]), track.picks(model)
        gains, forecasts = {}, {}
        for ahead in AHEAD:
            later = int(np.searchsorted(track.at, given + ahead))
            gain = forecast(growth, ahead, checks_share=float(track.checks.mean()))
            forecasts[ahead] = gain.gain, gain.interval.high
            if later < len(track.at):
                true = float(track.tested[later]) - tested
                gains[ahead] = Said(gain.gain, gain.interval.low, gain.interval.high, true)
        yield Worth(
            given,
            checks,
            found.told,
            Said(found.equivalent, found.interval.low, found.interval.high, _within(curve, tested, len(track.truth))),
            found.worse,
            tested < curve.at(picks),
            gains,
            forecasts,
        )


def growth_of(bench: Bench, track: Track, model: int, rng: np.random.Generator) -> Growth:
    """Fit both learning curves as a project does that has this model."""
    rows = track.check_rows(model)
    labels = track.truth[rows]
    features = bench.features[track.rows[rows]]

    def guess(train: IndexArray, test: IndexArray) -> IndexArray:
        head = LogisticHead.train(features[train], labels[train], track.n_classes, LogisticSettings())
        return np.asarray(head.logits(features[test]).argmax(axis=1), dtype=np.int64)

    random = random_curve(labels, track.n_classes, guess, rng)
    past = spread_sizes(np.array([track.picks(earlier) for earlier in range(model + 1)]))
    right = np.array([track.guesses[earlier, rows] == labels for earlier in past], dtype=np.float64).T
    picked = CurvePoints(np.array([track.picks(earlier) for earlier in past], dtype=np.int64), right)
    return fit_growth(random, picked, track.n_classes, rng)


def _said(found: Estimate, true: float) -> Said:
    return Said(found.value, found.interval.low, found.interval.high, true)


def _within(curve: RandomCurve, accuracy: float, texts: int) -> float:
    """Give the true number of random labels; what the pool does not have counts as infinite."""
    needed = curve.equivalent(accuracy)
    return needed if needed <= texts else float("inf")


def _recalls(found: tuple[Estimate | None, ...], given: IndexArray, truth: IndexArray) -> dict[int, bool]:
    told = {c: estimate for c, estimate in enumerate(found) if estimate is not None and (truth == c).any()}
    return {c: _said(estimate, float((given[truth == c] == c).mean())).held for c, estimate in told.items()}


def _macro_f1(given: IndexArray, truth: IndexArray, n_classes: int) -> float:
    """Give the mean F1 over the classes that some text has or is given."""
    hits = np.bincount(truth[truth == given], minlength=n_classes)
    total = np.bincount(truth, minlength=n_classes) + np.bincount(given, minlength=n_classes)
    return float((2 * hits[total > 0] / total[total > 0]).mean())
