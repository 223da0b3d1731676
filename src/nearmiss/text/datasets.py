"""Datasets by name, ready for an experiment; and datasets of one's own.

A name is looked for in this order: the package (``dbpedia-6k``, ``banking77``), the folder NAME of ``data_dir`` or of
the environment variable ``NEARMISS_DATA_DIR``, the Hugging Face hub. A path to a folder with ``train`` and ``test``
files, or to a single labelled file, is a dataset too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nearmiss.errors import InvalidData, InvalidInput, ModelUnavailable, UnknownName
from nearmiss.text.catalog import CATALOG, DatasetInfo, SplitSizes
from nearmiss.text.columns import ColumnNames
from nearmiss.text.corpus import Corpus, Splits
from nearmiss.text.corpus_file import CorpusFile, OpenedTable, build_corpus
from nearmiss.text.folders import folder_sizes
from nearmiss.text.sources import DATA_DIR_VARIABLE, Located, data_folder, embedded_folder, locate, locate_beside
from nearmiss.text.stratify import stratified_sample

__all__ = [
    "DATA_DIR_VARIABLE",
    "DatasetCard",
    "DatasetInfo",
    "SplitSizes",
    "assemble",
    "dataset_card",
    "dataset_names",
    "load_dataset",
]

_HELD_OUT = 0.2
# A split that differs from the paper's by more than this is worth a note.
_SAME_SIZE = 0.05


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """What a dataset is, and whether it can be used here and now.

    Attributes
    ----------
    info
        What is known without opening it.
    available
        It is on this machine.
    where
        Where it is, or where it could be had.
    sizes
        Of what is on this machine; None where nothing is.
    """

    info: DatasetInfo
    available: bool
    where: str
    sizes: SplitSizes | None = None


def dataset_names() -> tuple[str, ...]:
    """Return every known name, the embedded ones first.

    Examples
    --------
    >>> dataset_names()[:3]
    ('dbpedia-6k', 'banking77', 'imdb')
    """
    return tuple(CATALOG)


def dataset_card(name: str, data_dir: str | Path | None = None) -> DatasetCard:
    """Describe a known dataset, and say where it is found.

    Raises
    ------
    UnknownName
        No dataset of that name.
    InvalidData
        ``data_dir`` is not a folder.

    Examples
    --------
    >>> card = dataset_card("dbpedia-6k")
    >>> card.available, card.sizes.pool, card.info.licence
    (True, 6000, 'CC BY-SA 3.0')
    """
    if name not in CATALOG:
        raise UnknownName.among("dataset", name, CATALOG)
    info = CATALOG[name]
    if info.embedded:
        return DatasetCard(info, True, "in the package", folder_sizes(embedded_folder(name)))
    folder = data_folder(data_dir)
    if folder is not None and (folder / name).is_dir():
        return DatasetCard(info, True, f"in {folder / name}", folder_sizes(folder / name))
    place = f"a folder {name} in --data-dir or {DATA_DIR_VARIABLE}"
    if info.hub is None:
        return DatasetCard(info, False, f"from {place} only")
    subset = f" ({info.hub.config})" if info.hub.config else ""
    return DatasetCard(info, False, f"from the Hugging Face hub, {info.hub.name}{subset}, or {place}")


def load_dataset(
    name: str | Path,
    data_dir: str | Path | None = None,
    *,
    text_column: str | None = None,
    pair_column: str | None = None,
    label_column: str | None = None,
    max_pool: int | None = None,
    max_test: int | None = None,
    seed: int = 0,
) -> Splits:
    """Load a dataset as an experiment uses it: a pool to acquire from, a test set, perhaps more.

    A test set that is missing is held out from the pool (a fifth, by class); what was guessed, left out, held out or
    capped is told in the result's notes.

    Parameters
    ----------
    name
        A known name, a path to a folder or file, or a name on the Hugging Face hub (``owner/name``).
    data_dir
        A folder of datasets; None takes the environment variable ``NEARMISS_DATA_DIR``.
    text_column, pair_column, label_column
        For datasets of one's own; None guesses.
    max_pool, max_test
        At most this many texts, drawn by class; None keeps all.
    seed
        Of every draw made here. The same seed gives the same splits.

    Raises
    ------
    UnknownName
        Neither a known name nor a path.
    InvalidData
        A file that cannot be read, or without labels.
    ModelUnavailable
        Not on this machine, and the hub is out of reach.
    InvalidInput
        A cap below 1.

    Examples
    --------
    >>> splits = load_dataset("dbpedia-6k", max_pool=1000)
    >>> len(splits.pool), len(splits.test), splits.pool.n_classes
    (1000, 2000, 14)
    """
    for flag, cap in (("--max-pool", max_pool), ("--max-test", max_test)):
        if cap is not None and cap < 1:
            raise InvalidInput(f"{flag} is {cap}; it must be at least 1")
    located = locate(str(name), data_dir)
    known = located.columns
    asked = ColumnNames(text_column or known.text, pair_column or known.pair, label_column or known.label)
    return assemble(replace(located, columns=asked), max_pool=max_pool, max_test=max_test, seed=seed)


def assemble(located: Located, *, max_pool: int | None, max_test: int | None, seed: int) -> Splits:
    """Read the tables of a dataset that has been found, and divide them; ``load_dataset`` after the looking.

    Examples
    --------
    >>> splits = assemble(locate("banking77"), max_pool=500, max_test=100, seed=0)
    >>> splits.notes[0]
    'pool capped at 500 of 9,003 texts, drawn by class'
    """
    # One stream for each kind of draw, so that a cap on one split never changes another.
    division_rng, pool_rng, test_rng, ood_rng = np.random.default_rng(seed).spawn(4)
    notes: list[str] = []
    parts = _divide(_read(located, notes), located, division_rng, notes)
    pool = _cap(parts["pool"], max_pool, "pool", pool_rng, notes)
    test = _cap(parts["test"], max_test, "test set", test_rng, notes)
    notes += _comparison(pool, test, located)
    ood = [
        _cap(each, max_test, f"{each.name} test set", ood_rng, notes) for each in _out_of_domain(located, pool, notes)
    ]
    return Splits(pool, test, parts.get("validation"), tuple(ood), tuple(dict.fromkeys(notes)))


def _read(located: Located, notes: list[str]) -> dict[str, Corpus]:
    """Read every role's table, the pool first: its columns and class names hold for the others."""
    columns, names = located.columns, None
    parts: dict[str, Corpus] = {}
    for role in sorted(located.tables, key=lambda role: role != "pool"):
        opened = located.tables[role]
        if role != "pool" and columns.label is not None and columns.label not in opened.table.column_names:
            notes.append(f"the {role} split has no column {columns.label!r}, so it is left out")
            continue
        file = _build(opened, columns, names, located.info)
        labeled = file.labeled().corpus
        notes += [note if role == "pool" else f"{role} split: {note}" for note in file.notes]
        if len(labeled):
            # Row ids are of no use here, and need not be unique in every split.
            columns, names = replace(file.columns.names(), row_id=None), labeled.label_names
            parts[role] = replace(labeled, name=located.name if role == "pool" else f"{located.name} {role}")
        elif role == "pool":
            raise InvalidData(f"{opened.where}: column {file.columns.label!r} holds no label; a simulation needs them")
        else:
            notes.append(f"the {role} split has no labels, so it is left out")
    return parts


