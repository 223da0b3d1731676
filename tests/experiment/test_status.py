"""How far a grid is, read beside the process that runs it."""

import json
import signal
import time

import pytest

from nearmiss.errors import InvalidInput
from nearmiss.experiment.failures import note_failure
from nearmiss.experiment.grids import announce_grid, read_grids, record_grid
from nearmiss.experiment.journal import RunFacts, RunJournal, run_directory
from nearmiss.experiment.records import RoundRecord, RoundTiming
from nearmiss.experiment.runner import failure_path, run_experiment
from nearmiss.experiment.spec import RunKey
from nearmiss.experiment.status import RunState, fraction_done, read_status, rounds_total, seconds_left
from nearmiss.loop.rounds import Schedule


@pytest.fixture
def grid(spec):
    """Five rounds a run: 20, 40, 60, 80 and 100 labels of a pool of 1,000."""
    return spec.replace(strategies=("random", "entropy"), initial="2%", batch="2%", budget="10%")


def write(out, spec, key, n_rounds, *, done=False, seconds=1.0):
    with RunJournal(run_directory(out, spec, key), RunFacts("d", 1_000, 10)) as journal:
        for n in range(n_rounds):
            record = RoundRecord(n, 20 * (n + 1), (n,), 0.5, 0.5, 0.5, 0.5)
            journal.append(record, RoundTiming(n, 0.0, 0.0, seconds / 2, seconds / 2, 0))
        if done:
            journal.finish()


def states(status):
    return {(run.key.strategy, run.key.seed): (run.state, run.rounds_done, run.rounds_total) for run in status.runs}


def test_tells_each_run_s_state(grid, tmp_path):
    record_grid(tmp_path, grid)
    write(tmp_path, grid, RunKey("random", 0), 5, done=True, seconds=2.0)
    write(tmp_path, grid, RunKey("random", 1), 2, seconds=2.0)
    write(tmp_path, grid, RunKey("entropy", 0), 1, seconds=4.0)
    note_failure(failure_path(tmp_path, grid, RunKey("entropy", 0)), "out of memory")
    before = sorted(tmp_path.rglob("*"))
    (status,) = read_status(tmp_path)
    assert states(status) == {
        ("random", 0): (RunState.DONE, 5, 5),
        ("random", 1): (RunState.BEGUN, 2, 5),
        ("entropy", 0): (RunState.FAILED, 1, 5),
        ("entropy", 1): (RunState.WAITING, 0, 5),
    }
    assert next(run for run in status.runs if run.state == RunState.FAILED).reason.startswith("out of memory (20")
    assert fraction_done((status,)) == 8 / 20
    assert seconds_left((status,)) is None, "nothing is running"
    with RunJournal(run_directory(tmp_path, grid, RunKey("random", 1)), RunFacts("d", 1_000, 10)):
        (status,) = read_status(tmp_path)
        assert states(status)["random", 1] == (RunState.RUNNING, 2, 5)
        assert seconds_left((status,)) == pytest.approx(3 * 2.0 + 9 * 4.0)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_grid_that_shares_the_directory_is_counted_too(grid, tmp_path):
    variants = grid.replace(strategies=("random", "cal:reduce=max"), seeds=(0,))
    record_grid(tmp_path, grid)
    record_grid(tmp_path, variants)
    announce_grid(tmp_path, grid.replace(batch="5%"))
    (tmp_path / "grids" / "torn.toml").write_text("name =")
    assert {spec.strategies for spec in read_grids(tmp_path)} == {grid.strategies, variants.strategies}
    (status,) = read_status(tmp_path)
    assert len(status.runs) == 5
    assert {run.rounds_total for run in status.runs} == {None}
    assert fraction_done((status,)) == 0.0


def test_several_experiments_in_one_place(grid, tmp_path):
    for name in ("first", "second"):
        record_grid(tmp_path / name, grid)
    write(tmp_path / "first", grid, RunKey("random", 0), 5, done=True)
    statuses = read_status(tmp_path)
    assert [status.directory.name for status in statuses] == ["first", "second"]
    assert fraction_done(statuses) == 5 / 40, "runs that do not know their pool are taken to be as long as others"
    with RunJournal(run_directory(tmp_path / "second", grid, RunKey("entropy", 0)), RunFacts("d", 1_000, 10)):
        assert seconds_left(read_status(tmp_path)) == pytest.approx(35.0)


def test_refuses_a_place_without_experiments(tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(InvalidInput, match=r"no experiment in .*--out"):
        read_status(tmp_path)


@pytest.mark.parametrize("amounts", [("1%", "2%", "15%"), (9, "5%", 100), ("10%", 7, "10%"), (1, 1, "3%")])
def test_counts_rounds_as_the_loop_does(spec, amounts):
    initial, batch, budget = amounts
    asked = spec.replace(initial=initial, batch=batch, budget=budget)
    counted = [round(float(str(a).rstrip("%")) * 10) if isinstance(a, str) else a for a in amounts]
    assert rounds_total(asked, 1_000) == Schedule(*counted).rounds_total


@pytest.mark.slow
def test_while_an_experiment_runs_and_after_it_was_killed(spec, tmp_path, start_child):
    long = spec.replace(strategies=("random", "entropy"), seeds=(0,), budget=240, batch=1)
    out = tmp_path / "out"
    child = start_child(long, out)
    assert child.wait_for("RoundFinished", 6)
    (status,) = read_status(out)
    assert status.count(RunState.RUNNING) >= 1, "the other may not have begun"
    assert 6 <= sum(run.rounds_done for run in status.runs) < 2 * 232
    assert 0 < seconds_left((status,)) < 600
    workers = child.workers()
    child.send(signal.SIGKILL)
    child.end()
    deadline = time.monotonic() + 10
    while read_status(out)[0].count(RunState.RUNNING) and time.monotonic() < deadline:
        time.sleep(0.05)
    (status,) = read_status(out)
    assert workers
    assert status.count(RunState.BEGUN) >= 1
    run_experiment(long.replace(strategies=("random",)), out, workers=1)
    (status,) = read_status(out)
    assert states(status)["random", 0] == (RunState.DONE, 232, 232)
    assert json.loads((run_directory(out, long, RunKey("random", 0)) / "done.json").read_text()) == {"rounds": 232}
