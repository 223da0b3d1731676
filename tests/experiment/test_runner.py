import os
import shutil
import signal
import time

import pytest

from nearmiss.errors import InvalidInput, RunConflict, UnknownName
from nearmiss.experiment.build import load_bench
from nearmiss.experiment.events import Preparing, RoundFinished, RunFailed, RunFinished, RunSkipped, RunStarted
from nearmiss.experiment.journal import run_directory
from nearmiss.experiment.machine import available_memory, default_workers, peak_memory
from nearmiss.experiment.runner import run_experiment
from nearmiss.experiment.spec import MaskedLMChoice, RunKey
from nearmiss.loop.rounds import run_rounds

pytestmark = pytest.mark.slow


@pytest.fixture
def small(spec):
    return spec.replace(strategies=("random", "entropy"), seeds=(0,), budget=40)


def test_runs_the_grid_and_tells_what_happens(spec, tmp_path):
    events = []
    result = run_experiment(spec, tmp_path / "out", workers=2, on_event=events.append)
    assert [run.key for run in result.runs] == list(spec.keys())
    assert (result.pool_size, result.test_size, result.spec) == (240, 90, spec)
    for run in result.runs:
        assert [r.round for r in run.rounds] == list(range(9))
        assert [r.n_labeled for r in run.rounds] == [9, *range(21, 100, 12), 100]
        rows = [row for r in run.rounds for row in r.acquired]
        assert len(set(rows)) == 100
        assert run.timings[0].inference_seconds == 0 < run.timings[0].fit_seconds
        assert all(t.peak_memory_bytes > 50 << 20 for t in run.timings)
    by_key = {run.key: run for run in result.runs}
    first_rounds = {key.seed: set() for key in by_key}
    for key, run in by_key.items():
        first_rounds[key.seed].add((run.rounds[0].acquired, run.rounds[0].accuracy))
    assert {len(starts) for starts in first_rounds.values()} == {1}, "all strategies of a seed start alike"
    assert by_key[RunKey("badge", 0)].timings[1].inference_seconds > 0
    assert by_key[RunKey("badge", 0)].rounds[-1].accuracy > 0.8
    assert 0 < result.wall_seconds < 300

    assert isinstance(events[0], Preparing)
    assert sum(isinstance(e, RunStarted) for e in events) == len(spec.keys())
    rounds = [e for e in events if isinstance(e, RoundFinished)]
    assert len(rounds) == 9 * len(spec.keys())
    assert {(e.n_labeled, e.rounds_total) for e in rounds if e.round == 8} == {(100, 9)}
    assert not (tmp_path / "out" / "logs").exists(), "silent workers leave no logs"

    again = []
    started = time.monotonic()
    assert run_experiment(spec, tmp_path / "out", on_event=again.append) == result
    assert time.monotonic() - started < 2, "nothing is loaded when everything is done"
    assert {type(e) for e in again} == {RunFinished}
    assert all(e.reused and e.accuracy > 0 for e in again)

    # Another grid over the same ground takes what it can use and adds the rest.
    grown = spec.replace(strategies=("badge", "margin"), seeds=(1,))
    events = []
    result = run_experiment(grown, tmp_path / "out", workers=1, on_event=events.append)
    assert [run.key for run in result.runs] == [RunKey("badge", 1), RunKey("margin", 1)]
    assert [e.key for e in events if isinstance(e, RunFinished) and e.reused] == [RunKey("badge", 1)]

    with pytest.raises(RunConflict, match=r"batch is '5%' there and '6%' here\. Choose another --out"):
        run_experiment(spec.replace(batch="6%"), tmp_path / "out")


def test_a_run_that_cannot_be_done_costs_only_itself(small, tmp_path):
    events = []
    mixed = small.replace(strategies=("alps", "random"), masked_lm=MaskedLMChoice("minilm", train_head=False))
    result = run_experiment(mixed, tmp_path / "out", workers=1, on_event=events.append)
    assert [run.key.strategy for run in result.runs] == ["random"]
    (skip,) = [e for e in events if isinstance(e, RunSkipped)]
    assert skip.key == RunKey("alps", 0)
    assert result.notes[-1:] == (f"alps was skipped: {skip.reason}",)
    assert skip.reason.startswith("minilm has no masked-LM head")
    with pytest.raises(InvalidInput, match="'bald' reads mc_log_probs"):
        run_experiment(mixed.replace(strategies=("bald", "random")), tmp_path / "other", workers=1)
    assert not (tmp_path / "other").exists()


