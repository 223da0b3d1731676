"""The store on disk: what goes in comes out, whatever is killed, damaged, full or done twice."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from nearmiss.errors import NearmissError
from nearmiss.models.encoder import load_encoder
from nearmiss.models.inference import Reading, token_states
from nearmiss.models.store import ArrayStore, default_cache_dir
from nearmiss.models.tensor_files import read_tensors, write_tensors
from nearmiss.text.corpus import Texts


def texts(n, start=0):
    return Texts(tuple(f"text {i}" for i in range(start, start + n)))


def rows_of(positions, dtype=torch.bfloat16):
    """Rows that say which text they belong to: text i has 1 + i % 3 of them."""
    return [torch.full((1 + int(i) % 3, 4), float(i), dtype=dtype) for i in positions]


def assert_holds(store, digests, expected):
    found = store.rows(digests)
    assert len(found) == len(expected)
    for i, row in enumerate(expected):
        assert torch.equal(found[i], row)
        assert found[i].dtype == row.dtype


def shards(store):
    return sorted(path.name for path in store.folder.glob("*.safetensors"))


def test_ragged_rows_come_back_to_the_bit_in_any_order_and_process(tmp_path):
    digests = texts(50).digests
    ArrayStore(tmp_path, "k").fill(digests, rows_of, shard_size=20)
    store = ArrayStore(tmp_path, "k")
    order = np.random.default_rng(0).permutation(50)
    assert_holds(store, [digests[i] for i in order], rows_of(order))
    assert len(store.missing(digests)) == 0
    assert len(shards(store)) == 3


def test_states_of_the_embedded_encoder_survive_the_disk_to_the_bit(tmp_path):
    encoder = load_encoder("minilm", "cpu")
    some = Texts(("a good film", "", "rain " * 200))
    states = token_states(encoder, some, Reading(), layer=5)
    ArrayStore(tmp_path, "k").add(some.digests, states)
    assert_holds(ArrayStore(tmp_path, "k"), some.digests, states)


def test_dense_rows_become_one_float32_array(tmp_path):
    store = ArrayStore(tmp_path, "k")
    store.add(texts(3).digests, [torch.full((1, 2), float(i), dtype=torch.float64) for i in range(3)])
    found = store.dense(texts(3).digests[::-1])
    assert found.dtype == np.float32
    assert found.tolist() == [[2.0, 2.0], [1.0, 1.0], [0.0, 0.0]]


def test_no_texts_are_an_empty_array(tmp_path):
    store = ArrayStore(tmp_path, "k")
    assert store.dense(()).shape == (0, 0)
    assert len(store.rows(())) == 0


@settings(max_examples=40, deadline=None)
@given(
    lots=st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True), min_size=1, max_size=6),
    asked=st.lists(st.integers(0, 30), max_size=40),
    dtype=st.sampled_from([torch.bfloat16, torch.float32, torch.float64]),
    reopened=st.booleans(),
)
def test_dense_rows_are_the_rows_one_by_one(lots, asked, dtype, reopened):
    """Shards in any number and order, texts in several of them, asked for in any order and more than once."""
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(31, 3))).to(dtype)
    digests = texts(31).digests
    asked = [i for i in asked if any(i in lot for lot in lots)]
    with tempfile.TemporaryDirectory() as folder:
        store = ArrayStore(Path(folder), "k")
        for lot in lots:
            store.add([digests[i] for i in lot], [vectors[i : i + 1] for i in lot])
        if reopened:
            store = ArrayStore(Path(folder), "k")
        wanted = [digests[i] for i in asked]
        assert_holds(store, wanted, [vectors[i : i + 1] for i in asked])
        if asked:
            slowly = torch.cat(list(store.rows(wanted).rows)).float().numpy()
            np.testing.assert_array_equal(store.dense(wanted), slowly)


def test_several_rows_a_text_are_not_dense(tmp_path):
    store = ArrayStore(tmp_path, "k")
    store.add(texts(2).digests, rows_of([0, 1]))
    with pytest.raises(NearmissError, match=r"rows\(\), not dense"):
        store.dense(texts(2).digests)


def test_equal_texts_are_computed_once(tmp_path):
    store = ArrayStore(tmp_path, "k")
    digests = (*texts(3).digests, *texts(3).digests)
    asked = []
    store.fill(digests, lambda positions: asked.extend(positions) or rows_of(positions), shard_size=4)
    assert asked == [0, 1, 2]
    assert_holds(store, digests, rows_of([0, 1, 2, 0, 1, 2]))


def test_keys_do_not_mix(tmp_path):
    ArrayStore(tmp_path, "k").add(texts(2).digests, rows_of([0, 1]))
    assert ArrayStore(tmp_path, "other").missing(texts(2).digests).tolist() == [0, 1]


def test_what_is_not_stored_is_refused(tmp_path):
    store = ArrayStore(tmp_path, "k")
    store.add(texts(2).digests, rows_of([0, 1]))
    with pytest.raises(NearmissError, match="1 of 3 texts are not stored"):
        store.rows(texts(3).digests)


def test_another_store_on_the_folder_sees_what_was_added_later(tmp_path):
    early = ArrayStore(tmp_path, "k")
    ArrayStore(tmp_path, "k").add(texts(2).digests, rows_of([0, 1]))
    assert_holds(early, texts(2).digests, rows_of([0, 1]))


def test_an_interrupted_fill_goes_on_in_the_same_groups(tmp_path):
    digests = texts(10).digests
    whole, resumed = [], []
    ArrayStore(tmp_path, "whole").fill(digests, lambda p: whole.append(p.tolist()) or rows_of(p), shard_size=3)

    def interrupted(positions):
        if len(resumed) == 2:
            raise KeyboardInterrupt
        resumed.append(positions.tolist())
        return rows_of(positions)

    with pytest.raises(KeyboardInterrupt):
        ArrayStore(tmp_path, "k").fill(digests, interrupted, shard_size=3)
    store = ArrayStore(tmp_path, "k")
    store.fill(digests, lambda p: resumed.append(p.tolist()) or rows_of(p), shard_size=3)
    assert resumed == whole
    assert_holds(store, digests, rows_of(range(10)))


_FILLING = """
import sys, time
from pathlib import Path
import torch
from nearmiss.models.store import ArrayStore
from nearmiss.text.corpus import Texts
store = ArrayStore(Path(sys.argv[1]), "k")
digests = Texts(tuple(f"text {i}" for i in range(60))).digests
def rows(positions):
    print("computing", flush=True)
    time.sleep(float(sys.argv[2]))
    return [torch.full((1 + int(i) % 3, 4), float(i), dtype=torch.bfloat16) for i in positions]
