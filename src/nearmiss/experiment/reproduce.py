"""What the paper's figures and tables stand on, under a protocol: run what is missing, read what is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from nearmiss.errors import InvalidData, InvalidInput, ModelUnavailable, NearmissError, UnknownName
from nearmiss.experiment.events import EventListener
from nearmiss.experiment.foreman import refuse_conflict, writing_to
from nearmiss.experiment.grids import announce_grid
from nearmiss.experiment.profiles import profile_batches, profile_failures, read_profiles
from nearmiss.experiment.protocol import Protocol
from nearmiss.experiment.reproduction import TARGETS, Reproduction
from nearmiss.experiment.runner import read_experiment, run_experiment
from nearmiss.experiment.spec import ExperimentSpec
from nearmiss.experiment.supervision import read_supervision, run_supervision, supervision_failures
from nearmiss.text.catalog import CATALOG

__all__ = [
    "Resources",
    "Stage",
    "StageOpener",
    "dataset_directory",
    "known_targets",
    "read_reproduction",
    "reproduce",
]

_GRID, _FULL, _PROFILES, _ABLATION = "grid", "full", "profiles", "ablation"
_NEEDS = {
    "figure2": (_GRID, _FULL),
    "figure3": (_ABLATION,),
    "table1": (_GRID,),
    "table2": (_GRID,),
    "table3": (_GRID, _FULL, _PROFILES),
    "table4": (_GRID,),
    "table5": (_GRID,),
}
_DO = {_GRID: run_experiment, _ABLATION: run_experiment, _FULL: run_supervision, _PROFILES: profile_batches}


@dataclass(frozen=True, slots=True)
class Resources:
    """What a reproduction may take, and where its data lie.

    Attributes
    ----------
    workers, memory
        Jobs at once, and the bytes they may take together; None is what the machine offers.
    data_dir
        A folder that holds datasets as folders.
    """

    workers: int | None = None
    memory: int | None = None
    data_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One piece of a reproduction: a grid, or what belongs to it.

    Attributes
    ----------
    kind
        ``grid``, ``ablation``, ``full`` or ``profiles``.
    dataset
        Of which dataset.
    spec
        The experiment.
    """

    kind: str
    dataset: str
    spec: ExperimentSpec

    @property
    def folder(self) -> str:
        """What the dataset's folder is called, and its lines on a display begin with."""
        return dataset_directory(Path(), self.dataset).name

    @property
    def jobs(self) -> str:
        """What its parts are called, in the plural."""
        return _JOBS[self.kind]

    @property
    def n_jobs(self) -> int:
        """How many runs, trainings or seeds it has."""
        return len(self.spec.seeds) if self.kind in (_FULL, _PROFILES) else len(self.spec.keys())


#: Opened around each stage; gives the listener that is told what happens in it.
StageOpener = Callable[[Stage], AbstractContextManager[EventListener]]
_JOBS = {
    _GRID: "runs",
    _ABLATION: "runs of CAL's variants",
    _FULL: "trainings on the whole pool",
    _PROFILES: "batch profiles",
}


def reproduce(
    protocol: Protocol,
    targets: Sequence[str],
    out: Path,
    *,
    resources: Resources,
    opener: StageOpener,
    named: Sequence[str] = (),
) -> Reproduction:
    """Run what these figures and tables need and is not there yet, then read everything back.

    Datasets come one after the other, so that an early stop leaves whole datasets. What breaks off in one of them is
    told in the notes, and the others go on; the same call takes up what was begun.

    Parameters
    ----------
    protocol, targets
        What to reproduce, and which parts of it.
    out
        Each dataset's results go to a folder of its own in it.
    resources
        How much of the machine, and where data lie.
    opener
        Opened around each stage, to show what happens.
    named
        Datasets that were asked for by name: they are refused where they are not to be had, others are left out.

    Raises
    ------
    UnknownName
        A figure, table or dataset that does not exist.
    RunConflict
        A folder holds other results.
    NearmissError
        A dataset that was asked for by name is not to be had, or a value does not fit.
    """
    notes: list[str] = []
    broken_off = False
    stages = _available(_stages(protocol, targets), resources.data_dir, named, notes)
    for stage in stages:
        refuse_conflict(dataset_directory(out, stage.dataset), stage.spec)
    for stage in stages:  # so that the status of the whole can be told from the beginning
        if stage.kind in (_GRID, _ABLATION):
            with writing_to(out):
                announce_grid(dataset_directory(out, stage.dataset), stage.spec)
    for stage in stages:
        with opener(stage) as listener:
            try:
                _DO[stage.kind](
                    stage.spec,
                    dataset_directory(out, stage.dataset),
                    workers=resources.workers,
                    memory=resources.memory,
                    on_event=listener,
                    data_dir=resources.data_dir,
                )
            except NearmissError as error:
                if stage is stages[0] and isinstance(error, InvalidInput) and not isinstance(error, InvalidData):
                    raise  # nothing has been done yet, and what does not fit may fit no other dataset either
                broken_off = True
                notes.append(f"{stage.dataset}: the {stage.jobs} broke off: {error}")
    return replace(read_reproduction(protocol, out, notes=notes), broken_off=broken_off)


