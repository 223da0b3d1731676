"""Pools in shards, on the command line: cut a file into them, and choose the next batch out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from nearmiss.scale.jobs import Progress
    from nearmiss.scale.readers import FrozenReader, SavedModelReader
    from nearmiss.scale.work import Executor

__all__ = ["executor_of", "is_sharded", "reader_of", "shard", "shown"]

#: Options that say how texts are read, as ``Reading`` has them.
_READING = ("max_length", "precision", "backend")


def shard(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL, Parquet or Arrow.")],
    out: Annotated[str, typer.Argument(help="A folder, or an address that fsspec knows (s3://...).")],
    rows: Annotated[int, typer.Option(min=1, help="Texts in a shard.")] = 50_000,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts [default: guessed].")] = None,
    pair_column: Annotated[str | None, typer.Option(help="Column of the second texts.")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that names each row [default: guessed].")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text files [default: UTF-8, or the file's mark].")] = None,
) -> None:
    """Cut a file into shards: Parquet files with an id for each text, which labels are joined by."""
    from nearmiss.scale.cutting import cut_into_shards
    from nearmiss.text.readers import read_corpus

    read = read_corpus(
        file,
        text_column=text_column,
        pair_column=pair_column,
        labels="ignored",
        id_column=id_column,
        encoding=encoding,
        on_missing="drop",
    )
    for note in read.notes:
        typer.echo(f"{file}: {note}", err=True)
    cut = cut_into_shards(read, out, rows)
    typer.echo(f"{cut.rows:,} texts in {cut.shards:,} shards: {out}")


def is_sharded(pool: str) -> bool:
    """Say whether a pool is a folder of Parquet files, or lies at an address."""
    return "://" in pool or any(Path(pool).expanduser().glob("**/*.parquet"))


def executor_of(name: str, address: str | None, workers: int | None, cpus: float, gpus: float) -> Executor:
    """Make what carries out the work.

    Raises
    ------
    InvalidInput
        An option of the one was given to the other.
    """
    from nearmiss.errors import InvalidInput

    if name == "ray":
        from nearmiss.scale.on_ray import RayExecutor

        return RayExecutor(address, workers, cpus, gpus)
    if address is not None or workers is not None or cpus != 1.0 or gpus:
        raise InvalidInput("--address, --workers, --cpus-per-worker and --gpus-per-worker belong to --executor ray")
    from nearmiss.scale.work import StreamingExecutor

    return StreamingExecutor()


def reader_of(classifier: str, options: dict[str, object]) -> FrozenReader | SavedModelReader | None:
    """Make what reads the texts; None where nothing was said, and columns of signals may serve.

    Raises
    ------
    InvalidInput
        No such classifier for shards, or no such option.
    """
    from nearmiss.errors import InvalidInput, UnknownName
    from nearmiss.models.inference import Reading
    from nearmiss.models.registry import classifier_options
    from nearmiss.scale.readers import FrozenReader, SavedModelReader

    is_folder = Path(classifier, "config.json").is_file()
    if not is_folder and classifier != "frozen":
        raise InvalidInput(
            f"--classifier {classifier!r} does not read shards; take frozen, or the folder of a classifier that "
            "nearmiss train --out has saved"
        )
    taken = {*_READING, "device"} if is_folder else {*_READING, "device", "model"}
    known = {option.name: option for option in classifier_options("frozen") if option.name in taken}
    for name in options:
        if name not in known:
            raise UnknownName.among("option for pools in shards", name, known)
    checked: dict[str, Any] = {name: known[name].check("frozen", value) for name, value in options.items()}
    reading = Reading(**{name: checked.pop(name) for name in _READING if name in checked})
    if is_folder:
        return SavedModelReader(classifier, reading, **checked)
    return FrozenReader(reading=reading, **checked) if options else None


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Show how far a selection is: a bar for each stage on a terminal, a line for each elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    bars = Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} texts", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def tell(progress: Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bars.add_task(progress.stage, total=progress.total)
            if not console.is_terminal:
                begun = f", {progress.done:,} of them done before" if progress.done else ""
                console.print(f"{progress.stage}: {progress.total:,} texts{begun}", highlight=False, markup=False)
        bars.update(tasks[progress.stage], completed=progress.done)

    with bars:
        yield tell
