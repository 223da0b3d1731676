"""``python -m benchmarks.scaling``: measure, and write SCALING.md, scaling.json and plots/scaling.svg."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from benchmarks.scaling.children import measured
from benchmarks.scaling.loss import losses
from benchmarks.scaling.page import draw_growth, page
from benchmarks.scaling.pools import first_shards, make_signals, make_texts

_HERE = Path(__file__).parent.parent
_LABELED, _BATCH = 5_000, 100


def main() -> None:
    """Measure what the flags ask for; a part that is measured already stays, unless it is named again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="of the largest pool of made-up signals")
    parser.add_argument("--texts", type=int, default=100_000, help="of the pool of real texts")
    parser.add_argument("--dataset", default="dbpedia-6k", help="whose texts are repeated with edits")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="keeps the pools [default: a temporary one]")
    parser.add_argument("--parts", nargs="+", default=["signals", "loss", "texts"])
    parser.add_argument("--out", type=Path, default=_HERE)
    asked = parser.parse_args()
    path = asked.out / "scaling.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found["machine"] = described()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        for part in asked.parts:
            measure = {"signals": _signals, "loss": lambda *_: losses(), "texts": _texts}[part]
            found[part] = measure(asked, folder)
            path.write_text(json.dumps(found, indent=1) + "\n")
    draw_growth(found, asked.out / "plots" / "scaling.svg")
    (asked.out / "SCALING.md").write_text(page(found))


def _signals(asked: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    whole = folder / "signals"
    make_signals(whole, asked.rows)
    found = []
    for part in (8, 4, 2, 1):
        rows = asked.rows // part
        pool = first_shards(whole, folder / f"signals-{part}", rows)
        # On Ray once with one worker on both cores (as this process has), once with two of one each.
        ways = [(0, 1.0), (1, 2.0), (2, 1.0)] if part in (1, 8) else [(0, 1.0)]
        batches = set()
        for workers, cpus in ways:
            settings = {"pool": str(pool), "m": _LABELED, "n": _BATCH, "strategy": "cal", "workers": workers}
            run = measured({**settings, "cpus": cpus})
            batches.add(tuple(run.batch))
            found.append({"rows": rows, "workers": workers, **_facts(run)})
            sys.stderr.write(f"{found[-1]}\n")
        if len(batches) > 1:
            raise RuntimeError(f"{rows} rows: the batches differ")
    return found


def _texts(asked: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    pool = folder / "texts"
    known = make_texts(pool, asked.texts, asked.dataset, asked.data_dir)
    labels = folder / "labels.csv"
    lines = ["id,label", *(f"{i},{known.names[c]}" for i, c in zip(known.ids, known.labels, strict=True))]
    labels.write_text("\n".join(lines) + "\n")
    found = []
    with tempfile.TemporaryDirectory() as work:
        for what in ("first", "again"):
            settings = {"pool": str(pool), "labels": str(labels), "n": _BATCH, "strategy": "cal", "work": work}
            run = measured({**settings, "workers": 0})
            found.append({"rows": asked.texts, "what": what, "dataset": asked.dataset, **_facts(run)})
            sys.stderr.write(f"{found[-1]}\n")
    return found


def _facts(run: Any) -> dict[str, Any]:  # noqa: ANN401 - Measured
    return {"seconds": round(run.seconds, 1), "stages": run.stages, "memory": run.memory}


if __name__ == "__main__":
    main()
