"""``nearmiss reproduce``: the paper's figures and tables, under one of the protocols."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nearmiss.experiment.events import EventListener
    from nearmiss.experiment.reproduce import Stage
    from nearmiss.experiment.reproduction import Reproduction

__all__ = ["reproduce"]


def reproduce(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET...", help="figure2, figure3, table1 to table5, or all.")
    ],
    protocol: Annotated[str, typer.Option(help="paper, laptop or laptop-finetuned.")] = "paper",
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only this dataset, by name or path. Repeatable [default: all].")
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option(help="Only this function, such as cal; random is always run. Repeatable [default: all]."),
    ] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this seed. Repeatable [default: all].")] = None,
    max_pool: Annotated[int | None, typer.Option(help="Use at most this many pool texts; titles say so.")] = None,
    max_test: Annotated[int | None, typer.Option(help="Use at most this many test texts; the notes say so.")] = None,
    model: Annotated[str | None, typer.Option(help="Another pretrained model, by name or folder.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda [default: chosen by itself].")] = None,
    classifier_option: Annotated[
        list[str] | None, typer.Option(help="A classifier option, such as epochs=2. Repeatable.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Runs at once [default: as cores and memory allow].")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Memory all runs may take together, such as 8GB [default: what is free].")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(envvar="NEARMISS_DATA_DIR", help="Folder that holds datasets as folders.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where results go [default: results/PROTOCOL].")] = None,
    run: Annotated[
        bool, typer.Option("--run/--no-run", help="Run what is missing, or only show what is finished.")
    ] = True,
) -> None:
    """Repeat the paper's experiments: run what is missing, resume what was begun, write figures and tables.

    Every dataset's runs go to a folder of its own under --out; figures and tables stand beside them, with the paper's
    own numbers where it gives any. Interrupt it at any time; the same command goes on where it stopped. `nearmiss
    status` shows how far it is. What fails is named with its reason, costs only itself, and makes the exit code 1.
    """
    from rich.console import Console

    from nearmiss.cli.options import classifier_option as read_option
    from nearmiss.cli.options import memory_size
    from nearmiss.experiment.protocol import Changes, protocol_named
    from nearmiss.experiment.reproduce import Resources, known_targets, read_reproduction
    from nearmiss.experiment.reproduce import reproduce as carry_out

    wanted = known_targets(targets)
    changes = Changes(
        datasets=tuple(dataset or ()),
        functions=tuple(function or ()),
        seeds=tuple(seed or ()),
        max_pool=max_pool,
        max_test=max_test,
        model=model,
        device=device,
        options=dict(read_option(text) for text in classifier_option or ()),
    )
    asked = protocol_named(protocol).changed(changes)
    directory = out if out is not None else Path("results") / asked.name
    resources = Resources(workers, None if memory is None else memory_size(memory), data_dir)
    console, displays = Console(), _Displays()
    if run:
        try:
            found = carry_out(
                asked,
                wanted,
                directory,
                resources=resources,
                opener=lambda stage: displays.opened(stage, console),
                named=changes.datasets,
            )
        except KeyboardInterrupt:
            typer.echo("\nnearmiss: stopped; finished rounds are saved, the same command goes on from there", err=True)
            raise typer.Exit(130) from None
    else:
        found = read_reproduction(asked, directory)
    _write(found, wanted, directory, console)
    if displays.failed or found.broken_off:
        raise typer.Exit(1)


class _Displays:
    """Shows one stage after the other, and adds up what failed in them."""

    def __init__(self) -> None:
        self.failed = 0

    @contextmanager
    def opened(self, stage: Stage, console: Console) -> Iterator[EventListener]:
        from nearmiss.cli.progress import ExperimentDisplay

        with ExperimentDisplay(stage.n_jobs, console, about=stage.folder, jobs=stage.jobs) as display:
            yield display
        self.failed += display.failed


def _write(found: Reproduction, targets: tuple[str, ...], directory: Path, console: Console) -> None:
    """Write what can be written; refuse when that is nothing."""
    from nearmiss.errors import InvalidInput
    from nearmiss.experiment.reporting.reproduction import write_index, write_target

    for note in found.notes:  # first, for they say why something is missing
        console.print(note, markup=False, highlight=False)
    refusals: list[InvalidInput] = []
    for target in targets:
        try:
            written = write_target(found, target, directory)
        except InvalidInput as error:
            refusals.append(error)
            continue
        paths = ", ".join(str(path) for path in written)
        console.print(f"{target}: {paths}", markup=False, highlight=False, soft_wrap=True)
    if len(refusals) == len(targets):
        raise refusals[0]
    for refusal in refusals:
        console.print(f"left out: {refusal}", markup=False, highlight=False)
    console.print(f"all of it: {write_index(found, directory)}", markup=False, highlight=False, soft_wrap=True)
