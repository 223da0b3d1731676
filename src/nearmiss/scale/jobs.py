"""Work on all shards, once: what is done is kept, and whoever was stopped goes on; a bad shard stops it, or is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from zipfile import BadZipFile

from nearmiss.errors import BadShard, InvalidData
from nearmiss.scale.folders import Folder
from nearmiss.scale.hashes import hash_of
from nearmiss.scale.pool import Shard
from nearmiss.scale.work import Arrays, Executor, Finished, Work, packed, unpacked

__all__ = ["Jobs", "Progress"]


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

    def carry_out(self, stage: str, work: Work, shards: tuple[Shard, ...]) -> list[Arrays]:
        """Do the work on each shard, and give what was found in their order; bad ones are left out.

        Raises
        ------
        BadShard
            A shard cannot be read, and none may be left out.
        NearmissError
            A model cannot be loaded, the disk is full ...
        """
        identity = work.identity
        wanted = [shard for shard in shards if shard.number not in self.faults]
        found: dict[int, Arrays] = {}
        for shard in wanted:
            if (kept := self._kept(identity, shard)) is not None:
                found[shard.number] = kept
        total = sum(shard.rows for shard in wanted)
        done = sum(shard.rows for shard in wanted if shard.number in found)
        self.tell(Progress(stage, done, total))
        for finished in self.executor.run(work, [shard for shard in wanted if shard.number not in found]):
            done += finished.shard.rows
            if self._is_sound(finished):
                self._keep(identity, finished)
                found[finished.shard.number] = finished.arrays
            self.tell(Progress(stage, done, total))
        if wanted and not found:
            raise InvalidData(f"no shard can be read. The first: {next(iter(self.faults.values()))}")
        return [found[number] for number in sorted(found)]

    def sound(self, shards: tuple[Shard, ...]) -> tuple[Shard, ...]:
        """Leave out the shards that turned out to be bad."""
        return tuple(shard for shard in shards if shard.number not in self.faults)

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
