"""What this machine offers and what a process has taken of it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

__all__ = ["WORKER_BYTES", "available_memory", "default_workers", "peak_memory", "usable_cores", "worker_bytes"]

#: What one worker takes: torch, a small encoder, its cached states, with room to spare.
WORKER_BYTES = 1 << 30
#: Weights, their gradients, the optimiser's two moments, and the copy of the best weights so far.
_COPIES_IN_TRAINING = 5


def usable_cores() -> int:
    """Count the cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> int:
    """Give the bytes that can be taken without swapping; the container's limit where there is one."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [total]
    meminfo, control_group = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")
    if meminfo.exists():
        limits += [int(line.split()[1]) * 1024 for line in meminfo.read_text().splitlines() if "MemAvailable" in line]
    if control_group.exists() and (limit := control_group.read_text().strip()).isdigit():
        limits.append(int(limit))
    return min(limits)


def worker_bytes(weights: int = 0, *, trained: bool = False) -> int:
    """Estimate the memory of one worker in bytes.

    Parameters
    ----------
    weights
        Bytes of the pretrained weights that it loads beside a small encoder.
    trained
        Whether all of them are trained, and not only read.

    Examples
    --------
    >>> worker_bytes(400 << 20, trained=True) == worker_bytes() + 5 * (400 << 20)
    True
    """
    return WORKER_BYTES + weights * (_COPIES_IN_TRAINING if trained else 1)


def default_workers(threads: int, memory: int | None = None, each: int = WORKER_BYTES) -> int:
    """Say how many runs fit on the machine at once; at least one.

    Parameters
    ----------
    threads
        Of each run.
    memory
        Bytes they may take together; by default what is available.
    each
        Bytes one of them takes.

    Examples
    --------
    >>> default_workers(threads=10_000)
    1
    """
    budget = available_memory() if memory is None else memory
    return max(1, min(usable_cores() // threads, budget // each))


def peak_memory() -> int:
    """Give the peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
