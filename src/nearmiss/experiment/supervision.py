"""Full supervision: the classifier trained on every label of the pool, once per seed.

::

    full/0-1f3a5c7e9b2d/
        run.json        which data the model stands on
        entropies.npy   its predictive entropy on every pool text, nats
        result.json     its worth; written last, so it is the mark that all is there
        failure.json    why it was not done, until it is
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nearmiss.errors import InvalidData
from nearmiss.experiment.events import EventListener, TaskFailed, TaskFinished
from nearmiss.experiment.failures import read_failure
from nearmiss.experiment.foreman import Executor, Site, writing_to
from nearmiss.experiment.grids import record_grid
from nearmiss.experiment.messages import Job, Supervise
from nearmiss.experiment.records import FullSupervision
from nearmiss.experiment.spec import ExperimentSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "ENTROPIES",
    "FACTS",
    "RESULT",
    "read_entropies",
    "read_supervision",
    "run_supervision",
    "supervision_directory",
    "supervision_failures",
    "supervision_title",
]

FACTS, ENTROPIES, RESULT, FAILURE = "run.json", "entropies.npy", "result.json", "failure.json"


def run_supervision(
    spec: ExperimentSpec,
    out: Path | str,
    *,
    workers: int | None = None,
    memory: int | None = None,
    on_event: EventListener | None = None,
    data_dir: Path | str | None = None,
    executor: Executor | None = None,
) -> tuple[FullSupervision, ...]:
    """Train on the whole pool with each of the spec's seeds, where that is not done yet, and return what came of it.

    The recipe is the rounds' own: same classifier, same options. Grids that differ in strategies, seeds and amounts
    of labels share these results. A training that fails is told as an event, says why in its directory, and is tried
    again by the next call.

    Parameters
    ----------
    spec, out, workers, memory, on_event, data_dir, executor
        As for ``run_experiment``.

    Raises
    ------
    RunConflict
        ``out`` holds another experiment, or one on other data; says in what they differ.
    NearmissError
        The dataset or the classifier is not to be had.

    Examples
    --------
    >>> import tempfile
    >>> spec = ExperimentSpec("dbpedia-6k", ("random",), seeds=(0,), max_pool=300, classifier="tfidf")
    >>> with tempfile.TemporaryDirectory() as out:
    ...     full = run_supervision(spec, out)
    >>> full[0].seed, full[0].accuracy > 0.8
    (0, True)
    """
    site = Site.at(spec, out, data_dir=data_dir, on_event=on_event, workers=workers, memory=memory, executor=executor)
    done = {each.seed: each for each in read_supervision(spec, site.out)}
    for each in done.values():
        site.tell(TaskFinished(supervision_title(each.seed), f"accuracy {each.accuracy:.1%}", reused=True))
    missing = [seed for seed in spec.seeds if seed not in done]
    if not missing:
        return tuple(done.values())
    jobs: dict[Job, Path] = {Supervise(seed): supervision_directory(site.out, spec, seed) / FAILURE for seed in missing}
    with site.overseer(len(jobs)) as overseer:
        overseer.prepare()
        if not (site.out / "spec.toml").exists():
            with writing_to(site.out):
                record_grid(site.out, spec)
        for outcome in overseer.carry_out(jobs):
            if outcome.failure is not None and isinstance(outcome.job, Supervise):
                site.tell(TaskFailed(supervision_title(outcome.job.seed), outcome.failure.reason))
    return read_supervision(spec, site.out)


def read_supervision(spec: ExperimentSpec, out: Path) -> tuple[FullSupervision, ...]:
    """Read the trainings that are done, in the order of the spec's seeds; nothing is run or written.

    Raises
    ------
    InvalidData
        A result that this version did not write.
    """
    done = (_read(supervision_directory(out, spec, seed) / RESULT) for seed in spec.seeds)
    return tuple(each for each in done if each is not None)


def read_entropies(directory: Path) -> npt.NDArray[np.float64] | None:
    """Read the predictive entropy of every pool text, shape (n,), in nats; None where the training is not done."""
    import numpy as np

    if not (directory / RESULT).exists():
        return None
    entropies: npt.NDArray[np.float64] = np.load(directory / ENTROPIES, allow_pickle=False)
    return entropies


def supervision_failures(spec: ExperimentSpec, out: Path) -> tuple[str, ...]:
    """Say which trainings were not done, and why, where that is known."""
    done = {each.seed for each in read_supervision(spec, out)}
    missing = [seed for seed in spec.seeds if seed not in done]
    noted = {seed: read_failure(supervision_directory(out, spec, seed) / FAILURE) for seed in missing}
    return tuple(f"{supervision_title(seed)}, failed: {why.reason}" for seed, why in noted.items() if why)


def supervision_directory(out: Path, spec: ExperimentSpec, seed: int) -> Path:
    """Name the directory of one training.

    Examples
    --------
    >>> spec = ExperimentSpec("imdb", ("cal",))
    >>> there = supervision_directory(Path("out"), spec, 3)
    >>> there.name.partition("-")[0], there == supervision_directory(Path("out"), spec.replace(batch="9%"), 3)
    ('3', True)
    """
    return out / "full" / f"{seed}-{spec.supervision_hash(seed)}"


def supervision_title(seed: int) -> str:
    """Give what events and notes call one training."""
    return f"full supervision, seed {seed}"


def _read(path: Path) -> FullSupervision | None:
    if not path.exists():
        return None
    try:
        return FullSupervision(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise InvalidData(f"{path} is not what this version writes ({error}); delete it to do it again") from None
