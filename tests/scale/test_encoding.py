"""Texts read once per model by a real encoder, and kept; a full disk leaves no half of anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.acquisition.base import PoolView, Signal, Signals
from nearmiss.acquisition.registry import make_strategy
from nearmiss.errors import BadShard, InvalidInput
from nearmiss.loop.streams import named_generator
from nearmiss.models.frozen import FrozenClassifier
from nearmiss.models.transformer import FinetunedClassifier
from nearmiss.scale.labels import KnownLabels
from nearmiss.scale.pool import ColumnsOfPool, ShardedPool
from nearmiss.scale.readers import FrozenReader, SavedModelReader
from nearmiss.scale.selecting import select_from_shards
from nearmiss.text.corpus import Texts

WORDS = ["cat", "dog", "horse", "cow", "iron", "zinc", "lead", "gold"]
TEXTS = [f"{WORDS[i % 8]} and {WORDS[(i * 3 + 1) % 8]}, note {i}" for i in range(90)]
KNOWN = KnownLabels(
    tuple(f"t{i}" for i in range(0, 90, 6)), np.array([i % 8 > 3 for i in range(0, 90, 6)]) * 1, ("animal", "metal")
)


def write_pool(folder, texts=TEXTS, cuts=(40, 55)):
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(np.split(np.arange(len(texts)), cuts)):
        table = pa.table({"id": [f"t{i}" for i in part], "text": [texts[i] for i in part]})
        parquet.write_table(table, folder / f"part-{number}.parquet")
    return ShardedPool.open(str(folder))


@pytest.fixture
def pool(tmp_path):
    return write_pool(tmp_path / "pool")


def select(pool, tmp_path, n=8, strategy="margin", **options):
    return select_from_shards(pool, n, strategy=strategy, labels=KNOWN, work_dir=str(tmp_path / "work"), **options)


def stored(tmp_path):
    return {path: path.stat().st_mtime_ns for path in (tmp_path / "work" / "signals").rglob("*.parquet")}


def test_texts_are_chosen_as_by_the_frozen_classifier(pool, tmp_path):
    classifier = FrozenClassifier(cache_dir=tmp_path / "cache")
    rows, rng = np.arange(0, 90, 6), np.random.default_rng(0)
    rest = np.setdiff1d(np.arange(90), rows)
    classifier.fit(Texts(tuple(TEXTS[i] for i in rows)), KNOWN.labels, n_classes=2, rng=rng)
    needs = {Signal.LOG_PROBS, Signal.FEATURES}
    said = classifier.infer(Texts(tuple(TEXTS[i] for i in rest)), needs, rng=rng).signals()
    expected = make_strategy("margin").select(PoolView(len(rest), said), 8, named_generator("shards", 0))
    batch = select(pool, tmp_path)
    assert batch.rows.tolist() == rest[expected.indices].tolist()
    assert batch.scores == pytest.approx(expected.scores, abs=1e-5)
    assert batch.table.column("text").to_pylist() == [TEXTS[row] for row in batch.rows]


def test_a_shard_is_read_once_per_model_and_content(pool, tmp_path):
    select(pool, tmp_path)
    first = stored(tmp_path)
    assert len(first) == 3
    select(pool, tmp_path, strategy="cal", seed=1)
    assert stored(tmp_path) == first
    changed = [*TEXTS]
    changed[89] = "something else altogether"
    select(write_pool(tmp_path / "pool", changed), tmp_path)
    later = stored(tmp_path)
    assert {path: later[path] for path in first} == first
    assert len(later) == 4
    select(write_pool(tmp_path / "pool", changed), tmp_path, reader=FrozenReader(reading=_short()))
    assert len(stored(tmp_path)) == 7


def _short():
    from nearmiss.models.inference import Reading

    return Reading(max_length=16)


def test_a_moved_pool_needs_no_second_reading(pool, tmp_path):
    select(pool, tmp_path)
    first = stored(tmp_path)
    (tmp_path / "pool").rename(tmp_path / "moved")
    select(ShardedPool.open(str(tmp_path / "moved")), tmp_path)
    assert stored(tmp_path) == first


def test_pairs_are_read_as_pairs(tmp_path):
    folder = tmp_path / "pool"
    folder.mkdir()
    parquet.write_table(
        pa.table({"id": [f"t{i}" for i in range(90)], "text": TEXTS, "pair": TEXTS[::-1]}), folder / "a.parquet"
    )
    one = select(ShardedPool.open(str(folder)), tmp_path)
    two = select(ShardedPool.open(str(folder), ColumnsOfPool(pair="pair")), tmp_path)
    assert one.scores.tolist() != two.scores.tolist()
    assert two.table.column_names[:4] == ["id", "shard", "text", "pair"]
    assert len(stored(tmp_path)) == 2


def test_a_saved_classifier_chooses_by_what_it_says_itself(pool, tmp_path):
    classifier = FinetunedClassifier(epochs=1, min_steps=1, max_length=16, precision="float32")
    rng = np.random.default_rng(0)
    classifier.fit(Texts(tuple(TEXTS[:16])), np.array([i % 8 > 3 for i in range(16)]) * 1, n_classes=2, rng=rng)
    folder = classifier.save(tmp_path / "model", ["animal", "metal"])
    said = classifier.infer(Texts(tuple(TEXTS)), {Signal.LOG_PROBS}, rng=rng)
    expected = make_strategy("entropy").select(
        PoolView(90, Signals(log_probs=said.log_probs)), 8, named_generator("shards", 0)
    )
    reader = SavedModelReader(str(folder), _short())
    batch = select_from_shards(pool, 8, strategy="entropy", reader=reader, work_dir=str(tmp_path / "work"))
    assert batch.scores == pytest.approx(expected.scores, abs=1e-5)
    assert reader.label_names == ("animal", "metal")


def test_what_no_model_can_say_without_labels_is_refused(pool, tmp_path):
    with pytest.raises(InvalidInput, match="none can be trained without labels: pass them, or begin with bertkm"):
        select_from_shards(pool, 5, strategy="margin", work_dir=str(tmp_path / "work"))
    batch = select_from_shards(pool, 5, strategy="bertkm", work_dir=str(tmp_path / "work"))
    assert len(set(batch.ids)) == 5


def test_random_reads_no_text(pool, tmp_path):
    batch = select(pool, tmp_path, strategy="random")
    assert len(batch.rows) == 8
    assert not (tmp_path / "work" / "signals").exists()


_FULL = """
import resource, sys
from nearmiss.scale import ShardedPool, select_from_shards
pool = ShardedPool.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    select_from_shards(pool, 5, strategy="bertkm", work_dir=sys.argv[2])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_takes_no_more_leaves_whole_files_only(pool, tmp_path):
    work = tmp_path / "work"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, pool.address, str(work)], capture_output=True, text=True, timeout=120, check=True
    )
    assert "InvalidData" in done.stdout, done.stdout + done.stderr
    assert "cannot be written: File too large; make room, or name another place" in done.stdout
    for path in work.rglob("*"):
        assert path.is_dir() or not path.name.endswith(".part")
    for path in Path(work, "signals").rglob("*.parquet"):
        assert parquet.ParquetFile(path).metadata.num_rows
    assert len(select_from_shards(pool, 5, strategy="bertkm", work_dir=str(work)).rows) == 5


