"""Name the machine and the libraries, so that figures can be told apart."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from nearmiss.experiment.machine import usable_cores

__all__ = ["commit", "described", "fast_bfloat16", "installed", "processor"]

#: Instruction sets that decide how fast a matrix product can be.
FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "sve", "bf16")
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "faiss-cpu", "scikit-activeml", "transformers")


def fast_bfloat16() -> bool:
    """Say whether the processor multiplies bfloat16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(flag, False) for flag in ("avx512_bf16", "amx_bf16"))


def processor() -> str:
    """Name the processor, and whether it multiplies bfloat16."""
    return f"{_cpuinfo().get('model name', platform.processor())} ({'with' if fast_bfloat16() else 'without'} bfloat16)"


def installed(distribution: str) -> str | None:
    """Give the version of an installed package; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def described() -> dict[str, str]:
    """Describe the machine and the versions, in words."""
    facts = _cpuinfo()
    flags = facts.get("flags", facts.get("Features", "")).split()
    model = ", ".join(f"{key} {facts[key]}" for key in ("cpu family", "model", "stepping") if key in facts)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "processor": facts.get("model name", platform.processor()) + (f" ({model})" if model else ""),
        "flags": " ".join(flag for flag in FLAGS if flag in flags),
        "cores": f"{usable_cores()} usable of {os.cpu_count()}",
        "threads": f"torch {torch.get_num_threads()}; " + _thread_pools(),
        "memory": f"{memory:.1f} GiB",
        "system": f"{_distribution()}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "blas": f"NumPy's {blas.get('name')} {blas.get('version')}",
        **{name: installed(name) or "not installed" for name in LIBRARIES},
        **(_gpu() if torch.cuda.is_available() else {}),
    }


def in_short() -> str:
    """Name the processor, its cores and the memory, in a line."""
    known = described()
    return f"{known['processor']}, {known['cores']}, {known['memory']}"


def commit() -> str:
    """Name the commit that is measured, with a plus where files differ from it."""
    if shutil.which("git") is None:
        return "unknown"
    root = Path(__file__).parents[1]
    git = partial(subprocess.run, cwd=root, capture_output=True, text=True)
    name = git(["git", "rev-parse", "--short", "HEAD"]).stdout.strip()
    changed = git(["git", "status", "--porcelain", "src"]).stdout.strip()
    return f"{name}+" if name and changed else name or "unknown"


def _gpu() -> dict[str, str]:
    """Name the GPU that torch takes, and what drives it."""
    facts = torch.cuda.get_device_properties(0)
    path = Path("/proc/driver/nvidia/version")
    asked = ["nvidia-smi", "--id=0", "--query-gpu=driver_version", "--format=csv,noheader"]
    if shutil.which(asked[0]) is not None:
        driver = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    else:
        driver = path.read_text().splitlines()[0] if path.exists() else ""
    return {
        "gpu": f"{facts.name}, {facts.total_memory / 2**30:.1f} GiB, {facts.multi_processor_count} multiprocessors",
        "driver": driver or "unknown",
        "cuda": f"torch's {torch.version.cuda}; float32 products in {torch.get_float32_matmul_precision()} precision",
    }


@cache
def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()


def _thread_pools() -> str:
    """Say how many threads each library's pool has; FAISS brings one of its own."""
    from threadpoolctl import threadpool_info

    if installed("faiss-cpu"):
        import faiss  # noqa: F401  (its pools are listed once it is loaded)
    pools = {
        f"{pool['internal_api']} of {_owner(pool['filepath'])} {pool['num_threads']}"
        + (f" ({pool['architecture']})" if "architecture" in pool else "")
        for pool in threadpool_info()
    }
    return ", ".join(sorted(pools))


def _owner(library: str) -> str:
    """Name the package that a shared library came with."""
    _, found, inside = library.partition("site-packages/")
    return inside.split("/")[0].removesuffix(".libs") if found else Path(library).name
