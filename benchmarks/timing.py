"""Seconds of several ways to do one thing, the ways taking turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Turns", "Ways", "take_turns"]

Ways = Mapping[str, Callable[[], Any]]

#: A turn lasts at least this long: what takes less is called several times in it, and the mean is taken.
TURN_SECONDS = 0.2
#: A library's threads may spin for a while after their work; the next way should have the cores to itself.
PAUSE_SECONDS = 0.05


@dataclass
class Turns:
    """What each way took in each turn, and what it answered last."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Give the median seconds of one call."""
        return statistics.median(self.seconds[name])

    def median_of(self, name: str) -> float | None:
        """Give the same, or None for a peer that is not installed."""
        return self.median(name) if name in self.seconds else None


def take_turns(ways: Ways, repeats: int, warm_up: Ways | None = None) -> Turns:
    """Call every way ``repeats`` times, in turns, after a warm-up: of all ways once, or of the smaller ones given."""
    turns = Turns({name: [] for name in ways})
    for call in (ways if warm_up is None else warm_up).values():
        call()
    calls = {name: _calls_per_turn(call) if warm_up is None else 1 for name, call in ways.items()}
    names = list(ways)
    for turn in range(repeats):
        first = turn % len(names)  # so that nobody always follows the same neighbour
        for name in names[first:] + names[:first]:
            time.sleep(PAUSE_SECONDS)
            start = time.perf_counter()
            for _ in range(calls[name]):
                turns.results[name] = ways[name]()
            turns.seconds[name].append((time.perf_counter() - start) / calls[name])
    return turns


def _calls_per_turn(call: Callable[[], object]) -> int:
    start = time.perf_counter()
    call()
    return max(1, min(1000, math.ceil(TURN_SECONDS / (time.perf_counter() - start))))
