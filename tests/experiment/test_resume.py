"""Killed anywhere, an experiment goes on and ends with the same bytes as if it had never stopped."""

import random
import signal
import subprocess
import sys
import time

import pytest
from tests.models.tiny import save_bert

from nearmiss.experiment.journal import RunFacts, RunJournal
from nearmiss.experiment.runner import run_experiment
from nearmiss.experiment.spec import ClassifierChoice, MaskedLMChoice

pytestmark = pytest.mark.slow


def journals(out):
    """The bytes that must not differ, by run."""
    return {path.parent.name: path.read_bytes() for path in sorted(out.glob("runs/*/rounds.jsonl"))}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    cache = {}

    def run(spec):
        if spec.run_id not in cache:
            out = tmp_path_factory.mktemp("whole")
            run_experiment(spec, out, workers=1)
            cache[spec.run_id] = journals(out)
        return cache[spec.run_id]

    return run


def wait_until_dead(pids, alive, seconds):
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def test_killed_at_random_points_and_restarted(spec, tmp_path, start_child, uninterrupted, alive):
    chance = random.Random(20210909)
    out = tmp_path / "out"
    kills = 0
    while kills < 4:
        child = start_child(spec, out)
        if not child.wait_for("RoundFinished", chance.randint(1, 8)):
            child.end()
            break
        time.sleep(chance.uniform(0, 0.05))
        workers = child.workers()
        child.send(signal.SIGKILL)
        child.end()
        kills += 1
        assert wait_until_dead(workers, alive, 5), "workers die with their parent, however it died"
        for name, done in journals(out).items():
            whole = uninterrupted(spec)[name]
            assert whole.startswith(done[: done.rfind(b"\n") + 1]), "what is there is right already"
    assert kills >= 3, "the experiment was over before it could be killed; make it longer"
    torn = max(out.glob("runs/*/rounds.jsonl"), key=lambda path: path.stat().st_size)
    (torn.parent / "done.json").unlink(missing_ok=True)
    torn.write_bytes(torn.read_bytes()[:-25])  # as a crash of the whole machine would leave it
    result = run_experiment(spec, out, workers=2)
    assert journals(out) == uninterrupted(spec)
    assert [run.key for run in result.runs] == list(spec.keys())
    assert all(len(run.rounds) == len(run.timings) == 9 for run in result.runs)


@pytest.fixture
def encoder_spec(spec, tmp_path):
    tiny = save_bert(tmp_path / "tiny")
    return spec.replace(
        strategies=("alps", "bald", "cal"),
        seeds=(0,),
        initial_method="typiclust",
        batch=10,
        budget=59,
        classifier=ClassifierChoice("tuned", {"model": tiny, "max_length": 32, "steps": 10, "mc_samples": 3}),
        masked_lm=MaskedLMChoice(tiny, texts=200, epochs=1, max_length=32),
    )


def test_killed_and_restarted_with_a_trained_encoder(encoder_spec, tmp_path, start_child, monkeypatch):
    """Cached states, a head trained on the spot, dropout and features that adapt: all of it comes again to the bit."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "cache"))
    child = start_child(encoder_spec, out)
    assert child.wait_for("RoundFinished", 6)
    child.send(signal.SIGKILL)
    child.end()
    assert 6 <= sum(rounds.count(b"\n") for rounds in journals(out).values()) < 18
    run_experiment(encoder_spec, out, workers=2)
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "other-cache"))
    result = run_experiment(encoder_spec, whole, workers=1)
    assert {len(run.rounds) for run in result.runs} == {6}
    assert any("has no masked-LM head" in note for note in result.notes)
    assert journals(out) == journals(whole)


@pytest.mark.parametrize("warm_start", [False, True])
def test_killed_and_restarted_with_a_fine_tuned_encoder(encoder_spec, tmp_path, start_child, monkeypatch, warm_start):
    """Heads drawn at random, dropout everywhere, an encoder adapted to the pool for ALPS: to the bit once more."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    options = {key: encoder_spec.classifier.options[key] for key in ("model", "max_length")}
    finetuned = ClassifierChoice("finetuned", options | {"min_steps": 6, "mc_samples": 2, "warm_start": warm_start})
    masked_lm = MaskedLMChoice(options["model"], texts=120, epochs=1, max_length=32, adapt=True)
    strategies = ("cal", "alps") if warm_start else ("alps", "bald", "cal")
    spec = encoder_spec.replace(classifier=finetuned, masked_lm=masked_lm, strategies=strategies)
    total = 6 * len(strategies)
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "cache"))
    child = start_child(spec, out)
    assert child.wait_for("RoundFinished", 5)
    child.send(signal.SIGKILL)
    child.end()
    assert 5 <= sum(rounds.count(b"\n") for rounds in journals(out).values()) < total
    run_experiment(spec, out, workers=2)
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "other-cache"))
    result = run_experiment(spec, whole, workers=1)
    assert {len(run.rounds) for run in result.runs} == {6}
    assert any("was adapted to 120 texts of the pool" in note for note in result.notes)
    assert journals(out) == journals(whole)


def test_interrupted_by_ctrl_c_it_stops_at_once_and_goes_on_later(spec, tmp_path, start_child, uninterrupted, alive):
    out = tmp_path / "out"
    child = start_child(spec, out)
    assert child.wait_for("RoundFinished", 3)
    workers = child.workers()
    started = time.monotonic()
    child.send(signal.SIGINT)
    errors = child.end()
    assert time.monotonic() - started < 3
    assert (child.process.returncode, errors) == (130, "")
    assert not any(alive(pid) for pid in workers)
    assert journals(out), "what was finished stays"
    run_experiment(spec, out, workers=1)
    assert journals(out) == uninterrupted(spec)


def test_interrupted_while_it_prepares(spec, tmp_path, start_child, alive):
    child = start_child(spec, tmp_path / "out")
    assert child.wait_for("Preparing", 2)
    workers = child.workers()
    child.send(signal.SIGINT)
    assert child.end() == ""
    assert child.process.returncode == 130
    assert not any(alive(pid) for pid in workers)


WRITER = """
import sys
from pathlib import Path
from nearmiss.experiment.journal import RunFacts, RunJournal
from nearmiss.experiment.records import RoundRecord, RoundTiming
with RunJournal(Path(sys.argv[1]), RunFacts("d", 10_000, 10)) as journal:
    print("open", flush=True)
    for n in range(len(journal.rounds), 300):
        record = RoundRecord(n, n, tuple(range(n % 7 * 3000)), 1 / (n + 1), 0.5, 0.5, 0.5)
        journal.append(record, RoundTiming(n, 0.0, 0.0, 0.0, 0.0, 0))
    journal.finish()
"""


def test_a_journal_killed_while_writing(tmp_path):
    """Big lines and small waits, so that kills land inside writes too."""
    chance = random.Random(7)

    def write(directory, seconds):
        command = [sys.executable, "-c", WRITER, str(directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline() == b"open\n"
            try:
                return writer.wait(seconds) == 0
            except subprocess.TimeoutExpired:
                writer.kill()
                return False

    assert write(tmp_path / "whole", 120)
    kills = 0
    while not write(tmp_path / "killed", chance.uniform(0.0, 0.1) if kills < 12 else 120):
        kills += 1
    assert kills > 5
    whole, killed = ((tmp_path / name / "rounds.jsonl").read_bytes() for name in ("whole", "killed"))
    assert killed == whole
    with RunJournal(tmp_path / "killed", RunFacts("d", 10_000, 10)) as journal:
        assert len(journal.rounds) == 300
