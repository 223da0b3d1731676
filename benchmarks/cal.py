"""CAL: seconds beside FAISS, the batch beside brute force, and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.arrays import CalArrays, cal_arrays
from benchmarks.machine import fast_bfloat16
from benchmarks.memory import MEGABYTE, peak_of
from benchmarks.peers import FAISS, faiss_cal, has_faiss
from benchmarks.reference import agreement, brute_force_cal
from benchmarks.results import Figure, Item, Mark, Note
from benchmarks.sections import Context
from benchmarks.timing import Ways, take_turns
from nearmiss.acquisition.base import Selection
from nearmiss.acquisition.contrastive import Cal, cal_scores

__all__ = ["large", "prepare", "qqp", "small"]

SCORES, BATCH = "CAL, scores", "CAL, scores and batch"
WARM_UP = {"n": 2000, "m": 200, "d": 768, "C": 4, "b": 40}


def large(context: Context) -> Iterator[Item]:
    """A pool of 100,000 against 10,000 labelled texts."""
    sizes = {"n": context.size(100_000, 10_000), "m": context.size(10_000, 1000), "d": 768, "C": 4, "k": 10}
    b = context.size(2000, 200)
    arrays = cal_arrays(sizes["n"], sizes["m"], sizes["d"], sizes["C"])
    turns = take_turns(_ways(arrays, b), context.repeats, warm_up=_ways(_arrays_of(WARM_UP), WARM_UP["b"]))
    mark = Mark("ratio", high=0.6 if fast_bfloat16() else 1.1)
    theirs = turns.median_of(FAISS)
    flop = 2.0 * sizes["n"] * sizes["m"] * sizes["d"]
    yield Figure(SCORES, sizes, turns.median(SCORES), "s", FAISS, theirs, (mark,), flop, turns.seconds)
    yield Figure(BATCH, sizes | {"b": b}, turns.median(BATCH), "s", FAISS, theirs, (mark,), flop)
    yield _batches(arrays, turns.results[BATCH], turns.results.get(FAISS), b)
    yield _memory(sizes | {"b": b})


def small(context: Context) -> Iterator[Item]:
    """A pool so small that what a call costs beside its products shows."""
    sizes = {"n": 2000, "m": 200, "d": 768, "C": 4, "k": 10}
    turns = take_turns(_ways(cal_arrays(2000, 200, 768, 4), 40), context.repeats)
    theirs = turns.median_of(FAISS)
    flop = 2.0 * sizes["n"] * sizes["m"] * sizes["d"]
    yield Figure(
        SCORES, sizes, turns.median(SCORES), "s", FAISS, theirs, (Mark("ratio", high=1.2),), flop, turns.seconds
    )
    yield Figure(BATCH, sizes | {"b": 40}, turns.median(BATCH), "s", FAISS, theirs)


def qqp(context: Context) -> Iterator[Item]:
    """As many questions as QQP has, with 15 % of them labelled: once, in a process of its own."""
    sizes = {"n": 327_000, "m": 49_000, "d": 768, "C": 2, "b": 6540}
    peak = peak_of(prepare, sizes, WARM_UP)
    shown = sizes | {"k": 10}
    yield Figure(BATCH, shown, peak.seconds, flop=2.0 * sizes["n"] * sizes["m"] * sizes["d"])
    yield Figure(f"{BATCH}: peak memory", shown, peak.peak / 2**30, "GiB", marks=(Mark("ours", high=6.0),))
    yield Figure(f"{BATCH}: above its inputs", shown, peak.above / MEGABYTE, "MB")


def prepare(n: int, m: int, d: int, C: int, b: int, peer: bool = False) -> Callable[[], object]:
    """Make the inputs of one selection; for ``peak_of``."""
    arrays = cal_arrays(n, m, d, C)
    if peer:
        return lambda: faiss_cal(*arrays.all)
    return lambda: _select(arrays, b)


def _select(arrays: CalArrays, b: int) -> Selection:
    return Cal().select(arrays.view, b, np.random.default_rng(0))


def _arrays_of(sizes: dict[str, int]) -> CalArrays:
    return cal_arrays(sizes["n"], sizes["m"], sizes["d"], sizes["C"])


def _ways(arrays: CalArrays, b: int) -> Ways:
    ways: dict[str, Callable[[], object]] = {
        SCORES: lambda: cal_scores(*arrays.all, k=10),
        BATCH: lambda: _select(arrays, b),
    }
    if has_faiss():
        ways[FAISS] = lambda: faiss_cal(*arrays.all)
    return ways


def _batches(arrays: CalArrays, ours: Selection, theirs: np.ndarray | None, b: int) -> Note:
    exact = brute_force_cal(*arrays.all)
    said = f"The best {b:,}: nearmiss and brute force in float64, {agreement(ours.indices, exact)}"
    if theirs is not None:
        said += f"; FAISS and brute force, {agreement(np.argsort(-theirs, kind='stable')[:b], exact)}"
    furthest = float(np.abs(ours.scores - exact[ours.indices]).max())
    return Note(f"{said}. Our scores of the batch differ from brute force by at most {furthest:.0e}.")


def _memory(sizes: dict[str, int]) -> Figure:
    asked = {name: size for name, size in sizes.items() if name != "k"}
    ours = peak_of(prepare, asked, WARM_UP).above / MEGABYTE
    theirs = peak_of(prepare, asked | {"peer": True}, WARM_UP).above / MEGABYTE if has_faiss() else None
    return Figure(f"{BATCH}: memory above its inputs", sizes, ours, "MB", FAISS, theirs, (Mark("ours", high=400.0),))
