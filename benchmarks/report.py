"""The generated page: machine, marks, shares of the limits, then every section's tables, notes and plots."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.limits import FLOAT32, LABELS, best_gemm
from benchmarks.results import Figure, Lines, Mark, Note, Record, Table
from benchmarks.sections import SECTIONS

__all__ = ["render", "value"]

SIZES = ("n", "m", "d", "C", "k", "b")
#: Draws and says where the drawing is, relative to the page.
Draw = Callable[[Lines | list[Figure]], Path]


def render(records: Mapping[str, Record], draw: Draw) -> str:
    """Write the page from what the JSON file holds."""
    ordered = [records[name] for name in SECTIONS if name in records]
    ratios = [each for each in _figures(ordered) if each.unit == "s" and each.ratio is not None]
    parts = [
        "# Selection, inference and rounds, measured",
        "",
        *_machines(ordered),
        "## Marks",
        "",
        *_marks(ordered),
        *([f"![Seconds beside the peers]({draw(ratios).as_posix()})", ""] if ratios else []),
        "## Share of what the hardware can do",
        "",
        *_shares(ordered),
    ]
    for record in ordered:
        parts += _section(record, draw)
    return "\n".join(parts).rstrip() + "\n"


def value(number: float, unit: str) -> str:
    """Write a figure with its unit.

    Examples
    --------
    >>> value(0.00412, "s"), value(9.876, "s"), value(312.4, "MB"), value(1.02, "")
    ('4.12 ms', '9.88 s', '312 MB', '1.02')
    """
    if unit == "s" and number < 0.1:
        return f"{1000 * number:.3g} ms"
    if unit == "":
        return f"{number:.5g}"
    return f"{number:.3g} {unit}" if number < 100 else f"{number:,.0f} {unit}"


def _grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def _figures(records: Iterable[Record]) -> list[Figure]:
    return [item for record in records for item in record.items if isinstance(item, Figure)]


def _machines(records: Sequence[Record]) -> list[str]:
    """Describe each machine once, with the sections that ran on it."""
    lines = [
        "`make bench`; medians, the ways taking turns after a warm-up, float32 arrays. Ratios are nearmiss divided by "
        "the peer, measured in the same run. How to read this page: [README.md](README.md).",
        "",
    ]
    if any(record.quick for record in records):
        lines += ["**A quick run** (`--quick`): small sizes, marks not judged.", ""]
    machines: list[dict[str, str]] = []
    for record in records:
        if record.machine not in machines:
            machines.append(record.machine)
    for machine in machines:
        here = [record for record in records if record.machine == machine]
        dates = sorted({record.date for record in here})
        ran = ", ".join(record.name for record in here)
        rows = [
            ["sections", ran],
            ["date", " to ".join(dict.fromkeys((dates[0], dates[-1])))],
            ["commit", ", ".join(dict.fromkeys(record.commit for record in here))],
            *machine.items(),
        ]
        lines += _grid(("machine", ""), [[str(name), str(text)] for name, text in rows])
        limits = {name: statistics.median(r.limits[name] for r in here if name in r.limits) for name in here[0].limits}
        lines += _grid(("limit", ""), [[LABELS[name], f"{rate:.0f}"] for name, rate in limits.items()])
    return lines


def _marks(records: Sequence[Record]) -> list[str]:
    columns = ("", *SIZES, "nearmiss", "peer", "", "ratio", "mark", "met")
    rows = []
    for record in records:
        for each in _figures([record]):
            sizes = [f"{each.sizes[name]:,}" if name in each.sizes else "" for name in SIZES]
            theirs = value(each.theirs, each.unit) if each.theirs is not None else ""
            ratio = _ratio(each)
            bounds = "; ".join(_bound(mark, each.unit) for mark in each.marks)
            met = "; ".join(_met(each, mark, record.quick) for mark in each.marks)
            rows.append([each.what, *sizes, value(each.ours, each.unit), theirs, each.peer, ratio, bounds, met])
    return _grid(columns, rows)


def _ratio(figure: Figure) -> str:
    if figure.ratio is None:
        return ""
    # What has no unit (inertia) differs in the last digits.
    return f"{figure.ratio:.3g}" if figure.unit else f"{figure.ratio:.4f}"


def _bound(mark: Mark, unit: str) -> str:
    if mark.of == "ratio":
        low, high = (None if each is None else f"{each:g}×" for each in (mark.low, mark.high))
    else:
        low, high = (None if each is None else value(each, unit) for each in (mark.low, mark.high))
    if low and high:
        return f"{low} to {high}"
    return f"at least {low}" if low else f"at most {high}"


def _met(figure: Figure, mark: Mark, quick: bool) -> str:
    met = figure.met(mark)
    if met is None or quick:
        return "–"
    return "yes" if met else "**no**"


def _shares(records: Sequence[Record]) -> list[str]:
    """Divide the distance products' rate by the best rate of a bare matrix product in the same run."""
    rows = []
    for record in records:
        single, best = best_gemm(record.limits, FLOAT32), best_gemm(record.limits)
        seen: set[tuple[str, float]] = set()
        for each in _figures([record]):
            if each.flop is None or (each.what, each.ours) in seen or not best:
                continue
            seen.add((each.what, each.ours))
            rate = 1e-9 * each.flop / each.ours
            sizes = ", ".join(f"{name} = {size:,}" for name, size in each.sizes.items())
            shares = [f"{rate / single:.0%}", f"{rate / best:.0%}"]
            rows.append(
                [each.what, sizes, value(1e-9 * each.flop, "GFLOP"), value(each.ours, "s"), f"{rate:.0f}", *shares]
            )
    columns = ("", "", "distance products", "time", "GFLOP/s", "of the float32 limit", "of the best limit")
    note = "Work that an algorithm saves counts as done, so a share can exceed 100 %."
    return [note, "", *_grid(columns, rows)]


def _section(record: Record, draw: Draw) -> list[str]:
    lines = [f"## {SECTIONS[record.name].title}", ""]
    if not record.complete:
        lines += ["**Incomplete**: the run was interrupted or failed here; this is what was measured until then.", ""]
    for item in record.items:
        if isinstance(item, Table):
            lines += [item.title + ":", "", *_grid(item.columns, item.rows)]
        elif isinstance(item, Note):
            lines += [item.text, ""]
        elif isinstance(item, Lines):
            lines += [f"![{item.title}]({draw(item).as_posix()})", ""]
    return lines if len(lines) > 2 else []
