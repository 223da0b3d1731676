"""What is kept of a simulated project: one line of JSON each, from which every figure follows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nearmiss.experiment.worth.judging import Look, Said, Worth
from nearmiss.experiment.worth.projects import Plan
from nearmiss.experiment.worth.stopping import Stop

__all__ = ["WIDTHS_AT", "Coverage", "ProjectRecord", "Saving", "coverage_of", "savings_of"]

#: Numbers of checks at which the widths of intervals are told.
WIDTHS_AT = (100, 300, 1_000)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether the intervals of one project held.

    Attributes
    ----------
    looks
        Models that were measured.
    always, at_random
        For accuracy: at all of them, and at one drawn at random.
    always_f1, at_random_f1
        The same for macro-F1.
    naive_always, naive_at_random
        For accuracy, if every look were taken for the only one.
    recalls, recalls_always
        Classes whose recall was told, and those of them whose intervals all held.
    widths, widths_f1
        By the number of checks, where so many were reached.
    bias
        Accuracy as estimated less as it was, on average over the looks of the second half.
    """

    looks: int
    always: bool
    at_random: bool
    always_f1: bool
    at_random_f1: bool
    naive_always: bool
    naive_at_random: bool
    recalls: int
    recalls_always: int
    widths: Mapping[int, float]
    widths_f1: Mapping[int, float]
    bias: float


@dataclass(frozen=True, slots=True)
class Saving:
    """What was said of savings and gains at one model."""

    labels: int
    checks: int
    told: bool
    value: float
    low: float
    high: float
    true: float
    worse: float
    truly_worse: bool
    gains: Mapping[int, Said]

    @property
    def held(self) -> bool:
        """Whether the interval has the true number of random labels."""
        return self.low <= self.true <= self.high


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project: what was said of it, and how that was."""

    dataset: str
    number: int
    plan: Plan
    coverage: Coverage
    savings: tuple[Saving, ...]
    stops: tuple[Stop, ...]

    def as_line(self) -> str:
        """Write it as a line of JSON; what is infinite is null."""
        body = _plain(asdict(self))
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> ProjectRecord:
        """Read what ``as_line`` wrote."""
        body = json.loads(line)
        coverage = body["coverage"]
        for name in ("widths", "widths_f1"):
            coverage[name] = {int(n): width for n, width in coverage[name].items()}
        savings = []
        for each in body["savings"]:
            gains = {int(n): Said(**said) for n, said in each.pop("gains").items()}
            bounds = {name: math.inf if each[name] is None else each[name] for name in ("high", "true")}
            savings.append(Saving(**{**each, **bounds}, gains=gains))
        stops = tuple(Stop(**stop) for stop in body["stops"])
        return cls(body["dataset"], body["number"], Plan(**body["plan"]), Coverage(**coverage), tuple(savings), stops)


def coverage_of(looks: Sequence[Look], rng: np.random.Generator) -> Coverage:
    """Sum up the looks of a project; one of them is drawn at random."""
    drawn = looks[int(rng.integers(len(looks)))]
    told: dict[int, bool] = {}
    for look in looks:
        for c, held in look.recalls.items():
            told[c] = told.get(c, True) and held
    later = looks[len(looks) // 2 :]
    return Coverage(
        len(looks),
        all(look.accuracy.held for look in looks),
        drawn.accuracy.held,
        all(look.macro_f1.held for look in looks),
        drawn.macro_f1.held,
        all(look.naive_held for look in looks),
        drawn.naive_held,
        len(told),
        sum(told.values()),
        _widths([(look.checks, look.accuracy) for look in looks]),
        _widths([(look.checks, look.macro_f1) for look in looks]),
        round(float(np.mean([look.accuracy.value - look.accuracy.true for look in later])), 5),
    )


def savings_of(worths: Sequence[Worth]) -> tuple[Saving, ...]:
    """Keep what was said of savings."""
    return tuple(
        Saving(
            worth.labels,
            worth.checks,
            worth.told,
            worth.equivalent.value,
            worth.equivalent.low,
            worth.equivalent.high,
            worth.equivalent.true,
            worth.worse,
            worth.truly_worse,
            worth.gains,
        )
        for worth in worths
    )


def _widths(said: Sequence[tuple[int, Said]]) -> dict[int, float]:
    """Give the width at the first look with so many checks."""
    widths = {}
    for n in WIDTHS_AT:
        found = next((each for checks, each in said if checks >= n), None)
        if found is not None:
            widths[n] = round(found.high - found.low, 5)
    return widths


def _plain(value: object) -> Any:  # noqa: ANN401 - JSON's own values
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return None if math.isinf(value) else round(value, 5)
    return value
