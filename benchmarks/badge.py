"""BADGE: seconds beside one centre at a time, the picks beside the blackboard's, and memory at QQP's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from tests.reference.gradient import badge as blackboard

from benchmarks.arrays import Floats, clustered, predictions
from benchmarks.memory import peak_of
from benchmarks.peers import NUMPY, numpy_badge
from benchmarks.results import Figure, Item, Mark, Note
from benchmarks.sections import Context
from benchmarks.timing import Ways, take_turns
from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.gradient import Badge

__all__ = ["prepare", "qqp", "section"]

OURS, SEQUENTIAL = "BADGE", "BADGE, one centre at a time"
WARM_UP = {"n": 2000, "d": 768, "C": 2, "b": 40}


def section(context: Context) -> Iterator[Item]:
    """SST-2's size, two classes and fourteen."""
    n, d, b = context.size(60_000, 6000), 768, context.size(1212, 121)
    for n_classes in (2, 14):
        log_probs, features = _arrays(n, d, n_classes)
        warm_up = _ways(*_arrays(2000, d, n_classes), 40, context.quick)
        turns = take_turns(_ways(log_probs, features, b, context.quick), context.repeats, warm_up)
        sizes = {"n": n, "d": d, "C": n_classes, "b": b}
        marks = (Mark("ratio", high=0.25), Mark("ours", high=2.5))
        theirs, flop = turns.median(NUMPY), 2.0 * n * b * (d + n_classes)
        yield Figure(OURS, sizes, turns.median(OURS), "s", NUMPY, theirs, marks, flop, turns.seconds)
        if SEQUENTIAL in turns.seconds:
            yield Figure(SEQUENTIAL, sizes, turns.median(SEQUENTIAL), "s", NUMPY, theirs)
        ours, one_by_one = (_potential(log_probs, features, turns.results[way]) for way in (OURS, NUMPY))
        yield Note(
            f"C = {n_classes}: the gradients' squared distances to the nearest pick sum to {ours:.4g} after our batch "
            f"and to {one_by_one:.4g} after NumPy's (other draws of the same law)."
        )
    yield _same_picks()


def qqp(context: Context) -> Iterator[Item]:
    """QQP's size: once, in a process of its own."""
    sizes = {"n": 327_000, "d": 768, "C": 2, "b": 6540}
    peak = peak_of(prepare, sizes, WARM_UP)
    yield Figure(OURS, sizes, peak.seconds, flop=2.0 * sizes["n"] * sizes["b"] * (sizes["d"] + sizes["C"]))
    yield Figure(f"{OURS}: peak memory", sizes, peak.peak / 2**30, "GiB", marks=(Mark("ours", high=6.0),))


def prepare(n: int, d: int, C: int, b: int) -> Callable[[], object]:
    """Make the inputs of one selection; for ``peak_of``."""
    log_probs, features = _arrays(n, d, C)
    return lambda: _select(log_probs, features, b, Badge())


def _arrays(n: int, d: int, n_classes: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    return predictions(n, n_classes, rng), clustered(n, d, rng)


def _select(log_probs: Floats, features: Floats, b: int, badge: Badge) -> np.ndarray:
    view = PoolView(len(features), Signals(log_probs=log_probs, features=features))
    return badge.select(view, b, np.random.default_rng(1)).indices


def _ways(log_probs: Floats, features: Floats, b: int, quick: bool) -> Ways:
    ways: dict[str, Callable[[], object]] = {
        OURS: lambda: _select(log_probs, features, b, Badge()),
        NUMPY: lambda: numpy_badge(log_probs, features, b, np.random.default_rng(1)),
    }
    if not quick:
        ways[SEQUENTIAL] = lambda: _select(log_probs, features, b, Badge(method="sequential"))
    return ways


def _potential(log_probs: Floats, features: Floats, picks: np.ndarray) -> float:
    """Sum the squared distances of all gradients to the nearest pick, from the factors, in float32 products."""
    a = np.exp(log_probs)
    a[np.arange(len(a)), a.argmax(axis=1)] -= 1
    norms = (a**2).sum(axis=1) * (features**2).sum(axis=1)
    nearest = np.full(len(a), np.inf)
    for block in np.array_split(picks, max(1, len(picks) // 100)):
        products = (a @ a[block].T) * (features @ features[block].T)
        nearest = np.minimum(nearest, (norms[:, None] + norms[block] - 2 * products).min(axis=1))
    return float(np.maximum(nearest, 0).sum())


def _same_picks() -> Note:
    """Give our sequential mode and the written-out gradients the same uniform numbers."""
    n, d, n_classes, b, seeds = 150, 16, 3, 20, 5
    same = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        log_probs, features = predictions(n, n_classes, rng).astype(np.float64), clustered(n, d, rng).astype(np.float64)
        view = PoolView(n, Signals(log_probs=log_probs, features=features))
        ours = Badge(method="sequential").select(view, b, np.random.default_rng(seed)).indices
        expected, _ = blackboard(log_probs, features, b, np.random.default_rng(seed))
        same += ours.tolist() == expected
    return Note(
        f"One centre at a time with the same uniform numbers as the written-out gradients (n = {n}, C = {n_classes}, "
        f"b = {b}): the same picks in {same} of {seeds} seeds."
    )