def _divide(
    parts: dict[str, Corpus], located: Located, rng: np.random.Generator, notes: list[str]
) -> dict[str, Corpus]:
    """Set aside what is missing: the validation rows of the plan, a test set."""
    if "pool" not in parts:
        raise InvalidData(
            f"{located.name} has no training split, only {' and '.join(parts)}: it can serve to test on, not as a pool"
        )
    plan = located.plan
    if plan is not None and isinstance(plan.validation, int):
        parts = parts | _set_aside(parts["pool"], plan.validation, "validation", rng)
        notes.append(f"{len(parts['validation']):,} training texts, drawn by class, serve for validation")
    if plan is not None:
        parts = parts | {"pool": _cap(parts["pool"], plan.pool, "training split", rng, notes)}
    if "test" not in parts:
        whole = len(parts["pool"])
        parts = parts | _set_aside(parts["pool"], max(1, round(_HELD_OUT * whole)), "test", rng)
        notes.append(
            f"no labelled test split: {len(parts['test']):,} of {whole:,} texts, drawn by class, are held out to test"
        )
    return parts


def _build(
    opened: OpenedTable, columns: ColumnNames, names: tuple[str, ...] | None, info: DatasetInfo | None
) -> CorpusFile:
    file = build_corpus(opened, columns, label_names=names, labels="some", on_missing="drop")
    bare_ids = all(name.isdigit() for name in file.corpus.label_names)
    if names is None and info is not None and info.label_names and bare_ids:
        return build_corpus(opened, columns, label_names=info.label_names, labels="some", on_missing="drop")
    return file


