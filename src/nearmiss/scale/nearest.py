"""The candidates nearest to given points (labelled examples, centroids), found shard by shard and merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import Array, IndexArray, Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.pool import BATCH_ROWS, Shard
from nearmiss.scale.signals import SignalSource
from nearmiss.scale.work import Arrays

__all__ = ["NearestInShard", "nearest_of"]


@dataclass(frozen=True, slots=True, eq=False)
class NearestInShard:
    """Finds, for each of m points, the k candidates of a shard nearest to it.

    Attributes
    ----------
    source
        Gives the features.
    points
        Shape (m, d).
    k
        How many for each.
    without
        Rows that are no candidates, increasing.
    normalize
        Scale the features to norm 1; the points are taken as they are.
    """

    source: SignalSource
    points: Array
    k: int
    without: IndexArray
    normalize: bool = False
    batch_rows: int = BATCH_ROWS

    loads_a_model: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """What is near to what."""
        parts = (np.asarray(self.points), str(self.k), self.without, str(self.normalize))
        return hash_of("nearest", self.source.identity, *parts)

    def start(self) -> Callable[[Shard], Arrays]:
        """Give what searches a shard."""

        def do(shard: Shard) -> Arrays:
            parts: list[Arrays] = []
            for whole in self.source.batches(shard, frozenset({Signal.FEATURES}), self.batch_rows):
                batch = whole.kept(self.without)
                features = batch.signals.features
                if not len(batch.rows) or features is None:
                    continue
                near = nearest_neighbors(self.points, normalize_rows(features) if self.normalize else features, self.k)
                parts.append({"rows": batch.rows[near.indices], "distances": near.distances})
                parts = [nearest_of(parts, self.k)]
            return parts[0] if parts else _nothing(self.points.shape[0])

        return do


def nearest_of(parts: Sequence[Arrays], k: int) -> Arrays:
    """Keep of several searches the k nearest for each point, nearest first, the lower row first among equals.

    Examples
    --------
    >>> one = {"rows": np.array([[4, 5]]), "distances": np.array([[0.1, 0.5]])}
    >>> other = {"rows": np.array([[9]]), "distances": np.array([[0.3]])}
    >>> nearest_of([one, other], 2)["rows"]
    array([[4, 9]])
    """
    rows = np.concatenate([part["rows"] for part in parts], axis=1)
    distances = np.concatenate([part["distances"] for part in parts], axis=1)
    order = np.lexsort((rows, distances), axis=1)[:, :k]
    return {"rows": np.take_along_axis(rows, order, 1), "distances": np.take_along_axis(distances, order, 1)}


def _nothing(m: int) -> dict[str, npt.NDArray[np.generic]]:
    return {"rows": np.empty((m, 0), np.int64), "distances": np.empty((m, 0))}
