"""The live display of an experiment: which run, which round, labels and accuracy so far, time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn

from nearmiss.experiment.events import (
    Event,
    Preparing,
    RoundFinished,
    RunFailed,
    RunFinished,
    RunSkipped,
    RunStarted,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from nearmiss.experiment.spec import RunKey

__all__ = ["ExperimentDisplay"]


class ExperimentDisplay:
    """Show an experiment's events: bars on a terminal, one line per finished run elsewhere.

    Rounds are the unit of the overall bar, because they cost about the same; the time left follows from them.

    Parameters
    ----------
    n_runs
        How many runs, or other jobs, there are in all.
    console
        Where to show them.
    about
        What every line begins with.
    jobs
        What they are called, in the plural.

    Attributes
    ----------
    failed
        Runs that broke off.
    """

    def __init__(self, n_runs: int, console: Console, *, about: str = "", jobs: str = "runs") -> None:
        self._console = console
        self._n_runs = n_runs
        self._about = f"{about}: " if about else ""
        self._jobs = jobs
        self._runs_done = 0
        self._reused = 0
        self._said: set[str] = set()
        self.failed = 0
        self._rounds_per_run: int | None = None
        self._tasks: dict[RunKey | str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}", markup=False),
            TimeElapsedColumn(),
            TimeLeftColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._overall = self._progress.add_task("preparing", total=None, status="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._reused:
            told = f"{self._about}{self._reused} of {self._n_runs} {self._jobs} were finished before and are reused"
            self._console.print(told, markup=False, highlight=False)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Preparing(message, fraction):
                self._prepare(message, fraction)
            case RunStarted(key, rounds_done, rounds_total):
                self._start(key, rounds_done, rounds_total)
            case RoundFinished(key, index, n_labeled, accuracy, rounds_total, notes):
                self._count_rounds(rounds_total)
                for note in notes:
                    said = f"{key.strategy}, seed {key.seed}, round {index}: {note}"
                    self._console.print(self._about + said, markup=False, highlight=False)
                task = self._task(key, rounds_total)
                self._progress.update(task, advance=1, status=f"{n_labeled} labels, accuracy {accuracy:.1%}")
                self._progress.advance(self._overall)
            case RunFinished(key, rounds_total, accuracy, reused):
                self._finish(key, rounds_total, accuracy, reused)
            case RunSkipped(key, reason):
                self._drop(key, f"skipped {key.strategy}, seed {key.seed}: {reason}")
            case RunFailed(key, reason):
                self.failed += 1
                self._drop(key, f"FAILED {key.strategy}, seed {key.seed}: {reason}")
            case TaskStarted(title):
                self._progress.update(self._overall, description=self._jobs, total=self._n_runs)
                self._tasks[title] = self._progress.add_task(title, total=None, status="")
            case TaskFinished(title, outcome, reused):
                self._reused += reused
                self._drop(title, None if reused else f"{title}: {outcome}")
                self._progress.update(self._overall, completed=self._runs_done)
            case TaskFailed(title, reason):
                self.failed += 1
                self._drop(title, f"FAILED {title}: {reason}")

    def _prepare(self, message: str, fraction: float | None) -> None:
        self._rounds_per_run = None  # the bar counts something else meanwhile, and is set up anew by the next run
        if fraction is None:
            self._progress.update(self._overall, description=message, total=None, completed=0)
        else:
            self._progress.update(self._overall, description=message, total=100, completed=round(100 * fraction))
        if not self._console.is_terminal and message not in self._said:
            self._said.add(message)
            self._console.print(self._about + message, markup=False)

    def _count_rounds(self, rounds_total: int) -> None:
        """Turn the overall bar from preparation to rounds, once the number of rounds is known."""
        if self._rounds_per_run is None:
            self._rounds_per_run = rounds_total
            self._progress.reset(
                self._overall,
                total=self._n_runs * rounds_total,
                completed=self._runs_done * rounds_total,
                description="all runs",
                status="",
            )

    def _task(self, key: RunKey, rounds_total: int) -> TaskID:
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(
                f"{key.strategy}, seed {key.seed}", total=rounds_total, status=""
            )
        return self._tasks[key]

    def _start(self, key: RunKey, rounds_done: int, rounds_total: int) -> None:
        self._count_rounds(rounds_total)
        task = self._task(key, rounds_total)
        # More than none where a run is taken up again whose process died.
        shown = next(each.completed for each in self._progress.tasks if each.id == task)
        self._progress.update(task, completed=rounds_done)
        self._progress.advance(self._overall, rounds_done - shown)

    def _finish(self, key: RunKey, rounds_total: int, accuracy: float, reused: bool) -> None:
        if reused:
            self._reused += 1
            self._count_rounds(rounds_total)
            self._progress.advance(self._overall, rounds_total)
            self._runs_done += 1
            return
        self._drop(key, f"{key.strategy}, seed {key.seed}: accuracy {accuracy:.1%}")

    def _drop(self, key: RunKey | str, line: str | None) -> None:
        self._runs_done += 1
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))
        self._progress.update(self._overall, status=f"{self._runs_done} of {self._n_runs} {self._jobs} done")
        if line is not None:
            self._console.print(self._about + line, markup=False, highlight=False)
