"""``nearmiss adapt``: go on training an encoder on the pool's texts, before any label is bought."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nearmiss.text.corpus import Texts

__all__ = ["adapt"]


def adapt(
    pool: Annotated[str, typer.Argument(help="A file of texts, or a dataset's name or folder (its pool is taken).")],
    out: Annotated[Path, typer.Option(help="Folder for the adapted model.")],
    model: Annotated[str, typer.Option(help="The encoder: minilm, a folder, or a Hugging Face name.")] = "minilm",
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the texts [default: 3, and 300 steps at least].")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps, in place of --epochs.")] = None,
    max_length: Annotated[int, typer.Option(help="Cut texts after this many tokens.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate; 0.0001 suits BERT-base.")] = 5e-4,
    batch_tokens: Annotated[int, typer.Option(help="Tokens a step.")] = 1024,
    max_texts: Annotated[
        int | None, typer.Option(help="Use at most this many texts; of a dataset, those of `run --max-pool`.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts [default: guessed].")] = None,
    pair_column: Annotated[str | None, typer.Option(help="Column of the second texts.")] = None,
    seed: Annotated[int, typer.Option(help="Same texts, same seed, same model.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    data_dir: Annotated[
        Path | None, typer.Option(envvar="NEARMISS_DATA_DIR", help="Folder that holds datasets as folders.")
    ] = None,
) -> None:
    """Adapt an encoder to your texts: masked-LM training on the pool, no label read (task-adaptive pretraining).

    Interrupt it at any time; the same command goes on where it was last saved. The folder is an ordinary Hugging Face
    model: name it wherever a model is asked for, such as `--option model=FOLDER`, or `model = "FOLDER"` under
    `[masked-lm]` in a spec.
    """
    import numpy as np
    from rich.console import Console

    from nearmiss.cli.adapt_progress import AdaptationDisplay
    from nearmiss.errors import InvalidInput
    from nearmiss.models import adaptation

    if epochs is not None and steps is not None:
        raise InvalidInput("--epochs and --steps both say how long to train; give one of them")
    settings = adaptation.AdaptationSettings(
        epochs=3 if epochs is None else epochs,
        min_steps=300 if epochs is None else 1,  # who names the passes gets those and no more
        steps=steps,
        max_length=max_length,
        tokens_per_batch=batch_tokens,
        learning_rate=learning_rate,
    )
    texts = _texts(pool, text_column, pair_column, max_texts, data_dir, seed)
    console = Console()
    try:
        with AdaptationDisplay(console, len(texts)) as display:
            report = adaptation.adapt(
                texts,
                out,
                np.random.default_rng(seed),
                name=model,
                settings=settings,
                device=device,
                on_progress=display,
            )
    except KeyboardInterrupt:
        typer.echo("\nnearmiss: stopped; the same command goes on from the last saved state", err=True)
        raise typer.Exit(130) from None
    typer.echo(
        f"masked-LM loss on {report.n_held_out:,} held-out texts, in nats a token: {report.loss_after:.3f} "
        f"(before: {report.loss_before:.3f}; by the tokens' frequencies: {report.loss_unigram:.3f})"
    )
    typer.echo(f"adapted model: {out} ({report.steps:,} steps, {report.seconds:,.0f} s)")


def _texts(
    pool: str, text_column: str | None, pair_column: str | None, max_texts: int | None, data_dir: Path | None, seed: int
) -> Texts:
    """Read the texts, and tell what was guessed or left out."""
    from nearmiss.errors import InvalidInput
    from nearmiss.text.datasets import load_dataset
    from nearmiss.text.readers import looks_like_path, read_corpus

    if max_texts is not None and max_texts < 1:
        raise InvalidInput(f"--max-texts is {max_texts}; it must be at least 1")
    path = Path(pool).expanduser()
    if path.is_file() or (looks_like_path(pool) and not path.is_dir()):
        file = read_corpus(path, text_column=text_column, pair_column=pair_column, labels="ignored", on_missing="drop")
        texts, notes = file.corpus.texts, file.notes
        if max_texts is not None and len(texts) > max_texts:
            notes = (*notes, f"{max_texts:,} of {len(texts):,} texts drawn")
            texts = texts.take(_drawn(len(texts), max_texts, seed))
    else:
        splits = load_dataset(
            pool, data_dir, text_column=text_column, pair_column=pair_column, max_pool=max_texts, max_test=1, seed=seed
        )
        texts, notes = splits.pool.texts, tuple(note for note in splits.notes if "test set" not in note)
    for note in notes:
        typer.echo(f"{pool}: {note}", err=True)
    return texts


def _drawn(count: int, wanted: int, seed: int) -> list[int]:
    import numpy as np

    positions = np.random.default_rng([seed, 1]).permutation(count)[:wanted]
    return sorted(int(position) for position in positions)
