"""Work on all shards, once: what is done is kept, and whoever was stopped goes on; a bad shard stops it, or is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn
from zipfile import BadZipFile

from nearmiss.errors import BadShard, InvalidData
from nearmiss.scale.folders import Folder
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.pool import Shard
from nearmiss.scale.work import Arrays, Executor, Finished, Work, packed, unpacked

__all__ = ["Jobs", "Progress", "ShardsLeftOut"]


class ShardsLeftOut(Exception):
    """Shards turned out to be bad: what was worked out with them is to be worked out again without them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is: texts done, of how many."""

    stage: str
    done: int
    total: int


@dataclass(slots=True)
class Jobs:
    """Has work done, and keeps what was found until the selection is over.

    Attributes
    ----------
    executor
        Does it.
    folder
        Holds what was found in each shard; only who hands out the work needs to see it.
    skip_bad
        Whether a shard that cannot be read is left out, or ends everything.
    tell
        Told how far it is.
    faults
        What was wrong with shards that were left out, by number.
    """

    executor: Executor
    folder: Folder
    skip_bad: bool = False
    tell: Callable[[Progress], None] = lambda progress: None
    faults: dict[int, str] = field(default_factory=dict)

    def carry_out(self, stage: str, work: Work, shards: tuple[Shard, ...], *, keep: bool = True) -> list[Arrays]:
        """Do the work on each shard, and give what was found in their order.

        Parameters
        ----------
        keep
            Whether to keep what is found; not where the work itself knows what it has done.

        Raises
        ------
        BadShard
            A shard cannot be read, and none may be left out.
        ShardsLeftOut
            Shards cannot be read, and are left out from now on; the others are done.
        NearmissError
            A model cannot be loaded, the disk is full ...
        """
        identity = work.identity
        wanted = list(shards)
        found: dict[int, Arrays] = {}
        for shard in wanted:
            if keep and (kept := self._kept(identity, shard)) is not None:
                found[shard.number] = kept
        total = sum(shard.rows for shard in wanted)
        done = sum(shard.rows for shard in wanted if shard.number in found)
        self.tell(Progress(stage, done, total))
        for finished in self.executor.run(work, [shard for shard in wanted if shard.number not in found]):
            done += finished.shard.rows
            if self._is_sound(finished):
                if keep:
                    self._keep(identity, finished)
                found[finished.shard.number] = finished.arrays
            self.tell(Progress(stage, done, total))
        if len(found) < len(wanted):
            raise ShardsLeftOut
        return [found[number] for number in sorted(found)]

    def sound(self, shards: tuple[Shard, ...]) -> tuple[Shard, ...]:
        """Leave out the shards that turned out to be bad.

        Raises
        ------
        InvalidData
            All did.
        """
        found = tuple(shard for shard in shards if shard.number not in self.faults)
        if not found:
            raise InvalidData(f"no shard can be read. The first: {next(iter(self.faults.values()))}")
        return found

    def forget(self) -> None:
        """Remove what was kept: the selection is over."""
        self.folder.remove()

    def _is_sound(self, finished: Finished) -> bool:
        if not finished.fault:
            return True
        if not self.skip_bad:
            mend = "Mend or remove it; or leave out what cannot be read: --on-bad-shard skip"
            raise BadShard(f"{finished.fault}. {mend}")
        self.faults[finished.shard.number] = finished.fault
        return False

    def leave_out(self, shard: Shard, fault: BadShard) -> NoReturn:
        """Leave out a shard that was found to be bad elsewhere.

        Raises
        ------
        BadShard
            None may be left out.
        ShardsLeftOut
            It is.
        """
        self._is_sound(Finished(shard, fault=str(fault)))
        raise ShardsLeftOut from fault

    def _name(self, identity: str, shard: Shard) -> str:
        return f"{hash_of(identity, repr(shard))}.npz"

    def _keep(self, identity: str, finished: Finished) -> None:
        content = packed(finished.arrays)
        self.folder.write(self._name(identity, finished.shard), lambda file: file.write(content))

    def _kept(self, identity: str, shard: Shard) -> Arrays | None:
        try:
            content = self.folder.read(self._name(identity, shard))
        except OSError:
            return None
        try:
            return unpacked(content)
        except (ValueError, KeyError, EOFError, OSError, BadZipFile):
            return None  # cut off, by whatever ended the machine
