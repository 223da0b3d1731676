"""Results of several machines become one by copying their runs together."""

import shutil

import pytest

from nearmiss.errors import RunConflict
from nearmiss.experiment.events import RunFinished, RunStarted
from nearmiss.experiment.runner import read_experiment, run_experiment

pytestmark = pytest.mark.slow


@pytest.fixture
def small(spec):
    return spec.replace(strategies=("random", "entropy"), budget=40)


def copy_runs(theirs, mine):
    shutil.copytree(theirs / "runs", mine / "runs", dirs_exist_ok=True)


def test_two_machines_with_a_seed_each_give_the_whole(small, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    whole = run_experiment(small, tmp_path / "whole", workers=2)
    run_experiment(small.replace(seeds=(0,), name="mine"), here, workers=1)
    run_experiment(small.replace(seeds=(1,), name="theirs"), there, workers=1)
    copy_runs(there, here)
    read = read_experiment(small, here)
    events = []
    merged = run_experiment(small, here, on_event=events.append)
    assert {type(event) for event in events} == {RunFinished}
    assert all(event.reused for event in events)
    assert merged == read
    assert [(run.key, run.rounds) for run in merged.runs] == [(run.key, run.rounds) for run in whole.runs]


def test_a_run_begun_elsewhere_is_gone_on_with(small, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    whole = run_experiment(small.replace(seeds=(1,)), there, workers=1)
    for path in there.glob("runs/entropy-*/rounds.jsonl"):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
        (path.parent / "done.json").unlink()
    copy_runs(there, here)
    events = []
    merged = run_experiment(small.replace(seeds=(1,)), here, workers=1, on_event=events.append)
    assert [event.rounds_done for event in events if isinstance(event, RunStarted)] == [2]
    assert [run.rounds for run in merged.runs] == [run.rounds for run in whole.runs]


def test_runs_on_other_data_are_refused(small, tmp_path, dataset):
    data, here, there = (tmp_path / name for name in ("data", "here", "there"))
    shutil.copytree(dataset, data)
    mine = small.replace(dataset=str(data))
    run_experiment(mine.replace(seeds=(0,)), here, workers=1)
    rows = (data / "train.csv").read_text()
    (data / "train.csv").write_text(rows.rsplit("\n", 2)[0] + "\n")
    run_experiment(mine.replace(seeds=(1,)), there, workers=1)
    copy_runs(there, here)
    for seeds in ((0, 1), (0, 1, 2)):  # whether or not anything is left to run
        with pytest.raises(RunConflict, match=r"begun on other data \(239 pool|begun on other data \(240 pool"):
            run_experiment(mine.replace(seeds=seeds), here, workers=1)


def test_runs_of_another_spec_are_not_taken_up(small, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    run_experiment(small.replace(seeds=(0,), strategies=("random",), batch="6%"), there, workers=1)
    copy_runs(there, here)
    assert read_experiment(small, here) is None
