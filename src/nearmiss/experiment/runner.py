"""Run the grid: prepare once, then runs side by side in processes of their own, each resumable.

This module and all it imports stay light: a finished experiment is read back without torch or a model.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nearmiss.errors import NearmissError
from nearmiss.experiment.events import EventListener, RunFailed, RunFinished, RunSkipped
from nearmiss.experiment.failures import note_failure, read_failure
from nearmiss.experiment.foreman import Executor, Site, writing_to
from nearmiss.experiment.grids import record_grid
from nearmiss.experiment.journal import FinishedRun, read_finished, read_lines, run_directory
from nearmiss.experiment.messages import Failure, Job, Run
from nearmiss.experiment.records import ExperimentResult
from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = ["failure_path", "read_experiment", "run_experiment"]


def run_experiment(
    spec: ExperimentSpec,
    out: Path | str,
    *,
    workers: int | None = None,
    memory: int | None = None,
    on_event: EventListener | None = None,
    data_dir: Path | str | None = None,
    executor: Executor | None = None,
) -> ExperimentResult:
    """Carry out an experiment, or what remains of it, and return all its runs.

    Every round is on disk before the next begins. However this call ends (an interrupt, a kill, a power cut), the
    same call goes on where it stopped, and its rounds are the same to the last bit as if it had not stopped. A run
    that fails is named in the notes, says why in its directory, and is tried again by the next call; the others go
    on. Before anything is added to a directory, the runs in it are held against the data as they are now; when all
    runs are finished, they are read back and held against each other alone. Runs that another machine made under the
    same spec are taken up once their directories lie under ``out/runs``.

    Parameters
    ----------
    spec
        What to do.
    out
        Where results go. Grids that differ in strategies and seeds alone may share a directory.
    workers
        Runs at once; by default as many as cores and memory allow.
    memory
        Bytes that all workers may take together; by default what is available, unless ``workers`` is given.
    on_event
        Called in this process with what happens, while it happens.
    data_dir
        A folder that holds datasets as folders, for names that are not embedded.
    executor
        Who carries the runs out: by default processes of this machine; ``OnRay()`` for a Ray cluster.

    Raises
    ------
    RunConflict
        ``out`` holds another experiment, or one on other data; says in what they differ.
    NearmissError
        The dataset, classifier, a strategy or an option is not to be had, or every run failed.

    Examples
    --------
    >>> import tempfile
    >>> spec = ExperimentSpec("banking77", ("random",), seeds=(0,), batch="1%", budget="2%", classifier="tfidf")
    >>> with tempfile.TemporaryDirectory() as out:
    ...     result = run_experiment(spec, out)
    >>> [record.n_labeled for record in result.runs[0].rounds]
    [90, 180]
    """
    site = Site.at(spec, out, data_dir=data_dir, on_event=on_event, workers=workers, memory=memory, executor=executor)
    grid = _Grid(site)
    grid.read_finished()
    if grid.unfinished:
        grid.carry_out()
    return grid.result()


def read_experiment(spec: ExperimentSpec, out: Path) -> ExperimentResult | None:
    """Read the finished runs of an experiment, or give None where there are none; nothing is run or written.

    Why a run was not done is among the notes, where that is known.

    Raises
    ------
    RunConflict
        Runs stand on different data, or were made with different encoders.
    InvalidData
        A run is marked as done, yet its files do not say so.
    """
    finished: dict[RunKey, FinishedRun] = {}
    told: dict[RunKey, str] = {}
    keys = spec.keys()
    for key in keys:
        run = read_finished(run_directory(out, spec, key), key)
        failure = read_failure(failure_path(out, spec, key))
        if run is not None:
            finished[key] = run
        elif failure is not None:
            told[key] = failure.reason
    return _result(spec, out, finished, _failure_notes(told)) if finished else None


def failure_path(out: Path, spec: ExperimentSpec, key: RunKey) -> Path:
    """Name the file that says why a run failed."""
    return run_directory(out, spec, key) / "failure.json"


class _Clock:
    """Adds up wall time over sessions, in steps, so that a killed session loses little."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._since = time.monotonic()

    def mark(self) -> None:
        now = time.monotonic()
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seconds": round(now - self._since, 3)}) + "\n")
        self._since = now


