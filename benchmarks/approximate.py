"""CAL by approximate search beside the exact one: seconds, recall, and how much of the batch is the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.arrays import cal_arrays
from benchmarks.results import Figure, Item, Note
from benchmarks.sections import Context
from benchmarks.timing import take_turns
from nearmiss.acquisition.contrastive import Cal

__all__ = ["section"]

OURS, EXACT = "CAL, search=approximate", "nearmiss, exact"


def section(context: Context) -> Iterator[Item]:
    """A labelled set so large that its search is what a round waits for."""
    n, m, b = context.size(20_000, 4000), context.size(200_000, 20_000), context.size(400, 80)
    sizes = {"n": n, "m": m, "d": 384, "C": 2, "k": 10, "b": b}
    view = cal_arrays(n, m, sizes["d"], sizes["C"]).view
    ways = {
        name: lambda search=search: Cal(search=search).select(view, b, np.random.default_rng(0))
        for name, search in ((OURS, "approximate"), (EXACT, "exact"))
    }
    turns = take_turns(ways, 1)
    ours, exact = turns.results[OURS], turns.results[EXACT]
    yield Figure(OURS, sizes, turns.median(OURS), "s", EXACT, turns.median(EXACT), raw=turns.seconds)
    common = len(np.intersect1d(ours.indices, exact.indices))
    yield Note(f"{' '.join(ours.notes)}. Of the batch, {common} of {b} are the exact search's too.")