store.fill(digests, rows, shard_size=5)
"""


def start_filling(folder, seconds_a_shard):
    command = [sys.executable, "-c", _FILLING, str(folder), str(seconds_a_shard)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_killed_and_concurrent_processes_leave_a_sound_store(tmp_path):
    killed = start_filling(tmp_path, 0.05)
    for _ in range(4):
        killed.stdout.readline()
    killed.kill()
    killed.communicate()
    store = ArrayStore(tmp_path, "k")
    assert 0 < len(store.missing(texts(60).digests)) < 60
    both = [start_filling(tmp_path, 0.01) for _ in range(2)]
    for process in both:
        process.communicate()
    assert [process.returncode for process in both] == [0, 0]
    assert_holds(store, texts(60).digests, rows_of(range(60)))
    assert_holds(ArrayStore(tmp_path, "k"), texts(60).digests, rows_of(range(60)))
    assert len(shards(store)) == 12
    assert not list(store.folder.glob("*.partial"))


@pytest.mark.parametrize("damage", ["cut", "emptied", "scribbled"])
def test_a_damaged_shard_is_computed_again(tmp_path, damage):
    store = ArrayStore(tmp_path, "k")
    store.fill(texts(6).digests, rows_of, shard_size=3)
    path = store.folder / shards(store)[0]
    content = path.read_bytes()
    path.unlink()  # not over the old one, which may still be mapped
    path.write_bytes({"cut": content[:-7], "emptied": b"", "scribbled": b"x" * len(content)}[damage])
    reopened = ArrayStore(tmp_path, "k")
    assert len(reopened.missing(texts(6).digests)) == 3
    reopened.fill(texts(6).digests, rows_of, shard_size=3)
    assert_holds(reopened, texts(6).digests, rows_of(range(6)))
    assert_holds(ArrayStore(tmp_path, "k"), texts(6).digests, rows_of(range(6)))
    assert path.stat().st_size == len(content)


def test_foreign_files_are_ignored(tmp_path):
    store = ArrayStore(tmp_path, "k")
    store.add(texts(1).digests, rows_of([0]))
    save_file({"weight": torch.ones(3)}, store.folder / "model.safetensors")
    save_file({"values": torch.ones(3)}, store.folder / "no.safetensors", {"format": "nearmiss-rows-1", "key": "k"})
    (store.folder / "notes.txt").write_text("mine")
    (store.folder / "folder.safetensors").mkdir()
    assert ArrayStore(tmp_path, "k").missing(texts(2).digests).tolist() == [1]


def test_a_shard_of_another_key_is_ignored(tmp_path):
    other = ArrayStore(tmp_path, "other")
    other.add(texts(1).digests, rows_of([0]))
    store = ArrayStore(tmp_path, "k")
    (other.folder / shards(other)[0]).rename(store.folder / "moved.safetensors")
    assert store.missing(texts(1).digests).tolist() == [0]


def test_full_disk_says_so_and_leaves_nothing_behind(tmp_path):
    store = ArrayStore(tmp_path, "k")
    store.add(texts(2).digests, rows_of([0, 1]))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(NearmissError, match=r"cannot be used.*free some space.*NEARMISS_CACHE_DIR"):
            store.add(texts(4).digests, [torch.zeros(1000, 100)] * 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(list(store.folder.iterdir())) == 1
    assert_holds(store, texts(2).digests, rows_of([0, 1]))


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    (tmp_path / "k").write_text("in the way")
    with pytest.raises(NearmissError, match="NEARMISS_CACHE_DIR"):
        ArrayStore(tmp_path, "k")


def test_only_abandoned_partial_files_are_swept(tmp_path):
    store = ArrayStore(tmp_path, "k")
    old, young = store.folder / "old.partial", store.folder / "young.partial"
    for path in (old, young):
        path.write_bytes(b"half")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    ArrayStore(tmp_path, "k")
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("loss", ["a shard", "the folder"])
def test_what_is_lost_while_in_use_is_named_and_computed_again(tmp_path, loss):
    store = ArrayStore(tmp_path, "k")
    store.fill(texts(6).digests, rows_of, shard_size=3)
    if loss == "a shard":
        (store.folder / shards(store)[0]).unlink()
    else:
        shutil.rmtree(store.folder)
    with pytest.raises(NearmissError, match=r"\.safetensors was removed or damaged while it was in use"):
        store.rows(texts(6).digests)
    assert len(store.missing(texts(6).digests)) == (3 if loss == "a shard" else 6)
    store.fill(texts(6).digests, rows_of, shard_size=3)
    assert_holds(store, texts(6).digests, rows_of(range(6)))


_FILLING_MUCH = """
import sys
from pathlib import Path
import numpy as np
import torch
from nearmiss.models.store import ArrayStore
from nearmiss.text.corpus import Texts

