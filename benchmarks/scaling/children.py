"""One selection in a process of its own, watched from outside: seconds, and the memory of it and all that it starts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.scaling.pools import some_labels
from nearmiss.scale.folders import Folder
from nearmiss.scale.labels import read_labels
from nearmiss.scale.on_ray import RayExecutor
from nearmiss.scale.pool import ShardedPool
from nearmiss.scale.selecting import select_from_shards
from nearmiss.scale.work import StreamingExecutor

_EVERY = 0.25


@dataclass(frozen=True, slots=True)
class Measured:
    """A selection: seconds without the start of Python, the most memory (PSS) at once in bytes, and the batch."""

    seconds: float
    stages: dict[str, float]
    memory: int
    batch: list[str]


def measured(settings: dict[str, Any]) -> Measured:
    """Run a selection in a child and watch it."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.scaling.children", json.dumps(settings)],
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0
    while child.poll() is None:
        peak = max(peak, _memory_of(child.pid))
        time.sleep(_EVERY)
    if child.stdout is None or child.returncode:
        raise RuntimeError(f"the selection {settings} ended with {child.returncode}")
    found = json.loads(child.stdout.read().splitlines()[-1])
    return Measured(found["seconds"], found["stages"], peak, found["batch"])


def _memory_of(pid: int) -> int:
    """Add up the proportional set sizes of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.name))
    total, left = 0, [pid]
    while left:
        each = left.pop()
        left += children.get(each, [])
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def main() -> None:
    """Carry out the selection that the settings describe, and print what it gave."""
    settings = json.loads(sys.argv[1])
    ray = RayExecutor(workers=settings["workers"], cpus=settings.get("cpus", 1.0)) if settings["workers"] else None
    executor = ray or StreamingExecutor()
    pool = ShardedPool.open(settings["pool"])
    labels = read_labels(settings["labels"]) if "labels" in settings else some_labels(pool.rows, settings["m"])
    begun: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as work, executor.ready():
        start = time.perf_counter()
        batch = select_from_shards(
            pool,
            settings["n"],
            strategy=settings["strategy"],
            labels=labels,
            executor=executor,
            work_dir=settings.get("work", work),
            tell=lambda progress: begun.setdefault(progress.stage, time.perf_counter()) and None,
        )
        seconds = time.perf_counter() - start
        Folder(work).remove()
    ends = [*list(begun.values())[1:], start + seconds]
    stages = {stage: round(end - at, 2) for (stage, at), end in zip(begun.items(), ends, strict=True)}
    sys.stdout.write(json.dumps({"seconds": seconds, "stages": stages, "batch": list(batch.ids)}) + "\n")


if __name__ == "__main__":
    main()
