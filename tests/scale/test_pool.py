"""Folders of shards: what is read, what is refused, and by which name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import BadShard, InvalidData, InvalidInput, NearmissError
from nearmiss.scale.folders import Folder
from nearmiss.scale.pool import ColumnsOfPool, ShardedPool


def write(folder, name, **columns):
    folder.mkdir(exist_ok=True, parents=True)
    parquet.write_table(pa.table(columns), folder / name, row_group_size=3)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "pool", "b.parquet", id=["b0", "b1"], text=["two", "three"])
    write(tmp_path / "pool", "a.parquet", id=["a0"], text=["one"])
    return tmp_path / "pool"


def texts_of(pool):
    return [text for shard in pool.shards for batch in pool.batches(shard, ["text"]) for text in batch.texts("text")]


def test_shards_come_in_the_order_of_their_names_and_rows_count_through(folder):
    pool = ShardedPool.open(str(folder))
    assert [(shard.name, shard.start, shard.rows) for shard in pool.shards] == [
        ("a.parquet", 0, 1),
        ("b.parquet", 1, 2),
    ]
    assert pool.rows == 3
    assert texts_of(pool) == ["one", "two", "three"]


def test_folders_below_are_read_and_hidden_files_are_not(folder):
    write(folder / "more", "c.parquet", id=["c0"], text=["four"])
    write(folder, ".partial.parquet", id=["x"], text=["never"])
    write(folder / "_temporary", "d.parquet", id=["y"], text=["never"])
    assert texts_of(ShardedPool.open(str(folder))) == ["one", "two", "three", "four"]


def test_any_address_that_fsspec_knows_will_do(folder):
    away = Folder("memory://some/pool")
    for path in folder.iterdir():
        away.write(path.name, lambda file, path=path: file.write(path.read_bytes()))
    pool = ShardedPool.open("memory://some/pool")
    assert texts_of(pool) == ["one", "two", "three"]
    assert pool.take(pool.shards[1], np.array([1]), ["id"]).ids().to_pylist() == ["b1"]


def test_texts_without_ids_are_named_by_shard_and_row(tmp_path):
    write(tmp_path / "pool", "a.parquet", text=["one", "two"])
    pool = ShardedPool.open(str(tmp_path / "pool"))
    [batch] = pool.batches(pool.shards[0], ["id", "text"])
    assert batch.ids().to_pylist() == ["a.parquet:0", "a.parquet:1"]
    assert pool.take(pool.shards[0], np.array([1]), ["id", "text"]).ids().to_pylist() == ["a.parquet:1"]


def test_rows_are_taken_from_wherever_they_lie(tmp_path):
    write(tmp_path / "pool", "a.parquet", id=[str(i) for i in range(20)])
    pool = ShardedPool.open(str(tmp_path / "pool"))
    rows = np.array([0, 2, 3, 11, 19])
    assert pool.take(pool.shards[0], rows, ["id"]).ids().to_pylist() == ["0", "2", "3", "11", "19"]
    assert pool.take(pool.shards[0], rows[:0], ["id"]).table.num_rows == 0


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1 cut off"])
def test_a_file_that_is_no_parquet_is_named_or_left_out(folder, content):
    (folder / "c.parquet").write_bytes(content)
    with pytest.raises(BadShard, match=r"c\.parquet: cannot be read as Parquet"):
        ShardedPool.open(str(folder))
    pool = ShardedPool.open(str(folder), skip_bad=True)
    assert texts_of(pool) == ["one", "two", "three"]
    assert "c.parquet" in pool.skipped[0]


def test_a_shard_with_other_columns_is_named(folder):
    write(folder, "c.parquet", id=["c0"], body=["four"])
    with pytest.raises(BadShard, match=r"c\.parquet: has the columns id, and others have id, text"):
        ShardedPool.open(str(folder))
    assert len(ShardedPool.open(str(folder), skip_bad=True).shards) == 2


def test_a_folder_without_shards_is_refused_with_what_makes_them(tmp_path):
    with pytest.raises(InvalidInput, match="holds no Parquet file; cut a file into shards with: nearmiss shard"):
        ShardedPool.open(str(tmp_path))
    with pytest.raises(InvalidInput, match="no such folder"):
        ShardedPool.open(str(tmp_path / "nowhere"))
    with pytest.raises(NearmissError, match="nothing"):
        ShardedPool.open("nothing://at/all")
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(InvalidData, match="none of its 1 files can be read"):
        ShardedPool.open(str(tmp_path), skip_bad=True)


def test_damage_within_a_file_is_found_when_it_is_read(tmp_path):
    write(tmp_path / "pool", "a.parquet", id=["x" * 50] * 40, text=[f"{i} {'word ' * 30}" for i in range(40)])
    path = tmp_path / "pool" / "a.parquet"
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 3] = bytes(len(content) // 3 - 4)  # the footer is sound
    path.write_bytes(content)
    pool = ShardedPool.open(str(tmp_path / "pool"))
    with pytest.raises(BadShard, match=r"a\.parquet"):
        texts_of(pool)


def test_a_file_that_changes_meanwhile_is_told(folder):
    pool = ShardedPool.open(str(folder))
    write(folder, "a.parquet", id=["a0", "a1"], text=["one", "more"])
    with pytest.raises(BadShard, match="has 2 rows and had 1; it has changed"):
        list(pool.batches(pool.shards[0], ["id"]))
    assert ShardedPool.open(str(folder)).shards[0].version != pool.shards[0].version


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[1.0, 2.0], [1.0]], r"lists of 2 and \(entry 1\) 1"),
        ([[1.0], None], "rows without a value"),
        ([1.0, 2.0], "not lists of floats"),
        ([[1], [2]], "not lists of floats"),
        ([[1.0], [None]], "without gaps"),
        (["a", "b"], "not lists of floats"),
    ],
)
def test_what_is_no_signal_is_named(tmp_path, values, reason):
    write(tmp_path / "pool", "a.parquet", features=values)
    pool = ShardedPool.open(str(tmp_path / "pool"))
    [batch] = pool.batches(pool.shards[0], ["features"])
    with pytest.raises(BadShard, match=rf"a\.parquet: column 'features'.*{reason}"):
        batch.floats("features")


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.float64()])
def test_floats_of_any_width_are_read(tmp_path, kind):
    given = np.array([[1.0, 2.5], [0.5, -1.0]])
    write(tmp_path / "pool", "a.parquet", features=pa.array(given.tolist(), pa.list_(kind)))
    pool = ShardedPool.open(str(tmp_path / "pool"))
    [batch] = pool.batches(pool.shards[0], ["features"])
    assert batch.floats("features").tolist() == given.tolist()
    assert batch.floats("features").dtype in (np.float32, np.float64)


def test_texts_and_ids_that_are_missing_are_named(tmp_path):
    write(tmp_path / "pool", "a.parquet", id=["a", None], text=["one", None])
    pool = ShardedPool.open(str(tmp_path / "pool"))
    [batch] = pool.batches(pool.shards[0], ["id", "text"])
    with pytest.raises(BadShard, match="row 1 has no id"):
        batch.ids()
    with pytest.raises(BadShard, match="row 1 has no text in column 'text'"):
        batch.texts("text")


def test_columns_go_by_the_names_given(tmp_path):
    write(tmp_path / "pool", "a.parquet", key=[7, 8], body=["one", "two"])
    pool = ShardedPool.open(str(tmp_path / "pool"), ColumnsOfPool(id="key", text="body"))
    [batch] = pool.batches(pool.shards[0], ["key", "body"])
    assert batch.ids().to_pylist() == ["7", "8"]


def test_a_file_is_whole_or_not_there(tmp_path):
    folder = Folder(str(tmp_path))

    def fail(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InvalidData, match=r"a\.npz cannot be written: No space left on device; make room"):
        folder.write("a.npz", fail)
    assert list(tmp_path.iterdir()) == []
    folder.write("below/a.npz", lambda file: file.write(b"whole"))
    assert folder.read("below/a.npz") == b"whole"
    folder.remove()
    folder.remove()
    assert not tmp_path.exists()


def test_what_is_wrong_with_a_row_that_was_taken_is_said_of_its_place_in_the_shard(tmp_path):
    write(tmp_path / "pool", "a.parquet", text=["one", "two", "three", None, "five"])
    pool = ShardedPool.open(str(tmp_path / "pool"))
    with pytest.raises(BadShard, match="row 3 has no text"):
        pool.take(pool.shards[0], np.array([1, 3]), ["text"]).texts("text")
