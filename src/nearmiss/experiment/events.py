"""What happens while an experiment runs, as values: a live display shows them, a log writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nearmiss.experiment.spec import RunKey

__all__ = [
    "Event",
    "EventListener",
    "Preparing",
    "RoundFinished",
    "RunFailed",
    "RunFinished",
    "RunSkipped",
    "RunStarted",
    "TaskFailed",
    "TaskFinished",
    "TaskStarted",
    "ignore",
]


@dataclass(frozen=True, slots=True)
class Preparing:
    """Work that all runs share is under way.

    Attributes
    ----------
    message
        What is being done.
    fraction
        How much of it is done, 0 to 1; None where nobody knows.
    """

    message: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A worker took up a run.

    Attributes
    ----------
    key
        Which run.
    rounds_done, rounds_total
        Rounds found in its journal, and rounds in all.
    """

    key: RunKey
    rounds_done: int
    rounds_total: int


@dataclass(frozen=True, slots=True)
class RoundFinished:
    """A round is trained, scored and in the journal.

    Attributes
    ----------
    key
        Which run.
    round
        Which round, from 0.
    n_labeled, accuracy
        Labels so far, and test accuracy with them.
    rounds_total
        Rounds of this run in all.
    notes
        What the strategy has to say about this round's batch, such as the recall of an approximate search.
    """

    key: RunKey
    round: int
    n_labeled: int
    accuracy: float
    rounds_total: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run is complete.

    Attributes
    ----------
    key
        Which run.
    rounds_total, accuracy
        Its rounds and its last test accuracy.
    reused
        Whether it was finished before this call.
    """

    key: RunKey
    rounds_total: int
    accuracy: float
    reused: bool = False


@dataclass(frozen=True, slots=True)
class RunSkipped:
    """A run cannot be done here, and the reason says why; the others go on."""

    key: RunKey
    reason: str


@dataclass(frozen=True, slots=True)
class RunFailed:
    """A run broke off, and the reason says why; the others go on."""

    key: RunKey
    reason: str


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A worker took up something that is no run: a training on the whole pool, a batch profile."""

    title: str


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """Such a thing is complete.

    Attributes
    ----------
    title
        What it is.
    outcome
        What came of it, in a few words.
    reused
        Whether it was complete before this call.
    """

    title: str
    outcome: str
    reused: bool = False


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """Such a thing broke off, and the reason says why; the others go on."""

    title: str
    reason: str


Event = (
    Preparing
    | RunStarted
    | RoundFinished
    | RunFinished
    | RunSkipped
    | RunFailed
    | TaskStarted
    | TaskFinished
    | TaskFailed
)
EventListener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Listen to nothing."""
