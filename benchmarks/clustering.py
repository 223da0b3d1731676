"""k-means and BERTKM beside FAISS and scikit-learn: seconds, inertia, and how many distinct texts come out."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks.arrays import Floats, weakly_clustered
from benchmarks.memory import peak_of
from benchmarks.peers import faiss_centers, faiss_nearest_rows, has_faiss, sklearn_centers
from benchmarks.reference import inertia
from benchmarks.results import Figure, Item, Mark, Note
from benchmarks.sections import Context
from benchmarks.timing import Ways, take_turns
from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.clustering import BertKM
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.kmeans import KMeans, kmeans

__all__ = ["prepare", "qqp", "section"]

ITERATIONS = 10
OURS, FAISS, SKLEARN = "k-means", "faiss.Kmeans.train", "sklearn.cluster.KMeans, n_init=1"
STRATEGY, FAISS_STRATEGY = "BERTKM", "faiss.Kmeans.train + nearest rows"
WARM_UP = {"n": 2000, "d": 768, "b": 40}


def section(context: Context) -> Iterator[Item]:
    """Equal iterations on the same unit-length rows."""
    n, d, b = context.size(20_000, 4000), 768, context.size(400, 80)
    run = _Run(_rows(n, d), b)
    warm_up = _Run(_rows(WARM_UP["n"], d), WARM_UP["b"]).ways
    turns = take_turns(run.ways, context.repeats, warm_up)
    sizes = {"n": n, "d": d, "b": b}
    products = 2.0 * n * b * d
    # Seeding measures every row against every centre once; so does each update, and the assignment before the first.
    flop = products * (ITERATIONS + 2)
    for peer, marks in ((FAISS, (Mark("ratio", high=1.0),)), (SKLEARN, ())):
        yield Figure(OURS, sizes, turns.median(OURS), "s", peer, turns.median_of(peer), marks, flop, turns.seconds)
    yield Figure(
        STRATEGY,
        sizes,
        turns.median(STRATEGY),
        "s",
        FAISS_STRATEGY,
        turns.median_of(FAISS_STRATEGY),
        (Mark("ratio", high=1.0),),
        flop + products,
    )
    yield from _worth(run, sizes)


def qqp(context: Context) -> Iterator[Item]:
    """QQP's size: once, in a process of its own."""
    sizes = {"n": 327_000, "d": 768, "b": 6540}
    peak = peak_of(prepare, sizes, WARM_UP)
    flop = 2.0 * sizes["n"] * sizes["b"] * sizes["d"] * (ITERATIONS + 3)
    yield Figure(f"{STRATEGY}, {ITERATIONS} iterations", sizes, peak.seconds, flop=flop)
    yield Figure(f"{STRATEGY}: peak memory", sizes, peak.peak / 2**30, "GiB", marks=(Mark("ours", high=6.0),))


def prepare(n: int, d: int, b: int) -> Callable[[], object]:
    """Make the inputs of one selection; for ``peak_of``."""
    view = PoolView(n, Signals(features=_rows(n, d)))
    return lambda: BertKM(iterations=ITERATIONS).select(view, b, np.random.default_rng(0))


def _rows(n: int, d: int) -> Floats:
    return np.asarray(normalize_rows(weakly_clustered(n, d, np.random.default_rng(0))))


@dataclass
class _Run:
    """The rows, and the answers of every turn: each has another seed, since one start may be lucky."""

    rows: Floats
    b: int
    ours: list[KMeans] = field(default_factory=list)
    centers: dict[str, list[Floats]] = field(default_factory=dict)
    distinct: dict[str, list[int]] = field(default_factory=dict)

    @property
    def ways(self) -> Ways:
        ways: dict[str, Callable[[], object]] = {OURS: self._kmeans, STRATEGY: self._strategy}
        if has_faiss():
            ways |= {FAISS: self._faiss, FAISS_STRATEGY: self._faiss_strategy}
        return ways | {SKLEARN: self._sklearn}

    def _kmeans(self) -> None:
        self.ours.append(kmeans(self.rows, self.b, np.random.default_rng(len(self.ours)), iterations=ITERATIONS))

    def _strategy(self) -> None:
        rng = np.random.default_rng(len(self.distinct.get(STRATEGY, ())))
        view = PoolView(len(self.rows), Signals(features=self.rows))
        self._count(STRATEGY, BertKM(iterations=ITERATIONS).select(view, self.b, rng).indices)

    def _faiss(self) -> None:
        done = self.centers.setdefault(FAISS, [])
        done.append(faiss_centers(self.rows, self.b, ITERATIONS, seed=len(done)))

    def _faiss_strategy(self) -> None:
        seed = len(self.distinct.get(FAISS_STRATEGY, ()))
        centers = faiss_centers(self.rows, self.b, ITERATIONS, seed)
        self._count(FAISS_STRATEGY, faiss_nearest_rows(self.rows, centers))

    def _sklearn(self) -> None:
        done = self.centers.setdefault(SKLEARN, [])
        done.append(sklearn_centers(self.rows, self.b, ITERATIONS, seed=len(done)))

    def _count(self, way: str, picks: np.ndarray) -> None:
        self.distinct.setdefault(way, []).append(len(np.unique(picks)))


def _worth(run: _Run, sizes: dict[str, int]) -> Iterator[Item]:
    centers = {OURS: [np.asarray(each.centers, dtype=np.float32) for each in run.ours], **run.centers}
    inertias = {way: [inertia(run.rows, each) for each in found] for way, found in centers.items()}
    ours = statistics.median(inertias[OURS])
    for peer in (FAISS, SKLEARN):
        if peer in inertias:
            theirs = statistics.median(inertias[peer])
            # scikit-learn's seeding tries several rows for each centre, ours one: only FAISS is a mark.
            marks = (Mark("ratio", high=1.001),) if peer == FAISS else ()
            yield Figure(f"{OURS}: inertia", sizes, ours, "", peer, theirs, marks, raw=inertias)
    said = "; ".join(f"{way} gives {min(counts)}" for way, counts in run.distinct.items())
    fewest = min(each.iterations for each in run.ours)
    yield Note(
        "Rows: 50 weak clusters, the width of direction j falling as 1/√j as that of encodings does, scaled to unit "
        f"length; k-means takes some twenty updates to converge on them. Ours made {fewest} of {ITERATIONS}"
        + (". " if fewest == ITERATIONS else ": it CONVERGED EARLY, times do not compare. ")
        + f"Distinct texts of b = {run.b}, the fewest of all turns: {said}."
    )
