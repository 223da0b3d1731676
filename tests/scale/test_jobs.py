"""What is done stays done; bad shards stop the work or are told; nothing else is taken for a bad shard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import BadShard, InvalidData, ModelUnavailable
from nearmiss.scale.folders import Folder
from nearmiss.scale.jobs import Jobs, ShardsLeftOut
from nearmiss.scale.pool import Shard
from nearmiss.scale.selecting import select_from_shards
from nearmiss.scale.work import StreamingExecutor

SHARDS = tuple(Shard(number, f"part-{number}", 10, 10 * number) for number in range(5))


class Diary:
    """Work that writes down what it is asked, and can fail."""

    loads_a_model = False

    def __init__(self, identity="diary", bad=(), stop_at=None):
        self.identity, self.bad, self.stop_at, self.asked = identity, bad, stop_at, []

    def start(self):
        def do(shard):
            if shard.number == self.stop_at:
                raise KeyboardInterrupt
            self.asked.append(shard.number)
            if shard.number in self.bad:
                raise BadShard(f"{shard.name}: damaged")
            return {"found": np.array([shard.number])}

        return do


@pytest.fixture
def jobs(tmp_path):
    def make(**options):
        return Jobs(StreamingExecutor(), Folder(str(tmp_path / "jobs")), **options)

    return make


def found_by(jobs, work):
    return [part["found"].item() for part in jobs.carry_out("work", work, SHARDS)]


def test_whoever_was_stopped_goes_on_from_what_is_finished(jobs):
    with pytest.raises(KeyboardInterrupt):
        found_by(jobs(), Diary(stop_at=3))
    second = Diary()
    assert found_by(jobs(), second) == [0, 1, 2, 3, 4]
    assert second.asked == [3, 4]


def test_work_of_another_identity_begins_anew(jobs):
    found_by(jobs(), Diary())
    other = Diary(identity="another")
    found_by(jobs(), other)
    assert other.asked == [0, 1, 2, 3, 4]


def test_what_was_forgotten_is_done_again(jobs):
    found_by(jobs(), Diary())
    jobs().forget()
    again = Diary()
    found_by(jobs(), again)
    assert len(again.asked) == 5


def test_a_file_that_was_damaged_is_done_again(jobs, tmp_path):
    found_by(jobs(), Diary())
    for path in (tmp_path / "jobs").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    again = Diary()
    assert found_by(jobs(), again) == [0, 1, 2, 3, 4]
    assert len(again.asked) == 5


def test_a_bad_shard_ends_the_work_with_its_name_and_the_mend(jobs):
    with pytest.raises(BadShard, match=r"part-2: damaged. Mend or remove it; or leave out .*--on-bad-shard skip"):
        found_by(jobs(), Diary(bad=(2,)))


def test_or_is_left_out_of_this_stage_and_the_next(jobs):
    mine, work = jobs(skip_bad=True), Diary(bad=(2,))
    with pytest.raises(ShardsLeftOut):
        found_by(mine, work)
    assert mine.faults == {2: "part-2: damaged"}
    sound = mine.sound(SHARDS)
    assert [part["found"].item() for part in mine.carry_out("work", work, sound)] == [0, 1, 3, 4]
    assert work.asked == [0, 1, 2, 3, 4]  # the others were done
    other = jobs(skip_bad=True)
    with pytest.raises(ShardsLeftOut):
        found_by(other, Diary(identity="all", bad=range(5)))
    with pytest.raises(InvalidData, match="no shard can be read"):
        other.sound(SHARDS)


def test_what_is_no_fault_of_a_shard_is_not_skipped(jobs):
    @dataclass
    class Unready:
        identity: str = "unready"
        loads_a_model: bool = True

        def start(self):
            raise ModelUnavailable("no such model")

    with pytest.raises(ModelUnavailable):
        jobs(skip_bad=True).carry_out("work", Unready(), SHARDS)


def test_progress_counts_texts_and_those_done_before(jobs):
    told = []
    with pytest.raises(KeyboardInterrupt):
        found_by(jobs(), Diary(stop_at=2))
    found_by(jobs(tell=lambda progress: told.append((progress.done, progress.total))), Diary())
    assert told[0] == (20, 50)
    assert told[-1] == (50, 50)


def test_a_damaged_shard_of_a_real_pool_is_skipped_and_told(make_pool, tmp_path):
    made = make_pool()
    path = Path(made.folder, "part-4.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    with pytest.raises(BadShard, match=r"part-4\.parquet"):
        select_from_shards(made.pool, 10, strategy="margin", labels=made.known, work_dir=str(tmp_path / "w"))
    batch = select_from_shards(
        made.pool, 10, strategy="margin", labels=made.known, work_dir=str(tmp_path / "w"), skip_bad=True
    )
    assert len(batch.rows) == 10
    assert any("part-4.parquet" in note for note in batch.notes)
    shard = made.pool.shards[4]
    assert not ((batch.rows >= shard.start) & (batch.rows < shard.start + shard.rows)).any()


def test_values_that_are_no_numbers_are_told_with_shard_and_rows(make_pool, tmp_path):
    made = make_pool(seed=1)
    path = f"{made.folder}/part-0.parquet"
    table = parquet.read_table(path)
    values = made.features[:130].tolist()
    values[17][2] = float("nan")
    column = pa.array(values, pa.list_(pa.float32()))
    parquet.write_table(table.set_column(table.column_names.index("features"), "features", column), path)
    with pytest.raises(BadShard, match=r"part-0\.parquet: the features of row 17 are not finite"):
        select_from_shards(made.pool, 10, strategy="cal", labels=made.known, work_dir=str(tmp_path / "w"))


def test_labels_of_a_shard_that_turns_out_to_be_bad_are_left_out_with_it(make_pool, tmp_path):
    made = make_pool()
    path = f"{made.folder}/part-0.parquet"
    table = parquet.read_table(path)
    column = pa.array([[float("nan")] * 6] * 130, pa.list_(pa.float32()))
    parquet.write_table(table.set_column(table.column_names.index("features"), "features", column), path)
    batch = select_from_shards(
        made.pool, 10, strategy="cal", labels=made.known, work_dir=str(tmp_path / "w"), skip_bad=True
    )
    assert (batch.rows >= 130).all()
    assert set(batch.labeled_ids) == {made.ids[row] for row in made.labeled if row >= 130}


@pytest.mark.parametrize("strategy", ["random", "badge", "bertkm", "cal", "cal:anchor=labeled", "diverse-margin"])
@pytest.mark.parametrize("number", [0, 4])
def test_every_strategy_goes_on_without_a_shard_that_is_damaged(make_pool, tmp_path, strategy, number):
    made = make_pool()
    path = Path(made.folder, f"part-{number}.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
    options = {"strategy": strategy, "labels": made.known, "work_dir": str(tmp_path / "w"), "skip_bad": True}
    batch = select_from_shards(made.pool, 200, **options)
    shard = made.pool.shards[number]
    assert len(set(batch.rows.tolist())) == 200
    assert not ((batch.rows >= shard.start) & (batch.rows < shard.start + shard.rows)).any()
    assert not np.isin(batch.rows, made.labeled).any()
    assert list(batch.ids) == [made.ids[row] for row in batch.rows]
