"""Jobs on a Ray cluster: each a task in a process somewhere, whose fall costs the round it was at.

``ray`` is imported where it is used, and the rest of what is imported here is light: a driver with little memory will
do. Every node must have this version of nearmiss, and must see the results' directory under the same path.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from nearmiss._version import __version__
from nearmiss.errors import InvalidInput, NearmissError
from nearmiss.experiment.crew import THREAD_VARIABLES
from nearmiss.experiment.events import Preparing
from nearmiss.experiment.failures import forget_failure, note_failure
from nearmiss.experiment.foreman import Outcome, Site, remove_if_empty, writing_to
from nearmiss.experiment.journal import require_same_ground
from nearmiss.experiment.machine import usable_cores
from nearmiss.experiment.messages import (
    Failure,
    FillCaches,
    Job,
    MeasureSurprisal,
    Message,
    Order,
    Prepared,
    Skip,
    Workplace,
)
from nearmiss.experiment.ray_cluster import RETRIES, Joined, first_line, handed_on, join_cluster
from nearmiss.experiment.ray_desk import Desk, Mailbox, carry_out_at
from nearmiss.experiment.spec import RunKey

if TYPE_CHECKING:
    from ray import ObjectRef

__all__ = ["OnRay"]

_POLL_SECONDS = 0.2
#: For processes to end that were told to; a journal's lock waits longer for those that take their time.
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class OnRay:
    """An executor: has an experiment's jobs carried out on a Ray cluster, with the results they would have here.

    The directory of results must be one that all nodes see under the same path, on a file system with locks; nearmiss
    and its extras must be installed on all of them. A task whose process dies is taken up again, three times at most,
    from where its journal ends. What the encoder says of the texts is read once per cache folder: set
    ``NEARMISS_CACHE_DIR`` to a folder that all nodes see, or each node reads for itself.

    Parameters
    ----------
    address
        ``host:port``, ``auto``, or ``local`` for a cluster on this machine that ends with the work. By default the one
        this process is connected to, then the one that ``RAY_ADDRESS`` names, then ``local``.
    cpus_per_run
        Processors that Ray keeps free for each job; by default the spec's threads. On a cluster that was there before,
        the task that reads the texts for all runs has as many.
    gpus_per_run
        GPUs for each job; a fraction shares one. Without, jobs see none and compute on processors.

    Raises
    ------
    InvalidInput
        A number that Ray could not reserve.

    Examples
    --------
    >>> from nearmiss.experiment.runner import run_experiment
    >>> on_gpus = OnRay("head.lan:6379", cpus_per_run=4, gpus_per_run=0.5)
    >>> run_experiment(spec, "/shared/runs/demo", executor=on_gpus)  # doctest: +SKIP
    """

    address: str | None = None
    cpus_per_run: float | None = None
    gpus_per_run: float = 0.0

    def __post_init__(self) -> None:
        if self.cpus_per_run is not None and not self.cpus_per_run > 0:
            raise InvalidInput(f"cpus per run = {self.cpus_per_run:g}: expected more than 0")
        if not self.gpus_per_run >= 0 or (self.gpus_per_run > 1 and self.gpus_per_run % 1):
            raise InvalidInput(f"gpus per run = {self.gpus_per_run:g}: expected a fraction of one, or a whole number")

    def __call__(self, site: Site, n_jobs: int) -> _RayOverseer:
        """Find the overseer for a site."""
        return _RayOverseer(site, n_jobs, self)


class _RayOverseer:
    """Hands jobs to a Ray cluster as tasks, and tells what their processes tell."""

    def __init__(self, site: Site, n_jobs: int, cluster: OnRay) -> None:
        self._site = site
        self._cluster = cluster
        self._cpus = cluster.cpus_per_run or float(site.spec.threads)
        self._at_once = min(n_jobs, site.workers or n_jobs)
        self._bytes_per_run = 0
        self._desk_of_runs = self._desk(site.spec.threads)
        self._joined = Joined(here=False, own=False)
        self._mailbox: Any = None  # Ray's handles have no type that says what can be called
        self._open: set[ObjectRef[Message]] = set()

    def __enter__(self) -> Self:
        with writing_to(self._site.out):
            self._site.out.mkdir(parents=True, exist_ok=True)
        try:
            self._joined = join_cluster(self._cluster.address, "executor 'ray'")
            self._mailbox = _open_mailbox()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()

    def prepare(self, keys: Sequence[RunKey] = ()) -> tuple[Skip, ...]:
        """Fill caches in one task and measure surprisal in another, as the foreman does in two processes.

        Raises
        ------
        RunConflict
            Results in this directory stand on other data.
        NearmissError
            What would fail in every job.
        """
        site, keys = self._site, tuple(keys)
        site.tell(Preparing("starting on Ray"))
        self._require_room()
        # Nobody else is on a cluster of one's own; on another, to ask for a whole node could mean to wait for ever.
        cores = usable_cores() if self._joined.own else max(1, int(self._cpus))
        read = self._task(self._desk(cores), max(self._cpus, cores - math.ceil(self._cpus)))
        measure = self._task(self._desk_of_runs, self._cpus)
        reading, measuring = read(FillCaches(keys)), measure(MeasureSurprisal(keys))
        waiting, prepared, broken = {reading, measuring}, dict[Any, Prepared](), ""
        while waiting:
            for ref in self._over(waiting):
                waiting.discard(ref)
                match self._answer(ref):
                    case Failure(reason, error):
                        broken = reason
                        if error or ref == reading:
                            raise error or NearmissError(f"preparation broke off: {broken}")
                    case Prepared() as each:
                        require_same_ground(site.out, each.facts)
                        prepared[ref] = each
        self._fit(prepared[reading])
        skips = [skip for each in prepared.values() for skip in each.skips]
        if broken:
            dispensable = prepared[reading].readers_of_surprisal
            if not dispensable:
                raise NearmissError(f"preparation broke off: {broken}")
            skips += [Skip(strategy, f"measuring surprisal broke off: {broken}") for strategy in dispensable]
        return tuple(skips)

    def carry_out(self, jobs: Mapping[Job, Path]) -> Iterator[Outcome]:
        """Hand out the jobs in their order, and give each when it is over.

        Parameters
        ----------
        jobs
            Each with the file that will say why it failed; there is none after a job that went well.
        """
        start = self._task(self._desk_of_runs, self._cpus, self._bytes_per_run)
        queue = deque(jobs)
        busy: dict[ObjectRef[Message], Job] = {}
        while queue or busy:
            while queue and len(busy) < self._at_once:
                job = queue.popleft()
                busy[start(job)] = job
            for ref in self._over(busy):
                job, answer = busy.pop(ref), self._answer(ref)
                failure = answer if isinstance(answer, Failure) else None
                if failure is None:
                    forget_failure(jobs[job])
                else:
                    note_failure(jobs[job], failure.reason)
                yield Outcome(job, failure)

    def _require_room(self) -> None:
        """Refuse what will never fit into a cluster of one's own; say so where nodes may still come."""
        cpus, gpus = self._cpus, self._cluster.gpus_per_run
        if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in _nodes()):
            return
        told = f"a run is to have {cpus:g} CPUs and {gpus:g} GPUs, which no node of the cluster has"
        if self._joined.own:
            raise InvalidInput(f"{told}; lower --cpus-per-run or --gpus-per-run, or name another --address")
        self._site.tell(Preparing(f"{told} now: waiting for one"))

    def _fit(self, prepared: Prepared) -> None:
        """See to it that the runs of a node fit into its memory, now that it is known what one of them takes."""
        site, each = self._site, prepared.worker_bytes
        if site.memory is not None:
            self._at_once = min(self._at_once, max(1, site.memory // max(1, each)))
        elif site.workers is None:
            # More than any node has would never be scheduled; at least one run goes on each, as it would here.
            self._bytes_per_run = int(min(each, max((node.get("memory", 0) for node in _nodes()), default=0)))
        if prepared.on_accelerator and not self._cluster.gpus_per_run and site.workers is None:
            self._at_once = 1

    def _desk(self, threads: int) -> Desk:
        site = self._site
        return Desk(Workplace(site.spec, site.out.absolute(), site.data_dir, threads), Path.cwd())

    def _task(self, desk: Desk, cpus: float, memory: int = 0) -> Callable[[Order], ObjectRef[Message]]:
        """Give what starts an order in a process for this desk."""
        import ray

        gpus, threads = self._cluster.gpus_per_run, desk.workplace.threads
        variables = handed_on() | dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}
        if not gpus:
            variables["CUDA_VISIBLE_DEVICES"] = ""  # or runs would share a device that Ray thinks is free
        work: Any = ray.remote(
            num_cpus=cpus,
            num_gpus=gpus,
            memory=memory,
            max_retries=RETRIES,
            max_calls=1 if gpus else 0,  # a process gives a GPU's memory back when it ends
            runtime_env={"env_vars": variables},
        )(carry_out_at)

        def start(order: Order) -> ObjectRef[Message]:
            ref: ObjectRef[Message] = work.options(name=f"nearmiss {order}"[:80]).remote(desk, order, self._mailbox)
            self._open.add(ref)
            return ref

        return start

    def _over(self, refs: Collection[ObjectRef[Message]]) -> list[ObjectRef[Message]]:
        """Wait until at least one of these tasks is over, and tell what happens meanwhile."""
        import ray

        while True:
            over, _ = ray.wait(list(refs), timeout=_POLL_SECONDS)
            # After the look at the tasks: all that one told before it ended is in the mailbox now.
            for event in ray.get(self._mailbox.take.remote()):
                self._site.tell(event)
            if over:
                return over

    def _answer(self, ref: ObjectRef[Message]) -> Message:
        import ray
        from ray import exceptions

        self._open.discard(ref)
        try:
            return ray.get(ref)
        except exceptions.RayTaskError as error:
            return Failure(f"{type(error.cause).__name__}: {first_line(error.cause)}")
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.NodeDiedError) as error:
            return Failure(
                f"its process died, as did those that took it up again ({type(error).__name__}), most likely for want "
                "of memory; use fewer workers or a smaller pool"
            )
        except exceptions.RayError as error:
            return Failure(f"{type(error).__name__}: {first_line(error)}")

    def _leave(self) -> None:
        """Stop what runs, then what was started or joined here. Journals and caches survive a kill."""
        try:
            if self._open:
                import ray

                for ref in self._open:
                    ray.cancel(ref, force=True)
                ray.wait(list(self._open), num_returns=len(self._open), timeout=_STOP_SECONDS)
        finally:
            if self._mailbox is not None:
                import ray

                ray.kill(self._mailbox)
            self._joined.leave()
            remove_if_empty(self._site.out)


def _open_mailbox() -> Any:  # noqa: ANN401
    import ray
    from ray import exceptions

    actor: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Mailbox)
    mailbox = actor.remote()
    try:
        ray.get(mailbox.take.remote())
    except exceptions.RayError as error:
        raise NearmissError(
            f"no process with nearmiss could be started on the cluster; install nearmiss {__version__} on all its "
            f"nodes ({first_line(error)})"
        ) from error
    return mailbox


def _nodes() -> list[dict[str, float]]:
    """List what each living node offers."""
    import ray

    nodes: Any = ray.nodes  # untyped
    return [node["Resources"] for node in nodes() if node["Alive"]]
