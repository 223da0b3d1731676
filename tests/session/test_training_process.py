"""The process beside the server: it trains, comes back when killed, stops when told to, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nearmiss.experiment.journal import take_lock
from nearmiss.session.project import Project
from nearmiss.session.trainer_state import Activity, TrainerState, read_state, write_state
from nearmiss.session.training import Trainer
from nearmiss.session.training_process import TrainingProcess
from nearmiss.session.worker import LOCK

PATIENCE = 60


def until(condition):
    """Look again and again until something holds, and give it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE} s")


def workers(pid=None):
    """The training processes that a process has, by number; each of its threads may have started one."""
    found = []
    for listed in Path(f"/proc/{pid or os.getpid()}/task").glob("*/children"):
        for child in listed.read_text().split():
            command = Path(f"/proc/{child}/cmdline")
            if command.exists() and b"nearmiss.session.worker" in command.read_bytes():
                found.append(int(child))
    return found


def is_alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def small(make_project, monkeypatch):
    monkeypatch.setattr("nearmiss.session.training_process._FIRST_WAIT", 0.05)
    return make_project(24, classifier="tfidf", batch=4, audit_share=0.0)


def label(project, *items):
    project.tell_all({item: 1 if item % 2 else 2 for item in items}, person="ann")


def idle_since(project, moment):
    state = read_state(project.folder)
    return state.activity is Activity.IDLE and state.since > moment


@pytest.mark.slow
def test_it_trains_tells_failures_comes_back_when_killed_and_heeds_a_cancellation(small, tmp_path):
    with TrainingProcess(small) as process:
        until(small.queue.order)  # a first batch that covers the pool
        label(small, 1, 2, 3, 4)
        first = until(small.models.latest)
        assert (first.version, first.trained_on) == (1, 4)

        small.settings.change("ann", {"classifier": "finetuned", "encoder": str(tmp_path / "nowhere")})
        small.request_training()
        until(lambda: process.state().activity is Activity.FAILED)
        assert "nowhere" in process.state().error
        assert small.models.latest() == first
        small.settings.change("ann", {"classifier": "tfidf"})
        until(lambda: small.models.latest().version == 2)
        until(lambda: process.state().activity is Activity.IDLE)
        assert process.state().error == ""

        [pid] = workers()
        os.kill(pid, signal.SIGKILL)
        until(lambda: workers() not in ([], [pid]))
        label(small, 5, 6, 7, 8)
        until(lambda: small.models.latest().version == 3)
        until(lambda: idle_since(small, 0))

        [pid] = workers()
        os.kill(pid, signal.SIGSTOP)  # as if it were deep in a training
        label(small, 9, 10, 11, 12)
        moment = time.time()
        process.cancel()
        until(lambda: idle_since(small, moment))  # another has looked, and found nothing to do
        assert small.models.latest().version == 3
        assert pid not in workers()
        label(small, 13)
        assert until(lambda: small.models.latest().version == 4 and small.models.latest()).trained_on == 13
        [pid] = workers()
    assert not is_alive(pid)
    assert process.state().activity is Activity.OFF


PARENT = """
import sys, time
from nearmiss.session.project import Project
from nearmiss.session.training_process import TrainingProcess
with Project.open(sys.argv[1]) as project, TrainingProcess(project) as process:
    while process.state().activity != "idle":
        time.sleep(0.05)
    print("idle", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_it_ends_when_its_parent_is_killed(small):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(small.folder)], stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout.readline() == b"idle\n"
            [pid] = workers(parent.pid)
        finally:
            parent.kill()
    until(lambda: not is_alive(pid))
    take_lock(small.folder / LOCK).close()  # and lets go of the project


def test_another_that_trains_the_project_is_no_failure(small, monkeypatch):
    """A second server of one project leaves the training, and what is told of it, to the first."""
    monkeypatch.setattr("nearmiss.session.training_process._FIRST_WAIT", 600.0)
    told = TrainerState(Activity.TRAINING, 3, 24, 5.0)
    write_state(small.folder, told)
    with take_lock(small.folder / LOCK), TrainingProcess(small) as process:
        [pid] = until(workers)
        until(lambda: not is_alive(pid) or pid not in workers())
        deadline = time.monotonic() + 0.3
        while time.monotonic() < deadline:
            assert process.state() == told
            time.sleep(0.02)


def test_the_watch_goes_on_when_the_disk_refuses(small):
    log = small.folder / "trainer.log"
    log.mkdir()
    with TrainingProcess(small) as process:
        until(lambda: process.state().activity is Activity.FAILED)
        assert "cannot be started" in process.state().error
        log.rmdir()
        assert until(workers)


def test_a_state_that_cannot_be_read_is_off(tmp_path):
    assert read_state(tmp_path) == TrainerState()
    state = TrainerState(Activity.READING, 3, 5, 7.0, "a sentence")
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    for broken in ("", "{", "[]", "null", '{"activity": "dancing"}', '{"activity": "idle"}'):
        (tmp_path / "trainer.json").write_text(broken)
        assert read_state(tmp_path).activity is Activity.OFF


def test_what_is_open_elsewhere_serves_the_model_of_the_process(small):
    """Two openings of one project see the same models."""
    label(small, 1, 2, 3, 4)
    with Project.open(small.folder) as server:
        assert server.models.guess(9) is None
        Trainer(small).step()
        assert server.models.guess(9) == small.models.guess(9) is not None
