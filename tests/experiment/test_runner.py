import os
import signal
import time

import pytest

from nearmiss.errors import InvalidInput, RunConflict, UnknownName
from nearmiss.experiment.events import Preparing, RoundFinished, RunFailed, RunFinished, RunStarted
from nearmiss.experiment.machine import available_memory, default_workers, peak_memory
from nearmiss.experiment.records import RunKey
from nearmiss.experiment.runner import run_experiment
from nearmiss.experiment.spec import MaskedLMChoice

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


def test_other_features_change_the_choice_and_nothing_before_it(small, tmp_path):
    strategies = ("k-center", "k-center:features=tfidf", "cal:k=3", "cal:features=tfidf,k=3")
    result = run_experiment(small.replace(strategies=strategies), tmp_path / "out", workers=1)
    runs = {run.key.strategy: run for run in result.runs}
    # This classifier's own features are its TF-IDF vectors, so naming them must change no choice.
    assert [r.acquired for r in runs["cal:k=3"].rounds] == [r.acquired for r in runs["cal:features=tfidf,k=3"].rounds]


def test_starts_cold(small, tmp_path):
    result = run_experiment(small.replace(initial_method="typiclust", strategies=("random",)), tmp_path / "out")
    assert len(result.runs[0].rounds[0].acquired) == 9


def test_a_run_that_cannot_be_done_costs_only_itself(small, tmp_path):
    events = []
    mixed = small.replace(strategies=("bald", "random"))
    result = run_experiment(mixed, tmp_path / "out", workers=1, on_event=events.append)
    assert [run.key.strategy for run in result.runs] == ["random"]
    (failure,) = [e for e in events if isinstance(e, RunFailed)]
    assert failure.key == RunKey("bald", 0)
    assert f"bald, seed 0, failed: {failure.reason}" in result.notes
    with pytest.raises(InvalidInput, match="mc_log_probs"):
        run_experiment(small.replace(strategies=("bald",)), tmp_path / "out", workers=1)


def test_a_worker_that_is_killed_is_reported_and_its_run_goes_on_next_time(small, tmp_path, own_children):
    long = small.replace(strategies=("random", "entropy", "margin"), budget=240, batch=3)
    killed = []

    def kill_first_worker(event):
        if isinstance(event, RoundFinished) and event.round == 2 and not killed:
            killed.append(event.key)
            for pid in own_children():
                os.kill(pid, signal.SIGKILL)

    result = run_experiment(long, tmp_path / "out", workers=1, on_event=kill_first_worker)
    assert {run.key for run in result.runs} == set(long.keys()) - set(killed)
    assert any("killed (signal 9), most likely for want of memory" in note for note in result.notes)
    result = run_experiment(long, tmp_path / "out", workers=1)
    assert len(result.runs) == 3
    assert result.notes == ()


def test_a_listener_that_fails_leaves_no_worker_behind(small, tmp_path, own_children):
    def fail(event):
        if isinstance(event, RoundFinished):
            raise KeyError("display")

    before = own_children()
    with pytest.raises(KeyError, match="display"):
        run_experiment(small, tmp_path / "out", workers=1, on_event=fail)
    assert own_children() == before


def test_alps_is_skipped_with_its_reason_when_no_head_may_be_trained(small, tmp_path):
    without = small.replace(strategies=("alps", "random"), masked_lm=MaskedLMChoice("minilm", train_head=False))
    result = run_experiment(without, tmp_path / "out", workers=1)
    assert [run.key.strategy for run in result.runs] == ["random"]
    (note,) = result.notes
    assert note.startswith("alps was skipped: minilm has no masked-LM head")


def test_alps_runs_over_a_head_trained_here_and_says_so(small, tmp_path):
    trained = small.replace(strategies=("alps",), masked_lm=MaskedLMChoice(texts=60, epochs=1, max_length=16))
    result = run_experiment(trained, tmp_path / "out", workers=1)
    assert len(result.runs[0].rounds) == 4
    assert any("one was trained on 60 texts of the pool" in note for note in result.notes)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"dataset": "no-such-data"}, UnknownName, "no dataset named 'no-such-data'"),
        ({"strategies": ("random", "entrpy")}, UnknownName, "did you mean 'entropy'"),
        ({"strategies": ("cal:features=tfdif",)}, UnknownName, "did you mean 'tfidf'"),
        ({"strategies": ("cal:j=5",)}, UnknownName, "option"),
        ({"classifier": "tfdif"}, UnknownName, "did you mean 'tfidf'"),
        ({"initial_method": "margin"}, InvalidInput, "cannot be chosen by 'margin'"),
        ({"budget": 500}, InvalidInput, "budget = 500 labels, but the pool has only 240"),
    ],
)
def test_refuses_before_anything_runs_and_leaves_nothing_behind(small, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        run_experiment(small.replace(**change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refuses_a_label_that_cannot_be_stratified(small, tmp_path, dataset):
    folder = tmp_path / "rare"
    folder.mkdir()
    (folder / "train.csv").write_text((dataset / "train.csv").read_text() + "a strange text,once\n")
    (folder / "test.csv").write_text((dataset / "test.csv").read_text())
    rare = small.replace(dataset=str(folder), strategies=("random",))
    with pytest.raises(InvalidInput, match=r"label 'once' occurs once .*initial-method = \"random\""):
        run_experiment(rare, tmp_path / "out")
    assert len(run_experiment(rare.replace(initial_method="random"), tmp_path / "out").runs) == 1


def test_data_that_changed_under_a_run_is_noticed(small, tmp_path, dataset):
    folder = tmp_path / "changing"
    folder.mkdir()
    for name in ("train.csv", "test.csv"):
        (folder / name).write_text((dataset / name).read_text())
    one = small.replace(dataset=str(folder), strategies=("random",))
    run_experiment(one, tmp_path / "out")
    (marker,) = (tmp_path / "out").glob("runs/*/done.json")
    marker.unlink()
    (folder / "train.csv").write_text((dataset / "train.csv").read_text() + "one more train,railway\n")
    with pytest.raises(RunConflict, match="begun on other data"):
        run_experiment(one, tmp_path / "out")


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
