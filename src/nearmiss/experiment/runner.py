"""Run the grid: prepare once, then runs side by side in processes of their own, each resumable.

This module and all it imports stay light: a finished experiment is read back without torch or a model.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

from nearmiss.errors import InvalidInput, NearmissError, RunConflict
from nearmiss.experiment.crew import Worker
from nearmiss.experiment.events import EventListener, Preparing, RunFailed, RunFinished, RunSkipped, ignore
from nearmiss.experiment.journal import (
    FinishedRun,
    read_finished,
    read_lines,
    require_same_ground,
    run_directory,
    write_atomically,
)
from nearmiss.experiment.machine import default_workers, usable_cores
from nearmiss.experiment.messages import Done, Failure, FillCaches, MeasureSurprisal, Prepared, Run, Workplace
from nearmiss.experiment.records import ExperimentResult
from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = ["run_experiment"]


def run_experiment(
    spec: ExperimentSpec,
    out: Path | str,
    *,
    workers: int | None = None,
    on_event: EventListener | None = None,
    data_dir: Path | str | None = None,
) -> ExperimentResult:
    """Carry out an experiment, or what remains of it, and return all its runs.

    Every round is on disk before the next begins. However this call ends (an interrupt, a kill, a power cut), the
    same call goes on where it stopped, and its rounds are the same to the last bit as if it had not stopped. A run
    that fails is named in the notes, and the others go on. Before anything is added to a directory, the runs in it
    are held against the data as they are now; when all runs are finished, they are read back and nothing is checked.

    Parameters
    ----------
    spec
        What to do.
    out
        Where results go. Grids that differ in strategies and seeds alone may share a directory.
    workers
        Runs at once; by default as many as cores and memory allow.
    on_event
        Called in this process with what happens, while it happens.
    data_dir
        A folder that holds datasets as folders, for names that are not embedded.

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
    if workers is not None and workers < 1:
        raise InvalidInput(f"workers = {workers}: expected at least 1")
    directory = Path(out)
    _refuse_conflict(directory, spec)
    tell = on_event or ignore
    grid = _Grid(spec, directory, None if data_dir is None else Path(data_dir).absolute(), tell)
    grid.read_finished()
    if grid.unfinished:
        grid.carry_out(workers or default_workers(spec.threads))
    return grid.result()


@dataclass(slots=True)
class _Post:
    """A worker and the run it is on."""

    worker: Worker
    key: RunKey
    is_sound: bool = True


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

    def total(self) -> float:
        return float(sum(line.get("seconds", 0.0) for line in read_lines(self._path)))


