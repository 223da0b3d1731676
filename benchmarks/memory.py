"""Peak memory of one thing, measured in a process that does nothing else.

    peak = peak_of(prepare, {"n": 100_000}, warm_up={"n": 1_000})

``prepare`` is a module's function; in the child it makes the inputs and returns the call to measure. The child first
prepares and makes the smaller call of the warm-up, so that libraries and their threads are not counted as working
memory.
"""

from __future__ import annotations

import gc
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearmiss.experiment.machine import peak_memory

__all__ = ["MEGABYTE", "Peak", "measure", "own_peak", "peak_of"]

ROOT = Path(__file__).parents[1]
MEGABYTE = 1_000_000
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")

Prepare = Callable[..., Callable[[], object]]


@dataclass(frozen=True)
class Peak:
    """What a call took in a process of its own.

    Attributes
    ----------
    seconds
        Wall time of the call.
    inputs
        Resident bytes before it: libraries and inputs.
    peak
        Most resident bytes at any moment of it.
    """

    seconds: float
    inputs: int
    peak: int

    @property
    def above(self) -> int:
        """Bytes beyond the inputs, the result included."""
        return max(0, self.peak - self.inputs)


def peak_of(prepare: Prepare, settings: Mapping[str, Any], warm_up: Mapping[str, Any] | None = None) -> Peak:
    """Run the call that ``prepare(**settings)`` returns in a process of its own."""
    asked = {"settings": dict(settings), "warm_up": None if warm_up is None else dict(warm_up)}
    command = [sys.executable, "-m", "benchmarks.memory", prepare.__module__, prepare.__name__, json.dumps(asked)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{prepare.__module__}.{prepare.__name__} failed in its own process:\n{ended.stderr}")
    return Peak(**json.loads(ended.stdout.splitlines()[-1]))


def own_peak() -> int:
    """Give this process's peak resident bytes."""
    # On Linux getrusage counts what the parent held when it started this process; the kernel's VmHWM does not.
    return _status("VmHWM") or peak_memory()


def _status(name: str) -> int:
    lines = _STATUS.read_text().splitlines() if _STATUS.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":")), 0)


def _forget_peak() -> None:
    """Start the kernel's count anew, so that what making the inputs took is not counted; not every system lets us."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return


def measure(prepare: Prepare, settings: Mapping[str, Any], warm_up: Mapping[str, Any] | None) -> Peak:
    """Make the inputs, then the call, in this process."""
    if warm_up is not None:
        prepare(**warm_up)()
    call = prepare(**settings)
    gc.collect()
    _forget_peak()
    inputs = _status("VmRSS") or peak_memory()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    peak = own_peak()
    del result  # held until now: it is part of what the call takes
    return Peak(seconds, inputs, peak)


def main() -> None:
    """Be the child of ``peak_of``."""
    module, name, asked = sys.argv[1:]
    print(json.dumps(asdict(measure(getattr(importlib.import_module(module), name), **json.loads(asked)))))


if __name__ == "__main__":
    main()
