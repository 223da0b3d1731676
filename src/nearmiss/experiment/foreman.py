"""The one who hires workers, has shared work prepared once, and hands out jobs: runs, trainings, profiles.

This module and all it imports stay light, as does the process that uses it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, cast

from nearmiss.errors import InvalidInput, NearmissError, RunConflict
from nearmiss.experiment.crew import Worker
from nearmiss.experiment.events import EventListener, Preparing, ignore
from nearmiss.experiment.failures import forget_failure, note_failure
from nearmiss.experiment.journal import require_same_ground
from nearmiss.experiment.machine import available_memory, default_workers, usable_cores
from nearmiss.experiment.messages import (
    Done,
    Failure,
    FillCaches,
    Job,
    MeasureSurprisal,
    Prepared,
    Skip,
    Workplace,
)
from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = ["Executor", "Foreman", "Outcome", "Overseer", "Site", "refuse_conflict", "remove_if_empty", "writing_to"]


class Overseer(Protocol):
    """Has shared work prepared once and jobs carried out, wherever that is; leaving it stops all of them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def prepare(self, keys: Sequence[RunKey] = ()) -> tuple[Skip, ...]:
        """Do what these runs share, and name the strategies that cannot be run."""
        ...

    def carry_out(self, jobs: Mapping[Job, Path]) -> Iterator[Outcome]:
        """Hand out the jobs, each with the file that will say why it failed, and give each when it is over."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """Where work is done, on what, and with how much of the machine.

    Attributes
    ----------
    spec, out, data_dir
        What to do, where results go, where datasets lie.
    tell
        Told what happens.
    workers, memory
        Jobs at once, and the bytes they may take together; None is what the machine offers.
    executor
        Who has the jobs carried out.
    """

    spec: ExperimentSpec
    out: Path
    data_dir: Path | None
    tell: EventListener
    workers: int | None
    memory: int | None
    executor: Executor

    @classmethod
    def at(
        cls,
        spec: ExperimentSpec,
        out: Path | str,
        *,
        data_dir: Path | str | None,
        on_event: EventListener | None,
        workers: int | None,
        memory: int | None,
        executor: Executor | None = None,
    ) -> Self:
        """Take what a caller said; processes of this machine do the work unless somebody else is named.

        Raises
        ------
        InvalidInput
            Fewer workers than one, or no memory.
        RunConflict
            The directory holds results of another experiment.
        """
        if workers is not None and workers < 1:
            raise InvalidInput(f"workers = {workers}: expected at least 1")
        if memory is not None and memory < 1:
            raise InvalidInput(f"memory = {memory}: expected a number of bytes of at least 1")
        refuse_conflict(Path(out), spec)
        place = None if data_dir is None else Path(data_dir).absolute()
        return cls(spec, Path(out), place, on_event or ignore, workers, memory, executor or Foreman)

    def overseer(self, n_jobs: int) -> Overseer:
        """Find somebody to have this many jobs carried out here."""
        return self.executor(self, n_jobs)


#: Takes a site and the number of jobs there will be.
Executor = Callable[[Site, int], Overseer]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job that is over; ``failure`` is None when all went well."""

    job: Job
    failure: Failure | None = None


@dataclass(slots=True)
class _Post:
    """A worker and the job it is on."""

    worker: Worker
    job: Job
    is_sound: bool = True


@dataclass(frozen=True, slots=True)
class _Answer:
    """How a worker's part of the preparation ended."""

    worker: Worker
    message: Prepared | Failure


