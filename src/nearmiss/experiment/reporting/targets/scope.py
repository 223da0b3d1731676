"""What a reproduction has otherwise than the paper, in sentences that stand under every figure and table."""

from __future__ import annotations

from collections.abc import Sequence

from nearmiss.experiment.protocol import protocol_named
from nearmiss.experiment.reporting.formats import count, listing
from nearmiss.experiment.reporting.summary import REFERENCE, capped_pool
from nearmiss.experiment.reporting.targets import paper
from nearmiss.experiment.reporting.targets.grid import (
    STAND_INS,
    Grid,
    dataset_title,
    function_title,
    paper_dataset,
)

__all__ = ["conditions", "differences_from_paper", "missing_runs", "run_notes"]

#: Seeds of every experiment in the paper.
PAPER_SEEDS = 5
PAPER_VALIDATION = "the paper keeps the checkpoint that is best on its validation set"


def differences_from_paper(grid: Grid, datasets: Sequence[str]) -> tuple[str, ...]:
    """Say what differs: model, pools, test sets, validation, seeds, datasets and functions.

    Parameters
    ----------
    grid
        The whole reproduction.
    datasets
        Those that the figure or table shows; sentences on sizes are about them.
    """
    return (*conditions(grid, datasets), *_datasets(datasets), *_functions(grid))


def conditions(grid: Grid, datasets: Sequence[str]) -> tuple[str, ...]:
    """Say what differs in how the runs were made, whatever they are runs of."""
    return (
        *_model(grid),
        *_sizes(grid, datasets),
        *_amounts(grid, datasets),
        _validation(grid, datasets),
        _seeds(grid, datasets),
        *missing_runs(grid, datasets),
    )


def run_notes(grid: Grid) -> tuple[str, ...]:
    """Give what the runs noted of data and models, dataset by dataset; caps are told with the sizes."""
    return tuple(
        f"{dataset_title(name)}: {note}"
        for name in grid.datasets
        for note in grid.result(name).notes
        if " capped at " not in note and not (_tells_size(note) and grid.result(name).spec.max_pool is not None)
    )


def _tells_size(note: str) -> bool:
    return note.startswith(("the pool holds", "the test set holds"))


def _model(grid: Grid) -> list[str]:
    protocol = grid.reproduction.protocol
    options = [f"{key.replace('_', '-')} = {value}" for key, value in protocol.classifier.options.items()]
    if protocol.classifier == protocol_named("paper").classifier:
        return []
    return [
        f"Model: {protocol.title} (classifier {protocol.classifier.name}{': ' if options else ''}"
        f"{', '.join(options)}); the paper fine-tunes BERT-base from the pretrained weights in every round."
    ]


def _sizes(grid: Grid, datasets: Sequence[str]) -> list[str]:
    capped = {name: cap for name in datasets if (cap := capped_pool(grid.result(name))) is not None}
    sentences = []
    if capped:
        sizes = [
            f"{dataset_title(name)} {count(cap)} (paper: {_paper_size(name, 'train')})" for name, cap in capped.items()
        ]
        sentences.append(
            f"Pools are capped: {listing(sizes)}. Batches and budgets are per cents of the pool, so they shrink with"
            " it."
        )
    tests = [
        f"{dataset_title(name)} {count(grid.result(name).test_size)} (paper: {_paper_size(name, 'test')})"
        for name in datasets
        if any(note.startswith("test set capped") for note in grid.result(name).notes)
    ]
    if tests:
        sentences.append(f"Test sets are capped: {listing(tests)}.")
    others = dict.fromkeys(
        note.removesuffix(", drawn by class")
        for name in datasets
        for note in grid.result(name).notes
        if " test set capped" in note
    )
    smaller = {
        name: [note for note in grid.result(name).notes if _tells_size(note)] for name in datasets if name not in capped
    }
    sentences += [f"{dataset_title(name)}: {listing(notes)}." for name, notes in smaller.items() if notes]
    if others:
        sentences.append(f"Out-of-domain test sets are capped: {listing(list(others))}.")
    return sentences