@dataclass(slots=True)
class _Grid:
    """The runs of one call: what is finished, what remains, and what went wrong."""

    site: Site
    keys: tuple[RunKey, ...] = field(init=False)
    finished: dict[RunKey, FinishedRun] = field(default_factory=dict)
    skipped: dict[RunKey, str] = field(default_factory=dict)
    failed: dict[RunKey, Failure] = field(default_factory=dict)
    _clock: _Clock = field(init=False)

    def __post_init__(self) -> None:
        self.keys = self.site.spec.keys()
        self._clock = _Clock(self.site.out / "sessions.jsonl")

    @property
    def unfinished(self) -> tuple[RunKey, ...]:
        """Runs to do, all strategies of one seed before the next seed: an early stop leaves whole comparisons."""
        done = self.finished.keys() | self.skipped.keys() | self.failed.keys()
        return tuple(key for seed in self.site.spec.seeds for key in self.keys if key.seed == seed and key not in done)

    def read_finished(self) -> None:
        for key in self.keys:
            run = self._read(key)
            if run is not None:
                rounds = run.result.rounds
                self.site.tell(RunFinished(key, len(rounds), rounds[-1].accuracy, reused=True))

    def carry_out(self) -> None:
        site = self.site
        with site.overseer(len(self.unfinished)) as overseer:
            for skip in overseer.prepare(self.unfinished):
                for key in [key for key in self.unfinished if key.strategy == skip.strategy]:
                    self.skipped[key] = skip.reason
                    note_failure(self._failure_path(key), skip.reason)
                    site.tell(RunSkipped(key, skip.reason))
            # Only now: until something can be run, the directory is nobody's.
            with writing_to(site.out):
                record_grid(site.out, site.spec)
            self._clock.mark()
            jobs: dict[Job, Path] = {Run(key): self._failure_path(key) for key in self.unfinished}
            for outcome in overseer.carry_out(jobs):
                self._clock.mark()
                if not isinstance(outcome.job, Run):
                    continue
                key = outcome.job.key
                if outcome.failure is None:
                    self._read(key)
                else:
                    self.failed[key] = outcome.failure
                    site.tell(RunFailed(key, outcome.failure.reason))

    def result(self) -> ExperimentResult:
        if not self.finished:
            raise self._nothing_to_show()
        notes = _failure_notes({key: failure.reason for key, failure in self.failed.items()})
        skipped_for = {key.strategy: why for key, why in self.skipped.items()}
        notes += [f"{strategy} was skipped: {why}" for strategy, why in skipped_for.items()]
        return _result(self.site.spec, self.site.out, self.finished, notes)

    def _read(self, key: RunKey) -> FinishedRun | None:
        run = read_finished(run_directory(self.site.out, self.site.spec, key), key)
        if run is not None:
            self.finished[key] = run
        return run

    def _failure_path(self, key: RunKey) -> Path:
        return failure_path(self.site.out, self.site.spec, key)

    def _nothing_to_show(self) -> NearmissError:
        reasons = {key: failure.reason for key, failure in self.failed.items()} | self.skipped
        errors = [failure.error for failure in self.failed.values() if failure.error]
        if len(set(reasons.values())) == 1 and errors:
            return errors[0]
        key, why = next(iter(reasons.items()))
        return NearmissError(f"none of {len(reasons)} runs could be done; {key.strategy}, seed {key.seed}: {why}")


def _failure_notes(reasons: Mapping[RunKey, str]) -> list[str]:
    return [f"{key.strategy}, seed {key.seed}, failed: {why}" for key, why in reasons.items()]


def _result(
    spec: ExperimentSpec, out: Path, finished: Mapping[RunKey, FinishedRun], notes: list[str]
) -> ExperimentResult:
    keys = spec.keys()
    runs = [finished[key] for key in keys if key in finished]
    for key in finished:  # they may have been made on different machines
        runs[0].facts.require_same(finished[key].facts, run_directory(out, spec, key))
    told = [note for run in runs for note in run.facts.notes]
    return ExperimentResult(
        spec=spec,
        runs=tuple(run.result for run in runs),
        pool_size=runs[0].facts.pool_size,
        test_size=runs[0].facts.test_size,
        validation_size=runs[0].facts.validation_size,
        notes=tuple(dict.fromkeys([*told, *notes])),
        wall_seconds=float(sum(line.get("seconds", 0.0) for line in read_lines(out / "sessions.jsonl"))),
    )
