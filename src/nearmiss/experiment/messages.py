"""What the runner and its workers say to each other.

Only light modules are imported here, because the parent reads these and must stay light.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearmiss.errors import NearmissError
from nearmiss.experiment.events import Event
from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = ["Done", "Failure", "Message", "Order", "Prepare", "Prepared", "Run", "Skip", "Workplace"]


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the work is done and on what: the first thing a worker is sent."""

    spec: ExperimentSpec
    out: Path
    data_dir: Path | None
    threads: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Fill every cache these runs will read, and find out what cannot be run."""

    keys: tuple[RunKey, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Do one run, from where its journal ends."""

    key: RunKey


@dataclass(frozen=True, slots=True)
class Skip:
    """A strategy that cannot be run here, and why."""

    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """Preparation is done; these strategies cannot be run."""

    skips: tuple[Skip, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The run is complete and marked so."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The order could not be carried out.

    Attributes
    ----------
    reason
        One line.
    error
        The refusal itself, when nearmiss refused on purpose.
    """

    reason: str
    error: NearmissError | None = None


Order = Workplace | Prepare | Run
Message = Event | Prepared | Done | Failure
