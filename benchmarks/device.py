"""The same functions on one GPU: seconds, memory and traffic at QQP's size, and whether the picks are the CPU's.

Inputs are float32 tensors made on the device; everything is synchronised before a clock is read.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.memory import MEGABYTE
from benchmarks.results import Figure, Item, Mark, Note, Table
from benchmarks.sections import Context
from benchmarks.traffic import HostTraffic
from nearmiss.acquisition.base import Array, PoolView, Selection, Signals, Strategy
from nearmiss.acquisition.clustering import BertKM, KCenterGreedy
from nearmiss.acquisition.contrastive import Cal
from nearmiss.acquisition.gradient import Badge
from nearmiss.acquisition.uncertainty import Entropy, Margin
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.kmeans import kmeans

__all__ = ["Sizes", "agreements", "measured", "selection"]

ITERATIONS = 10
#: "Within seconds", for every function.
MARK = Mark("ours", high=10.0)


@dataclass(frozen=True)
class Sizes:
    """Pool, labelled set, width, classes, batch, and the batch of k-centre greedy, which goes pick by pick."""

    n: int
    m: int
    d: int
    C: int
    b: int
    b_cover: int

    def of(self, *names: str) -> dict[str, int]:
        """Choose the sizes that apply."""
        return {name: getattr(self, name) for name in names}


QQP = Sizes(n=327_000, m=49_000, d=768, C=2, b=6540, b_cover=654)
QUICK = Sizes(n=20_000, m=3000, d=768, C=2, b=400, b_cover=40)
WARM_UP = Sizes(n=4000, m=600, d=768, C=2, b=80, b_cover=8)
AGREEMENT = Sizes(n=20_000, m=2000, d=768, C=2, b=400, b_cover=40)


def selection(context: Context) -> Iterator[Item]:
    """QQP's size on the GPU; then a smaller pool on both."""
    cuda = torch.device("cuda")
    yield from measured(QUICK if context.quick else QQP, WARM_UP, cuda, context.repeats)
    yield from agreements(AGREEMENT, cuda)


@dataclass(frozen=True)
class _Way:
    """One strategy, what it is shown, and the distance products that it cannot do without."""

    title: str
    strategy: Strategy
    view: PoolView
    b: int
    sizes: dict[str, int]
    flop: float | None = None

    def __call__(self) -> Selection:
        return self.strategy.select(self.view, self.b, np.random.default_rng(1))


@dataclass(frozen=True)
class _Taken:
    """What the calls of one way took: seconds of each, and device memory at its peak beyond what was held before."""

    seconds: list[float]
    above: int
    traffic: HostTraffic

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measured(sizes: Sizes, warm_up: Sizes, device: torch.device, repeats: int) -> Iterator[Item]:
    """Time every way at these sizes, each after the same on a smaller pool."""
    rows = []
    small = {way.title: way for way in _ways(warm_up, device)}
    for way in _ways(sizes, device):
        taken = _taken(way, small[way.title], device, repeats)
        yield Figure(way.title, way.sizes, taken.median, marks=(MARK,), flop=way.flop, raw={"ours": taken.seconds})
        above = taken.above / MEGABYTE
        yield Figure(f"{way.title}: memory of the device above its inputs", way.sizes, above, "MB")
        down, up = (sum(copies) / MEGABYTE for copies in (taken.traffic.down, taken.traffic.up))
        largest = max(taken.traffic.down, default=0) / MEGABYTE
        waits = taken.traffic.waits + len(taken.traffic.down)
        rows.append(
            [way.title, f"{down:.1f}", f"{largest:.1f}", f"{len(taken.traffic.down):,}", f"{up:.1f}", f"{waits:,}"]
        )
    columns = ("", "to the host, MB", "the largest copy, MB", "copies to the host", "to the device, MB", "waits")
    inputs = 4 * sizes.n * sizes.d / MEGABYTE
    yield Table(f"Copies of one call, explicit ones (the pool's features take {inputs:,.0f} MB)", columns, rows)


def _taken(call: _Way, warm_up: _Way, device: torch.device, repeats: int) -> _Taken:
    warm_up()
    _synchronize(device)
    before = _forget_peak(device)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        _synchronize(device)
        seconds.append(time.perf_counter() - start)
    above = max(0, _peak(device) - before)
    with HostTraffic() as traffic:  # slows every operation down, and so has a call of its own
        call()
    return _Taken(seconds, above, traffic)


