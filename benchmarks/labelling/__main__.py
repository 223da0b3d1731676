"""The labelling application, measured and tormented.

    python -m benchmarks.labelling                 # everything: about 25 minutes on 2 quiet cores
    python -m benchmarks.labelling kills           # the real server killed 200 times while a client labels
    python -m benchmarks.labelling saving retraining keys install

Writes results.json beside this file after each part, and LABELLING.md from it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.labelling import keys, kills, speed
from benchmarks.labelling.install import installed

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "LABELLING.md"
KILLS, SIZES = 200, (10_000, 100_000)


def main() -> None:
    """Run the parts that are named, or all."""
    names = sys.argv[1:] or list(PARTS)
    unknown = set(names) - set(PARTS)
    if unknown:
        sys.exit(f"no part named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            measured = PARTS[name](Path(folder))
        results[name] = {"on": str(date.today()), "machine": machine.in_short(), **measured}
        print(json.dumps(measured, indent=2), flush=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        PAGE.write_text(page(results))


def _kills(folder: Path) -> dict[str, Any]:
    speed.made_pool(folder / "p", 20_000).close()
    return asdict(kills.torment(folder / "p", KILLS, seed=0))


def _saving(folder: Path) -> dict[str, Any]:
    found = {}
    for n in SIZES:
        speed.made_pool(folder / str(n), n).close()
        spread, ready = speed.saving(folder / str(n), 300)
        found[str(n)] = {**asdict(spread), "first page after": round(ready, 2)}
    return found


def _retraining(folder: Path) -> dict[str, Any]:
    found = {}
    for n in SIZES:
        speed.made_pool(folder / str(n), n).close()
        found[str(n)] = speed.retraining(folder / str(n), 1000)
    return found


def _keys(folder: Path) -> dict[str, Any]:
    speed.made_pool(folder / "p", SIZES[-1]).close()
    return asdict(keys.latency(folder / "p", 100))


def _install(folder: Path) -> dict[str, Any]:
    return asdict(installed(folder, HERE.parent.parent))


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "install": _install,
    "keys": _keys,
    "saving": _saving,
    "retraining": _retraining,
    "kills": _kills,
}


def page(results: dict[str, Any]) -> str:
    """Write the results as a page."""
    lines = [
        "# The labelling application, measured",
        "",
        "Written by `python -m benchmarks.labelling`; 77 labels, BANKING77's messages and pairs of them put together.",
        "Milliseconds unless it says otherwise.",
        "",
    ]
    for name, found in results.items():
        lines += [f"## {name}", "", f"{found['machine']}, {found['on']}.", "", "| | |", "|---|---|"]
        for key, value in found.items():
            if key not in ("machine", "on"):
                shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
                lines.append(f"| {key} | {shown} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
