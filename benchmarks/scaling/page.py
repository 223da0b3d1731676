"""The figures as a page, and growth as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_LEFT = ("left: exact", "two levels", "random")
_LENGTH = ("length: exact", "two levels", "random")
_WAYS = {0: "streaming, this process", 1: "Ray, 1 worker of 2 CPUs", 2: "Ray, 2 workers of 1 CPU"}


def page(found: dict[str, Any]) -> str:
    """Write all that was measured."""
    machine = found["machine"]
    parts = [
        "# Pools in shards: what was measured",
        "",
        f"Written by `python -m benchmarks.scaling`. {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory']}; torch {machine['torch']}.",
        "",
    ]
    if "signals" in found:
        parts += _signals(found["signals"])
    if "loss" in found:
        parts += _loss(found["loss"])
    if "texts" in found:
        parts += _texts(found["texts"])
    return "\n".join(parts)


def draw_growth(found: dict[str, Any], path: Path) -> None:
    """Draw seconds over rows, for the streaming runs."""
    runs = sorted((run["rows"], run["seconds"]) for run in found.get("signals", ()) if not run["workers"])
    if not runs:
        return
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.subplots()
    rows, seconds = zip(*runs, strict=True)
    axes.plot([n / 1e6 for n in rows], seconds, "o-", label="measured")
    slope = seconds[-1] / rows[-1]
    axes.plot([0, rows[-1] / 1e6], [0, slope * rows[-1]], ":", color="grey", label="in proportion")
    axes.set(xlabel="texts, millions", ylabel="seconds", title="CAL against 5,000 labelled, d = 384")
    axes.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def _signals(runs: Sequence[dict[str, Any]]) -> list[str]:
    def row(run: dict[str, Any]) -> Iterable[object]:
        seconds, score = run["seconds"], run["stages"]["score"]
        rate = f"{run['rows'] / seconds:,.0f}"
        return f"{run['rows']:,}", _WAYS[run["workers"]], seconds, score, rate, f"{run['memory'] / 2**30:.2f}"

    return [
        "## Given signals: CAL, 100 texts, against 5,000 labelled ones (d = 384, 4 classes, k = 10)",
        "",
        "Shards of 50,000. Of each size the batches of all ways are the same, to the item. Seconds: without the start "
        "of Python and, on Ray, of the cluster. Memory: the most at once, of the process and all it started (PSS).",
        "",
        _table(("texts", "way", "seconds", "of these scoring", "texts a second", "GiB"), map(row, runs)),
        "",
        "![growth](plots/scaling.svg)",
        "",
    ]


def _loss(runs: Sequence[dict[str, Any]]) -> list[str]:
    def row(run: dict[str, Any]) -> Iterable[object]:
        lost = (run["shards"] - run["exact"]) / (run["random"] - run["exact"])
        told = f"{100 * lost:.0f} %" if run["strategy"] == "bertkm" else "-"
        long = [run["lengths"][way] for way in ("exact", "shards", "random")]
        lengths = [f"{length:.2f}" if run["strategy"] == "badge" else "-" for length in long]
        return run["strategy"], run["n"], run["exact"], run["shards"], run["random"], told, *lengths

    first = runs[0]
    return [
        "## Two levels: what is lost against the exact step",
        "",
        f"BANKING77, {first['texts']:,} texts, MiniLM; means of {first['seeds']} seeds. *Left*: mean squared distance "
        "of a text to the nearest of the batch (BERTKM: unit features; BADGE: gradient embeddings). *Lost*: of what "
        "the exact step gains over random texts. BADGE draws what is long and far from the rest, and does not aim at "
        "covering: *length* is the mean squared length of the gradients it picks.",
        "",
        _table(("strategy", "batch", *_LEFT, "lost", *_LENGTH), map(row, runs)),
        "",
    ]


def _texts(runs: Sequence[dict[str, Any]]) -> list[str]:
    def row(run: dict[str, Any]) -> Iterable[object]:
        stages = run["stages"]
        what = "first time" if run["what"] == "first" else "next round: all is read already"
        read = stages.get("read texts", 0.0)
        return what, f"{run['rows']:,}", run["seconds"], read, stages["score"], f"{run['memory'] / 2**30:.2f}"

    return [
        f"## Texts from end to end: {runs[0]['dataset']} repeated with edits, MiniLM, 500 labels, CAL",
        "",
        _table(("", "texts", "seconds", "reading", "scoring", "GiB"), map(row, runs)),
        "",
    ]


def _table(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
