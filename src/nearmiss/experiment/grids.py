"""Which grids were asked for in a directory: those that differ in strategies and seeds alone may share one.

``spec.toml`` is the latest; ``grids/`` keeps each under its hash, so that a reader of the directory knows all its runs.
"""

from __future__ import annotations

from pathlib import Path

from nearmiss.errors import NearmissError
from nearmiss.experiment.journal import write_atomically
from nearmiss.experiment.spec import ExperimentSpec

__all__ = ["announce_grid", "read_grids", "record_grid"]


def record_grid(out: Path, spec: ExperimentSpec) -> None:
    """Write down that this grid is what the directory is for."""
    announce_grid(out, spec)
    write_atomically(out / "spec.toml", spec.to_toml().encode())


def announce_grid(out: Path, spec: ExperimentSpec) -> None:
    """Write down that this grid will be run here too.

    Examples
    --------
    >>> import tempfile
    >>> spec = ExperimentSpec("imdb", ("random", "cal"))
    >>> with tempfile.TemporaryDirectory() as out:
    ...     announce_grid(Path(out), spec)
    ...     read_grids(Path(out)) == (spec,)
    True
    """
    (out / "grids").mkdir(parents=True, exist_ok=True)
    write_atomically(out / "grids" / f"{spec.run_id}.toml", spec.to_toml().encode())


def read_grids(out: Path) -> tuple[ExperimentSpec, ...]:
    """Read the grids of a directory, the latest first; one that cannot share it with the latest is left out."""
    paths = [path for path in (out / "spec.toml", *sorted(out.glob("grids/*.toml"))) if path.is_file()]
    grids: dict[str, ExperimentSpec] = {}
    for path in paths:
        try:
            spec = ExperimentSpec.read(path)
        except NearmissError:
            continue  # torn, or of another version: it takes nothing away from the others
        if not grids or not spec.conflicts(next(iter(grids.values()))):
            grids.setdefault(spec.run_id, spec)
    return tuple(grids.values())
