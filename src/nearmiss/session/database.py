"""The one file behind a project: how it is opened, read and written.

Every change is one transaction, and a transaction that has returned is on the disk (``synchronous=FULL``). Readers see
one moment and never wait for a writer (WAL).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearmiss.errors import InvalidData, InvalidInput, NearmissError
from nearmiss.session.schema import migrate

__all__ = ["Database"]

#: Seconds to wait for another process that is writing.
_PATIENCE = 60.0
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # not NORMAL: in WAL mode only FULL syncs at each commit, and a label is acknowledged after it
    "foreign_keys=ON",
    "recursive_triggers=ON",  # or REPLACE would delete from what is append-only without its triggers noticing
    "trusted_schema=OFF",
)
_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables


class Database:
    """A project's SQLite file; one connection per thread.

    Parameters
    ----------
    path
        The file.
    create
        Whether it may be made; otherwise it must be there.

    Raises
    ------
    InvalidData
        There is no such file, it is no project of ours, or it was written by a newer version.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     database = Database(Path(folder, "project.db"), create=True)
    ...     with database.writing() as connection:
    ...         _ = connection.execute("INSERT INTO request VALUES ('train', 1)")
    ...     with database.reading() as connection:
    ...         print(connection.execute("SELECT value FROM request").fetchone()[0])
    ...     database.close()
    1
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            needed = ".".join(map(str, _OLDEST_SQLITE))
            raise NearmissError(
                f"this Python brings SQLite {sqlite3.sqlite_version}, and a project needs {needed} or newer; "
                "use a newer build of Python"
            )
        if not create and not path.is_file():
            raise InvalidData(f"{path.parent} holds no project (no {path.name}); make one with: nearmiss label FILE")
        self.path = path
        self._local = threading.local()
        self._lock = threading.RLock()  # writers of one process take turns here, and never spin on SQLite's lock
        self._open: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._connection()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read within one moment: nothing that others write meanwhile is seen.

        Raises
        ------
        NearmissError
            The file cannot be read.
        """
        connection = self._connection()
        if connection.in_transaction:  # within a transaction of this thread: its own moment
            yield connection
            return
        with self._told():
            self._local.writes = False
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Change things: all of them or none, and on the disk when this returns.

        Raises
        ------
        NearmissError
            The disk is full, the file cannot be written, or another process keeps it locked.
        """
        connection = self._connection()
        if connection.in_transaction:  # part of a larger change
            if not self._local.writes:
                raise RuntimeError("a change was begun inside reading(), whose end would undo it")
            yield connection
            return
        with self._lock, self._told():
            self._local.writes = True
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def changes(self) -> int:
        """Give a number that moves when another connection has changed the file."""
        with self._told():
            return int(self._connection().execute("PRAGMA data_version").fetchone()[0])

    def problems(self) -> tuple[str, ...]:
        """List what SQLite's own integrity check finds; nothing when the file is sound."""
        with self._told():
            connection = self._connection()
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            found += [f"foreign key: {tuple(row)}" for row in connection.execute("PRAGMA foreign_key_check")]
        return tuple(problem for problem in found if problem != "ok")

    def close(self) -> None:
        """Close every connection; the write-ahead log is folded into the file by the last one."""
        with self._lock:
            for _, connection in self._open:
                connection.close()
            self._open.clear()
            self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        known: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if known is not None:
            return known
        with self._told():
            connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            migrate(connection, str(self.path))
        self._local.connection = connection
        with self._lock:
            for thread, left in self._open:  # a server's threads come and go
                if not thread.is_alive():
                    left.close()
            self._open = [(thread, kept) for thread, kept in self._open if thread.is_alive()]
            self._open.append((threading.current_thread(), connection))
        return connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise NearmissError(f"{self.path}: {error}; {_mend(str(error))}") from error
        except UnicodeEncodeError as error:
            raise InvalidInput("the words hold half a character (a lone surrogate); leave it out") from error
        except UnicodeDecodeError as error:  # a text, or SQLite's own message that quotes one
            raise InvalidData(
                f"{self.path} is damaged: it holds text that is none ({error}); restore it from a copy"
            ) from error
        except OverflowError as error:
            raise InvalidInput("a number is far beyond any that is in use; check it") from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                raise
            raise InvalidData(f"{self.path} is damaged or no project ({error}); restore it from a copy") from error


def _mend(message: str) -> str:
    if "full" in message:
        return "the disk is full: free some space and try again; everything saved before is safe"
    if "locked" in message:
        return "another program keeps the file locked: close it and try again"
    return "check that the disk can be read and written"
