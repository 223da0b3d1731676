"""What is said of a model: a value with its interval, and the pool that it is said of."""

from __future__ import annotations

from dataclasses import dataclass

from nearmiss.analysis.significance import Interval

__all__ = ["Estimate", "Levels", "Pool", "Quality"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, the interval about it, and the number of texts it rests on."""

    value: float
    interval: Interval
    n: int


@dataclass(frozen=True, slots=True)
class Pool:
    """What the checks were drawn from, and what labelling took out of it meanwhile.

    A strategy picks hard texts. A check drawn early stands for them too, but those picked since have left the pool, and
    what remains is easier. With θ the accuracy on the remaining texts, h that on the picked ones before they were
    learned and d the share of the pool that was picked after a check (on average over checks), a check is right with
    probability (1 − d) θ + d h.

    Attributes
    ----------
    remaining
        Texts without a label; a check is never among them.
    picked_since
        d.
    right_before
        h: the share of picked texts that the model would label rightly had it not learned from them.
    within
        By how much h may be off, either way: bounds allow for it.
    """

    remaining: int
    picked_since: float = 0.0
    right_before: float = 0.0
    within: float = 0.0

    def corrected(self, value: float) -> float:
        """Turn the share of checks that are right into that of the remaining texts: (value − d h) / (1 − d)."""
        return self._with(self.right_before, value)

    def bounds(self, found: Interval) -> Interval:
        """Correct both bounds, each by the h that puts it further out."""
        return Interval(
            self._with(self.right_before + self.within, found.low),
            self._with(self.right_before - self.within, found.high),
        )

    def applied_to(self, found: Estimate) -> Estimate:
        """Correct a value and both bounds; what was right of picked texts stands for their F1 and recall as well."""
        return Estimate(self.corrected(found.value), self.bounds(found.interval), found.n)

    def _with(self, right_before: float, value: float) -> float:
        corrected = (value - self.picked_since * right_before) / (1 - self.picked_since)
        return min(1.0, max(0.0, corrected))


@dataclass(frozen=True, slots=True)
class Levels:
    """The probabilities with which the intervals of one look may miss."""

    accuracy: float
    macro_f1: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a model is on the texts without a label, in intervals that hold at all looks together.

    Attributes
    ----------
    accuracy, macro_f1
        Each holds at all looks together with the probability asked for.
    recalls
        By class id; None for a class without a check. Taken at the level of the accuracy, each for itself.
    """

    accuracy: Estimate
    macro_f1: Estimate
    recalls: tuple[Estimate | None, ...]
