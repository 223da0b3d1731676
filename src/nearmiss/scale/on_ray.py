"""Ray carries out the work: Ray Data streams shards through actors that have loaded a model, or through tasks."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from nearmiss.errors import InvalidInput, NearmissError
from nearmiss.experiment.ray_cluster import RETRIES, first_line, handed_on, join_cluster
from nearmiss.scale.pool import Shard
from nearmiss.scale.work import Arrays, Finished, Work, attempt, packed, unpacked

__all__ = ["RayExecutor"]

#: Of the memory that a cluster of our own shares between processes: what shards give back is small.
_OBJECT_STORE_BYTES = 256 * 2**20
#: A worker of Ray's has many threads, and glibc would give each its own memory to keep: 500 MB more, for no speed.
_LEAN = {"MALLOC_ARENA_MAX": "2", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Does the work on a Ray cluster, by Ray Data.

    Where texts are read, every actor loads the model once and is handed shard after shard; the rest is done by tasks.
    No more shards are on their way than workers can take. A worker that dies is begun again, and its shard done anew,
    with the same result. All nodes need nearmiss, and must see the pool, the work folder and the model under the same
    addresses.

    Attributes
    ----------
    address
        Of the cluster, ``host:port`` or ``auto``; None is the one this process is connected to, or that
        ``RAY_ADDRESS`` names, or one on this machine that ends with the work.
    workers
        Shards at once; None is as many as the cluster has room for.
    cpus, gpus
        Of each worker; GPUs only where texts are read.

    Raises
    ------
    InvalidInput
        Fewer workers or CPUs than can be.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if (self.workers is not None and self.workers < 1) or self.cpus < 0 or self.gpus < 0:
            raise InvalidInput(
                f"{self.workers} workers with {self.cpus} CPUs and {self.gpus} GPUs each; take at least one worker"
            )

    def run(self, work: Work, shards: Sequence[Shard]) -> Iterator[Finished]:
        """Do the work on each shard, in the order in which they get done.

        Raises
        ------
        MissingExtra
            Ray is not installed.
        InvalidInput
            No cluster answers at the address, or it has not the CPUs or GPUs that an actor is to have.
        NearmissError
            As `Executor.run`.
        """
        if not shards:
            return
        by_number = {shard.number: shard for shard in shards}
        with self.ready():
            import ray
            import ray.data

            gpus = self.gpus if work.loads_a_model else 0.0
            resources: Any = ray.cluster_resources  # untyped
            room = self._room(resources(), gpus)
            workers = min(len(shards), self.workers or room)
            tasks = ray.data.from_items([asdict(shard) for shard in shards], override_num_blocks=len(shards))
            environment = {"env_vars": handed_on() | _LEAN}
            if work.loads_a_model:
                actor: Any = _Actor  # a class whose objects are called; the types know functions alone
                done = tasks.map(
                    actor,
                    fn_constructor_args=(work,),
                    compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
                    num_cpus=self.cpus,
                    num_gpus=gpus,
                    max_restarts=RETRIES,
                    max_task_retries=RETRIES,
                    runtime_env=environment,
                )
            else:
                done = tasks.map(
                    partial(_done_by_task, ray.put(work)),
                    compute=ray.data.TaskPoolStrategy(size=workers),
                    num_cpus=self.cpus,
                    max_retries=RETRIES,
                    runtime_env=environment,
                )
            try:
                for row in done.iter_rows():
                    if row["failed"]:
                        raise NearmissError(row["failed"])
                    yield Finished(
                        by_number[int(row["number"])], unpacked(row["arrays"]) if row["arrays"] else {}, row["fault"]
                    )
            except ray.exceptions.RayError as error:
                kept = "what is finished is kept, and the same call goes on from there"
                raise NearmissError(f"Ray gave up: {first_line(error)}; {kept}") from error

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Be connected to the cluster; one that is begun here is ended here. Errors as ``run``."""
        joined = join_cluster(None if _is_connected() else self.address, "executor 'ray'", _OBJECT_STORE_BYTES)
        try:
            import ray.data

            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            context.execution_options.preserve_order = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            yield
        finally:
            joined.leave()

    def _room(self, has: Mapping[str, float], gpus: float) -> int:
        """Count the actors that fit in, and refuse what never will."""
        fits = [has.get("CPU", 0) // self.cpus if self.cpus else float("inf")]
        if gpus:
            fits.append(has.get("GPU", 0) // gpus)
        room = min(fits)
        if room < 1:
            raise InvalidInput(
                f"the cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs, and a worker is to have "
                f"{self.cpus:g} and {gpus:g}"
            )
        return int(min(room, 10_000))


class _Actor:
    """Gets ready once, and does the work on each shard that comes."""

    def __init__(self, work: Work) -> None:
        self._do: Callable[[Shard], Arrays] | None = None
        self._failed = ""
        try:
            self._do = work.start()
        except NearmissError as error:
            self._failed = str(error)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return _answer(self._do, row) if self._do else {**_answer(None, row), "failed": self._failed}


def _done_by_task(work: Any, row: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a reference
    import ray

    given: Work = ray.get(work)
    return _answer(given.start(), row)


def _answer(do: Callable[[Shard], Arrays] | None, row: dict[str, Any]) -> dict[str, Any]:
    shard = Shard(**row)
    answer = {"number": shard.number, "arrays": b"", "fault": "", "failed": ""}
    if do is None:
        return answer
    try:
        finished = attempt(do, shard)
    except NearmissError as error:
        return answer | {"failed": str(error)}
    return answer | {"arrays": packed(finished.arrays), "fault": finished.fault}


def _is_connected() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())
