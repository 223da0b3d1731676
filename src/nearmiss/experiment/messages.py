"""What the runner and its workers say to each other.

Only light modules are imported here, because the parent reads these and must stay light.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearmiss.errors import NearmissError
from nearmiss.experiment.events import Event
from nearmiss.experiment.journal import RunFacts
from nearmiss.experiment.spec import ExperimentSpec, RunKey

__all__ = [
    "Done",
    "Failure",
    "FillCaches",
    "Job",
    "MeasureSurprisal",
    "Message",
    "Order",
    "Prepared",
    "Profile",
    "Run",
    "Skip",
    "Supervise",
    "Workplace",
]


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the work is done and on what: the first thing a worker is sent."""

    spec: ExperimentSpec
    out: Path
    data_dir: Path | None
    threads: int


@dataclass(frozen=True, slots=True)
class FillCaches:
    """Check these runs, and fill the caches they will read, surprisal apart."""

    keys: tuple[RunKey, ...]


@dataclass(frozen=True, slots=True)
class MeasureSurprisal:
    """Compute the pool's surprisal if these runs read it, and find out which cannot have it."""

    keys: tuple[RunKey, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Do one run, from where its journal ends."""

    key: RunKey


@dataclass(frozen=True, slots=True)
class Supervise:
    """Train the spec's classifier on the whole pool, and score it."""

    seed: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Measure what kind of texts these finished runs acquired.

    Attributes
    ----------
    seed
        Of all these runs, which begin with the same labels and the same model.
    strategies
        Which runs.
    """

    seed: int
    strategies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skip:
    """A strategy that cannot be run here, and why."""

    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order to prepare is carried out.

    Attributes
    ----------
    facts
        What all runs stand on.
    skips
        Strategies that cannot be run.
    worker_bytes
        Memory that one worker will take, as far as it can be told beforehand.
    on_accelerator
        Whether runs take their turns on one device: memory is then the device's, which nobody here counts.
    readers_of_surprisal
        Strategies that must do without it where it cannot be measured; empty where every run needs it, or none does.
    """

    facts: RunFacts
    skips: tuple[Skip, ...] = ()
    worker_bytes: int = 0
    on_accelerator: bool = False
    readers_of_surprisal: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The job is complete and marked so."""


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


#: What can fail by itself, while the others go on.
Job = Run | Supervise | Profile
Order = Workplace | FillCaches | MeasureSurprisal | Job
Message = Event | Prepared | Done | Failure
