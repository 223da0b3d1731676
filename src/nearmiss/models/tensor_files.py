"""Safetensors files that are whole or absent, mapped into memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from nearmiss.errors import MissingExtra, NearmissError

__all__ = ["PARTIAL", "StoredTensors", "read_tensors", "unusable_cache", "write_tensors"]

#: Ends the name of a file that is being written.
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True, eq=False)
class StoredTensors:
    """A safetensors file's tensors, mapped into memory, and its metadata."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


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
        handle, partial = tempfile.mkstemp(suffix=PARTIAL, dir=path.parent)
        os.close(handle)
        save_file(dict(tensors), partial, metadata=dict(metadata))
        with Path(partial).open("rb+") as file:
            os.fsync(file.fileno())
        Path(partial).replace(path)
    except (OSError, SafetensorError) as error:
        raise unusable_cache(path.parent, error) from error
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


def unusable_cache(folder: Path, error: Exception) -> NearmissError:
    """Put what the disk said into words for the user."""
    return NearmissError(
        f"the cache in {folder} cannot be used ({error}); free some space there, or name another folder with the "
        "environment variable NEARMISS_CACHE_DIR"
    )


def _no_safetensors() -> MissingExtra:
    return MissingExtra("the cache of encoded texts", "transformers", "safetensors")
