"""Experiments on a Ray cluster: the same bytes as on this machine, whatever is killed meanwhile."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.experiment.conftest import children_of, is_alive

from nearmiss.errors import InvalidInput, MissingExtra, UnknownName
from nearmiss.experiment import on_ray
from nearmiss.experiment.events import Preparing, RoundFinished, RunFailed, RunFinished, RunStarted
from nearmiss.experiment.failures import read_failure
from nearmiss.experiment.messages import Run, Workplace
from nearmiss.experiment.on_ray import OnRay
from nearmiss.experiment.ray_desk import Desk, carry_out_at
from nearmiss.experiment.runner import failure_path, run_experiment
from nearmiss.experiment.spec import RunKey

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow


def journals(out):
    """The bytes that must not differ, by run."""
    return {path.parent.name: path.read_bytes() for path in sorted(out.glob("runs/*/rounds.jsonl"))}


@pytest.fixture(scope="module")
def cluster():
    """A cluster that all tests of this module share, as a user's own program may have one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture
def small(spec):
    return spec.replace(strategies=("random", "cal:k=3"), seeds=(0,), budget=120, batch=2)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """The journals of an experiment that this machine's own processes carried out."""
    done = {}

    def run(spec):
        if spec.run_id not in done:
            out = tmp_path_factory.mktemp("here")
            run_experiment(spec, out, workers=2)
            done[spec.run_id] = journals(out)
        return done[spec.run_id]

    return run


def processes_below(pid):
    below = list(children_of(pid))
    for each in below:
        below += children_of(each)
    return below


def processes_of_runs():
    """Find the processes of this test's cluster that carry out a run."""
    titles = {pid: Path(f"/proc/{pid}/cmdline") for pid in processes_below(os.getpid())}
    return [
        pid for pid, path in titles.items() if path.exists() and path.read_bytes().startswith(b"ray::nearmiss Run(")
    ]


def kill_runs():
    for pid in processes_of_runs():
        os.kill(pid, signal.SIGKILL)


def test_killed_processes_are_replaced_and_the_results_are_those_of_this_machine(cluster, small, tmp_path, here):
    seen, killed = [], []

    def kill(event):
        seen.append(event)
        if isinstance(event, RoundFinished) and event.round == 20 and not killed:
            killed.append(event.key)
            kill_runs()

    result = run_experiment(small, tmp_path / "out", workers=2, on_event=kill, executor=OnRay())
    assert not [event for event in seen if isinstance(event, RunFailed)]
    again = {event.key: event for event in seen if isinstance(event, RunStarted) and event.rounds_done}
    assert again[killed[0]].rounds_done > 20, "what was killed went on from its journal"
    assert isinstance(seen[0], Preparing)
    assert "reading 330 texts (tfidf)" in [event.message for event in seen if isinstance(event, Preparing)]
    assert {event.key for event in seen if isinstance(event, RunFinished)} == set(small.keys())
    assert [run.key for run in result.runs] == list(small.keys())
    assert journals(tmp_path / "out") == here(small)
    assert ray.is_initialized(), "what was there before is left alone"


def test_a_run_that_is_killed_too_often_costs_only_itself(cluster, small, tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray, "RETRIES", 0)
    out, doomed, killed = tmp_path / "out", RunKey("cal:k=3", 0), []

    def kill(event):
        if isinstance(event, RoundFinished) and event.key == doomed and not killed:
            killed.append(event)
            kill_runs()

    result = run_experiment(small, out, workers=1, on_event=kill, executor=OnRay())
    assert [run.key.strategy for run in result.runs] == ["random"]
    noted = read_failure(failure_path(out, small, doomed))
    assert "its process died" in noted.reason
    assert f"cal:k=3, seed 0, failed: {noted.reason}" in result.notes
    events = []
    assert len(run_experiment(small, out, on_event=events.append, executor=OnRay()).runs) == 2
    (start,) = [event for event in events if isinstance(event, RunStarted)]
    assert start.rounds_done > 0
    assert not failure_path(out, small, doomed).exists()


def test_a_listener_that_fails_leaves_no_task_behind(cluster, small, tmp_path):
    def fail(event):
        if isinstance(event, RoundFinished):
            raise KeyError("display")

    with pytest.raises(KeyError, match="display"):
        run_experiment(small, tmp_path / "out", on_event=fail, executor=OnRay())
    assert not processes_of_runs()


