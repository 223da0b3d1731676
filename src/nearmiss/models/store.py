"""Keep what an encoder said about each text on disk, so that it is computed once per model, not once per round.

A store is a folder of safetensors files ("shards"), each with the rows of up to about a thousand texts::

    <directory>/<key>/<hash of the texts' digests>.safetensors
        digests  (n, 16)    uint8    which texts
        offsets  (n + 1,)   int64    text i owns rows offsets[i] to offsets[i + 1] of values
        values   (rows, d)           bfloat16 or float32

A shard is written under another name, flushed to the disk and then renamed, so that it is whole or absent. A file in
the folder that is no such shard (damaged, foreign, of another key) counts as absent: its texts are computed again.
Processes may fill one store at the same time; what both computed is stored once. Reading maps the files into memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.errors import MissingExtra, NearmissError

__all__ = [
    "ArrayStore",
    "RaggedRows",
    "StoredTensors",
    "default_cache_dir",
    "read_tensors",
    "write_tensors",
]

_FORMAT = "nearmiss-rows-1"
_SUFFIX = ".safetensors"
_PARTIAL = ".partial"
#: A partial file this old, in seconds, belongs to a process that was killed.
_ABANDONED = 3600.0


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
class StoredTensors:
    """A safetensors file's tensors, mapped into memory, and its metadata."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Shard:
    values: Tensor
    offsets: npt.NDArray[np.int64]
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    shard: int
    row: int


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
        self._shards: list[_Shard] = []
        self._places: dict[str, _Place] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
        except OSError as error:
            raise _no_cache(self.folder, error) from error
        self._refresh()

    def missing(self, digests: Sequence[str]) -> npt.NDArray[np.int64]:
        """Give the positions of the texts that are not stored yet; of equal texts only the first."""
        self._refresh()
        first = {digest: position for position, digest in reversed(list(enumerate(digests)))}
        absent = sorted(position for digest, position in first.items() if digest not in self._places)
        return np.array(absent, dtype=np.int64)

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
        self._refresh()

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
        return RaggedRows(tuple(self._row(place) for place in self._located(digests)))

    def dense(self, digests: Sequence[str]) -> npt.NDArray[np.float32]:
        """Give the rows of texts that have one row each, as an array of shape (n, d), float32.

        Raises
        ------
        NearmissError
            Some are not stored, or have more or fewer rows than one.
        """
        rows = [self._row(place) for place in self._located(digests)]
        if any(len(row) != 1 for row in rows):
            raise NearmissError(f"{self.folder} holds several rows a text; read it with rows(), not dense()")
        if not rows:
            return np.empty((0, 0), dtype=np.float32)
        return torch.cat(rows).float().numpy()

    def _located(self, digests: Sequence[str]) -> list[_Place]:
        if any(digest not in self._places for digest in digests):
            self._refresh()
        absent = sum(digest not in self._places for digest in digests)
        if absent:
            raise NearmissError(f"{absent} of {len(digests)} texts are not stored in {self.folder}; fill it first")
        return [self._places[digest] for digest in digests]

    def _row(self, place: _Place) -> Tensor:
        shard = self._shards[place.shard]
        return shard.values[int(shard.offsets[place.row]) : int(shard.offsets[place.row + 1])]

    def _refresh(self) -> None:
        try:
            files = sorted((entry.name, entry.stat()) for entry in os.scandir(self.folder) if _is_shard(entry))
        except OSError as error:
            raise _no_cache(self.folder, error) from error
        for name, status in files:
            identity = (status.st_ino, status.st_mtime_ns)
            if self._seen.get(name) == identity:
                continue
            self._seen[name] = identity
            shard = _read_shard(self.folder / name, self.key)
            if shard is None:
                continue
            self._shards.append(shard)
            for row, digest in enumerate(shard.digests):
                self._places.setdefault(digest, _Place(len(self._shards) - 1, row))

    def _sweep(self) -> None:
        for path in self.folder.glob(f"*{_PARTIAL}"):
            try:
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()
            except FileNotFoundError:  # another process finished it or swept it
                continue


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file that is whole or absent, whatever happens meanwhile.

    Raises
    ------
    NearmissError
        The disk is full or the folder cannot be written; nothing half-written is left behind.
    MissingExtra
        safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import save_file
    except ImportError as error:
        raise _no_safetensors() from error
    partial = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(suffix=_PARTIAL, dir=path.parent)
        os.close(handle)
        save_file(dict(tensors), partial, metadata=dict(metadata))
        with Path(partial).open("rb+") as file:
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except (OSError, SafetensorError) as error:
        raise _no_cache(path.parent, error) from error
    finally:
        if partial:
            Path(partial).unlink(missing_ok=True)


def read_tensors(path: Path, metadata: Mapping[str, str]) -> StoredTensors | None:
    """Map a safetensors file into memory; None when there is none that is whole and bears this metadata.

    Raises
    ------
    MissingExtra
        safetensors is not installed.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise _no_safetensors() from error
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
            if any(found.get(name) != value for name, value in metadata.items()):
                return None
            names = file.keys()
            return StoredTensors({name: file.get_tensor(name) for name in names}, found)
    except (OSError, SafetensorError):
        return None


def _is_shard(entry: os.DirEntry[str]) -> bool:
    return entry.name.endswith(_SUFFIX) and entry.is_file()


def _read_shard(path: Path, key: str) -> _Shard | None:
    stored = read_tensors(path, {"format": _FORMAT, "key": key})
    if stored is None or set(stored.tensors) != {"digests", "offsets", "values"}:
        return None
    digests, offsets, values = (stored.tensors[name] for name in ("digests", "offsets", "values"))
    names = tuple(bytes(row).hex() for row in digests.numpy())
    if offsets.shape != (len(names) + 1,) or int(offsets[-1]) != len(values):
        return None
    return _Shard(values, offsets.numpy(), names)


def _no_safetensors() -> MissingExtra:
    return MissingExtra("the cache of encoded texts", "transformers", "safetensors")


def _no_cache(folder: Path, error: Exception) -> NearmissError:
    return NearmissError(
        f"the cache in {folder} cannot be used ({error}); free some space there, or name another folder with the "
        "environment variable NEARMISS_CACHE_DIR"
    )
