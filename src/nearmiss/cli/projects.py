"""Which project a command means: a folder, or the one that belongs to a file of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nearmiss.errors import InvalidInput
from nearmiss.session.exchange.forms import read_items
from nearmiss.session.exchange.imported import ImportedItems
from nearmiss.session.exchange.records import ExchangedItem
from nearmiss.session.labels import LONGEST_SEED, Label
from nearmiss.session.people import local_person
from nearmiss.session.project import DATABASE, Project
from nearmiss.session.transfer import ImportReport, import_items
from nearmiss.text.catalog import CATALOG
from nearmiss.text.datasets import load_dataset

__all__ = ["give_seeds", "open_or_make", "read_seeds", "report_lines"]

_SUFFIX = ".nearmiss"


def open_or_make(
    file: Path,
    folder: Path | None,
    label_names: Sequence[str] | None,
    *,
    seed: int,
    text_column: str | None,
    pair_column: str | None,
    label_column: str | None,
    id_column: str | None,
    encoding: str | None,
) -> tuple[Project, list[str]]:
    """Open the project that belongs to a file, made if there is none, with the file's rows in it.

    Raises
    ------
    NearmissError
        The file cannot be read, or the project cannot be opened; no half project is left behind.
    """
    if (file / DATABASE).is_file():  # a project was named
        if folder is not None:
            raise InvalidInput(f"{file} is a project already; leave --project out")
        project = Project.open(file)
        _add_labels(project, label_names)
        return project, []
    home = folder or file.with_name(file.stem + _SUFFIX)
    if not file.exists() and str(file) in CATALOG:
        imported = _dataset(str(file))
    else:
        imported = read_items(
            file,
            text_column=text_column,
            pair_column=pair_column,
            label_column=label_column,
            id_column=id_column,
            encoding=encoding,
            on_missing="drop",
        )
    there = (home / DATABASE).is_file()
    project = Project.open(home) if there else Project.create(home, name=file.stem, seed=seed, source=str(file))
    try:
        _add_labels(project, label_names)
        report = import_items(project, imported)
    except BaseException:
        project.close()
        if not there:
            for left in home.glob(f"{DATABASE}*"):
                left.unlink()
        raise
    return project, report_lines(report, str(file))


def read_seeds(file: Path) -> dict[str, tuple[str, ...]]:
    """Read words or examples of labels: a file of texts with their labels, in any form that holds such.

    Raises
    ------
    NearmissError
        The file cannot be read, or holds no labels.
    """
    seeds: dict[str, list[str]] = {}
    for item in read_items(file, on_missing="drop").items:
        if item.label is not None:
            seeds.setdefault(item.label, []).append(item.text)
    if not seeds:
        raise InvalidInput(f"{file} holds no labels; write a word or an example a row, in columns named text and label")
    return {name: tuple(texts) for name, texts in seeds.items()}


def give_seeds(project: Project, seeds: Mapping[str, Sequence[str]]) -> str:
    """Add words or examples to the labels of these names, new ones included, and say so.

    Raises
    ------
    InvalidInput
        A label name is none, or there are too many seeds.
    """
    with project.database.writing():
        _add_labels(project, tuple(seeds))
        for name, texts in seeds.items():
            label = project.labels.named(name)
            lines = [" ".join(text.split())[:LONGEST_SEED] for text in texts]
            given = tuple(dict.fromkeys((*label.seed_texts, *lines)))
            if given != label.seed_texts:
                project.labels.change(local_person(), label.id, {"seeds": "\n".join(given)})
                project.request_training()
    return f"{_count(sum(map(len, seeds.values())), 'seed')} for {_count(len(seeds), 'label')}"


def report_lines(report: ImportReport, source: str) -> list[str]:
    """Say in a few lines what became of a file.

    Examples
    --------
    >>> report_lines(ImportReport(3, 0, 1, ("spam",)), "mail.csv")
    ['mail.csv: 3 new texts, 1 answer taken over, new labels: spam']
    """
    parts = [_count(report.added, "new text")]
    if report.known:
        parts.append(f"{_count(report.known, 'text')} known already")
    if report.labeled:
        parts.append(f"{_count(report.labeled, 'answer')} taken over")
    if report.new_labels:
        shown = ", ".join(report.new_labels[:10])
        more = len(report.new_labels) - 10
        parts.append(f"new labels: {shown}{f' and {more} more' if more > 0 else ''}")
    return [*(f"{source}: {note}" for note in report.notes), f"{source}: {', '.join(parts)}"]


def _dataset(name: str) -> ImportedItems:
    """Take a known dataset's pool, its labels hidden: something to try the page on."""
    pool = load_dataset(name).pool
    second: Sequence[str | None] = pool.texts.second or (None,) * len(pool)
    items = tuple(ExchangedItem(None, text, pair) for text, pair in zip(pool.texts.first, second, strict=True))
    return ImportedItems(items, pool.label_names, (), name)


def _add_labels(project: Project, label_names: Sequence[str] | None) -> None:
    # A name that was changed, merged or retired since is known: the same command brings nothing back.
    borne = project.labels.names_ever()
    new = [name for name in label_names or () if name not in borne]
    project.labels.add_all(local_person(), [Label(0, name) for name in new])


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'' if n == 1 else 's'}"
