"""The live display of an adaptation: steps, loss, time left."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn

from nearmiss.models.adaptation import AdaptationProgress

__all__ = ["AdaptationDisplay"]

#: Without a terminal a line is printed whenever another such share of the steps is done.
_SHARE = 0.1


class AdaptationDisplay:
    """Show an adaptation's progress: a bar on a terminal, a line for each tenth elsewhere."""

    def __init__(self, console: Console, n_texts: int) -> None:
        self._console = console
        self._shares_told = 0
        self._resume_told = False
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
        self._task = self._progress.add_task(f"preparing {n_texts:,} texts", total=None, status="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, progress: AdaptationProgress) -> None:
        """Show one step."""
        if progress.resumed_at and not self._resume_told:
            self._resume_told = True
            self._print(f"going on from step {progress.resumed_at:,} of {progress.total:,}")
        status = f"loss {progress.loss:.3f}"
        self._progress.update(
            self._task, description="adapting", total=progress.total, completed=progress.step, status=status
        )
        shares = int(progress.step / progress.total / _SHARE + 1e-9)
        if not self._console.is_terminal and shares > self._shares_told:
            self._shares_told = shares
            self._print(f"step {progress.step:,} of {progress.total:,}: {status}, {progress.seconds:,.0f} s")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False)
