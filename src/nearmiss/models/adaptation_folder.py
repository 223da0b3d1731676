"""The folder of one adaptation: what it stands on, where it was when last saved, and the finished model.

::

    OUT/
        config.json, model.safetensors, tokenizer ...   the finished model, an ordinary Hugging Face folder
        README.md                                       its card
        adaptation.json                                 what was done and how well; the mark that all is whole
        unfinished/                                     until then
            adaptation.json                             what the adaptation stands on
            state.safetensors                           weights, the optimiser's moments, the step
            lock                                        held while a process writes here

Every file is written under another name, flushed to the disk and then renamed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from torch import Tensor

from nearmiss.errors import NearmissError, RunConflict
from nearmiss.models.tensor_files import StoredTensors, read_tensors

__all__ = ["MARKER", "AdaptationFolder", "Fact"]

#: The file that says what was adapted to what; beside the model it is also the mark that the folder is whole.
MARKER = "adaptation.json"
_STATE_FORMAT = "nearmiss-adaptation-1"

Fact = str | int | float | None


@dataclass(slots=True)
class AdaptationFolder:
    """One adaptation's place on disk, locked while the ``with`` block lasts.

    Parameters
    ----------
    path
        The folder; made when it does not exist.
    ground
        Everything the result depends on: an adaptation begun on other ground is refused, not continued.

    Raises
    ------
    RunConflict
        The folder holds another adaptation or other files, or another process is writing there.
    NearmissError
        It cannot be made or written.
    """

    path: Path
    ground: Mapping[str, Fact]
    _lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        with self._disk_named():
            self._require_free()
            self._unfinished.mkdir(parents=True, exist_ok=True)
            self._lock = (self._unfinished / "lock").open("ab")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.close()
                raise RunConflict(
                    f"another process is adapting a model in {self.path}; wait for it, or choose another folder"
                ) from None
            try:
                self._require_same_ground()
                if not (self.path / MARKER).exists():
                    self._write_json(self._unfinished / MARKER, {"ground": dict(self.ground)})
            except BaseException:
                self._lock.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self.path / MARKER).exists():
            shutil.rmtree(self._unfinished, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def report(self) -> dict[str, Fact] | None:
        """Give what the finished adaptation reported; None while it is not finished."""
        found = _read_json(self.path / MARKER)
        return None if found is None else found["report"]

    def state(self) -> StoredTensors | None:
        """Give the last state that was saved; None before the first."""
        return read_tensors(self._unfinished / "state.safetensors", {"format": _STATE_FORMAT})

    def save_state(self, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
        """Save a state in place of the last one.

        Raises
        ------
        NearmissError
            The disk is full; the last state is still there.
        """
        from safetensors.torch import save_file

        path = self._unfinished / "state.safetensors"
        with self._disk_named():
            _write_whole(path, lambda at: save_file(dict(tensors), at, metadata={"format": _STATE_FORMAT, **facts}))

    def finish(self, save: Callable[[Path], None], report: Mapping[str, Fact]) -> None:
        """Write the finished model; the configuration comes last but for the mark, so that no half of it can be loaded.

        Parameters
        ----------
        save
            Writes the model's files into the folder it is handed.
        report
            What to report, now and whenever the same adaptation is asked for again.

        Raises
        ------
        NearmissError
            The disk is full; no model is there, and the last state still is.
        """
        made = self._unfinished / "model"
        with self._disk_named():
            shutil.rmtree(made, ignore_errors=True)
            try:
                made.mkdir()
                save(made)
                files = sorted(made.iterdir(), key=lambda file: (file.name == "config.json", file.name))
                for file in files:
                    with file.open("rb+") as opened:
                        os.fsync(opened.fileno())
            except BaseException:
                shutil.rmtree(made, ignore_errors=True)
                raise
            for file in files:
                file.replace(self.path / file.name)
            self._write_json(self.path / MARKER, {"ground": dict(self.ground), "report": dict(report)})

    @property
    def _unfinished(self) -> Path:
        return self.path / "unfinished"

    def _require_free(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunConflict(f"{self.path} is a file; choose another folder for the adapted model")
        ours = (self.path / MARKER).exists() or self._unfinished.is_dir()
        if self.path.is_dir() and not ours and any(self.path.iterdir()):
            raise RunConflict(f"{self.path} holds other files; choose another folder for the adapted model")

    def _require_same_ground(self) -> None:
        found = _read_json(self.path / MARKER) or _read_json(self._unfinished / MARKER)
        if found is None:
            return
        begun = found["ground"]
        now = json.loads(json.dumps(dict(self.ground)))
        changed = [f"{name} {begun.get(name)}, now {value}" for name, value in now.items() if begun.get(name) != value]
        if changed:
            raise RunConflict(
                f"{self.path} holds another adaptation ({'; '.join(changed)}); choose another folder, or delete it"
            )

    def _write_json(self, path: Path, content: Mapping[str, Mapping[str, Fact]]) -> None:
        text = json.dumps(content, indent=2) + "\n"
        _write_whole(path, lambda at: at.write_text(text, encoding="utf-8"))

    @contextmanager
    def _disk_named(self) -> Iterator[None]:
        from safetensors import SafetensorError

        try:
            yield
        except (OSError, SafetensorError) as error:
            raise NearmissError(
                f"the adaptation in {self.path} cannot be written ({error}); free some space there, or choose another "
                "folder, and start it again"
            ) from error


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    try:
        write(partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, dict[str, Fact]] | None:
    try:
        found: dict[str, dict[str, Fact]] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RunConflict(f"{path} is damaged ({error}); delete {path.parent} to begin again") from error
    return found
