"""BERTKM and BADGE by candidates: near to what they choose exactly, and sound where texts repeat."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from tests.scale.conftest import lists

from nearmiss.acquisition.registry import make_strategy
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.errors import BadShard
from nearmiss.scale.oversampling import weighted_seeding
from nearmiss.scale.pool import ShardedPool
from nearmiss.scale.selecting import select_from_shards


def inertia(features, rows):
    """Give the mean squared distance of all texts, at unit length, to the nearest of a batch."""
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    return (2 - 2 * units @ units[rows].T).min(axis=1).mean()


def potential(made, rows):
    """Do the same for gradient embeddings."""
    return make_strategy("badge").points(made.view).to_nearest(np.searchsorted(made.rest, rows)).mean()


@pytest.fixture
def choose(tmp_path):
    def select(made, strategy, n, seed=0):
        work = str(tmp_path / "work")
        return select_from_shards(made.pool, n, strategy=strategy, labels=made.known, work_dir=work, seed=seed)

    return select


@pytest.mark.parametrize("strategy", ["bertkm", "badge"])
def test_a_batch_has_distinct_texts_without_a_label(make_pool, choose, strategy):
    made = make_pool(n=2_000, cuts=(300, 1_500))
    batch = choose(made, strategy, 40)
    assert len(set(batch.rows.tolist())) == 40
    assert not np.isin(batch.rows, made.labeled).any()
    assert "stand for the pool" in batch.notes[0]


def test_bertkm_covers_the_pool_nearly_as_well_as_exactly(make_pool, choose):
    made = make_pool(n=3_000, cuts=(1_000, 2_000), d=8)
    found = np.mean([inertia(made.features, choose(made, "bertkm", 50, seed).rows) for seed in range(3)])
    exact = np.mean([inertia(made.features, made.at_once("bertkm", 50, seed)[0]) for seed in range(3)])
    drawn = np.mean([inertia(made.features, made.at_once("random", 50, seed)[0]) for seed in range(3)])
    assert found < exact + 0.25 * (drawn - exact)


def test_badge_spreads_gradients_nearly_as_well_as_exactly(make_pool, choose):
    made = make_pool(n=3_000, cuts=(1_000, 2_000), d=8)
    found = np.mean([potential(made, choose(made, "badge", 50, seed).rows) for seed in range(3)])
    exact = np.mean([potential(made, made.at_once("badge", 50, seed)[0]) for seed in range(3)])
    drawn = np.mean([potential(made, made.at_once("random", 50, seed)[0]) for seed in range(3)])
    assert found < exact + 0.35 * (drawn - exact)


@pytest.mark.parametrize("strategy", ["bertkm", "badge"])
def test_a_pool_of_few_different_texts_still_fills_the_batch(tmp_path, strategy):
    folder = tmp_path / "pool"
    folder.mkdir()
    features = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    log_probs = np.log(np.full((60, 2), 0.5, dtype=np.float32))
    table = pa.table({"features": lists(features), "log_probs": lists(log_probs)})
    parquet.write_table(table.slice(0, 25), folder / "a.parquet")
    parquet.write_table(table.slice(25), folder / "b.parquet")
    pool = ShardedPool.open(str(folder))
    batch = select_from_shards(pool, 10, strategy=strategy, work_dir=str(tmp_path / "work"))
    assert len(set(batch.rows.tolist())) == 10
    assert len({row // 20 for row in batch.rows.tolist()}) == 3


def test_weights_decide_how_often_a_row_is_the_first():
    points, rng = ProductPoints(np.array([[0.0], [1.0]])), np.random.default_rng(0)
    firsts = [weighted_seeding(points, np.array([3.0, 1.0]), 1, rng).indices[0] for _ in range(4_000)]
    assert np.mean(firsts) == pytest.approx(0.25, abs=0.03)


def test_a_row_is_drawn_by_its_weight_times_its_squared_distance():
    points, rng = ProductPoints(np.array([[0.0], [1.0], [2.0]])), np.random.default_rng(1)
    seconds = []
    for _ in range(6_000):
        first, second = weighted_seeding(points, np.array([1e9, 4.0, 1.0]), 2, rng).indices
        assert first == 0
        seconds.append(second)
    assert np.mean(np.array(seconds) == 1) == pytest.approx(0.5, abs=0.03)


def test_log_probabilities_that_are_none_are_told_with_their_shard(make_pool, choose):
    made = make_pool()
    path = f"{made.folder}/part-4.parquet"
    table = parquet.read_table(path)
    column = pa.array([[float("nan")] * 3] * table.num_rows, pa.list_(pa.float32()))
    parquet.write_table(table.set_column(table.column_names.index("log_probs"), "log_probs", column), path)
    with pytest.raises(BadShard, match=r"part-4\.parquet"):
        choose(made, "badge", 10)
