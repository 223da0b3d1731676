"""Keep what an encoder said about each text on disk, so that it is computed once per model, not once per round.

A store is a folder of safetensors files ("shards"), each with the rows of up to about a thousand texts::

    <directory>/<key>/<hash of the texts' digests>.safetensors
        digests  (n, 16)    uint8    which texts
        offsets  (n + 1,)   int64    text i owns rows offsets[i] to offsets[i + 1] of values
        values   (rows, d)           bfloat16 or float32

A shard is written under another name, flushed to the disk and then renamed, so that it is whole or absent. A file in
the folder that is no such shard (damaged, foreign, of another key) counts as absent: its texts are computed again.
Processes may fill one store at the same time; what both computed is stored once. Both reading and filling go from one
shard to the next, and hold in memory no more than that and the result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.errors import NearmissError
from nearmiss.models.tensor_files import PARTIAL, StoredTensors, read_tensors, unusable_cache, write_tensors

__all__ = ["ArrayStore", "RaggedRows", "default_cache_dir"]

_FORMAT = "nearmiss-rows-1"
_SUFFIX = ".safetensors"
#: A partial file this old, in seconds, belongs to a process that was killed.
_ABANDONED = 3600.0
#: Stands for the number of a text that is not stored.
_ABSENT = -1


def default_cache_dir() -> Path:
    """Give the folder for caches: the environment variable NEARMISS_CACHE_DIR, else ``~/.cache/nearmiss``."""
    named = os.environ.get("NEARMISS_CACHE_DIR")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "nearmiss"


@dataclass(frozen=True, slots=True, eq=False)
class RaggedRows:
    """Rows of n texts, each with its own number of rows.

    Attributes
    ----------
    rows
        One tensor per text, shape (t_i, d): views of memory-mapped files, read from disk when touched. Do not write.

    Examples
    --------
    >>> RaggedRows((torch.ones(2, 3), torch.ones(1, 3))).lengths
    array([2, 1])
    """

    rows: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Tensor:
        return self.rows[position]

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of rows of each text, shape (n,)."""
        return np.array([len(row) for row in self.rows], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Those of the wanted texts that one shard holds.

    Attributes
    ----------
    positions
        Which of the wanted texts, shape (k,).
    values
        The rows of all texts in the shard, mapped.
    starts, ends
        Which of these rows are each text's, shape (k,).
    """

    positions: npt.NDArray[np.int64]
    values: Tensor
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


class ArrayStore:
    """A folder of rows, keyed by the digests of texts (``Texts.digests``).

    Parameters
    ----------
    directory
        Where stores live; made when it does not exist.
    key
        Hash of the model and of every setting the rows depend on (``Reading.key``): one subfolder each.

    Raises
    ------
    NearmissError
        The folder cannot be made or read.
    MissingExtra
        safetensors is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from nearmiss.text.corpus import Texts
    >>> texts = Texts(("good film", "bad film"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = ArrayStore(Path(folder), "model-and-settings")
    ...     store.add(texts.digests, [torch.ones(2, 4), torch.zeros(1, 4)])
    ...     ArrayStore(Path(folder), "model-and-settings").rows(texts.digests).lengths
    array([2, 1])
    """

    def __init__(self, directory: Path, key: str) -> None:
        self.folder = directory / key
        self.key = key
        self._begin()

    def missing(self, digests: Sequence[str]) -> npt.NDArray[np.int64]:
        """Give the positions of the texts that are not stored yet; of equal texts only the first."""
        absent = np.flatnonzero(self._numbers_of(digests) == _ABSENT)
        first: dict[str, int] = {}
        for position in absent.tolist():
            first.setdefault(digests[position], position)
        return np.array(list(first.values()), dtype=np.int64)

    def add(self, digests: Sequence[str], rows: Sequence[Tensor]) -> None:
        """Store the rows of these texts as one shard, all or none.

        Parameters
        ----------
        rows
            One tensor per text, shape (t_i, d), all of one type and width.

        Raises
        ------
        NearmissError
            The disk is full or the folder cannot be written; nothing half-written is left behind.
        """
        if not digests:
            return
        name = blake2b("".join(digests).encode(), digest_size=16).hexdigest() + _SUFFIX
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
        tensors = {
            "digests": torch.frombuffer(bytearray.fromhex("".join(digests)), dtype=torch.uint8).view(len(digests), -1),
            "offsets": torch.from_numpy(offsets),
            "values": torch.cat([row.detach().cpu() for row in rows]).contiguous(),
        }
        write_tensors(self.folder / name, tensors, {"format": _FORMAT, "key": self.key})
        # Noted, not mapped: a mapping's few small objects would outlive the large buffers freed around them and keep
        # the allocator from filling their room again, until a long fill held as much as it had written.
        self._register(name, digests)

    def fill(
        self,
        digests: Sequence[str],
        compute: Callable[[npt.NDArray[np.int64]], Sequence[Tensor]],
        *,
        shard_size: int = 1000,
    ) -> None:
        """Compute and store what is missing, one shard after another; an interrupted call goes on where it stopped.

        The shards are cut at fixed places of the list, whatever is stored already: a run that was killed computes the
        rest in the same groups as one that was not, and gets the same bits even where a row depends on its group.

        Parameters
        ----------
        compute
            Takes positions in ``digests`` and gives their rows, in that order.
        shard_size
            Texts a shard at most.
        """
        for start in range(0, len(digests), shard_size):
            part = digests[start : start + shard_size]
            positions = self.missing(part)
            if len(positions):
                self.add([part[int(p)] for p in positions], compute(positions + start))

    def rows(self, digests: Sequence[str]) -> RaggedRows:
        """Give the rows of these texts, memory-mapped.

        Raises
        ------
        NearmissError
            Some are not stored.
        """
        rows: list[Tensor] = [torch.empty(0)] * len(digests)
        for part in self._parts(digests):
            places = zip(part.positions.tolist(), part.starts.tolist(), part.ends.tolist(), strict=True)
            for position, start, end in places:
                rows[position] = part.values[start:end]
        return RaggedRows(tuple(rows))

    def dense(self, digests: Sequence[str]) -> npt.NDArray[np.float32]:
        """Give the rows of texts that have one row each, as an array of shape (n, d), float32.

        Raises
        ------
        NearmissError
            Some are not stored, or have more or fewer rows than one.
        """
        found = np.empty((0, 0), dtype=np.float32)
        for part in self._parts(digests):
            if (part.ends - part.starts != 1).any():
                raise NearmissError(f"{self.folder} holds several rows a text; read it with rows(), not dense()")
            values = part.values.float().numpy()  # no copy of what is float32 already
            if not len(found):
                found = np.empty((len(digests), values.shape[1]), dtype=np.float32)
            found[part.positions] = values[part.starts]
        return found

    def _parts(self, digests: Sequence[str]) -> Iterator[_Part]:
        """Map the shards that hold these texts, each once, one after another; none stays mapped that is let go."""
        numbers = self._located(digests)
        names, firsts = list(self._firsts), np.array(list(self._firsts.values()), dtype=np.int64)
        holders = np.searchsorted(firsts, numbers, side="right") - 1
        order = np.argsort(holders, kind="stable")
        for positions in np.split(order, np.flatnonzero(np.diff(holders[order])) + 1):
            if not len(positions):  # no texts were asked for
                return
            holder = holders[positions[0]]
            stored = self._mapped(names[holder])
            texts, offsets = numbers[positions] - firsts[holder], stored.tensors["offsets"].numpy()
            yield _Part(positions, stored.tensors["values"], offsets[texts], offsets[texts + 1])

    def _mapped(self, name: str) -> StoredTensors:
        stored = _read_shard(self.folder / name, self.key)
        if stored is None:
            self._begin()
            raise NearmissError(
                f"{self.folder / name} was removed or damaged while it was in use; do the same again, and what it held "
                "is computed anew"
            )
        return stored

    def _begin(self) -> None:
        """Learn what the folder holds, forgetting what was known of it."""
        self._firsts: dict[str, int] = {}  # shards by name: the number of their first text, counted through all
        self._numbers: dict[str, int] = {}  # texts by digest
        self._size = 0
        self._refused: dict[str, tuple[int, int]] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
        except OSError as error:
            raise unusable_cache(self.folder, error) from error
        self._refresh()

    def _located(self, digests: Sequence[str]) -> npt.NDArray[np.int64]:
        """Give the number of each text, refusing those that are not stored."""
        numbers = self._numbers_of(digests)
        absent = int((numbers == _ABSENT).sum())
        if absent:
            raise NearmissError(f"{absent} of {len(digests)} texts are not stored in {self.folder}; fill it first")
        return numbers

    def _numbers_of(self, digests: Sequence[str]) -> npt.NDArray[np.int64]:
        """Give the number of each text, looking at the disk for those that are not known yet."""
        numbers = self._known_numbers(digests)
        if (numbers == _ABSENT).any():
            if self.folder.is_dir():
                self._refresh()
            else:  # removed while it was in use
                self._begin()
            numbers = self._known_numbers(digests)
        return numbers

    def _known_numbers(self, digests: Sequence[str]) -> npt.NDArray[np.int64]:
        return np.fromiter(map(self._numbers.get, digests, repeat(_ABSENT)), np.int64, len(digests))

    def _refresh(self) -> None:
        """Learn which texts the shards hold that are new; a shard that is whole never changes."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.folder) if _is_shard(entry))
            for name in names:
                if name not in self._firsts:
                    self._look_into(name)
        except OSError as error:
            raise unusable_cache(self.folder, error) from error

    def _look_into(self, name: str) -> None:
        path = self.folder / name
        status = path.stat()
        identity = (status.st_ino, status.st_mtime_ns)
        if self._refused.get(name) == identity:
            return
        stored = _read_shard(path, self.key)
        if stored is None:
            self._refused[name] = identity
        else:
            self._register(name, _hex_digests(stored.tensors["digests"]))

    def _register(self, name: str, digests: Sequence[str]) -> None:
        if name in self._firsts:  # another process stored the same texts, and they have been found
            return
        self._firsts[name] = self._size
        for number, digest in enumerate(digests, start=self._size):
            self._numbers.setdefault(digest, number)
        self._size += len(digests)

    def _sweep(self) -> None:
        for path in self.folder.glob(f"*{PARTIAL}"):
            try:
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()
            except FileNotFoundError:  # another process finished it or swept it
                continue


def _is_shard(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(_SUFFIX) and entry.is_file()


def _read_shard(path: Path, key: str) -> StoredTensors | None:
    stored = read_tensors(path, {"format": _FORMAT, "key": key})
    if stored is None or set(stored.tensors) != {"digests", "offsets", "values"}:
        return None
    digests, offsets, values = (stored.tensors[name] for name in ("digests", "offsets", "values"))
    if offsets.shape != (len(digests) + 1,) or int(offsets[-1]) != len(values):
        return None
    return stored


def _hex_digests(digests: Tensor) -> list[str]:
    """Spell the rows of a shard's digests, shape (n, 16), as ``Texts.digests`` does."""
    spelled, width = digests.numpy().tobytes().hex(), 2 * digests.shape[1]
    return [spelled[start : start + width] for start in range(0, len(spelled), width)]
