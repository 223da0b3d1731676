"""When to stop labelling: rules that read what is known so far, and say in a sentence what they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from nearmiss.errors import InvalidInput, UnknownName

__all__ = [
    "MOST_RULES",
    "All",
    "AnyOf",
    "Budget",
    "Evidence",
    "GainBelow",
    "Judgement",
    "Metric",
    "Stable",
    "StoppingRule",
    "Target",
]

Metric = Literal["accuracy", "macro-f1"]
#: So many rules may be joined: nobody follows more, and whatever can be built can then be written and read again.
MOST_RULES = 50
#: No count in a rule is larger; beyond what floats can hold, scaling a forecast would fail.
_MOST_LABELS = 10**9


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known at some moment.

    Attributes
    ----------
    labels
        Labels given, random checks included.
    accuracy_low, macro_f1_low
        Lower bounds that hold at all times together; None while nothing is measured.
    gains
        What more labels would bring, by their number: the middle of the forecast of accuracy, and its upper bound.
    changed
        For the latest models, oldest first, the share of all texts that each labels otherwise than the one before.

    Raises
    ------
    InvalidInput
        A number is NaN, which would stop some rules and not others, or a forecast is about no labels.
    """

    labels: int
    accuracy_low: float | None = None
    macro_f1_low: float | None = None
    gains: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    changed: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        forecasts = [bound for each in self.gains.values() for bound in each]
        for told in (self.accuracy_low, self.macro_f1_low, *forecasts, *self.changed):
            if told is not None and math.isnan(told):
                raise InvalidInput(f"a number that a stopping rule reads is NaN; leave out what is not known: {self}")
        if min(self.gains, default=1) < 1:
            raise InvalidInput(f"a forecast for {min(self.gains)} more labels; forecast what at least one brings")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a rule says.

    Attributes
    ----------
    stop
        Whether to stop.
    reason
        Why, or why not yet: a sentence.
    """

    stop: bool
    reason: str


class StoppingRule(Protocol):
    """Judges whether to stop."""

    def judge(self, evidence: Evidence) -> Judgement:
        """Say whether to stop, and why."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Stop once the model is surely as good as wanted: the lower bound has reached the target.

    Raises
    ------
    InvalidInput
        The target is not between 0 and 1.
    UnknownName
        There is no such metric.

    Examples
    --------
    >>> Target(0.9).judge(Evidence(labels=300, accuracy_low=0.84)).reason
    'The accuracy is at least 84.0 % so far; the target is 90 %.'
    >>> Target(0.9).judge(Evidence(labels=900, accuracy_low=0.91)).reason
    'The accuracy is at least 91.0 %: your target of 90 % is reached.'
    """

    value: float
    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        if self.metric not in get_args(Metric):
            raise UnknownName.among("metric", self.metric, get_args(Metric))
        if not 0 < self.value < 1:
            raise InvalidInput(f"the target is {self.value}; it must be between 0 and 1, or 0 % and 100 %")

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the lower bound with the target."""
        name = "accuracy" if self.metric == "accuracy" else "macro-F1"
        low = evidence.accuracy_low if self.metric == "accuracy" else evidence.macro_f1_low
        if low is None:
            return Judgement(False, f"The {name} is not measured yet: it takes random checks that have a label.")
        if low >= self.value:
            reached = f"your target of {_asked(self.value)} is reached"
            return Judgement(True, f"The {name} is at least {_at_least(low)}: {reached}.")
        return Judgement(False, f"The {name} is at least {_at_least(low)} so far; the target is {_asked(self.value)}.")