def held():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])

def rows(positions):
    vectors = np.random.default_rng(int(positions[0])).normal(size=(len(positions), 1000)).astype(np.float32)
    return torch.from_numpy(vectors).unsqueeze(1).unbind()

store = ArrayStore(Path(sys.argv[1]), "k")
digests = Texts(tuple(f"text {i}" for i in range(20_000))).digests
store.fill(digests[:2000], rows, shard_size=500)
before = held()
store.fill(digests, rows, shard_size=500)
print(held() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_long_fill_holds_no_more_than_a_short_one(tmp_path):
    command = [sys.executable, "-c", _FILLING_MUCH, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert int(told.stdout) < 20_000  # KiB; 72,000 of vectors went to the disk meanwhile


def mappings(store):
    return [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(store.folder) in line]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_a_dense_array_keeps_no_file_mapped(tmp_path):
    store = ArrayStore(tmp_path, "k")
    store.fill(texts(9).digests, lambda positions: [torch.ones(1, 4)] * len(positions), shard_size=3)
    assert store.dense(texts(9).digests).sum() == 36
    assert mappings(store) == []


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_rows_are_views_of_the_mapped_file(tmp_path):
    store = ArrayStore(tmp_path, "k")
    store.add(texts(3).digests, rows_of(range(3)))
    row = store.rows(texts(3).digests)[2]
    spans = [tuple(int(end, 16) for end in line[0].split("-")) for line in mappings(store)]
    assert any(low <= row.data_ptr() < high for low, high in spans)


def test_cache_folder_is_the_one_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path))
    assert default_cache_dir() == tmp_path
    monkeypatch.delenv("NEARMISS_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_dir() == tmp_path / "home" / ".cache" / "nearmiss"


def test_tensors_with_other_metadata_are_not_read(tmp_path):
    path = tmp_path / "deep" / "file.safetensors"
    write_tensors(path, {"a": torch.arange(3)}, {"format": "f", "key": "k"})
    assert read_tensors(path, {"format": "f"}).tensors["a"].tolist() == [0, 1, 2]
    assert read_tensors(path, {"format": "g"}) is None
    assert read_tensors(tmp_path / "absent", {}) is None
