"""Many simulated projects on many datasets, a line each in one file: stopped at any time, the same call goes on."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from nearmiss.arrays.threads import one_blas_thread
from nearmiss.errors import InvalidData, InvalidInput, RunConflict
from nearmiss.experiment.journal import take_lock
from nearmiss.experiment.worth.benches import RandomCurve, load_bench, true_random_curve
from nearmiss.experiment.worth.judging import judge_quality, judge_worth
from nearmiss.experiment.worth.projects import Bench, Plan, label_project
from nearmiss.experiment.worth.records import ProjectRecord, coverage_of, savings_of
from nearmiss.experiment.worth.stopping import stop_by_price, stop_by_target
from nearmiss.loop.stopping_text import STOP_WHEN
from nearmiss.loop.streams import named_generator

__all__ = ["RECORDS", "Campaign", "carry_out", "read_records", "simulate"]

#: The file of records in the folder of results.
RECORDS = "projects.jsonl"
#: Every so manieth project draws half of its labels at random, and gives twice as many: many checks take many labels.
_HEAVY, _HEAVY_SHARE, _HEAVY_LABELS = 4, 0.5, 2
_POOLS = (2_500, 5_000)


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is simulated.

    Attributes
    ----------
    datasets
        By name or path.
    projects
        For each dataset.
    labels, check_share
        Of an ordinary project.
    strategy
        What picks the texts.
    weighted
        Whether checks are drawn by the model's doubt.
    """

    datasets: tuple[str, ...]
    projects: int = 24
    labels: int = 1_000
    check_share: float = 0.2
    strategy: str = "diverse-margin"
    weighted: bool = False

    def __post_init__(self) -> None:
        if not self.datasets or self.projects < 1 or self.labels < 50 or not 0 < self.check_share < 1:
            raise InvalidInput(
                f"{len(self.datasets)} datasets, {self.projects} projects of {self.labels} labels, {self.check_share} "
                "of them random checks; name a dataset, a project, at least 50 labels and a share between 0 and 1"
            )

    def fits(self, record: ProjectRecord) -> bool:
        """Say whether a record is of a project such as these."""
        return record.plan == self._planned(record.number, record.plan.texts)

    def plan(self, bench: Bench, number: int) -> Plan:
        """Give the plan of one project."""
        rng = named_generator("worth", bench.name, "plan", number)
        most = len(bench.labels)
        texts = int(rng.integers(min(_POOLS[0], most), min(_POOLS[1], most) + 1))
        return self._planned(number, texts)

    def _planned(self, number: int, texts: int) -> Plan:
        heavy = number % _HEAVY == _HEAVY - 1
        labels = min(self.labels * (_HEAVY_LABELS if heavy else 1), texts * 4 // 5)
        return Plan(texts, labels, _HEAVY_SHARE if heavy else self.check_share, self.strategy, self.weighted)


def simulate(bench: Bench, curve: RandomCurve, plan: Plan, number: int) -> ProjectRecord:
    """Carry out one project, and judge what it would have said of itself."""
    with one_blas_thread():
        track = label_project(bench, plan, named_generator("worth", bench.name, "project", number))
        looks = judge_quality(track, named_generator("worth", bench.name, "looks", number))
        if not looks:
            raise InvalidInput(
                f"{bench.name}, project {number}: no model was measured in {plan.labels} labels on {plan.texts} texts, "
                f"{plan.check_share:g} of them random checks; take more labels, texts of two classes, or another share"
            )
        worths = list(judge_worth(bench, track, curve, named_generator("worth", bench.name, "savings", number)))
    stops = (
        stop_by_price(f"stable and {STOP_WHEN}", looks, worths),
        stop_by_price(STOP_WHEN, looks, worths),
        stop_by_target(looks, worths),
    )
    drawn = named_generator("worth", bench.name, "drawn", number)
    return ProjectRecord(bench.name, number, plan, coverage_of(looks, drawn), savings_of(worths), stops)


def carry_out(
    campaign: Campaign,
    folder: Path,
    *,
    data_dir: Path | None = None,
    workers: int = 1,
    on_project: Callable[[ProjectRecord], None] = lambda record: None,
) -> list[ProjectRecord]:
    """Simulate what is missing, and give all records, in the order of the campaign.

    Parameters
    ----------
    folder
        Holds the records; what is there already is kept.
    data_dir
        Holds datasets as folders.
    workers
        Processes at once.
    on_project
        Called after each.

    Raises
    ------
    NearmissError
        A dataset cannot be read, the folder not written, or somebody else works in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with take_lock(folder / "lock"):
        done = {(record.dataset, record.number): record for record in read_records(folder)}
        strange = next((record for record in done.values() if not campaign.fits(record)), None)
        if strange is not None:
            raise RunConflict(
                f"{folder} has {strange.dataset} {strange.number} by another plan ({strange.plan}); name another folder"
            )
        _mend(folder / RECORDS)
        with (folder / RECORDS).open("a", encoding="utf-8") as file:
            for record in _missing(campaign, set(done), data_dir, workers):
                line = record.as_line()
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
                # As it will be read by whoever goes on: numbers are rounded.
                done[record.dataset, record.number] = ProjectRecord.from_line(line)
                on_project(record)
    wanted = ((name, number) for name in campaign.datasets for number in range(campaign.projects))
    return [done[key] for key in wanted if key in done]


def read_records(folder: Path) -> list[ProjectRecord]:
    """Read the records of a folder; a last line that was cut off is left out.

    Raises
    ------
    InvalidData
        Another line cannot be read.
    """
    try:
        # What follows the last line's end was cut off, and is made anew.
        lines = (folder / RECORDS).read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    except FileNotFoundError:
        return []
    records = []
    for place, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(ProjectRecord.from_line(line))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidData(
                f"{folder / RECORDS}, line {place}: no record of a simulated project ({error}); remove the line"
            ) from error
    return records


def _mend(path: Path) -> None:
    """Cut off a last line that a crash left half written."""
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _missing(
    campaign: Campaign, done: set[tuple[str, int]], data_dir: Path | None, workers: int
) -> Iterator[ProjectRecord]:
    for name in campaign.datasets:
        numbers = [number for number in range(campaign.projects) if (name, number) not in done]
        if not numbers:
            continue
        bench = load_bench(name, data_dir)
        curve = true_random_curve(bench)
        if workers == 1:
            for number in numbers:
                yield simulate(bench, curve, campaign.plan(bench, number), number)
            continue
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=spawned, initializer=_share, initargs=(bench, curve)) as crew:
            running = [crew.submit(_simulate_shared, campaign.plan(bench, number), number) for number in numbers]
            try:
                for finished in as_completed(running):
                    yield finished.result()
            finally:
                crew.shutdown(wait=True, cancel_futures=True)


_SHARED: list[tuple[Bench, RandomCurve]] = []


def _share(bench: Bench, curve: RandomCurve) -> None:
    _SHARED[:] = [(bench, curve)]


def _simulate_shared(plan: Plan, number: int) -> ProjectRecord:
    [(bench, curve)] = _SHARED
    return simulate(bench, curve, plan, number)
