"""Why something was not done: a small file beside the results, gone as soon as a later start succeeds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from nearmiss.experiment.journal import write_atomically

__all__ = ["NotedFailure", "forget_failure", "note_failure", "read_failure"]


@dataclass(frozen=True, slots=True)
class NotedFailure:
    """What was noted.

    Attributes
    ----------
    reason
        One line.
    time
        When, in UTC, ISO 8601.
    """

    reason: str
    time: str


def note_failure(path: Path, reason: str) -> None:
    """Write down why something was not done, in place of what was noted before.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     note_failure(Path(folder) / "failure.json", "out of memory")
    ...     read_failure(Path(folder) / "failure.json").reason
    'out of memory'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    noted = NotedFailure(reason, datetime.now(UTC).isoformat(timespec="seconds"))
    write_atomically(path, json.dumps(asdict(noted), sort_keys=True).encode() + b"\n")


def read_failure(path: Path) -> NotedFailure | None:
    """Read what was noted; None where nothing was, or nothing that can be read."""
    try:
        values = json.loads(path.read_bytes())
        return NotedFailure(str(values["reason"]), str(values["time"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_failure(path: Path) -> None:
    """Take the note away."""
    path.unlink(missing_ok=True)
