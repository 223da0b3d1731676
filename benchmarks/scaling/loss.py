"""What BERTKM and BADGE lose by choosing from candidates: against the exact step, and against random texts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.gradient import Badge
from nearmiss.acquisition.registry import make_strategy
from nearmiss.loop.streams import named_generator
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Pooling
from nearmiss.models.logistic import LogisticHead, LogisticSettings, log_softmax_rows
from nearmiss.scale.pool import ShardedPool
from nearmiss.scale.selecting import select_from_shards
from nearmiss.text.datasets import load_dataset

_SEEDS = range(5)


def losses() -> list[dict[str, Any]]:
    """Choose 50 and 200 texts of real ones, by both ways, and measure what is left uncovered."""
    pool = load_dataset("banking77", None, seed=0).pool
    features = FrozenVectors().units(pool.texts, Pooling.MEAN)
    rng = named_generator("loss")
    known = rng.choice(len(pool), 300, replace=False)
    head = LogisticHead.train(features[known], pool.gold()[known], len(pool.label_names), LogisticSettings())
    log_probs = log_softmax_rows(head.logits(features)).astype(np.float32)
    view = PoolView(len(pool), Signals(log_probs, features))
    gradients = Badge().points(view)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder, "pool")
        shards.mkdir()
        for number, rows in enumerate(np.array_split(np.arange(len(pool)), 5)):
            table = pa.table({"features": _lists(features[rows]), "log_probs": _lists(log_probs[rows])})
            parquet.write_table(table, shards / f"{number}.parquet")
        opened = ShardedPool.open(str(shards))

        def uncovered(strategy: str, rows: np.ndarray) -> float:
            if strategy == "badge":
                return float(gradients.to_nearest(rows).mean())
            return float((2 - 2 * features @ features[rows].T).min(axis=1).clip(0).mean())

        for strategy in ("bertkm", "badge"):
            for n in (50, 200):
                ways: dict[str, list[float]] = {"shards": [], "exact": [], "random": []}
                picked: dict[str, list[np.ndarray]] = {way: [] for way in ways}
                for seed in _SEEDS:
                    batch = select_from_shards(opened, n, strategy=strategy, seed=seed, work_dir=f"{folder}/work")
                    picked["shards"].append(batch.rows)
                    for way, name in (("exact", strategy), ("random", "random")):
                        picks = make_strategy(name).select(view, n, named_generator(way, seed)).indices
                        picked[way].append(picks)
                    for way, chosen in picked.items():
                        ways[way].append(uncovered(strategy, chosen[-1]))
                lengths = {
                    way: round(float(np.mean([gradients.squared_norms[rows].mean() for rows in chosen])), 4)
                    for way, chosen in picked.items()
                }
                means = {way: round(float(np.mean(values)), 5) for way, values in ways.items()}
                facts = {"strategy": strategy, "n": n, "texts": len(pool), "seeds": len(_SEEDS)}
                found.append({**facts, **means, "lengths": lengths})
    return found


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])