@dataclass(frozen=True, slots=True)
class GainBelow:
    """Stop once more labels are not worth it: so many of them are forecast to bring less than this.

    Of the forecasts that there are, the one for the nearest number of labels (of two as near, the smaller) is scaled to
    ``labels`` in proportion. The middle of the forecast decides, unless ``surely`` asks for its upper bound: that stops
    later, as little must then be expected even where all goes well.

    Attributes
    ----------
    gain
        The accuracy that the labels must bring, as a share: 0.005 is half a point.
    labels
        The number of labels that must bring it.
    surely
        Whether the upper bound of the forecast decides, and not its middle.

    Raises
    ------
    InvalidInput
        The gain is not between 0 and 1, or the number of labels not a positive whole number.

    Examples
    --------
    >>> GainBelow(0.005).judge(Evidence(labels=600, gains={100: (0.003, 0.02)})).stop
    True
    """

    gain: float
    labels: int = 100
    surely: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.gain < 1:
            raise InvalidInput(f"the gain is {self.gain}; it must be between 0 and 1 (0.005 is half a point)")
        _count(self.labels, "the gain of {} labels")

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the forecast with what is asked for."""
        if not evidence.gains:
            return Judgement(False, "Too early for a forecast of what more labels would bring.")
        nearest = min(evidence.gains, key=lambda labels: (abs(labels - self.labels), labels))
        middle, high = (bound * self.labels / nearest for bound in evidence.gains[nearest])
        decides = high if self.surely else middle
        at_most = "at most " if self.surely else "about "
        told, asked = _points_apart(decides, self.gain)
        what = f"{self.labels} more label{'' if self.labels == 1 else 's'} would bring {at_most}{told} of accuracy"
        return Judgement(decides < self.gain, f"{what}; you ask for {asked}.")


@dataclass(frozen=True, slots=True)
class Stable:
    """Stop once new labels no longer change what the model says (stabilising predictions).

    After Bloodgood & Vijay-Shanker (2009), "A Method for Stopping Active Learning Based on Stabilizing Predictions and
    the Need for User-Adjustable Stopping" (CoNLL). They ask that Cohen's κ between successive models, on a stop set of
    unlabelled texts, is above 0.99 on average over three; here each of the last models may label at most a share of all
    texts otherwise than the one before it. κ also sets aside what two models agree on by chance; a share does not, so
    that where one label is very common this rule is the easier to please.

    Raises
    ------
    InvalidInput
        The share is not between 0 and 1, or the number of models not a positive whole number.

    Examples
    --------
    >>> Stable().judge(Evidence(labels=400, changed=(0.2, 0.008, 0.004, 0.01))).stop
    True
    """

    share: float = 0.01
    models: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InvalidInput(f"the share is {self.share}; it must be between 0 and 1 (0.01 is one text in a hundred)")
        _count(self.models, "stable over {} models")

    def judge(self, evidence: Evidence) -> Judgement:
        """Look at the last models."""
        last = evidence.changed[-self.models :]
        if len(last) < self.models:
            return Judgement(False, f"There are too few models to see whether they are stable ({self.models} needed).")
        those = "The last model" if self.models == 1 else f"Each of the last {self.models} models"
        told = f"{those} labels at most {_at_most(max(last))} of the texts otherwise than the one before"
        return Judgement(max(last) <= self.share, f"{told}; stable is at most {_asked(self.share)}.")


@dataclass(frozen=True, slots=True)
class Budget:
    """Stop once so many labels are given.

    Raises
    ------
    InvalidInput
        The number is not a positive whole number.

    Examples
    --------
    >>> Budget(500).judge(Evidence(labels=480)).reason
    '480 labels of a budget of 500 are given.'
    """

    labels: int

    def __post_init__(self) -> None:
        _count(self.labels, "a budget of {} labels")

    def judge(self, evidence: Evidence) -> Judgement:
        """Count."""
        if evidence.labels >= self.labels:
            return Judgement(True, f"{evidence.labels} labels are given: the budget was {self.labels}.")
        return Judgement(False, f"{evidence.labels} labels of a budget of {self.labels} are given.")


@dataclass(frozen=True, slots=True)
class All:
    """Stop once every one of several rules says so.

    Raises
    ------
    InvalidInput
        Fewer than two rules, or more than `MOST_RULES` in all, those within others counted.

    Examples
    --------
    >>> All((Stable(), Budget(100))).judge(Evidence(labels=40, changed=(0.0, 0.0, 0.0))).reason
    '40 labels of a budget of 100 are given.'
    """

    rules: tuple[StoppingRule, ...]

    def __post_init__(self) -> None:
        _several(self.rules)

    def judge(self, evidence: Evidence) -> Judgement:
        """Ask all; where one does not want to stop yet, tell those."""
        judged = [rule.judge(evidence) for rule in self.rules]
        against = [each for each in judged if not each.stop]
        return Judgement(not against, " ".join(each.reason for each in against or judged))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Stop once one of several rules says so.

    Raises
    ------
    InvalidInput
        Fewer than two rules, or more than `MOST_RULES` in all, those within others counted.

    Examples
    --------
    >>> AnyOf((Target(0.9), Budget(100))).judge(Evidence(labels=100, accuracy_low=0.7)).reason
    '100 labels are given: the budget was 100.'
    """

    rules: tuple[StoppingRule, ...]

    def __post_init__(self) -> None:
        _several(self.rules)

    def judge(self, evidence: Evidence) -> Judgement:
        """Ask all; where some want to stop, tell those."""
        judged = [rule.judge(evidence) for rule in self.rules]
        favour = [each for each in judged if each.stop]
        return Judgement(bool(favour), " ".join(each.reason for each in favour or judged))


def _several(rules: tuple[StoppingRule, ...]) -> None:
    if len(rules) < 2:
        raise InvalidInput(f"{len(rules)} rules to combine; name two or more")
    # Checked whenever rules are joined, so that no tree is ever deep enough to exhaust the stack.
    found = sum(_size(rule) for rule in rules)
    if found > MOST_RULES:
        raise InvalidInput(f"{found} rules to combine; keep to {MOST_RULES}")


def _size(rule: StoppingRule) -> int:
    return sum(_size(each) for each in rule.rules) if isinstance(rule, All | AnyOf) else 1


def _count(number: int, told: str) -> None:
    # What is typed as whole may come from a file or a form.
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise InvalidInput(f"{told.format(number)}; name at least one, in whole numbers")
    if number > _MOST_LABELS:
        raise InvalidInput(f"{told.format('more than ' + format(_MOST_LABELS, ','))}; name fewer")


def _at_least(share: float) -> str:
    """Write a lower bound, rounded down: 89.96 % is not "at least 90.0 %"."""
    return f"{math.floor(round(1000 * share, 6)) / 10:.1f} %"


def _at_most(share: float) -> str:
    """Write an upper bound, rounded up."""
    return f"{math.ceil(round(1000 * share, 6)) / 10:.1f} %"


def _asked(share: float) -> str:
    """Write a share as it was asked for."""
    return f"{100 * share:.6g} %"


def _points_apart(told: float, asked: float) -> tuple[str, str]:
    """Write two gains in points, with as many digits as it takes to tell them apart."""
    for digits in range(2, 7):
        # Through float again: rounded to two digits 150 is 1.5e+02.
        written = tuple(f"{float(f'{100 * gain:.{digits}g}'):.10g}" for gain in (told, asked))
        if written[0] != written[1]:
            break
    first, second = (f"{each.replace('-', '−')} point{'' if each in ('1', '-1') else 's'}" for each in written)
    return first, second
