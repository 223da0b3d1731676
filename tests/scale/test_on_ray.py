"""The same batch from a Ray cluster of several processes, whoever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from tests.scale.conftest import lists, log_softmax

from nearmiss.errors import InvalidInput, ModelUnavailable, NearmissError
from nearmiss.scale.labels import KnownLabels
from nearmiss.scale.on_ray import RayExecutor
from nearmiss.scale.pool import ShardedPool
from nearmiss.scale.readers import FrozenReader
from nearmiss.scale.selecting import select_from_shards

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    # Ray leaves sockets and processes to be found by the interpreter, and uses what others have deprecated.
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def cluster():
    executor = RayExecutor(workers=2)
    with executor.ready():
        yield executor


@pytest.fixture(scope="module")
def long_pool(tmp_path_factory):
    """A pool that takes some seconds: sixty shards of 4,000 texts, scored against 1,500."""
    folder, rng = tmp_path_factory.mktemp("pool"), np.random.default_rng(0)
    for number in range(60):
        features = rng.standard_normal((4_000, 96), dtype=np.float32)
        table = pa.table(
            {
                "id": [f"{number}-{row}" for row in range(4_000)],
                "features": lists(features),
                "log_probs": lists(log_softmax(rng.standard_normal((4_000, 3)))),
            }
        )
        parquet.write_table(table, folder / f"part-{number:03d}.parquet")
    return str(folder)


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(1)
    rows = np.sort(rng.choice(240_000, 1_500, replace=False))
    return KnownLabels(tuple(f"{row // 4_000}-{row % 4_000}" for row in rows), rng.integers(0, 3, 1_500), tuple("abc"))


@pytest.fixture(scope="module")
def expected(long_pool, labels, tmp_path_factory):
    work = str(tmp_path_factory.mktemp("work"))
    return select_from_shards(ShardedPool.open(long_pool), 30, strategy="cal", labels=labels, work_dir=work)


def when_kept(work, n, do):
    """Do something, in the background, once the results of n shards are kept; say whether it was done."""
    done = threading.Event()

    def watch():
        for _ in range(1_200):
            if len(list(Path(work).glob("jobs/*/*.npz"))) >= n:
                do()
                done.set()
                return
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    return done


def workers():
    """List the processes that do a task of Ray's at this moment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::Map" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("strategy", ["cal", "entropy", "random", "cal:anchor=labeled", "badge", "bertkm"])
def test_the_batch_is_that_of_one_process(make_pool, cluster, tmp_path, strategy):
    made = make_pool(ties=strategy == "entropy")
    here, there = (
        select_from_shards(
            made.pool,
            25,
            strategy=strategy,
            labels=made.known,
            executor=executor,
            work_dir=str(tmp_path / name),
            seed=5,
        )
        for name, executor in (("here", None), ("there", cluster))
    )
    assert there.rows.tolist() == here.rows.tolist()
    assert there.scores.tobytes() == here.scores.tobytes()
    assert there.table.equals(here.table)


def test_texts_are_read_by_actors(cluster, tmp_path):
    folder = tmp_path / "pool"
    folder.mkdir()
    texts = [f"word {i % 7} and {i}" for i in range(120)]
    for number in range(4):
        part = range(number * 30, number * 30 + 30)
        table = pa.table({"id": [str(i) for i in part], "text": [texts[i] for i in part]})
        parquet.write_table(table, folder / f"{number}.parquet")
    known = KnownLabels(("3", "60", "100"), np.array([0, 1, 0]), ("a", "b"))
    here, there = (
        select_from_shards(
            ShardedPool.open(str(folder)),
            9,
            strategy="cal",
            labels=known,
            executor=executor,
            work_dir=str(tmp_path / name),
        )
        for name, executor in (("here", None), ("there", cluster))
    )
    assert there.ids == here.ids
    assert len(list((tmp_path / "there" / "signals").rglob("*.parquet"))) == 4


