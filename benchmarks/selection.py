"""Seconds and memory of the heavy selections, beside a peer on the same arrays in the same run.

    python -m benchmarks.selection            # the sizes quoted in the documentation, about two minutes on 2 cores
    python -m benchmarks.selection --quick    # a tenth of the rows

CAL is held against FAISS (exact IndexFlatL2 search, then a vectorised score; skipped where faiss-cpu is not installed),
BADGE against k-means++ on the same factorised distances, one centre at a time in NumPy.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax

from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.contrastive import cal_scores
from nearmiss.acquisition.gradient import Badge

Floats = npt.NDArray[np.float32]


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall seconds of ``repeats`` calls."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def clustered(n: int, d: int, rng: np.random.Generator) -> Floats:
    """Rows around 50 centres, as encodings are: neighbours differ in distance, unlike in pure noise."""
    centers = rng.normal(size=(50, d))
    return (centers[rng.integers(50, size=n)] + rng.normal(size=(n, d))).astype(np.float32)


def predictions(n: int, n_classes: int, rng: np.random.Generator) -> Floats:
    """Log-probabilities of a fairly confident model."""
    return np.asarray(log_softmax(rng.normal(scale=3, size=(n, n_classes)), axis=1), dtype=np.float32)


def faiss_cal(pool: Floats, pool_log_probs: Floats, labeled: Floats, labeled_log_probs: Floats, k: int) -> Floats:
    """CAL as one would write it on FAISS."""
    import faiss

    index = faiss.IndexFlatL2(labeled.shape[1])
    index.add(labeled)
    _, neighbors = index.search(pool, k)
    p = labeled_log_probs[neighbors]
    return np.asarray((np.exp(p) * (p - pool_log_probs[:, None, :])).sum(axis=2).mean(axis=1))


def numpy_badge(log_probs: Floats, features: Floats, b: int, rng: np.random.Generator) -> list[int]:
    """Sequential k-means++ on factorised gradient distances, one matrix-vector product per centre."""
    a = np.exp(log_probs)
    a[np.arange(len(a)), a.argmax(axis=1)] -= 1
    norms = (a**2).sum(axis=1) * (features**2).sum(axis=1)
    nearest = np.full(len(a), np.inf)
    picks = [int(rng.integers(len(a)))]
    for _ in range(b - 1):
        c = picks[-1]
        distances = norms + norms[c] - 2 * (a @ a[c]) * (features @ features[c])
        nearest = np.minimum(nearest, np.maximum(distances, 0))
        nearest[c] = 0
        picks.append(int(np.searchsorted(np.cumsum(nearest), rng.random() * nearest.sum(), side="right")))
    return picks


def bench_cal(n: int, m: int, d: int, repeats: int) -> None:
    """Print CAL's time and its ratio to FAISS."""
    rng = np.random.default_rng(0)
    arrays = (clustered(n, d, rng), predictions(n, 4, rng), clustered(m, d, rng), predictions(m, 4, rng))
    ours = seconds(lambda: cal_scores(*arrays, k=10), repeats)
    print(f"CAL     n={n:,} m={m:,} d={d} k=10: {ours:.2f} s", end="")
    try:
        peer = seconds(lambda: faiss_cal(*arrays, k=10), repeats)
    except ImportError:
        print("   (faiss-cpu is not installed: no peer)")
        return
    same = np.intersect1d(np.argsort(-cal_scores(*arrays))[:2000], np.argsort(-faiss_cal(*arrays, k=10))[:2000])
    print(f"   FAISS {peer:.2f} s, ratio {ours / peer:.2f}, {len(same)} of the best 2000 in common")


def bench_badge(n: int, d: int, n_classes: int, b: int, repeats: int) -> None:
    """Print BADGE's time, both modes, and the ratio to one centre at a time in NumPy."""
    rng = np.random.default_rng(0)
    signals = Signals(log_probs=predictions(n, n_classes, rng), features=clustered(n, d, rng))
    view = PoolView(size=n, pool=signals)
    ours = seconds(lambda: Badge().select(view, b, np.random.default_rng(1)), repeats)
    log_probs, features = np.asarray(signals.log_probs), np.asarray(signals.features)
    peer = seconds(lambda: numpy_badge(log_probs, features, b, np.random.default_rng(1)), 1)
    print(f"BADGE   n={n:,} d={d} C={n_classes} b={b:,}: {ours:.2f} s   NumPy {peer:.2f} s, ratio {ours / peer:.2f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--repeats", type=int, default=3, help="runs per figure; the median is quoted")
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    print(
        f"{os.cpu_count()} cores, torch {torch.__version__} on {torch.get_num_threads()} threads, "
        f"NumPy {np.__version__}"
    )
    for d in (384, 768):
        bench_cal(100_000 // scale, 10_000 // scale, d, options.repeats)
    for d in (384, 768):
        bench_badge(60_000 // scale, d, 2, 1_200 // scale, options.repeats)


if __name__ == "__main__":
    main()
