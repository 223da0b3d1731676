"""The card of a labelled dataset: what is in it, and how each label was come by."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from nearmiss.session.exchange.records import AnswerKind, ExchangedItem

__all__ = ["dataset_card"]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
# How the card speaks of what provenance holds.
_ORIGINS = (
    ("source", "Who chose the text"),
    ("strategy", "By which strategy"),
    ("model_version", "With which version of the model"),
    ("guideline_version", "Under which version of the guideline"),
    ("annotator", "Who gave the label"),
)
_UNKNOWN = "not recorded"


def dataset_card(items: Sequence[ExchangedItem], name: str, label_names: Sequence[str], guideline: str = "") -> str:
    """Write the README.md of a dataset folder, with the front matter that the hub reads.

    Parameters
    ----------
    items
        The rows.
    name
        Of the dataset.
    label_names
        The classes in their order.
    guideline
        What annotators were told.

    Examples
    --------
    >>> card = dataset_card([ExchangedItem("7", "good", label="pos", provenance={"source": "audit"})], "films", ["pos"])
    >>> "| audit | 1 |" in card
    True
    """
    labeled = [item for item in items if item.label is not None]
    size = next((size for limit, size in _SIZES if len(items) < limit), "n>1M")
    parts = [
        "---",
        f"pretty_name: {json.dumps(name)}",
        "task_categories:",
        "- text-classification",
        "size_categories:",
        f"- {size}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        "    path: data/train.parquet",
        "---",
        "",
        f"# {_line(name)}",
        "",
        f"{len(items):,} texts, {len(labeled):,} of them with a label. Labelled with nearmiss.",
        "",
        "Licence: not stated. Say here under which licence the texts and the labels may be used.",
        "",
        "## Labels",
        "",
        *_counted("Label", Counter(item.label or "" for item in labeled), order=label_names),
        "## How the labels were come by",
        "",
        *_origins(labeled),
        *_answers(items),
        "Columns that begin with `nearmiss_` tell it for each text; `nearmiss_answers` holds what each person said.",
        "",
    ]
    if guideline.strip():
        parts += ["## Guideline", "", *(f"> {line}".rstrip() for line in guideline.strip().splitlines()), ""]
    return "\n".join(parts)


def _origins(labeled: Sequence[ExchangedItem]) -> list[str]:
    lines: list[str] = []
    for key, heading in _ORIGINS:
        values = [item.provenance.get(key) for item in labeled]
        counts = Counter(_UNKNOWN if value in (None, "") else str(value) for value in values)
        if set(counts) - {_UNKNOWN}:
            lines += _counted(heading, counts)
    return lines or ["How these labels were come by is not recorded.", ""]


def _answers(items: Sequence[ExchangedItem]) -> list[str]:
    people: dict[str, Counter[AnswerKind]] = {}
    for item in items:
        for answer in item.answers:
            people.setdefault(answer.annotator, Counter())[answer.kind] += 1
    if not people:
        return []
    kinds = (AnswerKind.LABEL, AnswerKind.SKIP, AnswerKind.UNSURE)
    rows = [(_cell(person), *(f"{counts[kind]:,}" for kind in kinds)) for person, counts in sorted(people.items())]
    return _table(("Annotator", "Labelled", "Skipped", "Unsure"), rows)


def _counted(heading: str, counts: Counter[str], order: Sequence[str] = ()) -> list[str]:
    named = {name: counts[name] for name in order}
    others = {name: count for name, count in counts.most_common() if name not in named}
    return _table((heading, "Texts"), [(_cell(name), f"{count:,}") for name, count in (named | others).items()])


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _cell(text: str) -> str:
    escaped = _line(text)
    for mark in ("\\", "|", "`", "*", "_", "<", "[", "]"):
        escaped = escaped.replace(mark, f"\\{mark}")
    return escaped


def _line(text: str) -> str:
    return " ".join(text.split())