def test_a_worker_that_is_killed_changes_nothing(long_pool, labels, expected, cluster, tmp_path):
    killed = []

    def kill():
        while not killed:
            for pid in workers():
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    # 60 shards are looked through for labels, 60 give signals of labelled texts, and then scores begin.
    done = when_kept(tmp_path, 125, kill)
    batch = select_from_shards(
        ShardedPool.open(long_pool), 30, strategy="cal", labels=labels, executor=cluster, work_dir=str(tmp_path)
    )
    assert done.is_set()
    assert killed
    assert batch.rows.tolist() == expected.rows.tolist()
    assert batch.scores.tobytes() == expected.scores.tobytes()


_DRIVER = """
import json, sys
import numpy as np
from nearmiss.scale import ShardedPool, select_from_shards
from nearmiss.scale.labels import KnownLabels
from nearmiss.scale.on_ray import RayExecutor
ids, classes = json.loads(sys.argv[3])
told = []
batch = select_from_shards(
    ShardedPool.open(sys.argv[1]),
    30,
    strategy="cal",
    labels=KnownLabels(tuple(ids), np.array(classes), ("a", "b", "c")),
    work_dir=sys.argv[2],
    executor=RayExecutor(workers=2) if sys.argv[4] == "ray" else None,
    tell=lambda progress: told.append((progress.stage, progress.done)),
)
begun = next(done for stage, done in told if stage == "score")
print(json.dumps([batch.rows.tolist(), begun]))
"""


@pytest.mark.parametrize("executor", ["streaming", "ray"])
def test_a_driver_that_is_killed_goes_on_where_it_was(long_pool, labels, expected, tmp_path, executor):
    given = json.dumps([list(labels.ids), labels.labels.tolist()])
    command = [sys.executable, "-c", _DRIVER, long_pool, str(tmp_path), given, executor]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    done = when_kept(tmp_path, 130, lambda: os.killpg(first.pid, signal.SIGKILL))
    first.wait(timeout=120)
    assert done.wait(5)
    second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    rows, begun = json.loads(second.stdout.splitlines()[-1])
    assert rows == expected.rows.tolist()
    assert begun > 0


def test_what_is_no_fault_of_a_shard_comes_through(make_pool, cluster, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    parquet.write_table(pa.table({"id": ["a", "b"], "text": ["one", "two"]}), folder / "a.parquet")
    with pytest.raises((ModelUnavailable, NearmissError), match="nowhere"):
        select_from_shards(
            ShardedPool.open(str(folder)),
            1,
            strategy="bertkm",
            reader=FrozenReader(str(tmp_path / "nowhere")),
            executor=cluster,
            work_dir=str(tmp_path / "work"),
        )


def test_a_bad_shard_is_named_or_skipped_from_afar(make_pool, cluster, tmp_path):
    made = make_pool()
    path = Path(made.folder, "part-4.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    options = {"strategy": "margin", "labels": made.known, "executor": cluster, "work_dir": str(tmp_path / "work")}
    with pytest.raises(InvalidInput, match=r"part-4\.parquet"):
        select_from_shards(made.pool, 10, **options)
    batch = select_from_shards(made.pool, 10, **options, skip_bad=True)
    assert any("part-4.parquet" in note for note in batch.notes)


def test_what_the_cluster_has_not_is_refused(cluster, make_pool, tmp_path):
    made = make_pool()
    with pytest.raises(InvalidInput, match="a worker is to have 4096 and 0"):
        select_from_shards(
            made.pool, 5, strategy="random", executor=RayExecutor(cpus=4096), work_dir=str(tmp_path / "work")
        )
    with pytest.raises(InvalidInput, match="a worker is to have 4096 and 0"):
        select_from_shards(
            made.pool, 5, strategy="random", executor=RayExecutor(workers=1, cpus=4096), work_dir=str(tmp_path / "work")
        )
    here = RayExecutor(workers=1, gpus=1.0)  # for reading texts alone
    assert (
        len(select_from_shards(made.pool, 5, strategy="random", executor=here, work_dir=str(tmp_path / "w")).rows) == 5
    )
    with pytest.raises(InvalidInput, match="at least one worker"):
        RayExecutor(workers=0)
