"""``nearmiss select``: one batch from files, for people who label elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from nearmiss.text.columns import LabelPolicy
    from nearmiss.text.readers import CorpusFile

__all__ = ["select"]


def select(
    pool: Annotated[Path, typer.Argument(help="The texts to choose from: CSV, TSV, JSONL, Parquet or Arrow.")],
    labeled: Annotated[
        Path | None,
        typer.Argument(metavar="[LABELLED]", help="The texts labelled so far; leave it out if POOL holds both."),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="How many texts to choose.")] = 50,
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", help="The strategy, such as cal or cal:k=5.")
    ] = "diverse-margin",
    classifier: Annotated[str, typer.Option(help="tfidf, frozen, tuned or finetuned.")] = "frozen",
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
) -> None:
    """Choose the texts to label next, and write them to a file with rank, score and reason.

    Rows of POOL whose text is labelled already are never chosen. Without any label, the batch covers the pool.
    """
    from nearmiss.cli.options import classifier_option
    from nearmiss.experiment.oneshot import choose_next
    from nearmiss.experiment.spec import ClassifierChoice
    from nearmiss.text.readers import read_corpus
    from nearmiss.text.writers import check_writable, write_table

    check_writable(out, overwrite=overwrite)
    choice = ClassifierChoice(classifier, dict(classifier_option(text) for text in option or []))

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
        both = read(pool, "optional")
        candidates, known = both.unlabeled(), both.labeled()
    else:
        candidates, known = read(pool, "ignored"), read(labeled, "required")
    batch = choose_next(candidates, known, n, strategy=strategy, classifier=choice, seed=seed)
    for note in batch.notes:
        typer.echo(note, err=True)
    write_table(batch.table, out, overwrite=overwrite)
    typer.echo(f"{n} texts to label next: {out}")
