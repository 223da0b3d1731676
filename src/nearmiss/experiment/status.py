"""How far a grid is, read from its directory while it may be running; nothing is written and no model is loaded."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from statistics import fmean

from nearmiss.errors import InvalidInput
from nearmiss.experiment.amounts import Amount
from nearmiss.experiment.failures import read_failure
from nearmiss.experiment.grids import read_grids
from nearmiss.experiment.journal import read_facts, read_lines, run_directory
from nearmiss.experiment.runner import failure_path
from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = ["ExperimentStatus", "RunState", "RunStatus", "fraction_done", "read_status", "rounds_total", "seconds_left"]

_SECONDS = ("inference_seconds", "selection_seconds", "fit_seconds", "evaluation_seconds")


class RunState(StrEnum):
    """What a run is at; the names are those that users read."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    BEGUN = "begun"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far one run is.

    Attributes
    ----------
    key
        Which run.
    state
        ``done``; ``running`` while a process holds its lock; ``failed`` and not taken up again; ``begun`` and
        interrupted; or ``waiting`` for its first round.
    rounds_done, rounds_total
        Rounds in its journal, and in all; the total is None until a run of the grid knows its pool.
    reason
        Why it failed, and when.
    seconds
        What its rounds took, by their own clocks.
    """

    key: RunKey
    state: RunState
    rounds_done: int
    rounds_total: int | None
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    """How far the grids of one directory are.

    Attributes
    ----------
    directory
        Where they are.
    specs
        The grids, the latest first.
    runs
        All their runs, each once.
    """

    directory: Path
    specs: tuple[ExperimentSpec, ...]
    runs: tuple[RunStatus, ...]

    def count(self, state: RunState) -> int:
        """Count the runs in a state."""
        return sum(run.state == state for run in self.runs)


def read_status(out: Path) -> tuple[ExperimentStatus, ...]:
    """Read how far the experiments of a directory are: its own, or those of its folders.

    Raises
    ------
    InvalidInput
        There is no experiment; says where was looked.
    """
    places = [out, *sorted(path for path in out.glob("*") if path.is_dir())]
    found = [(place, grids) for place in places if (grids := read_grids(place))]
    if not found:
        raise InvalidInput(
            f"no experiment in {out}, nor in a folder of it; name what was given as --out to nearmiss run or reproduce"
        )
    return tuple(ExperimentStatus(place, grids, _runs(place, grids)) for place, grids in found)


def fraction_done(statuses: Iterable[ExperimentStatus]) -> float:
    """Give the share of all rounds that is done, 0 to 1; a run of unknown length counts as one of usual length."""
    runs = [run for status in statuses for run in status.runs]
    totals = _totals(runs)
    done = sum(min(run.rounds_done, total) for run, total in zip(runs, totals, strict=True))
    return done / sum(totals) if runs else 0.0


def seconds_left(statuses: Sequence[ExperimentStatus]) -> float | None:
    """Estimate the wall time left, if as many runs go on side by side as do now.

    A round to come is taken to cost what rounds of the same strategy have cost in the same directory; failing that,
    what all rounds there have, or all rounds anywhere. None where no round has been timed, or nothing is running.
    """
    everything = [run for status in statuses for run in status.runs]
    running = sum(run.state == RunState.RUNNING for run in everything)
    anywhere = _seconds_a_round(everything)
    if not running or anywhere is None:
        return None
    totals = iter(_totals(everything))
    left = 0.0
    for status in statuses:
        here = _seconds_a_round(status.runs) or anywhere
        for run in status.runs:
            alike = [each for each in status.runs if each.key.strategy == run.key.strategy]
            rate = _seconds_a_round(alike) or here
            left += rate * max(0, next(totals) - run.rounds_done)
    return left / running


def rounds_total(spec: ExperimentSpec, pool_size: int) -> int:
    """Count a run's rounds, the initial one included.

    Examples
    --------
    >>> rounds_total(ExperimentSpec("imdb", ("cal",), initial="1%", batch="2%", budget="15%"), pool_size=3_000)
    8
    """
    initial, batch, budget = (
        Amount.parse(name, getattr(spec, name)).resolve(pool_size) for name in ("initial", "batch", "budget")
    )
    return 1 + max(0, -(-(budget - initial) // batch))


def _runs(out: Path, grids: tuple[ExperimentSpec, ...]) -> tuple[RunStatus, ...]:
    # Grids of one directory differ in their cells alone, so any of them names any cell's directory.
    spec = grids[0]
    keys = dict.fromkeys(chain.from_iterable(grid.keys() for grid in grids))
    known = (read_facts(run_directory(out, spec, key)) for key in keys)
    pool_size = next((facts.pool_size for facts in known if facts is not None), None)
    total = None if pool_size is None else rounds_total(spec, pool_size)
    return tuple(_run(out, spec, key, total) for key in keys)


def _run(out: Path, spec: ExperimentSpec, key: RunKey, total: int | None) -> RunStatus:
    directory = run_directory(out, spec, key)
    done = len(read_lines(directory / "rounds.jsonl"))
    timings = read_lines(directory / "timings.jsonl")[:done]
    seconds = sum(float(line.get(name, 0.0)) for line in timings for name in _SECONDS)
    failure = read_failure(failure_path(out, spec, key))
    if _rounds_marked(directory / "done.json") == done > 0:
        return RunStatus(key, RunState.DONE, done, done, seconds=seconds)
    if _is_locked(directory / "lock"):
        return RunStatus(key, RunState.RUNNING, done, total, seconds=seconds)
    if failure is not None:
        reason = f"{failure.reason} ({failure.time})"
        return RunStatus(key, RunState.FAILED, done, total, reason, seconds)
    return RunStatus(key, RunState.BEGUN if done else RunState.WAITING, done, total, seconds=seconds)


def _seconds_a_round(runs: Iterable[RunStatus]) -> float | None:
    timed = [run for run in runs if run.seconds > 0]
    return sum(run.seconds for run in timed) / sum(run.rounds_done for run in timed) if timed else None


def _totals(runs: Sequence[RunStatus]) -> list[float]:
    known = [run.rounds_total for run in runs if run.rounds_total is not None]
    usual = fmean(known) if known else 1.0
    return [usual if run.rounds_total is None else run.rounds_total for run in runs]


def _rounds_marked(path: Path) -> int:
    try:
        return int(json.loads(path.read_bytes())["rounds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _is_locked(path: Path) -> bool:
    """Ask the kernel whether a process writes there; the shared lock this takes is let go at once."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
