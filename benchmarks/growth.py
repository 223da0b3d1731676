"""How the time of a selection grows with the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.activeml import contrastive, known_classifier
from benchmarks.arrays import CalArrays, cal_arrays
from benchmarks.peers import faiss_cal, has_faiss, has_skactiveml, sklearn_cal
from benchmarks.reference import agreement, per_row_cal
from benchmarks.results import Figure, Item, Lines, Mark, Note, Table
from benchmarks.sections import Context
from benchmarks.timing import Turns, Ways, take_turns
from nearmiss.acquisition.contrastive import Cal
from nearmiss.acquisition.uncertainty import Entropy

__all__ = ["section", "slope"]

CAL, ENTROPY = "nearmiss cal", "nearmiss entropy"
FAISS, SKLEARN, SKACTIVEML = "FAISS", "scikit-learn NearestNeighbors", "scikit-activeml ContrastiveAL"
PER_ROW = "one text at a time, as the authors' code"
M, D, C, B = 1000, 384, 4, 100
#: One text at a time takes over a millisecond each: beyond this many it says nothing new.
MOST_PER_ROW, MOST_IN_QUICK = 2500, 1250

Points = dict[str, list[tuple[float, float]]]


def section(context: Context) -> Iterator[Item]:
    """Double the pool again and again, with everything else as it was."""
    sizes = [1250 * 2**i for i in range(4 if context.quick else 7)]
    measured = _Measured()
    whole = cal_arrays(sizes[-1], M, D, C)
    for n in sizes:
        arrays = CalArrays(whole.pool[:n], whole.pool_log_probs[:n], whole.labeled, whole.labeled_log_probs)
        turns = take_turns(_ways(arrays), 3 if context.quick else context.repeats + 2)
        measured.keep(n, turns)
        if n <= context.size(MOST_PER_ROW, MOST_IN_QUICK):  # once, after a short warm-up: it takes seconds
            slow = take_turns(_slow_way(arrays), 1, warm_up=_slow_way(_first(arrays, 50)))
            measured.keep(n, slow)
            # Theirs adds up in float32: scores closer than its rounding may change places.
            same = agreement(turns.results[CAL].indices, slow.results[PER_ROW], tie=1e-5)
            yield Note(f"The batch of {B} at n = {n:,} beside one text at a time: {same}.")
    shown = {"n": sizes[-1], "m": M, "d": D, "C": C, "k": 10, "b": B}
    for way in (CAL, ENTROPY):
        steep, raw = slope(measured.points[way]), measured.seconds if way == CAL else {}
        # Less than linear is well where a faster route begins to pay as the pool grows.
        marks = (Mark("ours", high=1.15),)
        yield Figure(f"Slope of {way} over the upper half", shown, steep, "", marks=marks, raw=raw)
    yield _table(measured.points)
    yield Lines("growth", f"Seconds of one selection, m = {M:,}, d = {D}", "pool size n", "seconds", measured.points)


@dataclass
class _Measured:
    """Medians by way, as points (n, seconds), and every single measurement."""

    points: Points = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def keep(self, n: int, turns: Turns) -> None:
        """Add what was measured at one size."""
        for way, seconds in turns.seconds.items():
            self.points.setdefault(way, []).append((n, turns.median(way)))
            self.seconds[f"{way}, n={n}"] = seconds


def slope(points: list[tuple[float, float]]) -> float:
    """Fit the exponent of growth to the upper half of the points."""
    upper = np.log(np.array(points[len(points) // 2 :]))
    return float(np.polyfit(upper[:, 0], upper[:, 1], 1)[0])


def _ways(arrays: CalArrays) -> Ways:
    view = arrays.view
    ways: dict[str, Callable[[], object]] = {
        CAL: lambda: Cal().select(view, B, np.random.default_rng(0)),
        ENTROPY: lambda: Entropy().select(view, B, np.random.default_rng(0)),
        SKLEARN: lambda: sklearn_cal(*arrays.all),
    }
    if has_faiss():
        ways[FAISS] = lambda: faiss_cal(*arrays.all)
    if has_skactiveml():
        classifier = known_classifier(arrays)
        ways[SKACTIVEML] = lambda: contrastive(arrays, classifier, B)
    return ways


def _slow_way(arrays: CalArrays) -> Ways:
    return {PER_ROW: lambda: per_row_cal(*arrays.all)}


def _first(arrays: CalArrays, n: int) -> CalArrays:
    return CalArrays(arrays.pool[:n], arrays.pool_log_probs[:n], arrays.labeled, arrays.labeled_log_probs)


def _table(points: Points) -> Table:
    sizes = [int(n) for n, _ in points[CAL]]
    rows = []
    for way, found in points.items():
        seconds = {int(n): f"{value:.4f}" for n, value in found}
        steep = f"{slope(found):.2f}" if len(found) == len(sizes) else ""
        rows.append([way, *(seconds.get(n, "") for n in sizes), steep])
    return Table(
        f"Seconds by pool size; m = {M:,}, d = {D}, C = {C}, k = 10, b = {B}",
        ("", *(f"n = {n:,}" for n in sizes), "slope"),
        rows,
    )
