"""Selection, inference and whole rounds beside slow references, FAISS, scikit-learn and scikit-activeml, in one run.

    python -m benchmarks                          # everything: 25 minutes on 2 quiet cores
    python -m benchmarks --quick                  # small sizes, about two minutes; writes to runs/bench-quick
    python -m benchmarks --only cal-large,badge   # these sections; results of the others stay
    python -m benchmarks --only cuda-selection    # on a GPU; writes to benchmarks/cuda
    python -m benchmarks --render                 # the page again, from the figures on disk

Writes results.json after every figure, RESULTS.md and plots/ after every section.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path

import torch

from benchmarks import limits, machine
from benchmarks.plots import draw_lines, draw_ratios
from benchmarks.report import render, value
from benchmarks.results import Figure, Item, Lines, Note, Record, Results, Table
from benchmarks.sections import SECTIONS, Context
from benchmarks.texts import find_source

HERE = Path(__file__).parent
QUICK = HERE.parent / "runs" / "bench-quick"
CACHE = HERE.parent / "runs" / "bench-cache"
CUDA = HERE / "cuda"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    options = _parser().parse_args(arguments)
    names = _chosen(options.only, options.quick)
    on_gpu = any(SECTIONS[name].on_gpu for name in names)
    out = options.out or (QUICK if options.quick else CUDA if on_gpu else HERE)
    if options.repeats is not None and options.repeats < 1:
        sys.exit(f"--repeats is {options.repeats}; ask for 1 or more")
    results = _results_in(out)
    if options.render:
        _write_page(results, out)
        return 0
    if not names:
        return 0
    start = time.perf_counter()
    source = find_source(options.texts, options.data_dir)
    context = Context(options.quick, options.repeats or (1 if options.quick else 3), options.cache, source)
    described = machine.described()
    measured = limits.measured_on_gpu(options.quick) if on_gpu else limits.measured(options.quick)
    print("; ".join(f"{limits.LABELS[name]} {rate:.0f}" for name, rate in measured.items()), flush=True)
    failed = [name for name in names if not _run(name, context, results, described, measured, out)]
    print(f"\n{time.perf_counter() - start:.0f} s; {out / 'RESULTS.md'}", end="")
    print(f"; FAILED: {', '.join(failed)}" if failed else "")
    return 1 if failed else 0


def _results_in(out: Path) -> Results:
    """Open the results of a folder, before anything is measured that could not be kept."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        return Results(out / "results.json")
    except OSError as error:
        sys.exit(f"results cannot be written in {out} ({error}); name another folder with --out")
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{out / 'results.json'} is damaged ({error}); move it away, or name another folder with --out")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, marks not judged")
    parser.add_argument("--only", help=f"sections, separated by commas: {', '.join(SECTIONS)}")
    parser.add_argument("--repeats", type=int, help="turns of each way; the median is quoted (3, quick: 1)")
    parser.add_argument("--texts", default="sst2", help="dataset of short texts (sst2; an embedded one stands in)")
    parser.add_argument("--data-dir", help="where datasets lie that are not embedded (NEARMISS_DATA_DIR)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where embeddings are kept (runs/bench-cache)")
    parser.add_argument(
        "--out",
        type=Path,
        help="where results are written (benchmarks/, on a GPU benchmarks/cuda/; quick: runs/bench-quick)",
    )
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page anew")
    return parser


def _chosen(only: str | None, quick: bool) -> list[str]:
    if only is None:
        return [name for name, each in SECTIONS.items() if not each.on_gpu and (each.in_quick or not quick)]
    asked = [name.strip() for name in only.split(",")]
    unknown = [name for name in asked if name not in SECTIONS]
    if unknown:
        sys.exit(f"no section named {', '.join(unknown)}; known: {', '.join(SECTIONS)}")
    large = [name for name in asked if quick and not SECTIONS[name].in_quick]
    if large:
        sys.exit(f"{', '.join(large)} has one size, which is not quick; leave --quick out")
    on_gpu = [name for name in asked if SECTIONS[name].on_gpu]
    if on_gpu and len(on_gpu) < len(asked):
        sys.exit(f"{', '.join(on_gpu)} runs on a GPU, the others do not: figures of the two are kept apart, ask twice")
    if on_gpu and not torch.cuda.is_available():
        print(f"{', '.join(on_gpu)} skipped: this machine has no CUDA device that torch can use")
        return []
    return asked


def _run(
    name: str,
    context: Context,
    results: Results,
    described: dict[str, str],
    measured: dict[str, float],
    out: Path,
) -> bool:
    """Run one section, keeping each item at once; a section that fails costs the others nothing."""
    load = os.getloadavg()[0]
    print(f"\n{name} (load {load:.1f})", flush=True)
    record = Record(name, str(date.today()), machine.commit(), context.quick, described, measured)
    start = time.perf_counter()
    try:
        for item in SECTIONS[name].run(context):
            record.items.append(item)
            record.seconds = time.perf_counter() - start
            results.save(record)
            print(f"  {_said(item)}", flush=True)
        record.complete = True
    except Exception as error:
        print(f"  failed: {type(error).__name__}: {error}", flush=True)
    finally:  # also when it is interrupted
        record.seconds = time.perf_counter() - start
        if record.items:
            results.save(record)
            _write_page(results, out)
    return record.complete


def _write_page(results: Results, out: Path) -> None:
    (out / "RESULTS.md").write_text(render(results.records, partial(_draw, out)), encoding="utf-8")


def _draw(out: Path, drawn: Lines | list[Figure]) -> Path:
    folder = out / "plots"
    path = draw_lines(drawn, folder) if isinstance(drawn, Lines) else draw_ratios(drawn, folder)
    return path.relative_to(out)


def _said(item: Item) -> str:
    if isinstance(item, Figure):
        beside = f"; {item.peer} {value(item.theirs, item.unit)}, ratio {item.ratio:.3g}" if item.theirs else ""
        sizes = " ".join(f"{name}={size:,}" for name, size in item.sizes.items())
        return f"{item.what} {sizes}: {value(item.ours, item.unit)}{beside}"
    if isinstance(item, Note):
        return item.text
    if isinstance(item, Table):
        return "\n  ".join([item.title, *(" | ".join(row) for row in item.rows)])
    return item.title


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; what was measured until now is kept")
