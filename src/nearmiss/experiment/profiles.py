"""Batch profiles, the rows of Table 3: what kind of texts each finished run acquired.

``profiles/SEED-HASH.json`` holds those of all runs of one seed, which begin with the same labels and the same model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from nearmiss.errors import InvalidData
from nearmiss.experiment.events import EventListener, TaskFailed, TaskFinished
from nearmiss.experiment.failures import read_failure
from nearmiss.experiment.foreman import Executor, Site
from nearmiss.experiment.journal import read_finished, run_directory, write_atomically
from nearmiss.experiment.messages import Job, Profile
from nearmiss.experiment.records import BatchProfile
from nearmiss.experiment.spec import ExperimentSpec, RunKey
from nearmiss.experiment.supervision import read_supervision, run_supervision

__all__ = [
    "profile_batches",
    "profile_failures",
    "profile_path",
    "profile_title",
    "read_profiles",
    "write_profiles",
]


def profile_batches(
    spec: ExperimentSpec,
    out: Path | str,
    *,
    workers: int | None = None,
    memory: int | None = None,
    on_event: EventListener | None = None,
    data_dir: Path | str | None = None,
    executor: Executor | None = None,
) -> tuple[BatchProfile, ...]:
    """Measure what kind of texts the finished runs of an experiment acquired, where that is not done yet.

    The texts' uncertainty is judged by the model trained on the whole pool, which is trained first where it is
    missing. A seed is measured anew only when a run has finished that its profile lacks.

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
    """
    site = Site.at(spec, out, data_dir=data_dir, on_event=on_event, workers=workers, memory=memory, executor=executor)
    wanted = {seed: _measurable(spec, site.out, seed) for seed in spec.seeds}
    jobs: dict[Job, Path] = {}
    for seed, strategies in wanted.items():
        known = _read(profile_path(site.out, spec, seed))
        if set(strategies) - known.keys():
            jobs[Profile(seed, strategies)] = _failure_path(site.out, spec, seed)
        elif strategies:
            site.tell(TaskFinished(profile_title(seed), f"{len(strategies)} runs", reused=True))
    if jobs:
        seeds = tuple(job.seed for job in jobs if isinstance(job, Profile))
        trained = {each.seed for each in read_supervision(spec, site.out)}
        if missing := tuple(seed for seed in seeds if seed not in trained):
            full = run_supervision(
                spec.replace(seeds=missing),
                out,
                workers=workers,
                memory=memory,
                on_event=on_event,
                data_dir=data_dir,
                executor=executor,
            )
            trained |= {each.seed for each in full}
        jobs = {job: path for job, path in jobs.items() if isinstance(job, Profile) and job.seed in trained}
    if jobs:
        _carry_out(site, jobs)
    return read_profiles(spec, site.out)


def read_profiles(spec: ExperimentSpec, out: Path) -> tuple[BatchProfile, ...]:
    """Read the profiles there are, in the order of the spec's runs; nothing is run or written.

    Raises
    ------
    InvalidData
        A file that this version did not write.
    """
    known = {seed: _read(profile_path(out, spec, seed)) for seed in spec.seeds}
    keys = spec.keys()
    return tuple(known[key.seed][key.strategy] for key in keys if key.strategy in known[key.seed])


def profile_failures(spec: ExperimentSpec, out: Path) -> tuple[str, ...]:
    """Say which seeds could not be measured, and why, where that is known."""
    noted = {seed: read_failure(_failure_path(out, spec, seed)) for seed in spec.seeds}
    return tuple(f"{profile_title(seed)}, failed: {why.reason}" for seed, why in noted.items() if why)


def profile_path(out: Path, spec: ExperimentSpec, seed: int) -> Path:
    """Name the file of one seed's profiles."""
    return out / "profiles" / f"{seed}-{spec.seed_hash(seed)}.json"


def profile_title(seed: int) -> str:
    """Give what events and notes call the profiles of one seed."""
    return f"batch profiles, seed {seed}"


def write_profiles(path: Path, profiles: Mapping[str, BatchProfile]) -> None:
    """Write the profiles of one seed beside those that the file holds of other strategies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    merged = {**_read(path), **profiles}
    values = {strategy: asdict(profile) for strategy, profile in merged.items()}
    write_atomically(path, json.dumps(values, sort_keys=True, indent=1, allow_nan=False).encode() + b"\n")


def _carry_out(site: Site, jobs: Mapping[Job, Path]) -> None:
    with site.overseer(len(jobs)) as overseer:
        overseer.prepare()
        for outcome in overseer.carry_out(jobs):
            if outcome.failure is not None and isinstance(outcome.job, Profile):
                site.tell(TaskFailed(profile_title(outcome.job.seed), outcome.failure.reason))


def _measurable(spec: ExperimentSpec, out: Path, seed: int) -> tuple[str, ...]:
    """List the strategies whose run of this seed is finished and bought at least one batch."""
    keys = [RunKey(strategy, seed) for strategy in spec.strategies]
    finished = {key.strategy: read_finished(run_directory(out, spec, key), key) for key in keys}
    return tuple(strategy for strategy, run in finished.items() if run and len(run.result.rounds) > 1)


def _failure_path(out: Path, spec: ExperimentSpec, seed: int) -> Path:
    return profile_path(out, spec, seed).with_suffix(".failure.json")


def _read(path: Path) -> dict[str, BatchProfile]:
    if not path.exists():
        return {}
    try:
        return {strategy: BatchProfile(**values) for strategy, values in json.loads(path.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidData(f"{path} is not what this version writes ({error}); delete it to do it again") from None
