"""What it takes to begin: the package and all it needs, installed into an empty environment."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Installed", "installed"]


@dataclass(frozen=True, slots=True)
class Installed:
    """Seconds to install, megabytes on disk, and how much of them is torch."""

    seconds: float
    megabytes: int
    torch_megabytes: int
    packages: int


def installed(folder: Path, checkout: Path) -> Installed:
    """Install ``nearmiss[web]`` with the pinned torch and measure."""
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "-c", str(checkout / "constraints.txt")]
    pin = next(line for line in (checkout / "constraints.txt").read_text().splitlines() if line.startswith("torch=="))
    began = time.perf_counter()
    subprocess.run([*pip, pin], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([*pip, f"{checkout}[web]"], check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    return Installed(
        round(seconds, 1), _megabytes(site), _megabytes(site / "torch"), len(list(site.glob("*.dist-info")))
    )


def _megabytes(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6)
