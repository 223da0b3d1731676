"""``nearmiss select``: one batch from files, for people who label elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from nearmiss.text.columns import LabelPolicy
    from nearmiss.text.readers import CorpusFile

__all__ = ["select"]

_SHARDS = "Pools in shards"


def select(
    pool: Annotated[
        str | None,
        typer.Argument(
            help="The texts to choose from: CSV, TSV, JSONL, Parquet or Arrow; or shards, a folder of Parquet files or "
            "an address such as s3://bucket/pool."
        ),
    ] = None,
    labeled: Annotated[
        Path | None,
        typer.Argument(
            metavar="[LABELLED]",
            help="The texts labelled so far; leave it out if POOL holds both. With shards: their ids and labels.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="How many texts to choose.")] = 50,
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", help="The strategy, such as cal or cal:k=5.")
    ] = "diverse-margin",
    classifier: Annotated[
        str, typer.Option(help="tfidf, frozen, tuned or finetuned. With shards: frozen, or the folder of a saved one.")
    ] = "frozen",
    option: Annotated[
        list[str] | None, typer.Option(help="A classifier option, such as max-length=64. Repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the batch goes; the suffix is the format.")] = Path("next.csv"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts [default: guessed].")] = None,
    pair_column: Annotated[str | None, typer.Option(help="Column of the second texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the labels [default: guessed].")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that names each row [default: guessed].")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text files [default: UTF-8, or the file's mark].")] = None,
    on_missing: Annotated[Literal["error", "drop"], typer.Option(help="What to do with rows without text.")] = "error",
    seed: Annotated[int, typer.Option(help="Same files, same seed, same batch.")] = 0,
    shards: Annotated[
        str | None, typer.Option("--pool", help="Shards to choose from, in place of POOL.", rich_help_panel=_SHARDS)
    ] = None,
    executor: Annotated[
        Literal["streaming", "ray"], typer.Option(help="What does the work on shards.", rich_help_panel=_SHARDS)
    ] = "streaming",
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster [default: one on this machine].", rich_help_panel=_SHARDS)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Shards at once, on Ray [default: what fits in].", rich_help_panel=_SHARDS)
    ] = None,
    cpus_per_worker: Annotated[float, typer.Option(help="On Ray.", rich_help_panel=_SHARDS)] = 1.0,
    gpus_per_worker: Annotated[float, typer.Option(help="On Ray, to read texts.", rich_help_panel=_SHARDS)] = 0.0,
    work_dir: Annotated[
        str | None,
        typer.Option(
            help="Keeps what was read of the texts, and what is finished; all workers must see it [default: in the "
            "cache].",
            rich_help_panel=_SHARDS,
        ),
    ] = None,
    on_bad_shard: Annotated[
        Literal["stop", "skip"], typer.Option(help="What a shard that cannot be read does.", rich_help_panel=_SHARDS)
    ] = "stop",
) -> None:
    """Choose the texts to label next, and write them to a file with rank, score and reason.

    Rows of POOL whose text is labelled already are never chosen. Without any label, the batch covers the pool.

    A pool in shards (nearmiss shard FILE FOLDER makes one) is read as a stream and may be of any size; LABELLED then
    has the ids and labels of the texts labelled so far. Interrupt it at any time: the same command goes on.
    """
    from nearmiss.cli.options import classifier_option
    from nearmiss.cli.shards import executor_of, is_sharded, reader_of, shown
    from nearmiss.errors import InvalidInput
    from nearmiss.experiment.oneshot import choose_next
    from nearmiss.experiment.spec import ClassifierChoice
    from nearmiss.text.readers import read_corpus
    from nearmiss.text.writers import check_writable, write_table

    check_writable(out, overwrite=overwrite)
    options = dict(classifier_option(text) for text in option or [])
    if shards is not None:
        if labeled is not None:
            raise InvalidInput("--pool names the pool: give the labelled texts alone as an argument")
        pool, labeled = shards, None if pool is None else Path(pool)
    if pool is None:
        raise InvalidInput("name the texts to choose from: a file, or --pool and a folder of shards")
    if shards is not None or is_sharded(pool):
        from nearmiss.scale.labels import read_labels
        from nearmiss.scale.pool import ColumnsOfPool, ShardedPool
        from nearmiss.scale.selecting import select_from_shards

        if encoding is not None or on_missing == "drop":
            raise InvalidInput("--encoding and --on-missing do nothing with shards, which are Parquet; leave them out")
        names = ColumnsOfPool(id=id_column or "id", text=text_column or "text", pair=pair_column or "")
        skip = on_bad_shard == "skip"
        work = executor_of(executor, address, workers, cpus_per_worker, gpus_per_worker)
        with shown() as tell:
            chosen = select_from_shards(
                ShardedPool.open(pool, names, skip_bad=skip),
                n,
                strategy=strategy,
                labels=None if labeled is None else read_labels(labeled, names.id, label_column or "label"),
                reader=reader_of(classifier, dict(options)),
                executor=work,
                work_dir=work_dir,
                seed=seed,
                skip_bad=skip,
                tell=tell,
            )
        for note in chosen.notes:
            typer.echo(note, err=True)
        write_table(chosen.table, out, overwrite=overwrite)
        typer.echo(f"{len(chosen.rows)} texts to label next: {out}")
        return
    of_shards = {
        "--executor": executor == "ray",
        "--address": address,
        "--workers": workers,
        "--cpus-per-worker": cpus_per_worker != 1.0,
        "--gpus-per-worker": gpus_per_worker,
        "--work-dir": work_dir,
        "--on-bad-shard": on_bad_shard == "skip",
    }
    for flag in (flag for flag, is_given in of_shards.items() if is_given):
        raise InvalidInput(f"{flag} is for pools in shards, and {pool} is one file; leave it out")
    source = Path(pool)
    choice = ClassifierChoice(classifier, options)

    def read(path: Path, labels: LabelPolicy) -> CorpusFile:
        file = read_corpus(
            path,
            text_column=text_column,
            pair_column=pair_column,
            label_column=None if labels == "ignored" else label_column,
            labels=labels,
            id_column=id_column,
            encoding=encoding,
            on_missing=on_missing,
        )
        for note in file.notes:
            typer.echo(f"{path}: {note}", err=True)
        return file

    if labeled is None:
        both = read(source, "optional")
        candidates, known = both.unlabeled(), both.labeled()
    else:
        candidates, known = read(source, "ignored"), read(labeled, "required")
    batch = choose_next(candidates, known, n, strategy=strategy, classifier=choice, seed=seed)
    for note in batch.notes:
        typer.echo(note, err=True)
    write_table(batch.table, out, overwrite=overwrite)
    typer.echo(f"{n} texts to label next: {out}")
