"""A trained classifier as a Hugging Face folder that others can load and read about."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from nearmiss._version import __version__
from nearmiss.errors import InvalidInput, NearmissError
from nearmiss.models.sequence_model import SequenceModel

__all__ = ["model_card", "save_classifier"]


def save_classifier(
    sequence: SequenceModel,
    directory: Path,
    label_names: Sequence[str],
    facts: Mapping[str, str],
    remark: str,
    max_length: int,
) -> Path:
    """Write weights (safetensors), configuration with the label names, tokenizer and card; all or nothing.

    Parameters
    ----------
    sequence
        The trained model; its configuration takes on the names.
    directory
        A folder that does not exist, or is empty.
    label_names
        The C class names, in the order of their ids.
    facts, remark
        What the card tells: a table, and a paragraph.
    max_length
        The length, in tokens, after which ``pipeline(..., truncation=True)`` is to cut texts.

    Raises
    ------
    InvalidInput
        The names do not fit the classes, or the folder holds something.
    NearmissError
        The folder cannot be written.
    """
    n_classes = sequence.head.out_features
    if len(label_names) != n_classes or len(set(label_names)) != n_classes:
        raise InvalidInput(
            f"{len(set(label_names))} distinct label names for a model of {n_classes} classes; name each"
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidInput(f"{directory} holds something already; name a new folder for the model")
    config = sequence.model.config
    config.id2label = dict(enumerate(label_names))
    config.label2id = {label: i for i, label in enumerate(label_names)}
    partial = ""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent)
        sequence.model.save_pretrained(partial)
        tokenizer = sequence.encoder.tokenizer
        longest, tokenizer.model_max_length = tokenizer.model_max_length, max_length
        try:
            tokenizer.save_pretrained(partial)
        finally:
            tokenizer.model_max_length = longest  # it is shared with whoever reads with the same checkpoint
        Path(partial, "README.md").write_text(model_card(label_names, facts, remark), encoding="utf-8")
        Path(partial).chmod(0o755)
        Path(partial).replace(directory)
    except OSError as error:
        raise NearmissError(f"cannot write the model to {directory}: {error.strerror or error}") from error
    finally:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)
    return directory


def model_card(label_names: Sequence[str], facts: Mapping[str, str], remark: str = "") -> str:
    """Compose the README of a model folder.

    Examples
    --------
    >>> print(model_card(["bad", "good"], {"base model": "minilm"}).splitlines()[8])
    A text classifier: bad, good.
    """
    head = ["---", "library_name: transformers", "pipeline_tag: text-classification", "tags:", "- active-learning"]
    rows = [f"| {name} | {_cell(value)} |" for name, value in facts.items()]
    body = [
        *head,
        "---",
        "# Text classifier",
        "",
        f"A text classifier: {', '.join(label_names)}.",
        "",
        *([remark, ""] if remark else []),
        "| | |",
        "|---|---|",
        *rows,
        f"| trained with | nearmiss {__version__} |",
        "",
        "```python",
        "from transformers import pipeline",
        "",
        'pipeline("text-classification", "path/to/this/folder", truncation=True)(["a text"])',
        "```",
    ]
    return "\n".join(body) + "\n"


def _cell(value: str) -> str:
    return " ".join(value.replace("|", "\\|").split())