def test_a_shard_without_texts_is_no_matter(tmp_path):
    whole = select(write_pool(tmp_path / "whole"), tmp_path)
    batch = select(write_pool(tmp_path / "pool", cuts=(40, 40, 55)), tmp_path)
    assert batch.ids == whole.ids
    assert batch.scores == pytest.approx(whole.scores, abs=1e-5)


def test_a_shard_that_has_gone_is_named(tmp_path):
    pool = write_pool(tmp_path / "pool")
    (tmp_path / "pool" / "part-1.parquet").unlink()
    with pytest.raises(BadShard, match=r"part-1\.parquet"):
        select_from_shards(pool, 3, strategy="bertkm", work_dir=str(tmp_path / "work"))


def test_relative_addresses_are_good_everywhere(tmp_path, monkeypatch):
    write_pool(tmp_path / "pool")
    monkeypatch.chdir(tmp_path)
    pool = ShardedPool.open("pool")
    assert pool.address == str(tmp_path / "pool")
    select_from_shards(pool, 3, strategy="bertkm", work_dir="work")
    assert len(stored(tmp_path)) == 3


def test_signals_that_were_deleted_are_read_again(pool, tmp_path):
    select(pool, tmp_path)
    for path in stored(tmp_path):
        path.unlink()
    assert len(select(pool, tmp_path).rows) == 8
    assert len(stored(tmp_path)) == 3


def test_a_column_of_second_texts_that_is_not_there_is_named(tmp_path):
    write_pool(tmp_path / "pool")
    with pytest.raises(InvalidInput, match="there is no column 'pairr'"):
        select(ShardedPool.open(str(tmp_path / "pool"), ColumnsOfPool(pair="pairr")), tmp_path)


@pytest.mark.parametrize("kind", [pa.binary(), pa.int64()])
def test_ids_of_other_kinds_are_joined_as_text(tmp_path, kind):
    folder = tmp_path / "pool"
    folder.mkdir()
    ids = pa.array([str(i).encode() if kind == pa.binary() else i for i in range(90)], kind)
    parquet.write_table(pa.table({"id": ids, "text": TEXTS}), folder / "a.parquet")
    known = KnownLabels(tuple(name[1:] for name in KNOWN.ids), KNOWN.labels, KNOWN.names)
    pool = ShardedPool.open(str(folder))
    batch = select_from_shards(pool, 4, strategy="margin", labels=known, work_dir=str(tmp_path / "work"))
    assert [str(row) for row in batch.rows] == list(batch.ids)
