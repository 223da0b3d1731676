"""Whether more labels are worth it: what the random checks say, with their uncertainty, and no more than that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from nearmiss.errors import InvalidInput
from nearmiss.session.published import ModelFacts

__all__ = ["Advice", "Interval", "Verdict", "advise", "wilson_interval"]

_Z = 1.959963984540054  # the normal distribution's 97.5 % point
#: Fewer random checks tell next to nothing: with 20, the interval spans some 35 points.
FEWEST_CHECKS = 20
#: Models that are looked at together, and the share of texts that they may label otherwise and still count as stable.
RECENT, STABLE = 3, 0.01


class Verdict(StrEnum):
    """What can be said about going on."""

    TOO_EARLY = "too early to tell"
    LITTLE_GAIN = "more labels change little"
    STILL_MOVING = "still moving"


@dataclass(frozen=True, slots=True)
class Interval:
    """A share, and the interval that holds its true value in 95 of 100 cases."""

    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether to go on labelling.

    Attributes
    ----------
    verdict
        In a word.
    sentence, reason
        What it means, and what it rests on.
    """

    verdict: Verdict
    sentence: str
    reason: str


def wilson_interval(right: int, n: int) -> Interval:
    """Give a share with its 95 % score interval (Wilson 1927), which keeps to 0..1 and holds for few cases too.

    Raises
    ------
    InvalidInput
        n is not positive, or fewer than none or more than all are right.

    Examples
    --------
    >>> found = wilson_interval(8, 10)
    >>> [round(value, 3) for value in (found.share, found.low, found.high)]
    [0.8, 0.49, 0.943]
    """
    if n < 1 or not 0 <= right <= n:
        raise InvalidInput(f"{right} right of {n}; give at least one case, and no more right than there are")
    share = right / n
    scale = 1 + _Z**2 / n
    middle = (share + _Z**2 / (2 * n)) / scale
    reach = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / scale
    # The bounds meet the share where all or none are right; rounding must not carry them past it.
    return Interval(share, max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach)))


def advise(history: Sequence[ModelFacts]) -> Advice:
    """Say whether more labels are likely to change the model.

    Three models that agree on 99 % of all texts, with intervals of accuracy that overlap, are called stable; nothing
    is claimed about models that were never trained.

    Parameters
    ----------
    history
        The project's models, oldest first.

    Examples
    --------
    >>> advise([]).sentence
    'Too early to tell: there is no model yet.'
    """
    if not history:
        return Advice(
            Verdict.TOO_EARLY,
            "Too early to tell: there is no model yet.",
            "The first model is trained once texts of two different labels are there.",
        )
    latest = history[-1]
    if latest.audits < FEWEST_CHECKS:
        checks = f"{latest.audits} random check{'' if latest.audits == 1 else 's'}"
        return Advice(
            Verdict.TOO_EARLY,
            f"Too early to tell: {checks} so far.",
            f"Accuracy is measured by texts drawn at random; fewer than {FEWEST_CHECKS} tell next to nothing.",
        )
    accuracy = wilson_interval(latest.audits_right, latest.audits)
    told = f"{_percent(accuracy.share)} of the random checks are right (95 %: {_percents(accuracy)})"
    recent = history[-RECENT:]
    changes = [facts.changed for facts in recent if facts.changed is not None]
    if len(changes) == RECENT and max(changes) <= STABLE and _overlap(recent):
        return Advice(
            Verdict.LITTLE_GAIN,
            "More labels of this kind change little: you can stop if this accuracy is enough for you.",
            f"The last {RECENT} models label at most {_percent(max(changes))} of the texts otherwise than the model "
            f"before, and their accuracies cannot be told apart; {told}.",
        )
    return Advice(Verdict.STILL_MOVING, _last_batch(history), f"{told[0].upper()}{told[1:]}.")


def _last_batch(history: Sequence[ModelFacts]) -> str:
    latest = history[-1]
    if len(history) < 2 or latest.changed is None:
        return "This is the first model: the next one will show what a batch of labels brings."
    changed = f"the last model labels {_percent(latest.changed)} of all texts otherwise than the one before"
    before = history[-2]
    if not before.audits:
        return f"Labels still move the model: {changed}."
    now, then = latest.audits_right / latest.audits, before.audits_right / before.audits
    difference = now - then
    if not _overlap(history[-2:]):
        way = "up" if difference > 0 else "down"
        return f"Labels still move the model: {changed}, and its accuracy went {way} from {_percent(then)}."
    return f"Labels still move the model: {changed}. Whether that made it better, the checks cannot tell yet."


def _overlap(history: Sequence[ModelFacts]) -> bool:
    if any(not facts.audits for facts in history):
        return False
    intervals = [wilson_interval(facts.audits_right, facts.audits) for facts in history]
    return max(found.low for found in intervals) <= min(found.high for found in intervals)


def _percents(interval: Interval) -> str:
    return f"{_percent(interval.low)} to {_percent(interval.high)}"


def _percent(share: float) -> str:
    """Write a share in whole per cents; what is small but there is not written as nothing."""
    if 0 < share < 0.005:
        return "under 1 %"
    return f"{100 * share:.0f} %"
