"""Folders here or far away: a path, or any address that fsspec knows, behind the few things that shards need."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from nearmiss.errors import InvalidData, InvalidInput, NearmissError

__all__ = ["FileFacts", "Folder", "absolute"]

#: What file systems tell of a file that changes with it.
_VERSIONS = ("mtime", "ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "created")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of a folder.

    Attributes
    ----------
    name, size
        Within the folder, and in bytes.
    version
        Changes when the file does, as far as the file system tells: its time, or its ETag.
    """

    name: str
    size: int
    version: str = ""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder by its address, which is all that travels to other processes.

    Attributes
    ----------
    address
        A path, or ``s3://bucket/key``, ``gs://``, ``hdfs://`` ...: what fsspec opens.

    Examples
    --------
    >>> folder = Folder("memory://example")
    >>> folder.write("a.txt", lambda file: file.write(b"one"))
    >>> folder.read("a.txt"), len(folder.files(".txt"))
    (b'one', 1)
    """

    address: str

    def files(self, *suffixes: str) -> tuple[FileFacts, ...]:
        """List the files that end so, here and in folders below, by name; what begins with a dot or _ is left out.

        Raises
        ------
        InvalidInput
            There is no such folder.
        """
        system, root = self._opened()
        try:
            if not system.isdir(root):
                raise InvalidInput(f"{self.address}: no such folder")
            found = system.find(root, detail=True)
        except (OSError, ImportError, ValueError) as error:
            raise InvalidInput(f"{self.address}: cannot be listed: {error}") from error
        listed = []
        for path, facts in found.items():
            name = os.path.relpath(path, root).replace(os.sep, "/")
            if name.endswith(suffixes) and not any(part.startswith((".", "_")) for part in name.split("/")):
                version = "".join(str(facts[key]) for key in _VERSIONS if key in facts)
                listed.append(FileFacts(name, int(facts["size"]), version))
        return tuple(sorted(listed, key=lambda file: file.name))

    def exists(self, name: str) -> bool:
        """Say whether there is such a file."""
        system, root = self._opened()
        return bool(system.exists(f"{root}/{name}"))

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading, anywhere in it.

        Raises
        ------
        OSError
            It is not there, or cannot be read.
        """
        system, root = self._opened()
        return cast("BinaryIO", system.open(f"{root}/{name}", "rb"))

    def read(self, name: str) -> bytes:
        """Read a small file whole; errors as ``open``."""
        with self.open(name) as file:
            return file.read()

    def write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        """Write a file that is whole or not there: under another name, and renamed once it is on the disk.

        Raises
        ------
        InvalidData
            The disk is full, or refuses.
        """
        system, root = self._opened()
        target = f"{root}/{name}"
        folder, _, last = target.rpartition("/")
        partial = f"{folder}/.{last}.{secrets.token_hex(6)}.part"
        try:
            system.makedirs(folder, exist_ok=True)
            try:
                with system.open(partial, "wb") as file:
                    write(file)
                    if isinstance(system, LocalFileSystem):
                        file.flush()
                        os.fsync(file.fileno())
                system.mv(partial, target)
            except BaseException:
                with suppress(OSError):
                    system.rm_file(partial)
                raise
        except OSError as error:
            raise InvalidData(
                f"{self.address}/{name} cannot be written: {error.strerror or error}; make room, or name another place"
            ) from error

    def is_there(self) -> bool:
        """Say whether there is such a folder."""
        system, root = self._opened()
        return bool(system.isdir(root))

    def remove_file(self, name: str) -> None:
        """Remove a file; one that is not there is no matter."""
        system, root = self._opened()
        with suppress(OSError):
            system.rm_file(f"{root}/{name}")

    def remove(self) -> None:
        """Remove the folder and all that is in it; one that is not there is no matter."""
        system, root = self._opened()
        with suppress(FileNotFoundError):
            system.rm(root, recursive=True)

    def below(self, name: str) -> Folder:
        """Name a folder in this one."""
        return Folder(f"{self.address.rstrip('/')}/{name}")

    def _opened(self) -> tuple[Any, str]:
        try:
            system, root = fsspec.core.url_to_fs(absolute(self.address))
        except (ImportError, ValueError) as error:  # no such protocol, or its package is missing
            raise NearmissError(f"{self.address}: {error}") from error
        return system, str(root).rstrip("/")


def absolute(address: str) -> str:
    """Give the address that is good in every process: a path from the root, or what it was.

    Examples
    --------
    >>> absolute("s3://bucket/pool")
    's3://bucket/pool'
    >>> absolute("pool") == str(Path.cwd() / "pool")
    True
    """
    return address if "://" in address else str(Path(address).expanduser().absolute())