def test_what_a_node_refuses_is_refused_here(cluster, small, tmp_path):
    with pytest.raises(UnknownName, match="'no-such-data'"):
        run_experiment(small.replace(dataset="no-such-data"), tmp_path / "out", executor=OnRay())
    assert not (tmp_path / "out").exists()
    with pytest.raises(InvalidInput, match="connected to a Ray cluster already"):
        run_experiment(small, tmp_path / "out", executor=OnRay("auto"))


def test_says_when_no_node_has_room(cluster, small, tmp_path):
    def leave(event):
        if "waiting" in event.message:
            raise KeyError(event.message)

    told = "a run is to have 500 CPUs and 0 GPUs, which no node of the cluster has now: waiting for one"
    with pytest.raises(KeyError, match=told):
        run_experiment(small, tmp_path / "out", on_event=leave, executor=OnRay(cpus_per_run=500))
    assert not (tmp_path / "out").exists()


def start_command(*arguments, directory=None):
    command = "from nearmiss.cli import main; main()"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    if "PYTHONPATH" in environment:
        paths = environment["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(path).resolve()) for path in paths if path)
    return subprocess.Popen(
        [sys.executable, "-c", command, "run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
        cwd=directory,
    )


def test_joins_a_cluster_by_its_address(cluster, small, tmp_path):
    folder, name = Path(small.dataset).parent, Path(small.dataset).name
    out, mine = tmp_path / "out", small.replace(dataset=name, budget=20, strategies=("random",))
    (tmp_path / "spec.toml").write_text(mine.to_toml())
    on_ray = ("--executor", "ray", "--address", cluster, "--cpus-per-run", 0.5)
    child = start_command(tmp_path / "spec.toml", "--out", out, "--full-supervision", *on_ray, directory=folder)
    printed, errors = child.communicate(timeout=150)
    assert child.returncode == 0, errors
    assert "random, seed 0: accuracy" in printed
    assert "full supervision, seed 0: accuracy" in printed
    assert errors == ""


def test_interrupted_by_ctrl_c_it_stops_and_goes_on_later(cluster, small, tmp_path, here):
    out, path = tmp_path / "out", tmp_path / "spec.toml"
    path.write_text(small.to_toml())
    child = start_command(path, "--out", out, "--executor", "ray", "--workers", 1)
    deadline = time.monotonic() + 60
    while b"\n" not in b"".join(journals(out).values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    below = processes_below(child.pid)
    assert below
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does
    _, errors = child.communicate(timeout=150)
    assert child.returncode == 130, errors
    assert "stopped; finished rounds are saved" in errors
    assert "Traceback" not in errors
    while any(is_alive(pid) for pid in below) and time.monotonic() < deadline + 30:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in below), "the cluster that was started is gone"
    whole = here(small)
    assert 0 < sum(map(len, journals(out).values())) < sum(map(len, whole.values()))
    run_experiment(small, out, executor=OnRay())
    assert journals(out) == whole


def test_an_address_where_nobody_answers_is_refused_in_one_line(spec, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    flags = ("--dataset", spec.dataset, "-s", "random", "--classifier", "tfidf", "--out", tmp_path / "out")
    child = start_command(*flags, "--executor", "ray", "--address", address)
    _, errors = child.communicate(timeout=150)
    assert child.returncode == 2
    (line,) = errors.splitlines()
    assert line.startswith(f"nearmiss: no Ray cluster at '{address}' ([Errno")
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_what_to_install(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'nearmiss\[ray\]'"):
        run_experiment(small, tmp_path / "out", executor=OnRay())
    assert not (tmp_path / "out").exists()


def test_a_node_on_other_ground_refuses(small, tmp_path):
    here, there = Workplace(small, tmp_path, None, 1), Workplace(small, tmp_path / "unseen", None, 1)
    order = Run(RunKey("random", 0))
    other = carry_out_at(Desk(here, tmp_path, version="0.0.1"), order, None)
    assert "and this is 0.0.1; install the same on all nodes" in other.reason
    unseen = carry_out_at(Desk(there, tmp_path), order, None)
    assert "choose an --out that all nodes of the cluster see" in unseen.reason
    assert isinstance(other.error, InvalidInput)
    assert isinstance(unseen.error, InvalidInput)


@pytest.mark.parametrize("numbers", [{"cpus_per_run": 0.0}, {"gpus_per_run": -1.0}, {"gpus_per_run": 1.5}])
def test_refuses_what_ray_cannot_reserve(numbers):
    with pytest.raises(InvalidInput, match="per run = "):
        OnRay(**numbers)