def _amounts(grid: Grid, datasets: Sequence[str]) -> list[str]:
    """Say where labels are bought in other amounts, or texts cut elsewhere, than in the paper."""
    here, theirs = grid.reproduction.protocol, protocol_named("paper")
    told = []
    bought, papers = ((one.initial, one.batch, one.budget) for one in (here, theirs))
    if bought != papers:
        told.append(
            f"Labels at the start, a round and in all: {', '.join(map(str, bought))}; the paper's:"
            f" {', '.join(map(str, papers))} of the pool."
        )
    lengths = {name: here.max_lengths.get(name, here.max_length) for name in datasets}
    other = {
        name: length
        for name, length in lengths.items()
        if length is not None and length != theirs.max_lengths.get(name, theirs.max_length)
    }
    if other:
        cut = [f"{dataset_title(name)} {length}" for name, length in other.items()]
        told.append(f"Texts are cut after other numbers of tokens than the paper's (128, IMDB 256): {listing(cut)}.")
    if here.masked_lm.max_length not in (None, here.max_length):
        told.append(f"ALPS reads the first {here.masked_lm.max_length} tokens of a text.")
    return told


def _paper_size(name: str, split: str) -> str:
    known = paper_dataset(name)
    if known is None or name in STAND_INS:
        return "not in it"
    return paper.DATASETS[known].train if split == "train" else paper.DATASETS[known].test


def _validation(grid: Grid, datasets: Sequence[str]) -> str:
    used = {name: size for name in datasets if (size := grid.result(name).validation_size)}
    if not used:
        return f"No validation set is used, so no labels are spent on one; {PAPER_VALIDATION}, and counts none of it."
    sizes = [f"{dataset_title(name)} {count(size)}" for name, size in used.items()]
    return (
        f"Validation labels, spent beside the budget and not counted on the axes: {listing(sizes)};"
        f" {PAPER_VALIDATION} too, and counts none of it."
    )


def _seeds(grid: Grid, datasets: Sequence[str]) -> str:
    counts = sorted({len(grid.summaries[name].seeds) for name in datasets})
    told = " to ".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]]))
    if counts == [PAPER_SEEDS]:
        return f"{PAPER_SEEDS} seeds, as in the paper; the initial sets and the splits are not the paper's."
    return f"{told} seed{'' if told == '1' else 's'}; the paper has {PAPER_SEEDS}."


def _datasets(datasets: Sequence[str]) -> list[str]:
    sentences = [
        f"{dataset_title(name)} stands in for {dataset_title(STAND_INS[name])}: the same kind of task on other texts,"
        " so its numbers cannot be held against the paper's."
        for name in datasets
        if name in STAND_INS
    ]
    covered = {paper_dataset(name) for name in datasets}
    absent = [dataset_title(name) for name in paper.DATASETS if name not in covered]
    if absent:
        sentences.append(f"Of the paper's datasets, {listing(absent)} {_is(absent)} missing here.")
    added = [dataset_title(name) for name in datasets if paper_dataset(name) is None]
    if added:
        sentences.append(f"{listing(added)} {_is(added)} not in the paper.")
    return sentences


def _functions(grid: Grid) -> list[str]:
    sentences = []
    added = [function_title(name) for name in grid.functions if name not in paper.FUNCTIONS]
    if added:
        sentences.append(f"{listing(added)} {_is(added)} not in the paper.")
    absent = [function_title(name) for name in paper.FUNCTIONS if name not in grid.functions]
    if absent:
        sentences.append(f"Of the paper's functions, {listing(absent)} {_is(absent)} missing here.")
    if REFERENCE not in grid.functions:
        sentences.append(f"{function_title(REFERENCE)} has no finished run, so nothing is held against it.")
    return sentences


def missing_runs(grid: Grid, datasets: Sequence[str]) -> tuple[str, ...]:
    """Say which runs of the main grid are not finished, dataset by dataset."""
    return tuple(f"{dataset_title(name)}: {remark}" for name in datasets for remark in grid.summaries[name].remarks)


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
