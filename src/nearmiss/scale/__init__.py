"""Pools that do not fit in memory: folders of shards, read as a stream, on one machine or on many.

The way of a selection::

    ShardedPool.open(address)            which shards there are, and how many texts each holds
    signals of each shard                texts are read once per model; vectors are kept as Parquet (`signal_store`)
    labelled rows, joined by id          sent to everybody who scores
    the best of each shard, merged       the same batch as on one machine, to the item (`scoring`, `nearest`)
    or candidates, then an exact step    for strategies that cluster (`oversampling`)

The work on one shard is a function of that shard alone (`work.Work`). What carries it out is exchangeable: this process
(`StreamingExecutor`), or Ray (`on_ray.RayExecutor`). A finished shard is never done again (`jobs`).
"""

from nearmiss.scale.pool import Shard, ShardedPool
from nearmiss.scale.selecting import ShardBatch, select_from_shards
from nearmiss.scale.work import StreamingExecutor

__all__ = ["Shard", "ShardBatch", "ShardedPool", "StreamingExecutor", "select_from_shards"]
