"""The page over a whole reproduction: first the answer, then every figure and table, then how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nearmiss._version import __version__
from nearmiss.analysis.thresholds import SHARES
from nearmiss.experiment.protocol import Protocol, protocol_named, protocol_names
from nearmiss.experiment.reporting import formats
from nearmiss.experiment.reporting.evidence import LEGEND, labels_table
from nearmiss.experiment.reporting.summary import REFERENCE
from nearmiss.experiment.reporting.tables import TextTable, markdown
from nearmiss.experiment.reporting.targets import paper
from nearmiss.experiment.reporting.targets.artefact import Artefact, bullets, plain, section
from nearmiss.experiment.reporting.targets.contest import bout_table, bouts, contest_sentences
from nearmiss.experiment.reporting.targets.grid import Grid, dataset_title, function_title, titled
from nearmiss.experiment.reporting.targets.scope import differences_from_paper, run_notes
from nearmiss.experiment.reporting.verdicts import judge
from nearmiss.text.catalog import CATALOG

__all__ = ["index_page"]

#: A model trained on the whole pool that is no further than this above guessing has learnt little.
_CHANCE_MARGIN = 0.1


def index_page(grid: Grid, made: Sequence[Artefact], absent: Mapping[str, str], ranks: Artefact | None) -> str:
    """Write the page as Markdown.

    Parameters
    ----------
    grid
        The main grid.
    made
        The figures and tables, in order; the same sentences on what differs stand once, at the end.
    absent
        Targets that could not be made, and why.
    ranks
        The functions over all datasets; None where there are too few to rank.
    """
    differs = differences_from_paper(grid, grid.datasets)
    results = [grid.result(name) for name in grid.datasets]
    parts = [
        f"# {plain(titled('CAL reproduced', grid.reproduction.protocol.title, results))}\n",
        f"{plain(_extent(grid))}\n",
        "## Is CAL better?\n",
        *_contest(grid),
        *_labels(grid),
        "## What each dataset allows one to say\n",
        _per_dataset(grid),
        *_over_datasets(grid, ranks),
        *(section(_without(artefact, differs), level=2) for artefact in made),
        *_not_made(absent),
        "## What differs from the paper\n",
        bullets((*differs, *run_notes(grid), *grid.reproduction.notes)),
        "## How to repeat this\n",
        _repeat(grid),
    ]
    return "\n".join(parts)


def _extent(grid: Grid) -> str:
    runs = sum(len(grid.result(name).runs) for name in grid.datasets)
    datasets = formats.listing([dataset_title(name) for name in grid.datasets])
    functions = formats.listing([function_title(name) for name in grid.functions])
    return (
        f"{formats.count(runs)} finished runs of {functions} on {datasets}, every one of them reported, set beside the"
        f" numbers of {paper.CITATION}."
    )


def _contest(grid: Grid) -> list[str]:
    known = bouts(grid)
    table = bout_table(known)
    return [bullets(contest_sentences(known)), *([markdown(table)] if table else [])]


def _per_dataset(grid: Grid) -> str:
    sentences = []
    for name, summary in grid.summaries.items():
        verdicts = judge(summary)
        text = " ".join(filter(None, [verdicts.headline, verdicts.resolution, summary.price]))
        sentences.append(f"{dataset_title(name)}: {text}")
    return bullets(sentences)


def _over_datasets(grid: Grid, ranks: Artefact | None) -> list[str]:
    if ranks is not None:
        return [section(ranks, level=2)]
    n = len(grid.datasets)
    return [
        "## Functions over datasets\n",
        f"With {n} dataset{'s' if n > 1 else ''} there is no ranking: nothing can be concluded over datasets.\n",
    ]


def _labels(grid: Grid) -> list[str]:
    """Give the labels needed to come near full supervision, for every dataset where that is known."""
    tables = {name: table for name, summary in grid.summaries.items() if (table := labels_table(summary)) is not None}
    heading = "## How many labels it takes\n"
    if not tables:
        return [heading, "No model was trained on a whole pool, so this cannot be said.\n"]
    full = [f"{dataset_title(name)} {formats.percent(grid.summaries[name].full_accuracy)} %" for name in tables]
    heads = [head for share in SHARES for head in (f"{100 * share:.0f} %", "Saved over random")]
    return [
        heading,
        markdown(
            TextTable(
                "labels",
                "Labels needed to reach 90, 95 and 99 % of the accuracy of full supervision, median over seeds with a"
                " 95 % bootstrap interval, and the share of random's labels saved. " + LEGEND + " Full supervision:"
                f" {', '.join(full)}.{_near_chance(grid, tables)}",
                ("Dataset", "Function", *heads),
                tuple(
                    (dataset_title(name), function_title(row[0]), *row[1:])
                    for name, table in tables.items()
                    for row in table.rows
                ),
            )
        ),
    ]


def _near_chance(grid: Grid, names: Iterable[str]) -> str:
    """Say where full supervision hardly beats guessing, so that a share of it is no achievement."""
    near = [
        dataset_title(name)
        for name in names
        if name in CATALOG
        and (full := grid.summaries[name].full_accuracy) is not None
        and full.mean < 1 / CATALOG[name].n_classes + _CHANCE_MARGIN
    ]
    if not near:
        return ""
    return f" On {formats.listing(near)} full supervision itself is near chance, and shares of it say little."


def _without(artefact: Artefact, sentences: Sequence[str]) -> Artefact:
    """Leave out notes that stand at the end of the page for all."""
    return replace(artefact, notes=tuple(note for note in artefact.notes if note not in sentences))


def _not_made(absent: Mapping[str, str]) -> list[str]:
    if not absent:
        return []
    return ["## Not made yet\n", bullets([f"{target}: {reason}" for target, reason in absent.items()])]


def _repeat(grid: Grid) -> str:
    return (
        f"    {_command(grid.reproduction.protocol)}\n\n"
        "It goes on from whatever OUT holds already. Each dataset's exact settings are in `OUT/DATASET/spec.toml`, and"
        f" every\nround of every run is in `OUT/DATASET/runs`. Written by nearmiss {__version__}.\n"
    )


def _command(protocol: Protocol) -> str:
    """Write the command that gives this protocol, with a flag for whatever was changed by hand."""
    words = ["nearmiss", "reproduce", "all", "--protocol", protocol.name]
    known = protocol_named(protocol.name) if protocol.name in protocol_names() else protocol
    if protocol.datasets != known.datasets:
        words += [word for name in protocol.datasets for word in ("--dataset", name)]
    if protocol.functions != known.functions:
        words += [word for name in protocol.functions if name != REFERENCE for word in ("--function", name)]
    if protocol.seeds != known.seeds:
        words += [word for seed in protocol.seeds for word in ("--seed", str(seed))]
    if protocol.max_pool != known.max_pool:
        words += ["--max-pool", str(protocol.max_pool)]
    if protocol.max_test != known.max_test:
        words += ["--max-test", str(protocol.max_test)]
    options = dict(protocol.classifier.options)
    lengths = (protocol.max_length, protocol.max_lengths)
    if lengths != (known.max_length, known.max_lengths) and protocol.max_length is not None:
        options["max_length"] = protocol.max_length
    for key, value in options.items():
        if known.classifier.options.get(key) != value:
            written = str(value).lower() if isinstance(value, bool) else str(value)
            flag = [f"--{key}", written] if key in ("model", "device") else ["--classifier-option", f"{key}={written}"]
            words += flag
    return shlex.join([*words, "--out", "OUT"])