def read_reproduction(protocol: Protocol, out: Path, *, notes: Sequence[str] = ()) -> Reproduction:
    """Read all that is finished of a protocol; nothing is run or written, and neither data nor model is needed.

    Raises
    ------
    InvalidData
        A result is damaged, or this version did not write it.
    """
    specs = {dataset: protocol.spec(dataset) for dataset in protocol.datasets}
    places = {dataset: dataset_directory(out, dataset) for dataset in protocol.datasets}
    grids = {dataset: read_experiment(spec, places[dataset]) for dataset, spec in specs.items()}
    full = {dataset: read_supervision(spec, places[dataset]) for dataset, spec in specs.items()}
    profiles = {dataset: read_profiles(spec, places[dataset]) for dataset, spec in specs.items()}
    told = list(notes)
    for dataset, spec in specs.items():
        failures = (*supervision_failures(spec, places[dataset]), *profile_failures(spec, places[dataset]))
        told += [f"{dataset}: {failure}" for failure in failures]
    ablation = read_experiment(protocol.ablation_spec(), dataset_directory(out, protocol.ablation_dataset))
    variants = {variant.strategy for variant in protocol.ablations}
    if ablation is not None and not any(run.key.strategy in variants for run in ablation.runs):
        ablation = None  # random and cal alone, which belong to the main grid
    return Reproduction(
        protocol=protocol,
        experiments={dataset: grid for dataset, grid in grids.items() if grid is not None},
        ablation=ablation,
        full={dataset: each for dataset, each in full.items() if each},
        profiles={dataset: each for dataset, each in profiles.items() if each},
        notes=tuple(dict.fromkeys(told)),
    )


def known_targets(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of figures and tables; ``all`` stands for each of them.

    Raises
    ------
    UnknownName
        There is none of that name; says which are near.

    Examples
    --------
    >>> known_targets(["table3", "figure2", "table3"])
    ('table3', 'figure2')
    """
    for name in names:
        if name not in (*TARGETS, "all"):
            raise UnknownName.among("figure or table", name, (*TARGETS, "all"))
    return TARGETS if "all" in names else tuple(dict.fromkeys(names))


def dataset_directory(out: Path, dataset: str) -> Path:
    """Name the folder of one dataset's results; a dataset given by its path is called after its last part.

    Examples
    --------
    >>> dataset_directory(Path("results"), "sst2") == dataset_directory(Path("results"), "data/sst2.csv")
    True
    """
    name = dataset if dataset in CATALOG else Path(dataset).stem
    return out / (re.sub(r"[^\w.+-]+", "-", name).strip(".") or "dataset")


def _stages(protocol: Protocol, targets: Sequence[str]) -> list[Stage]:
    """List what the targets need, dataset by dataset; within one, what others build on comes first."""
    kinds: dict[str, set[str]] = {}
    for target in known_targets(targets):
        for kind in _NEEDS[target]:
            for dataset in _datasets(protocol, target):
                kinds.setdefault(dataset, set()).add(kind)
    order = dict.fromkeys((*protocol.datasets, protocol.ablation_dataset))
    return [
        Stage(kind, dataset, protocol.ablation_spec() if kind == _ABLATION else protocol.spec(dataset))
        for dataset in order
        for kind in _DO
        if kind in kinds.get(dataset, ())
    ]


def _datasets(protocol: Protocol, target: str) -> tuple[str, ...]:
    if target == "figure3":
        return (protocol.ablation_dataset,)
    if target == "table2":
        return tuple(name for name in protocol.datasets if name in CATALOG and CATALOG[name].ood)
    return protocol.datasets


def _available(stages: list[Stage], data_dir: Path | None, named: Sequence[str], notes: list[str]) -> list[Stage]:
    """Leave out the datasets that are not to be had, saying so; refuse where one was asked for by name."""
    missing: set[str] = set()
    for dataset in dict.fromkeys(stage.dataset for stage in stages):
        try:
            _require(dataset, data_dir)
        except ModelUnavailable as error:
            if dataset in named:
                raise
            missing.add(dataset)
            notes.append(f"{dataset} is left out: {error}")
    return [stage for stage in stages if stage.dataset not in missing]


def _require(dataset: str, data_dir: Path | None) -> None:
    # Imported here, for they read tables: with --no-run, no data are looked for.
    from nearmiss.text.datasets import dataset_card
    from nearmiss.text.sources import locate

    if dataset in CATALOG and dataset_card(dataset, data_dir).available:
        return
    locate(dataset, data_dir)
