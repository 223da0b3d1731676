"""Pools cut into shards at odd places, and the same pool in one view."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.registry import make_strategy
from nearmiss.loop.streams import named_generator
from nearmiss.scale.labels import KnownLabels
from nearmiss.scale.pool import ShardedPool


def lists(values):
    """Write an array as lists of one length, nested where it has three axes."""
    if values.ndim == 3:
        inner = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[2])
        return pa.FixedSizeListArray.from_arrays(inner, values.shape[1])
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def log_softmax(logits):
    return (logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))).astype(np.float32)


@dataclass
class Made:
    """A pool in a folder, and what it was made from."""

    folder: str
    ids: list
    features: np.ndarray
    log_probs: np.ndarray
    mc_log_probs: np.ndarray
    labeled: np.ndarray
    labels: np.ndarray

    @property
    def pool(self):
        return ShardedPool.open(self.folder)

    @property
    def known(self):
        return KnownLabels(tuple(self.ids[row] for row in self.labeled), self.labels, tuple("012"))

    @property
    def rest(self):
        return np.setdiff1d(np.arange(len(self.ids)), self.labeled)

    @property
    def view(self):
        rest = self.rest
        return PoolView(
            len(rest),
            Signals(self.log_probs[rest], self.features[rest], self.mc_log_probs[:, rest]),
            Signals(self.log_probs[self.labeled], self.features[self.labeled]),
            self.labels,
        )

    def at_once(self, strategy, n, seed):
        """Choose as one machine does, with the same generator; give rows of the pool, and scores."""
        selection = make_strategy(strategy).select(self.view, n, named_generator("shards", seed))
        return self.rest[selection.indices], selection


@pytest.fixture
def make_pool(tmp_path):
    """Make a pool of n texts, cut at the given rows; ``ties`` makes most scores equal."""

    def make(n=600, cuts=(130, 131, 300, 300, 450), ties=False, m=25, seed=0, name="pool", d=6):
        rng = np.random.default_rng(seed)
        features = rng.integers(0, 3, (n, d)).astype(np.float32) if ties else rng.standard_normal((n, d), np.float32)
        logits = rng.integers(0, 2, (n, 3)).astype(float) if ties else rng.standard_normal((n, 3))
        passes = rng.standard_normal((4, n, 3))
        made = Made(
            str(tmp_path / name),
            [f"t{row:04d}" for row in range(n)],
            features,
            log_softmax(logits),
            log_softmax(passes),
            np.sort(rng.choice(n, m, replace=False)),
            rng.integers(0, 3, m),
        )
        (tmp_path / name).mkdir()
        edges = [0, *cuts, n]
        for number, (start, stop) in enumerate(pairwise(edges)):
            table = pa.table(
                {
                    "id": made.ids[start:stop],
                    "features": lists(features[start:stop]),
                    "log_probs": lists(made.log_probs[start:stop]),
                    "mc_log_probs": lists(np.ascontiguousarray(made.mc_log_probs[:, start:stop].swapaxes(0, 1))),
                }
            )
            parquet.write_table(table, f"{made.folder}/part-{number}.parquet", row_group_size=50)
        return made

    return make
