"""How many workers there are, and what becomes of what they fail at."""

import json
import os
import signal

import pytest
from tests.models.tiny import save_bert

from nearmiss.errors import InvalidInput, NearmissError
from nearmiss.experiment.build import load_bench
from nearmiss.experiment.events import Preparing, RoundFinished, RunSkipped, RunStarted
from nearmiss.experiment.failures import forget_failure, note_failure, read_failure
from nearmiss.experiment.foreman import Foreman, Site
from nearmiss.experiment.journal import run_directory
from nearmiss.experiment.machine import WORKER_BYTES, default_workers, worker_bytes
from nearmiss.experiment.runner import failure_path, read_experiment, run_experiment
from nearmiss.experiment.spec import ClassifierChoice, MaskedLMChoice, RunKey


def test_a_budget_of_memory_bounds_the_workers():
    assert default_workers(1, memory=1) == 1
    assert default_workers(1, memory=1 << 60) == default_workers(1, memory=1 << 50)
    assert default_workers(1, memory=10 * WORKER_BYTES, each=20 * WORKER_BYTES) == 1
    assert worker_bytes(1000) == WORKER_BYTES + 1000
    assert worker_bytes(1000, trained=True) == WORKER_BYTES + 5000


def test_a_model_that_is_trained_whole_takes_more_than_one_that_is_read(spec, tmp_path):
    tiny = save_bert(tmp_path / "tiny")
    choices = ("tfidf", ClassifierChoice("tuned", {"model": tiny}), ClassifierChoice("finetuned", {"model": tiny}))
    takes = [load_bench(spec.replace(classifier=choice), tmp_path, None).worker_bytes for choice in choices]
    assert takes[0] == WORKER_BYTES
    weights = takes[1] - WORKER_BYTES
    assert 0 < weights == sum(path.stat().st_size for path in (tmp_path / "tiny").glob("*.safetensors"))
    assert takes[2] == WORKER_BYTES + 5 * weights


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers, memory, expected", [(2, None, 2), (2, WORKER_BYTES, 1), (2, 2 * WORKER_BYTES, 2), (None, 1, 1)]
)
def test_workers_that_do_not_fit_are_let_go_before_the_first_job(spec, tmp_path, workers, memory, expected):
    site = Site.at(spec, tmp_path / "out", data_dir=None, on_event=None, workers=workers, memory=memory)
    with Foreman(site, n_jobs=5) as foreman:
        assert foreman.prepare() == ()
        assert len(foreman._idle) == expected
    assert not (tmp_path / "out").exists()


def test_refuses_no_memory(spec, tmp_path):
    with pytest.raises(InvalidInput, match="memory = 0"):
        run_experiment(spec, tmp_path, memory=0)


def test_a_note_that_cannot_be_read_says_nothing(tmp_path):
    path = tmp_path / "deep" / "failure.json"
    note_failure(path, "first")
    note_failure(path, "second")
    assert read_failure(path).reason == "second"
    path.write_text('{"reason"')
    assert read_failure(path) is None
    forget_failure(path)
    forget_failure(path)
    assert read_failure(path) is None


@pytest.mark.slow
def test_a_run_that_failed_says_why_until_the_next_start_mends_it(spec, tmp_path, own_children):
    mine = spec.replace(strategies=("random", "entropy"), seeds=(0,), budget=240, batch=2)
    out, doomed = tmp_path / "out", RunKey("entropy", 0)
    seen = []

    def kill_worker(event):
        seen.append(event)
        if isinstance(event, RoundFinished) and event.key == doomed and event.round == 2:
            for pid in own_children():
                os.kill(pid, signal.SIGKILL)

    result = run_experiment(mine, out, workers=1, on_event=kill_worker)
    assert [run.key.strategy for run in result.runs] == ["random"]
    noted = json.loads(failure_path(out, mine, doomed).read_text())
    assert "killed (signal 9)" in noted["reason"]
    assert noted["time"].startswith("20")
    assert f"entropy, seed 0, failed: {noted['reason']}" in read_experiment(mine, out).notes
    again = []
    assert len(run_experiment(mine, out, workers=1, on_event=again.append).runs) == 2
    (start,) = [event for event in again if isinstance(event, RunStarted)]
    assert start.rounds_done >= 3, "what was done before is not done again"
    assert not failure_path(out, mine, doomed).exists()
    assert len(read_experiment(mine, out).runs) == 2


@pytest.mark.slow
def test_a_run_that_was_skipped_says_why(spec, tmp_path):
    mine = spec.replace(
        strategies=("alps", "random"), seeds=(0,), budget=40, masked_lm=MaskedLMChoice("minilm", train_head=False)
    )
    run_experiment(mine, tmp_path, workers=1)
    assert read_failure(failure_path(tmp_path, mine, RunKey("alps", 0))).reason.startswith("minilm has no masked-LM")
    assert not (run_directory(tmp_path, mine, RunKey("alps", 0)) / "rounds.jsonl").exists()


@pytest.mark.slow
def test_a_crash_over_surprisal_costs_its_readers_alone(spec, tmp_path, own_children, monkeypatch):
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "cache"))
    mine = spec.replace(strategies=("alps", "random"), seeds=(0,), budget=40, masked_lm=MaskedLMChoice("minilm"))
    before, killed, told = own_children(), [], []

    def kill_the_one_that_measures(event):
        told.append(event)
        if isinstance(event, Preparing) and "masked-LM head" in event.message and not killed:
            killed.extend(pid for pid in own_children() if pid not in before)
            os.kill(killed[0], signal.SIGKILL)  # the first that was hired

    out = tmp_path / "out"
    result = run_experiment(mine, out, workers=1, on_event=kill_the_one_that_measures)
    assert killed
    assert [run.key.strategy for run in result.runs] == ["random"]
    (skip,) = [event for event in told if isinstance(event, RunSkipped)]
    assert skip.reason.startswith("measuring surprisal broke off: its process was killed (signal 9)")
    assert len(run_experiment(mine, out, workers=1).runs) == 2, "the next start tries again"
    killed.clear()
    everywhere = mine.replace(initial_method="alps", masked_lm=MaskedLMChoice("minilm", epochs=2))
    with pytest.raises(NearmissError, match="preparation broke off"):
        run_experiment(everywhere, tmp_path / "other", workers=1, on_event=kill_the_one_that_measures)
