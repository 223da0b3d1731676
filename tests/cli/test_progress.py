"""The live display counts what has happened, also when an experiment goes on after an interruption."""

import io

import pytest
from rich.console import Console

from nearmiss.cli.progress import ExperimentDisplay
from nearmiss.experiment.events import (
    Preparing,
    RoundFinished,
    RunFailed,
    RunFinished,
    RunSkipped,
    RunStarted,
)
from nearmiss.experiment.spec import ExperimentSpec, RunKey

SPEC = ExperimentSpec("imdb", ("random", "cal"), seeds=(0, 1))
ROUNDS = 5


@pytest.fixture
def display():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with ExperimentDisplay(len(SPEC.keys()), console) as shown:
        yield shown


def overall(display):
    return display._progress.tasks[0]


def test_counts_rounds_of_all_runs(display):
    display(Preparing("reading", 0.5))
    assert overall(display).completed == 50
    key = RunKey("cal", 0)
    display(RunStarted(key, 0, ROUNDS))
    assert (overall(display).completed, overall(display).total) == (0, 4 * ROUNDS)
    for n in range(ROUNDS):
        display(RoundFinished(key, n, 20 + n, 0.9, ROUNDS))
    running = [task.description for task in display._progress.tasks]
    assert "cal, seed 0" in running
    display(RunFinished(key, ROUNDS, 0.9))
    assert overall(display).completed == ROUNDS
    assert [task.description for task in display._progress.tasks] == ["all runs"]


def test_a_run_that_is_taken_up_again_counts_its_rounds_once(display):
    key = RunKey("cal", 0)
    display(RunStarted(key, 1, ROUNDS))
    display(RoundFinished(key, 1, 20, 0.9, ROUNDS))
    display(RunStarted(key, 3, ROUNDS))  # its process died, after a round that it could not tell of
    assert overall(display).completed == 3
    display(RoundFinished(key, 3, 20, 0.9, ROUNDS))
    assert overall(display).completed == 4


def test_reused_runs_and_rounds_count_as_done(display):
    display(RunFinished(RunKey("random", 0), ROUNDS, 0.8, reused=True))
    display(Preparing("reading", 1.0))
    display(RunStarted(RunKey("cal", 0), 2, ROUNDS))
    assert (overall(display).completed, overall(display).total) == (ROUNDS + 2, 4 * ROUNDS)
    display(RoundFinished(RunKey("cal", 0), 2, 30, 0.9, ROUNDS))
    assert overall(display).completed == ROUNDS + 3


def test_what_a_strategy_says_of_its_batch_is_told():
    console = Console(file=io.StringIO(), width=120)
    with ExperimentDisplay(len(SPEC.keys()), console) as shown:
        shown(RoundFinished(RunKey("cal", 1), 3, 50, 0.9, ROUNDS, ("recall 0.96",)))
    assert "cal, seed 1, round 3: recall 0.96" in console.file.getvalue()


def test_failures_are_counted_and_said():
    console = Console(file=io.StringIO(), width=120)
    with ExperimentDisplay(len(SPEC.keys()), console) as shown:
        shown(RunFailed(RunKey("cal", 0), "out of memory"))
        shown(RunSkipped(RunKey("cal", 1), "no head"))
    assert shown.failed == 1
    printed = console.file.getvalue()
    assert "FAILED cal, seed 0: out of memory" in printed
    assert "skipped cal, seed 1: no head" in printed