class Foreman:
    """Has jobs carried out side by side, each in a process whose fall costs that job alone.

    Use it as a context manager: leaving it stops every process, however it is left.

    Parameters
    ----------
    site
        Where, on what, with how much.
    n_jobs
        How many jobs there will be.
    """

    def __init__(self, site: Site, n_jobs: int) -> None:
        self._site = site
        # Asked before there are workers, which take some of it.
        self._memory = available_memory() if site.memory is None else site.memory
        self._n_workers = min(n_jobs, site.workers or default_workers(site.spec.threads, self._memory))
        self._crew: list[Worker] = []
        self._idle: list[Worker] = []

    def __enter__(self) -> Self:
        with writing_to(self._site.out):
            self._site.out.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._crew:
            worker.stop()
        remove_if_empty(self._site.out)  # a misspelt dataset must leave nothing behind

    def prepare(self, keys: Sequence[RunKey] = ()) -> tuple[Skip, ...]:
        """Fill caches with all cores, in a process that then ends: this one stays light, and workers only read.

        One of the workers measures surprisal meanwhile, with the threads of a run, for results depend on them.

        Raises
        ------
        RunConflict
            Results in this directory stand on other data.
        NearmissError
            What would fail in every job.
        """
        site, keys = self._site, tuple(keys)
        site.tell(Preparing("starting"))
        # Hired early: they load their libraries while the caches are filled.
        self._idle = [self._hire(site.spec.threads) for _ in range(self._n_workers)]
        reader, beside = self._hire(usable_cores()), self._idle[0]
        reader.give(FillCaches(keys))
        beside.give(MeasureSurprisal(keys))
        skips: list[Skip] = []
        dispensable: tuple[str, ...] = ()
        broken = ""
        for answer in self._until_prepared({worker.connection: worker for worker in (reader, beside)}):
            if isinstance(answer.message, Failure):
                broken = f"{answer.message.reason} (more in {answer.worker.log})"
                if answer.worker is reader:
                    raise NearmissError(f"preparation broke off: {broken}")
                continue
            prepared = answer.message
            require_same_ground(site.out, prepared.facts)
            skips += prepared.skips
            dispensable = prepared.readers_of_surprisal or dispensable
            self._fit_into_memory(prepared.worker_bytes)
            if prepared.on_accelerator and site.workers is None:
                self._keep(1)
        reader.stop()
        if broken:
            if not dispensable:
                raise NearmissError(f"preparation broke off: {broken}")
            self._idle.remove(beside)
            beside.stop()
            skips += [Skip(strategy, f"measuring surprisal broke off: {broken}") for strategy in dispensable]
        return tuple(skips)

    def carry_out(self, jobs: Mapping[Job, Path]) -> Iterator[Outcome]:
        """Hand out the jobs in their order, and give each when it is over.

        Parameters
        ----------
        jobs
            Each with the file that will say why it failed; there is none after a job that went well.
        """
        queue = deque(jobs)
        busy: dict[Connection, _Post] = {}
        while queue or busy:
            while queue and len(busy) < self._n_workers:
                worker = self._idle.pop() if self._idle else self._hire(self._site.spec.threads)
                busy[worker.connection] = post = _Post(worker, queue.popleft())
                worker.give(post.job)
            for connection in wait(list(busy)):
                post = busy[cast("Connection", connection)]
                outcome = self._outcome(post)
                if outcome is None:
                    continue
                del busy[post.worker.connection]
                if post.is_sound:
                    self._idle.append(post.worker)
                else:
                    post.worker.stop()
                if outcome.failure is None:
                    forget_failure(jobs[post.job])
                else:
                    note_failure(jobs[post.job], outcome.failure.reason)
                yield outcome

    def _outcome(self, post: _Post) -> Outcome | None:
        """Take one message of a worker; give None while its job goes on."""
        try:
            message = post.worker.receive()
        except EOFError:
            post.is_sound = False
            message = Failure(post.worker.obituary())
        match message:
            case Done():
                return Outcome(post.job)
            case Failure(_, error):
                post.is_sound &= error is not None  # what broke by accident may have left the process half dead
                return Outcome(post.job, message)
            case Prepared():
                return None
            case event:
                self._site.tell(event)
                return None

    def _until_prepared(self, workers: dict[Connection, Worker]) -> Iterator[_Answer]:
        """Give each worker's answer, when it has prepared its part or broken down; raise what nearmiss refused."""
        at: dict[Connection, Preparing] = {}
        while workers:
            for connection in wait(list(workers)):
                connection = cast("Connection", connection)
                worker = workers[connection]
                try:
                    message = worker.receive()
                except EOFError:
                    message = Failure(worker.obituary())
                match message:
                    case Failure(error=NearmissError() as error):
                        raise error
                    case Prepared() | Failure():
                        del workers[connection]
                        yield _Answer(worker, message)
                        # What the other is still at, which it may have said long ago.
                        for still in [at[other] for other in workers if other in at]:
                            self._site.tell(still)
                    case Done():
                        continue
                    case event:
                        if isinstance(event, Preparing):
                            at[connection] = event
                        self._site.tell(event)

    def _fit_into_memory(self, each: int) -> None:
        """Let those go that would not fit beside the others, now that it is known what one of them takes."""
        site = self._site
        if not each or (site.workers is not None and site.memory is None):
            return
        self._keep(max(1, self._memory // each))

    def _keep(self, most: int) -> None:
        self._n_workers = min(self._n_workers, most)
        while len(self._idle) > self._n_workers:
            self._idle.pop().stop()

    def _hire(self, threads: int) -> Worker:
        site = self._site
        worker = Worker(site.out / "logs", threads)
        self._crew.append(worker)
        worker.give(Workplace(site.spec, site.out.absolute(), site.data_dir, threads))
        return worker


def refuse_conflict(out: Path, spec: ExperimentSpec) -> None:
    """Refuse a directory with results of another experiment; grids that differ in their cells alone may share one.

    Raises
    ------
    RunConflict
        Says in what they differ.
    """
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
def writing_to(out: Path) -> Iterator[None]:
    """Say what to do where nothing can be written.

    Raises
    ------
    InvalidInput
        Instead of any error of the operating system.
    """
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"cannot write to {out}: {error.strerror}; choose another --out") from error


def remove_if_empty(directory: Path) -> None:
    """Take a directory away in which nothing was done."""
    if directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
