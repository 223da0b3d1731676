"""Where advice would have stopped a simulated project, and where it had better stopped in hindsight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearmiss.experiment.worth.judging import Look, Worth
from nearmiss.loop.stopping import Evidence
from nearmiss.loop.stopping_text import parse_rule

__all__ = ["PRICE", "Stop", "stop_by_price", "stop_by_target"]

#: What a label costs, in accuracy: a hundred of them must bring half a point.
PRICE = 0.005 / 100
#: Checks before advice is given.
_FEWEST = 20
#: A target is so far below the best that the project reached.
_BELOW = 0.1


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a rule stopped.

    Attributes
    ----------
    rule
        In its text form.
    stopped
        Whether it did before the project ended.
    labels, accuracy
        Given then (or at the end), and the model's accuracy on the test texts.
    best_labels, best_accuracy
        The same of the best point in hindsight.
    last_accuracy
        At the end of the project.
    """

    rule: str
    stopped: bool
    labels: int
    accuracy: float
    best_labels: int
    best_accuracy: float
    last_accuracy: float


def stop_by_price(rule: str, looks: Sequence[Look], worths: Sequence[Worth]) -> Stop:
    """Follow a rule where each label costs `PRICE`: best is where accuracy less costs is highest."""
    stopped, last = _follow(rule, looks, worths)
    best = max(looks, key=lambda look: look.tested - PRICE * look.labels)
    return Stop(rule, stopped, last.labels, last.tested, best.labels, best.tested, looks[-1].tested)


def stop_by_target(looks: Sequence[Look], worths: Sequence[Worth]) -> Stop:
    """Follow a target ten points below what the project reached: best is where it is first passed for good."""
    target = max(0.01, int(100 * (max(look.tested for look in looks) - _BELOW)) / 100)
    rule = f"target:{target}"
    stopped, last = _follow(rule, looks, worths)
    # A model that falls below the target after another was above it shows that the other was so by chance.
    below = [place for place, look in enumerate(looks) if look.accuracy.true < target]
    best = looks[min(below[-1] + 1, len(looks) - 1)] if below else looks[0]
    return Stop(
        rule, stopped, last.labels, last.accuracy.true, best.labels, best.accuracy.true, looks[-1].accuracy.true
    )


def _follow(text: str, looks: Sequence[Look], worths: Sequence[Worth]) -> tuple[bool, Look]:
    rule = parse_rule(text)
    changed = [look.changed for look in looks]
    for place, look in enumerate(looks):
        if look.checks < _FEWEST:
            continue
        known = [worth for worth in worths if worth.labels <= look.labels]
        evidence = Evidence(
            look.labels,
            look.accuracy.low,
            look.macro_f1.low,
            known[-1].forecasts if known else {},
            tuple(share for share in changed[: place + 1] if share is not None),
        )
        if rule.judge(evidence).stop:
            return True, look
    return False, looks[-1]