def _ways(sizes: Sizes, device: torch.device) -> Iterator[_Way]:
    """Make the inputs of one way after the other, so that no other's are held meanwhile."""
    n, m, d, C, b = sizes.n, sizes.m, sizes.d, sizes.C, sizes.b
    products = 2.0 * n * b * d
    view = _view(sizes, device)
    yield _Way("CAL", Cal(), view, b, sizes.of("n", "m", "d", "C", "b") | {"k": 10}, 2.0 * n * m * d)
    pool = PoolView(n, view.pool)
    yield _Way("BADGE", Badge(), pool, b, sizes.of("n", "d", "C", "b"), 2.0 * n * b * (d + C))
    yield _Way("Entropy", Entropy(), pool, b, sizes.of("n", "C", "b"))
    yield _Way("Margin", Margin(), pool, b, sizes.of("n", "C", "b"))
    cover = sizes.of("n", "d") | {"b": sizes.b_cover}
    yield _Way("k-centre greedy", KCenterGreedy(), pool, sizes.b_cover, cover, 2.0 * n * sizes.b_cover * d)
    del view, pool
    clusters = PoolView(n, Signals(features=_weakly_clustered(n, d, device)))
    title, flop = f"BERTKM, {ITERATIONS} iterations", products * (ITERATIONS + 3)
    yield _Way(title, BertKM(iterations=ITERATIONS), clusters, b, sizes.of("n", "d", "b"), flop)


def agreements(sizes: Sizes, device: torch.device) -> Iterator[Item]:
    """Give device and host the same inputs and the same seed."""
    view = _view(sizes, device)
    here = _on_host(view)
    scores, expected = Cal().scores(view), Cal().scores(here)
    furthest = float(np.abs(scores - expected).max())
    rows = []
    for title, strategy, b in (
        ("CAL", Cal(), sizes.b),
        ("BADGE", Badge(), sizes.b),
        ("BADGE, one centre at a time", Badge(method="sequential"), sizes.b),
        ("Entropy", Entropy(), sizes.b),
        ("Margin", Margin(), sizes.b),
        ("k-centre greedy", KCenterGreedy(), sizes.b_cover),
        ("BERTKM", BertKM(iterations=ITERATIONS), sizes.b),
    ):
        ours, wanted = (strategy.select(each, b, np.random.default_rng(1)).indices for each in (view, here))
        common, ordered = len(np.intersect1d(ours, wanted)), int((ours == wanted).sum())
        rows.append([title, f"{common:,} of {b:,}", f"{ordered:,}"])
    said = ", ".join(f"{name} = {size:,}" for name, size in sizes.of("n", "m", "d", "C").items())
    yield Table(f"Picks on the device and on the host, same seed, {said}", ("", "in common", "in the same place"), rows)
    yield Note(
        f"CAL's scores differ by at most {furthest:.1e} nats between device and host. {_same_clusters(sizes, device)}"
    )


def _same_clusters(sizes: Sizes, device: torch.device) -> str:
    rows = _weakly_clustered(sizes.n, sizes.d, device)
    there, here = (kmeans(each, sizes.b, np.random.default_rng(1), ITERATIONS) for each in (rows, rows.cpu()))
    same = float((there.assignments == here.assignments).mean())
    return (
        f"k-means puts {same:.2%} of the texts into the same cluster; the inertia on the device is "
        f"{there.inertia / here.inertia:.6f} times the host's."
    )


def _view(sizes: Sizes, device: torch.device) -> PoolView:
    rows = _clustered(sizes.n + sizes.m, sizes.d, device)
    log_probs = torch.log_softmax(
        3 * torch.randn(len(rows), sizes.C, device=device, generator=_generator(device)), dim=1
    )
    # Copied out, so that neither part keeps the other's memory alive.
    pool, labeled = (
        Signals(log_probs[part].clone(), rows[part].clone()) for part in (slice(sizes.n), slice(sizes.n, None))
    )
    return PoolView(sizes.n, pool, labeled, np.zeros(sizes.m, dtype=np.int64))


def _on_host(view: PoolView) -> PoolView:
    pool, labeled = (Signals(_cpu(each.log_probs), _cpu(each.features)) for each in (view.pool, view.labeled))
    return PoolView(view.size, pool, labeled, view.labels)


def _cpu(given: Array | None) -> Tensor:
    if not isinstance(given, Tensor):
        raise TypeError(f"{type(given).__name__} is no tensor")
    return given.cpu()


def _clustered(n: int, d: int, device: torch.device, spread: float = 1.0) -> Tensor:
    """Rows around 50 centres, as ``benchmarks.arrays`` makes them."""
    generator = _generator(device)
    centers = spread * torch.randn(50, d, device=device, generator=generator)
    rows = torch.randn(n, d, device=device, generator=generator)
    return rows.add_(centers[torch.randint(50, (n,), device=device, generator=generator)])


def _weakly_clustered(n: int, d: int, device: torch.device) -> Tensor:
    """Rows of unit length on which k-means is busy for some twenty updates."""
    return normalize_rows(_clustered(n, d, device, 0.2).mul_(torch.arange(1, d + 1, device=device) ** -0.5))


def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(0)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _forget_peak(device: torch.device) -> int:
    """Start torch's count anew; return the bytes that are held now."""
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _peak(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