@dataclass(slots=True)
class _Grid:
    """The runs of one call: what is finished, what remains, and what went wrong."""

    spec: ExperimentSpec
    out: Path
    data_dir: Path | None
    tell: EventListener
    keys: tuple[RunKey, ...] = field(init=False)
    finished: dict[RunKey, FinishedRun] = field(default_factory=dict)
    skipped: dict[RunKey, str] = field(default_factory=dict)
    failed: dict[RunKey, str] = field(default_factory=dict)
    errors: list[NearmissError] = field(default_factory=list)
    _crew: list[Worker] = field(default_factory=list)
    _clock: _Clock = field(init=False)

    def __post_init__(self) -> None:
        self.keys = self.spec.keys()
        self._clock = _Clock(self.out / "sessions.jsonl")

    @property
    def unfinished(self) -> tuple[RunKey, ...]:
        """Runs to do, all strategies of one seed before the next seed: an early stop leaves whole comparisons."""
        done = self.finished.keys() | self.skipped.keys() | self.failed.keys()
        return tuple(key for seed in self.spec.seeds for key in self.keys if key.seed == seed and key not in done)

    def read_finished(self) -> None:
        for key in self.keys:
            run = read_finished(run_directory(self.out, self.spec, key), key)
            if run is not None:
                self.finished[key] = run
                rounds = run.result.rounds
                self.tell(RunFinished(key, len(rounds), rounds[-1].accuracy, reused=True))

    def carry_out(self, n_workers: int) -> None:
        with _writing_to(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        try:
            # Hired early: they load their libraries while the caches are filled.
            idle = [self._hire(self.spec.threads) for _ in range(min(n_workers, len(self.unfinished)))]
            self._prepare(idle[0])
            # Only now: until something can be run, the directory is nobody's.
            with _writing_to(self.out):
                write_atomically(self.out / "spec.toml", self.spec.to_toml().encode())
            self._clock.mark()
            self._work_off(deque(self.unfinished), idle)
        finally:
            for worker in self._crew:
                worker.stop()
            _remove_if_empty(self.out)  # a misspelt dataset must leave nothing behind

    def _prepare(self, beside: Worker) -> None:
        """Fill caches with all cores, in a process that then ends: this one stays light, and workers only read.

        One of the workers measures surprisal meanwhile, with the threads of a run, for results depend on them.
        """
        self.tell(Preparing("starting"))
        reader = self._hire(usable_cores())
        reader.give(FillCaches(self.unfinished))
        beside.give(MeasureSurprisal(self.unfinished))
        for prepared in self._until_prepared({worker.connection: worker for worker in (reader, beside)}):
            require_same_ground(self.out, prepared.facts)
            for skip in prepared.skips:
                for key in self.unfinished:
                    if key.strategy == skip.strategy:
                        self.skipped[key] = skip.reason
                        self.tell(RunSkipped(key, skip.reason))
        reader.stop()

    def _until_prepared(self, workers: dict[Connection, Worker]) -> Iterator[Prepared]:
        at: dict[Connection, Preparing] = {}
        while workers:
            for connection in wait(list(workers)):
                connection = cast("Connection", connection)
                worker = workers[connection]
                try:
                    message = worker.receive()
                except EOFError:
                    raise NearmissError(f"preparation broke off: {worker.obituary()}") from None
                match message:
                    case Prepared():
                        del workers[connection]
                        yield message
                        # What the other is still at, which it may have said long ago.
                        for still in [at[other] for other in workers if other in at]:
                            self.tell(still)
                    case Failure(reason, error):
                        raise error or NearmissError(f"preparation broke off: {reason} (more in {worker.log})")
                    case Done():
                        continue
                    case event:
                        if isinstance(event, Preparing):
                            at[connection] = event
                        self.tell(event)

    def _work_off(self, queue: deque[RunKey], idle: list[Worker]) -> None:
        n_workers = len(idle)
        busy: dict[Connection, _Post] = {}
        while queue or busy:
            while queue and len(busy) < n_workers:
                worker = idle.pop() if idle else self._hire(self.spec.threads)
                busy[worker.connection] = post = _Post(worker, queue.popleft())
                worker.give(Run(post.key))
            for connection in wait(list(busy)):
                post = busy[cast("Connection", connection)]
                if self._is_through(post):
                    del busy[post.worker.connection]
                    self._clock.mark()
                    if post.is_sound:
                        idle.append(post.worker)
                    else:
                        post.worker.stop()

    def _is_through(self, post: _Post) -> bool:
        """Take one message of a worker; say whether its run is over, one way or the other."""
        try:
            message = post.worker.receive()
        except EOFError:
            post.is_sound = False
            message = Failure(post.worker.obituary())
        match message:
            case Done():
                run = read_finished(run_directory(self.out, self.spec, post.key), post.key)
                if run is not None:
                    self.finished[post.key] = run
            case Failure(reason, error):
                self.failed[post.key] = reason
                self.errors += [error] if error else []
                post.is_sound &= error is not None  # what broke by accident may have left the process half dead
                self.tell(RunFailed(post.key, reason))
            case Prepared():
                return False
            case event:
                self.tell(event)
                return False
        return True

    def _hire(self, threads: int) -> Worker:
        worker = Worker(self.out / "logs", threads)
        self._crew.append(worker)
        worker.give(Workplace(self.spec, self.out.absolute(), self.data_dir, threads))
        return worker

    def result(self) -> ExperimentResult:
        if not self.finished:
            raise self._nothing_to_show()
        runs = [self.finished[key] for key in self.keys if key in self.finished]
        notes = [note for run in runs for note in run.facts.notes]
        notes += [f"{key.strategy}, seed {key.seed}, failed: {why}" for key, why in self.failed.items()]
        skipped_for = {key.strategy: why for key, why in self.skipped.items()}
        notes += [f"{strategy} was skipped: {why}" for strategy, why in skipped_for.items()]
        return ExperimentResult(
            spec=self.spec,
            runs=tuple(run.result for run in runs),
            pool_size=runs[0].facts.pool_size,
            test_size=runs[0].facts.test_size,
            notes=tuple(dict.fromkeys(notes)),
            wall_seconds=self._clock.total(),
        )

    def _nothing_to_show(self) -> NearmissError:
        reasons = self.failed | self.skipped
        if len(set(reasons.values())) == 1 and self.errors:
            return self.errors[0]
        key, why = next(iter(reasons.items()))
        return NearmissError(f"none of {len(reasons)} runs could be done; {key.strategy}, seed {key.seed}: {why}")


def _refuse_conflict(out: Path, spec: ExperimentSpec) -> None:
    """Refuse a directory with results of another experiment; grids that differ in their cells alone may share one."""
    path = out / "spec.toml"
    if not path.exists() or not any(out.glob("runs/*/rounds.jsonl")):
        return
    try:
        theirs = ExperimentSpec.read(path)
    except NearmissError as error:
        raise RunConflict(f"{out} holds a spec that cannot be read ({error}); choose another --out") from error
    if keys := spec.conflicts(theirs):
        mine, other = spec.to_data(), theirs.to_data()
        told = "; ".join(f"{key} is {other.get(key)!r} there and {mine.get(key)!r} here" for key in keys)
        raise RunConflict(f"{out} holds another experiment: {told}. Choose another --out, or delete {out}")


@contextmanager
def _writing_to(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"cannot write to {out}: {error.strerror}; choose another --out") from error


def _remove_if_empty(directory: Path) -> None:
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
