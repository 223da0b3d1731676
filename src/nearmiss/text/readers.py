"""Read a file, or a Hugging Face dataset, into a corpus that remembers its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearmiss.errors import InvalidData
from nearmiss.text.columns import ColumnNames, LabelPolicy
from nearmiss.text.corpus_file import CorpusFile, MissingPolicy, OpenedTable, build_corpus
from nearmiss.text.hub import hub_split, is_saved_dataset, read_hub, read_saved
from nearmiss.text.tables import is_table_path, read_table

__all__ = ["CorpusFile", "read_corpus"]


def read_corpus(
    source: str | Path,
    *,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    id_column: str | None = None,
    label_names: Sequence[str] | None = None,
    labels: LabelPolicy = "optional",
    on_missing: MissingPolicy = "error",
    encoding: str | None = None,
    delimiter: str | None = None,
    config: str | None = None,
    split: str | None = None,
) -> CorpusFile:
    r"""Read texts, and labels where there are any, from a file or a Hugging Face dataset.

    Parameters
    ----------
    source
        A CSV, TSV, JSON Lines, JSON, Parquet or Arrow file; a folder written by ``Dataset.save_to_disk``; or the name
        of a dataset on the Hugging Face hub (the last two need the ``hub`` extra).
    text_column, pair_column, label_column, id_column
        Column names; None guesses, and the result's notes tell the guess.
    label_names
        The class names in the order of their ids; None takes what the file or its folder declares, else what occurs.
    labels
        ``optional``: there may be none; ``some``: a label column must be there, but rows may lack one; ``required``:
        none may; ``ignored``: no label column is looked for.
    on_missing
        What to do with rows without text: refuse the file, or drop them (told in the notes).
    encoding, delimiter
        Of text files; None detects.
    config, split
        Of a Hugging Face dataset; the split is ``train`` by default, or the only one there is.

    Raises
    ------
    InvalidData
        An unreadable or empty file, a missing or ambiguous column, missing texts, a label nobody declared.
    MissingExtra
        A Hugging Face dataset without the ``hub`` extra.
    ModelUnavailable
        A Hugging Face dataset that cannot be reached or does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "films.csv")
    ...     _ = path.write_text("sentence,label\ngood film,positive\nbad film,negative\n")
    ...     films = read_corpus(path)
    >>> films.corpus.label_names, films.corpus.labels, films.notes
    (('negative', 'positive'), array([1, 0]), ("text column: 'sentence' (guessed)", "label column: 'label' (guessed)"))
    """
    asked = ColumnNames(text_column, pair_column, label_column, id_column)
    opened = _open(source, encoding=encoding, delimiter=delimiter, config=config, split=split)
    return build_corpus(opened, asked, label_names=label_names, labels=labels, on_missing=on_missing)


def looks_like_path(source: str) -> bool:
    """Say whether a name that exists nowhere was meant as a path, not as a dataset's name.

    Examples
    --------
    >>> looks_like_path("./pool"), looks_like_path("pool.csv"), looks_like_path("stanfordnlp/imdb")
    (True, True, False)
    """
    return source.startswith((".", "/", "~")) or "\\" in source or source.count("/") > 1 or is_table_path(source)


def _open(
    source: str | Path, *, encoding: str | None, delimiter: str | None, config: str | None, split: str | None
) -> OpenedTable:
    path = Path(source).expanduser()
    where = str(source)
    if path.is_dir():
        if not is_saved_dataset(path):
            raise InvalidData(f"{where} is a folder, not a file; {_offer(path)}")
        return OpenedTable(hub_split(read_saved(path), split, where), where, path.name, path)
    if path.exists() or isinstance(source, Path) or looks_like_path(where):
        parsed = read_table(path, encoding=encoding, delimiter=delimiter)
        return OpenedTable(parsed.table, where, path.name.partition(".")[0], path.parent, parsed.notes)
    table = hub_split(read_hub(where, config), split, where)
    return OpenedTable(table, where, where.rpartition("/")[2])


def _offer(folder: Path) -> str:
    files = sorted(path.name for path in folder.iterdir() if is_table_path(path))
    return f"name one of the files in it: {', '.join(files)}" if files else "it holds no file that can be read"
