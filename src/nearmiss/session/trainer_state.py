"""What the training process is doing, told in a small file that anyone may read at any time."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

__all__ = ["LOCK", "TAKEN", "Activity", "TrainerState", "read_state", "write_state"]

#: The file in a project's folder that its one trainer keeps locked.
LOCK = "trainer.lock"
#: How a training process ends when another trains the project.
TAKEN = 75
_FILE = "trainer.json"


class Activity(StrEnum):
    """What a trainer can be doing."""

    OFF = "off"
    STARTING = "starting"
    IDLE = "idle"
    READING = "reading"
    TRAINING = "training"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TrainerState:
    """What the trainer said last.

    Attributes
    ----------
    activity
        What it is doing.
    read, texts
        How many texts the encoder has read, of how many.
    since
        Unix time of the last change.
    error
        Why the last training failed, in a sentence; empty when it did not.
    """

    activity: Activity = Activity.OFF
    read: int = 0
    texts: int = 0
    since: float = 0.0
    error: str = ""


def read_state(folder: Path) -> TrainerState:
    """Read what a project's trainer said last; ``off`` where there never was one.

    Examples
    --------
    >>> read_state(Path("no/such/project")).activity
    <Activity.OFF: 'off'>
    """
    try:
        body = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        state = TrainerState(Activity(body["activity"]), body["read"], body["texts"], body["since"], body["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return TrainerState()
    return state


def write_state(folder: Path, state: TrainerState) -> None:
    """Tell what the trainer is doing; the file is whole or the one before it, and worth no sync."""
    partial = folder / f".{_FILE}.{os.getpid()}"
    partial.write_text(json.dumps({**asdict(state), "since": state.since or time.time()}), encoding="utf-8")
    partial.replace(folder / _FILE)