def test_a_run_whose_journal_is_damaged_costs_only_itself(small, tmp_path):
    out = tmp_path / "out"
    run_experiment(small, out, workers=1)
    directory = run_directory(out, small, RunKey("entropy", 0))
    (directory / "done.json").unlink()
    (directory / "rounds.jsonl").write_bytes(b"{}\n" + (directory / "rounds.jsonl").read_bytes())
    events = []
    result = run_experiment(small, out, workers=1, on_event=events.append)
    (failure,) = [e for e in events if isinstance(e, RunFailed)]
    assert "line 1 is damaged" in failure.reason
    assert [run.key.strategy for run in result.runs] == ["random"]
    assert f"entropy, seed 0, failed: {failure.reason}" in result.notes


def test_workers_read_the_whole_pool_before_they_train(small, tmp_path):
    """TF-IDF's vocabulary is the pool's, whichever texts are labelled, as it is for the one who labels by hand."""
    key = RunKey("entropy", 0)
    rounds = {run.key: run.rounds for run in run_experiment(small, tmp_path / "out", workers=1).runs}[key]
    for prepared in (True, False):
        bench = load_bench(small, tmp_path, None)
        if prepared:
            bench.classifier.prepare(bench.pool.texts)
        done = tuple((r.acquired.tolist(), r.evaluation.log_loss) for r in run_rounds(bench.simulation(key)))
        assert (done == tuple((list(r.acquired), r.log_loss) for r in rounds)) == prepared


def test_refuses_to_add_runs_on_data_that_changed(small, tmp_path, dataset):
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(dataset, data)
    mine = small.replace(dataset=str(data), strategies=("random",))
    before = run_experiment(mine, out, workers=1)
    train = (data / "train.csv").read_text()
    (data / "train.csv").write_text(train.rsplit("\n", 2)[0] + "\n")
    assert run_experiment(mine, out) == before, "finished, it is only read"
    spec_there = (out / "spec.toml").read_bytes()
    with pytest.raises(RunConflict, match=r"begun on other data \(240 pool and 90 test texts, now 239 and 90\).*--out"):
        run_experiment(mine.replace(strategies=("random", "entropy")), out, workers=1)
    assert (out / "spec.toml").read_bytes() == spec_there
    (data / "train.csv").write_text(train)
    assert len(run_experiment(mine.replace(strategies=("random", "entropy")), out, workers=1).runs) == 2


def test_a_torn_line_in_the_session_file_costs_its_seconds_alone(small, tmp_path):
    out = tmp_path / "out"
    whole = run_experiment(small, out, workers=1).wall_seconds
    with (out / "sessions.jsonl").open("a") as file:
        file.write('{"seco')
    assert run_experiment(small, out).wall_seconds == whole
    with (out / "sessions.jsonl").open("ab") as file:
        file.write(b'\x00\xff}\n{"seconds": 2.5}\n')
    assert run_experiment(small, out).wall_seconds == whole + 2.5


def test_a_worker_that_is_killed_costs_only_its_run(small, tmp_path, own_children):
    killed = []

    def kill_workers(event):
        if isinstance(event, RoundFinished) and not killed:
            killed.append(event.key)
            for pid in own_children():
                os.kill(pid, signal.SIGKILL)

    long = small.replace(budget=240, batch=1)
    result = run_experiment(long, tmp_path / "out", workers=1, on_event=kill_workers)
    assert {run.key for run in result.runs} == set(long.keys()) - set(killed)
    assert any("killed (signal 9), most likely for want of memory" in note for note in result.notes)


def test_a_listener_that_fails_leaves_no_worker_behind(small, tmp_path, own_children):
    def fail(event):
        if isinstance(event, RoundFinished):
            raise KeyError("display")

    before = own_children()
    with pytest.raises(KeyError, match="display"):
        run_experiment(small, tmp_path / "out", workers=1, on_event=fail)
    assert own_children() == before


def test_refuses_before_anything_runs_and_leaves_nothing_behind(small, tmp_path):
    with pytest.raises(UnknownName, match="'no-such-data'"):
        run_experiment(small.replace(dataset="no-such-data"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refuses_an_out_that_is_no_directory(small, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="cannot write to"):
        run_experiment(small, tmp_path / "file")
    with pytest.raises(InvalidInput, match="workers = 0"):
        run_experiment(small, tmp_path / "out", workers=0)


def test_the_machine_is_asked_sensibly():
    assert available_memory() > 1 << 28
    assert default_workers(1) >= default_workers(2) >= 1
    assert peak_memory() > 10 << 20
