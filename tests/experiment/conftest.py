"""A small labelled dataset on disk, and experiments over it that take seconds."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nearmiss.experiment.spec import ExperimentSpec

WORDS = {
    "river": ["water", "bank", "stream", "flood", "bridge", "boat", "delta", "shore", "lake", "rain"],
    "kitchen": ["knife", "oven", "bread", "salt", "pan", "butter", "recipe", "spoon", "flour", "stew"],
    "railway": ["train", "station", "track", "signal", "engine", "ticket", "platform", "tunnel", "guard", "bridge"],
}
FILLER = ["the", "a", "of", "and", "near", "old", "big", "small", "with", "under", "over", "some", "many", "one", "two"]

CHILD = """
import os, sys
from pathlib import Path
from nearmiss.experiment.events import RoundFinished
from nearmiss.experiment.profiles import profile_batches
from nearmiss.experiment.runner import run_experiment
from nearmiss.experiment.spec import ExperimentSpec
from nearmiss.experiment.supervision import run_supervision

def listener(event):
    print(type(event).__name__, flush=True)

work = {each.__name__: each for each in (run_experiment, run_supervision, profile_batches)}[sys.argv[3]]
try:
    work(ExperimentSpec.read(Path(sys.argv[1])), sys.argv[2], workers=2, on_event=listener)
except KeyboardInterrupt:
    sys.exit(130)
"""


def write_rows(path, n, seed):
    rng = np.random.default_rng(seed)
    names = sorted(WORDS)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(n):
            label = names[i % 3]
            words = [*rng.choice(WORDS[label], 3), *rng.choice(FILLER, 6)]
            writer.writerow([" ".join(rng.permutation(words)), label])


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    write_rows(folder / "train.csv", 240, seed=1)
    write_rows(folder / "test.csv", 90, seed=2)
    return folder


@pytest.fixture
def spec(dataset):
    return ExperimentSpec(
        dataset=str(dataset),
        strategies=("random", "cal:k=3", "badge", "diverse-margin"),
        seeds=(0, 1),
        initial=9,
        batch="5%",
        budget=100,
        classifier="tfidf",
        name="places",
    )


class Child:
    """An experiment in a process of its own, to be killed."""

    def __init__(self, spec: ExperimentSpec, out: Path, folder: Path, work: str) -> None:
        path = folder / "child.toml"
        path.write_text(spec.to_toml())
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(out), work],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, event: str, times: int) -> bool:
        """Read events until this one came that often; False when the process ended first."""
        for line in self.process.stdout:
            times -= line.strip() == event
            if not times:
                return True
        return False

    def workers(self) -> list[int]:
        return children_of(self.process.pid)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> str:
        """Wait for the end and give what went to standard error."""
        with self.process:
            _, errors = self.process.communicate(timeout=60)
        return errors


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has waited for is as dead as one can be.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.fixture
def start_child(tmp_path):
    children = []

    def start(spec, out, work="run_experiment"):
        children.append(Child(spec, out, tmp_path, work))
        return children[-1]

    yield start
    for child in children:
        if child.process.poll() is None:
            child.process.kill()
            child.end()


@pytest.fixture
def alive():
    return is_alive


@pytest.fixture
def own_children():
    return lambda: children_of(os.getpid())
