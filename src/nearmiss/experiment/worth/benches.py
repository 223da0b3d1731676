"""Datasets as simulated projects need them: encoded once, some texts kept for tests, and the random learning curve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray
from nearmiss.experiment.worth.projects import Bench
from nearmiss.loop.streams import named_generator
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Pooling
from nearmiss.models.logistic import LogisticHead, LogisticSettings
from nearmiss.text.datasets import load_dataset

__all__ = ["RandomCurve", "load_bench", "true_random_curve"]

#: Texts used of a dataset, and how many of them belong to no project.
_MOST, _TEST = 8_000, 2_000
_SIZES, _REPEATS = 18, 10
#: Past this size the curve is read off fewer repeats: it hardly varies, and a fit takes seconds.
_LARGE, _FEWER = 1_000, 4


@dataclass(frozen=True, slots=True, eq=False)
class RandomCurve:
    """What randomly chosen labels give, on the test texts: means over many choices.

    Attributes
    ----------
    sizes, accuracy
        Labels, and the accuracy they give; it never falls (a fall is chance, and is levelled out).
    """

    sizes: IndexArray
    accuracy: npt.NDArray[np.float64]

    def equivalent(self, accuracy: float) -> float:
        """Give the randomly chosen labels that reach an accuracy; infinite where even all do not, 0 below the first."""
        if accuracy > self.accuracy[-1]:
            return float("inf")
        if accuracy < self.accuracy[0]:
            return 0.0
        return float(np.exp(np.interp(accuracy, self.accuracy, np.log(self.sizes))))

    def at(self, labels: float) -> float:
        """Give the accuracy that so many labels reach."""
        return float(np.interp(np.log(labels), np.log(self.sizes), self.accuracy))


def load_bench(name: str, data_dir: str | Path | None, cache_dir: str | Path | None = None) -> Bench:
    """Load a dataset, and encode it by the frozen embedded encoder.

    Raises
    ------
    NearmissError
        There is no such dataset, or it cannot be read.
    """
    pool = load_dataset(name, data_dir, max_pool=_MOST, seed=0).pool
    features = FrozenVectors(cache_dir=cache_dir).units(pool.texts, Pooling.MEAN).astype(np.float32)
    labels = pool.gold()
    mixed = named_generator("worth", name).permutation(len(labels))
    n_test = min(_TEST, len(labels) // 4)
    test, rest = mixed[:n_test], mixed[n_test:]
    return Bench(name, len(pool.label_names), features[rest], labels[rest], features[test], labels[test])


def true_random_curve(bench: Bench) -> RandomCurve:
    """Train on more and more randomly chosen texts of a dataset."""
    n = len(bench.labels)
    sizes = np.unique(np.round(np.geomspace(16, n, _SIZES)).astype(np.int64))
    totals, counts = np.zeros(len(sizes)), np.zeros(len(sizes))
    for repeat in range(_REPEATS):
        order = named_generator("worth", bench.name, "random", repeat).permutation(n)
        for place, size in enumerate(sizes):
            if size > _LARGE and repeat >= _FEWER:
                continue
            rows = order[:size]
            head = LogisticHead.train(bench.features[rows], bench.labels[rows], bench.n_classes, LogisticSettings())
            totals[place] += bench.accuracy(head)
            counts[place] += 1
    return RandomCurve(sizes, np.maximum.accumulate(totals / counts))
