"""Steps of Lloyd's k-means over shards: each gives the sums of the texts nearest to every centroid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nearmiss.acquisition.base import IndexArray, Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.pool import Shard
from nearmiss.scale.signals import SignalSource
from nearmiss.scale.work import Arrays

__all__ = ["SumShard", "moved"]

_BATCH_ROWS = 8_192


@dataclass(frozen=True, slots=True, eq=False)
class SumShard:
    """Adds up, for each centroid, the texts of a shard (at unit length) that are nearest to it.

    Attributes
    ----------
    source
        Gives the features.
    centers
        Shape (b, d).
    without
        Rows that take no part, increasing.
    """

    source: SignalSource
    centers: npt.NDArray[np.floating]
    without: IndexArray

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """What is added up."""
        return hash_of("sum", self.source.identity, self.centers, self.without)

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what adds up a shard."""
        b, d = self.centers.shape

        def do(shard: Shard) -> Arrays:
            sums, counts = np.zeros((b, d)), np.zeros(b, dtype=np.int64)
            for whole in self.source.batches(shard, frozenset({Signal.FEATURES}), _BATCH_ROWS):
                batch = whole.kept(self.without)
                n = len(batch.rows)
                if not n:
                    continue
                units = normalize_rows(np.asarray(batch.signals.features))
                points = ProductPoints(np.concatenate([units, self.centers.astype(units.dtype)]))
                _, nearest = points.assigned(np.arange(n, n + b))
                members = sparse.csr_array((np.ones(n), (nearest[:n], np.arange(n))), shape=(b, n))
                sums += members @ units
                counts += np.bincount(nearest[:n], minlength=b)
            return {"sums": sums, "counts": counts}

        return do


def moved(centers: npt.NDArray[np.floating], parts: Sequence[Arrays]) -> npt.NDArray[np.floating]:
    """Move each centroid to the mean of its texts; one without texts stays.

    Examples
    --------
    >>> parts = [{"sums": np.array([[4.0], [0.0]]), "counts": np.array([2, 0])}]
    >>> moved(np.array([[1.0], [7.0]]), parts)
    array([[2.],
           [7.]])
    """
    sums = np.sum([part["sums"] for part in parts], axis=0)
    counts = np.sum([part["counts"] for part in parts], axis=0)
    means = sums / np.maximum(counts, 1)[:, None]
    return np.where(counts[:, None] > 0, means, centers).astype(centers.dtype)
