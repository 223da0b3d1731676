"""The diary of one run: append-only, safe against being killed at any moment, finished by a marker written last.

::

    runs/cal-0-1f3a5c7e9b2d/
        run.json        which data the run stands on; a resumed run must find the same
        rounds.jsonl    one round a line: what must be identical to the bit however often the run was interrupted
        timings.jsonl   what each round cost; written before its round, so that every round has its timing
        done.json       the marker: without it the run is unfinished
        failure.json    why the last attempt failed, until one succeeds
        lock            held while a process writes here
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

from nearmiss.errors import InvalidData, RunConflict
from nearmiss.experiment.records import RoundRecord, RoundTiming, RunResult
from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = [
    "FinishedRun",
    "RunFacts",
    "RunJournal",
    "read_facts",
    "read_finished",
    "read_lines",
    "require_same_ground",
    "run_directory",
    "take_lock",
    "write_atomically",
]

_Record = TypeVar("_Record")
#: A worker whose parent was killed needs a moment to notice and let go of its run.
_LOCK_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run stands on.

    Attributes
    ----------
    data_digest
        Hash of the texts and labels used.
    pool_size, test_size
        Rows used.
    notes
        Sentences a reader of the results must know.
    encoder
        Fingerprint of the pretrained encoder's files; None where the classifier has none.
    precision
        Of the encoder's numbers, as resolved on this machine.
    validation_size
        Labelled texts beside the pool's that training looks at.
    """

    data_digest: str
    pool_size: int
    test_size: int
    notes: tuple[str, ...] = ()
    encoder: str | None = None
    precision: str | None = None
    validation_size: int = 0

    def require_same(self, begun: RunFacts, directory: Path) -> None:
        """Refuse to go on here with a run that was begun on other ground.

        Raises
        ------
        RunConflict
            Data, encoder or precision differ; says which.
        """
        changes = []
        if begun.data_digest != self.data_digest:
            changes.append(
                f"other data ({begun.pool_size} pool and {begun.test_size} test texts, now {self.pool_size} and "
                f"{self.test_size})"
            )
        if begun.encoder != self.encoder:
            changes.append(f"another encoder (fingerprint {begun.encoder}, now {self.encoder})")
        if begun.precision != self.precision:
            changes.append(f"another precision ({begun.precision}, now {self.precision})")
        if changes:
            raise RunConflict(f"{directory} was begun on {' and '.join(changes)}; choose another --out, or delete it")


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A complete run as read from disk."""

    result: RunResult
    facts: RunFacts


def run_directory(out: Path, spec: ExperimentSpec, key: RunKey) -> Path:
    """Name the directory of a run: readable first, then the hash of all that defines its results.

    Examples
    --------
    >>> spec = ExperimentSpec("imdb", ("cal:k=5",))
    >>> run_directory(Path("out"), spec, RunKey("cal:k=5", 3)).name.rpartition("-")[0]
    'cal-k-5-3'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", key.strategy.lower()).strip("-")[:60]
    return out / "runs" / f"{slug}-{key.seed}-{spec.run_hash(key)}"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file that is either whole or not there, and on the disk when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_directory(path.parent)


def read_finished(directory: Path, key: RunKey) -> FinishedRun | None:
    """Read a run that is done, or give None for one that is not.

    Raises
    ------
    InvalidData
        The run is marked as done, yet its files do not say so.
    """
    marker = _read_json(directory / "done.json")
    if marker is None:
        return None
    facts = read_facts(directory)
    rounds = _read_rounds(directory / "rounds.jsonl").rounds
    if facts is None or not rounds or len(rounds) != marker.get("rounds"):
        raise InvalidData(f"{directory} is marked as done but holds {len(rounds)} rounds; delete it to run it again")
    timings = _read_timings(directory / "timings.jsonl", len(rounds))
    return FinishedRun(RunResult(key, rounds, timings), facts)


def require_same_ground(out: Path, facts: RunFacts) -> None:
    """Refuse results that would stand beside runs of other data: strategies are compared run by run.

    Raises
    ------
    RunConflict
        A run or a training in this directory was made on other data, or with another encoder or precision; says which.
    """
    for path in sorted((*out.glob("runs/*/rounds.jsonl"), *out.glob("full/*/result.json"))):
        made = read_facts(path.parent)
        if made is not None and path.stat().st_size:
            facts.require_same(made, path.parent)


def read_lines(path: Path) -> tuple[dict[str, Any], ...]:
    """Read the whole lines of a JSONL file, passing over what is torn; none where there is no file."""
    return tuple(values for values in map(_decode, _lines(path)) if values is not None)


