"""``nearmiss status``: how far an experiment, a whole reproduction, or a labelling project is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from nearmiss.experiment.status import ExperimentStatus, RunStatus

__all__ = ["status"]


def status(
    out: Annotated[
        Path, typer.Argument(help="A labelling project, or what was --out to `nearmiss run` or `nearmiss reproduce`.")
    ],
) -> None:
    """Show how far a labelling project or a grid of runs is, at any time; nothing is written.

    Of a project: texts, labels, the model and how many random checks it gets right.

    Of a grid, for every strategy and seed: rounds done of rounds in all, and whether a run is done, running, failed
    (with the reason), begun and interrupted, or waiting.
    """
    if (out / "project.db").is_file():
        from nearmiss.cli.sessions import project_status

        project_status(out)
        return
    from rich.console import Console

    from nearmiss.experiment.status import RunState, fraction_done, read_status, seconds_left

    console = Console()
    statuses = read_status(out)
    for each in statuses:
        console.print(f"{each.directory}: {_sentence((each,))}", markup=False, highlight=False, soft_wrap=True)
        if len(statuses) == 1 or 0 < fraction_done((each,)) < 1 or each.count(RunState.FAILED):
            console.print(_table(each))
        for run in each.runs:
            if run.state == RunState.FAILED:
                told = f"failed: {run.key.strategy}, seed {run.key.seed}: {run.reason}"
                console.print(told, markup=False, highlight=False, soft_wrap=True)
    if len(statuses) > 1:
        console.print(f"in all: {_sentence(statuses)}", markup=False, highlight=False, soft_wrap=True)
    if any(each.count(RunState.FAILED) for each in statuses):
        console.print("The next start tries again what failed.", highlight=False)
    if seconds_left(statuses) is None and fraction_done(statuses) < 1:
        console.print("Nothing is running; the command that began it goes on from here.", highlight=False)


def _sentence(statuses: Sequence[ExperimentStatus]) -> str:
    from nearmiss.experiment.status import RunState, fraction_done, seconds_left

    runs = sum(len(each.runs) for each in statuses)
    counts = {state: sum(each.count(state) for each in statuses) for state in RunState}
    parts = [f"{counts[RunState.DONE]} of {runs} runs done"]
    parts += [f"{n} {state}" for state, n in counts.items() if n and state != RunState.DONE]
    left = seconds_left(statuses)
    share = int(100 * fraction_done(statuses))  # down, so that 100% means all of it
    ahead = "" if left is None else f", about {timedelta(seconds=round(left))} left"
    return f"{', '.join(parts)}; {share}% of all rounds{ahead}"


def _table(each: ExperimentStatus) -> Table:
    from rich.table import Table

    seeds = sorted({run.key.seed for run in each.runs})
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("strategy", overflow="fold")
    for seed in seeds:
        table.add_column(f"seed {seed}")
    cells = {(run.key.strategy, run.key.seed): _cell(run) for run in each.runs}
    for strategy in dict.fromkeys(run.key.strategy for run in each.runs):
        table.add_row(strategy, *(cells.get((strategy, seed), "") for seed in seeds))
    return table


def _cell(run: RunStatus) -> str:
    from nearmiss.experiment.status import RunState

    if run.state == RunState.DONE or not run.rounds_done:
        return str(run.state)
    return f"{run.rounds_done}/{run.rounds_total or '?'} {run.state}"
