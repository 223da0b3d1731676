"""What this machine offers and what a process has taken of it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

__all__ = ["available_memory", "default_workers", "peak_memory", "usable_cores"]

#: What one worker takes: torch, a small encoder, its cached states, with room to spare.
_WORKER_BYTES = 1 << 30


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


def default_workers(threads: int) -> int:
    """Say how many runs of this many threads fit on the machine at once; at least one.

    Examples
    --------
    >>> default_workers(threads=10_000)
    1
    """
    return max(1, min(usable_cores() // threads, available_memory() // _WORKER_BYTES))


def peak_memory() -> int:
    """Give the peak resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB
