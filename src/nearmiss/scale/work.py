"""The work on one shard, and who carries it out: here, one shard after another, without any engine."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nearmiss.errors import BadShard
from nearmiss.scale.pool import Shard

__all__ = ["Arrays", "Executor", "Finished", "StreamingExecutor", "Work", "attempt", "packed", "unpacked"]

#: What is found in a shard: small arrays by name, of plain numbers, so that no pickle is ever read back.
Arrays = Mapping[str, npt.NDArray[Any]]


class Work(Protocol):
    """What is to be done with each shard; it travels to whoever does it."""

    @property
    def loads_a_model(self) -> bool:
        """Whether getting ready takes long: then whoever has done it does many shards."""
        ...

    @property
    def identity(self) -> str:
        """What its results depend on besides the shard: two works of one identity find the same."""
        ...

    def start(self) -> Callable[[Shard], Arrays]:
        """Get ready, once a process (load a model), and give what is done with a shard.

        That raises `BadShard` where the shard is at fault.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A shard that is done.

    Attributes
    ----------
    shard
        Which.
    arrays
        What was found in it.
    fault
        Why it could not be read; empty where it could.
    """

    shard: Shard
    arrays: Arrays = field(default_factory=dict)
    fault: str = ""


class Executor(Protocol):
    """Carries out the work on many shards."""

    def ready(self) -> AbstractContextManager[None]:
        """Be ready for several works, one after another."""
        ...

    def run(self, work: Work, shards: Sequence[Shard]) -> Iterator[Finished]:
        """Do the work on each, and give each as it is done, in any order.

        Raises
        ------
        NearmissError
            Something other than a shard is at fault: a model cannot be loaded, the disk is full ...
        """
        ...


def attempt(do: Callable[[Shard], Arrays], shard: Shard) -> Finished:
    """Do the work on one shard; one that cannot be read is an answer too."""
    try:
        return Finished(shard, do(shard))
    except BadShard as error:
        return Finished(shard, fault=str(error))


@dataclass(frozen=True, slots=True)
class StreamingExecutor:
    """Does the work here, one shard after another; each is read as a stream.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Count:
    ...     identity: str = "count"
    ...     loads_a_model: bool = False
    ...     def start(self):
    ...         return lambda shard: {"rows": np.array([shard.rows])}
    >>> [done.arrays["rows"].item() for done in StreamingExecutor().run(Count(), [Shard(0, "a", 3, 0)])]
    [3]
    """

    def ready(self) -> AbstractContextManager[None]:
        """There is nothing to get ready."""
        return nullcontext()

    def run(self, work: Work, shards: Sequence[Shard]) -> Iterator[Finished]:
        """Do the work on each shard, in order; errors as `Executor.run`."""
        if not shards:
            return
        do = work.start()
        for shard in shards:
            yield attempt(do, shard)


def packed(arrays: Arrays) -> bytes:
    """Write arrays as bytes, without any pickle.

    Examples
    --------
    >>> unpacked(packed({"a": np.arange(3)}))["a"]
    array([0, 1, 2])
    """
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **arrays)
    return written.getvalue()


def unpacked(content: bytes) -> Arrays:
    """Read what ``packed`` wrote."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
