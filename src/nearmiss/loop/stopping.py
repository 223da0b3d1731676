"""When to stop labelling: rules that read what is known so far, and say in a sentence what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from nearmiss.errors import InvalidInput

__all__ = [
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
    """

    labels: int
    accuracy_low: float | None = None
    macro_f1_low: float | None = None
    gains: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    changed: tuple[float, ...] = ()


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

    Examples
    --------
    >>> Target(0.9).judge(Evidence(labels=300, accuracy_low=0.84)).reason
    'The accuracy is at least 84.0 %; the target is 90.0 %.'
    """

    value: float
    metric: Metric = "accuracy"

    def __post_init__(self) -> None:
        if not 0 < self.value < 1:
            raise InvalidInput(f"the target is {self.value}; it must be between 0 and 1, or 0 % and 100 %")

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the lower bound with the target."""
        name = "accuracy" if self.metric == "accuracy" else "macro-F1"
        low = evidence.accuracy_low if self.metric == "accuracy" else evidence.macro_f1_low
        if low is None:
            return Judgement(False, f"The {name} is not measured yet: it takes random checks that have a label.")
        if low >= self.value:
            return Judgement(True, f"The {name} is at least {_percent(low)}: the target of {_percent(self.value)}.")
        return Judgement(False, f"The {name} is at least {_percent(low)}; the target is {_percent(self.value)}.")


@dataclass(frozen=True, slots=True)
class GainBelow:
    """Stop once more labels are not worth it: so many of them are forecast to bring less than this.

    Of the forecasts that there are, the one for the nearest number of labels is scaled to ``labels``.

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
        The gain is not between 0 and 1, or the number of labels not positive.

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
        if self.labels < 1:
            raise InvalidInput(f"the gain of {self.labels} labels; name at least one")

    def judge(self, evidence: Evidence) -> Judgement:
        """Compare the forecast with what is asked for."""
        if not evidence.gains:
            return Judgement(False, "Too early for a forecast of what more labels would bring.")
        nearest = min(evidence.gains, key=lambda labels: (abs(labels - self.labels), labels))
        middle, high = (bound * self.labels / nearest for bound in evidence.gains[nearest])
        decides = high if self.surely else middle
        at_most = "at most " if self.surely else "about "
        told = f"{self.labels} more labels would bring {at_most}{_points(decides)}"
        asked = f"{_points(self.gain)} is what they must bring"
        return Judgement(decides < self.gain, f"{told}; {asked}.")


@dataclass(frozen=True, slots=True)
class Stable:
    """Stop once new labels no longer change what the model says (stabilising predictions).

    Bloodgood & Vijay-Shanker (2009) ask that Cohen's κ between successive models stays above 0.99 on average over
    three; here each of the last models may label at most a share of all texts otherwise than the one before it.

    Raises
    ------
    InvalidInput
        The share is not between 0 and 1, or there are no models.

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
        if self.models < 1:
            raise InvalidInput(f"stable over {self.models} models; name at least one")

    def judge(self, evidence: Evidence) -> Judgement:
        """Look at the last models."""
        last = evidence.changed[-self.models :]
        if len(last) < self.models:
            return Judgement(False, f"There are too few models to see whether they are stable ({self.models} needed).")
        told = f"Each of the last {self.models} models labels at most {_percent(max(last))} of the texts otherwise than"
        return Judgement(max(last) <= self.share, f"{told} the one before; stable is {_percent(self.share)}.")


@dataclass(frozen=True, slots=True)
class Budget:
    """Stop once so many labels are given.

    Raises
    ------
    InvalidInput
        The number is not positive.
    """

    labels: int

    def __post_init__(self) -> None:
        if self.labels < 1:
            raise InvalidInput(f"a budget of {self.labels} labels; name at least one")

    def judge(self, evidence: Evidence) -> Judgement:
        """Count."""
        if evidence.labels >= self.labels:
            return Judgement(True, f"{evidence.labels} labels are given: the budget was {self.labels}.")
        return Judgement(False, f"{evidence.labels} labels of a budget of {self.labels} are given.")


@dataclass(frozen=True, slots=True)
class All:
    """Stop once every one of several rules says so."""

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
    """Stop once one of several rules says so."""

    rules: tuple[StoppingRule, ...]

    def __post_init__(self) -> None:
        _several(self.rules)

    def judge(self, evidence: Evidence) -> Judgement:
        """Ask all; where some want to stop, tell those."""
        judged = [rule.judge(evidence) for rule in self.rules]
        favour = [each for each in judged if each.stop]
        return Judgement(bool(favour), " ".join(each.reason for each in favour or judged))


def _several(rules: Sequence[StoppingRule]) -> None:
    if len(rules) < 2:
        raise InvalidInput(f"{len(rules)} rules to combine; name two or more")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(gain: float) -> str:
    return f"{100 * gain:.2g} points"