def _set_aside(pool: Corpus, n: int, role: str, rng: np.random.Generator) -> dict[str, Corpus]:
    """Draw n texts by class for another role; every class keeps at least one text in the pool."""
    drawn = stratified_sample(pool.gold(), n, rng, keep=1)
    if not len(drawn):
        raise InvalidData(
            f"{pool.name}: {len(pool)} labelled texts, no class twice; too few to set some aside for {role}: "
            "give a folder with a train and a test file"
        )
    rest = np.setdiff1d(np.arange(len(pool)), drawn)
    return {"pool": pool.take(rest), role: replace(pool.take(drawn), name=f"{pool.name} {role}")}


def _cap(corpus: Corpus, most: int | None, what: str, rng: np.random.Generator, notes: list[str]) -> Corpus:
    if most is None or len(corpus) <= most:
        return corpus
    notes.append(f"{what} capped at {most:,} of {len(corpus):,} texts, drawn by class")
    return corpus.take(stratified_sample(corpus.gold(), most, rng))


def _comparison(pool: Corpus, test: Corpus, located: Located) -> list[str]:
    """Say what a reader must know before comparing numbers."""
    notes = []
    paper = None if located.info is None else located.info.paper_sizes
    here = () if paper is None else (("pool", len(pool), paper.pool), ("test set", len(test), paper.test))
    for what, size, papers in here:
        if papers is not None and abs(size - papers) > _SAME_SIZE * papers:
            notes.append(f"the {what} holds {size:,} texts, the paper's {papers:,}")
    shared = len(set(pool.texts.digests).intersection(test.texts.digests))
    if shared:
        notes.append(f"{shared:,} texts of the pool occur in the test set too")
    return notes


def _out_of_domain(located: Located, pool: Corpus, notes: list[str]) -> list[Corpus]:
    found = []
    for name in () if located.info is None else located.info.ood:
        try:
            partner = locate_beside(located, name)
        except ModelUnavailable as error:
            notes.append(f"without the out-of-domain test set {name}: {error}")
            continue
        if partner is None or "test" not in partner.tables:
            notes.append(f"without the out-of-domain test set {name}: it is not beside {located.where}")
            continue
        only_test = replace(partner, tables={"test": partner.tables["test"]})
        found.append(_aligned(_read(only_test, [])["test"], pool, name, notes))
    return found


def _aligned(partner: Corpus, pool: Corpus, name: str, notes: list[str]) -> Corpus:
    """Give a partner's labels the ids that the pool's classes have."""
    if partner.label_names != pool.label_names and set(partner.label_names) == set(pool.label_names):
        ids = np.array([pool.label_names.index(each) for each in partner.label_names])
        return Corpus(partner.texts, ids[partner.gold()], pool.label_names, name)
    if partner.n_classes != pool.n_classes:
        raise InvalidData(
            f"{name} has {partner.n_classes} classes, {pool.name} has {pool.n_classes}; they cannot be paired"
        )
    if partner.label_names != pool.label_names:
        notes.append(f"{name}: {', '.join(partner.label_names)} count as {', '.join(pool.label_names)}")
    return replace(partner, name=name)