class RunJournal:
    """One run's directory, open for writing by one process.

    Use it as a context manager: entering takes the lock and drops a torn last line, leaving lets go.

    Raises
    ------
    RunConflict
        Another process is writing this run, or the run was begun on other data or with another encoder.
    InvalidData
        The journal is damaged elsewhere than at its end.

    Examples
    --------
    >>> import tempfile
    >>> facts = RunFacts("d1", pool_size=10, test_size=5)
    >>> with tempfile.TemporaryDirectory() as name, RunJournal(Path(name) / "run", facts) as journal:
    ...     journal.append(RoundRecord(0, 2, (4, 1), 0.5, 0.5, 0.7, 0.1), RoundTiming(0, 0.0, 0.0, 1.0, 0.1, 0))
    ...     journal.finish()
    ...     journal.rounds[0].acquired
    (4, 1)
    """

    def __init__(self, directory: Path, facts: RunFacts) -> None:
        self.directory = directory
        self._facts = facts
        self._rounds: list[RoundRecord] = []
        self._lock: BinaryIO | None = None

    @property
    def rounds(self) -> tuple[RoundRecord, ...]:
        """Rounds finished so far."""
        return tuple(self._rounds)

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = take_lock(self.directory / "lock")
        try:
            self._open()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def append(self, record: RoundRecord, timing: RoundTiming) -> None:
        """Commit a round: when this returns, no crash can take it back."""
        _append_line(self.directory / "timings.jsonl", asdict(timing))
        _append_line(self.directory / "rounds.jsonl", asdict(record))
        self._rounds.append(record)

    def finish(self) -> None:
        """Mark the run as done."""
        write_atomically(self.directory / "done.json", _canonical({"rounds": len(self._rounds)}))

    def _open(self) -> None:
        begun = read_facts(self.directory)
        if begun is not None:
            self._facts.require_same(begun, self.directory)
        write_atomically(self.directory / "run.json", _canonical(asdict(self._facts)))
        rounds_path, timings_path = self.directory / "rounds.jsonl", self.directory / "timings.jsonl"
        read = _read_rounds(rounds_path)
        self._rounds = list(read.rounds)
        if rounds_path.exists():
            os.truncate(rounds_path, read.length)
        timings = b"".join(_canonical(asdict(timing)) for timing in _read_timings(timings_path, len(self._rounds)))
        write_atomically(timings_path, timings)


@dataclass(frozen=True, slots=True)
class _Rounds:
    rounds: tuple[RoundRecord, ...]
    length: int  # bytes of the file that hold them


def _read_rounds(path: Path) -> _Rounds:
    rounds: list[RoundRecord] = []
    length = 0
    lines = _lines(path)
    for number, line in enumerate(lines):
        values = _decode(line)
        if values is None or values.get("round") != number:
            if number == len(lines) - 1 and values is None:
                break  # torn: the process died while writing it
            raise InvalidData(f"{path}, line {number + 1} is damaged; delete {path.parent} to run it again")
        rounds.append(_built(RoundRecord, values, "acquired", f"{path}, line {number + 1}"))
        length += len(line)
    return _Rounds(tuple(rounds), length)


def _read_timings(path: Path, n_rounds: int) -> tuple[RoundTiming, ...]:
    """Give one timing per round; a timing that was lost counts as nothing, for it decides nothing."""
    known = {n: RoundTiming(n, 0.0, 0.0, 0.0, 0.0, 0) for n in range(n_rounds)}
    for line in _lines(path):
        values = _decode(line)
        if (
            values is not None
            and values.get("round") in known
            and values.keys() == {f.name for f in fields(RoundTiming)}
        ):
            known[values["round"]] = RoundTiming(**values)
    return tuple(known.values())


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def _decode(line: bytes) -> dict[str, Any] | None:
    """Decode a whole line; None when it is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _canonical(values: Mapping[str, object]) -> bytes:
    # Floats are written in their shortest form that reads back to the same bits.
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _append_line(path: Path, values: Mapping[str, object]) -> None:
    is_new = not path.exists()
    with path.open("ab") as file:
        file.write(_canonical(values))
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        _sync_directory(path.parent)  # or a power cut could take the file's name with it


def _read_json(path: Path) -> dict[str, Any] | None:
    return _decode(path.read_bytes()) if path.exists() else None


def read_facts(directory: Path) -> RunFacts | None:
    """Read what a run stands on; None where none was begun."""
    values = _read_json(directory / "run.json")
    return None if values is None else _built(RunFacts, values, "notes", str(directory / "run.json"))


def _built(kind: type[_Record], values: dict[str, Any], listed: str, where: str) -> _Record:
    """Make a record of what was read; one field is a tuple, which JSON writes as a list."""
    try:
        return kind(**values | {listed: tuple(values[listed])})
    except (KeyError, TypeError) as error:
        raise InvalidData(
            f"{where} is not what this version writes ({error}); delete that run to do it again"
        ) from None


def take_lock(path: Path, patience: float = _LOCK_PATIENCE_SECONDS) -> BinaryIO:
    """Lock through the kernel, which lets go when the process ends, however it ends: no lock is ever stale.

    Parameters
    ----------
    patience
        Seconds to wait for whoever holds it.

    Raises
    ------
    RunConflict
        Another process holds it, and goes on holding it.
    """
    file = path.open("wb")
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise RunConflict(
                    f"{path.parent} is being written by another process; wait for it, or choose another --out"
                ) from None
            time.sleep(0.1)
        else:
            return file


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
