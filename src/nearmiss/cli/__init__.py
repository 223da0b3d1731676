"""The command line: parse, call one function, print."""

from __future__ import annotations

import io
import os
import sys

from nearmiss.kernel_cache import keep_few_kernels


def main() -> None:
    """Run ``nearmiss``; exit with 2 and one line on anything the user can mend. On Ctrl-C typer exits with 130."""
    keep_few_kernels()
    # Threads that wait for one another sleep instead of spinning: no slower alone, and twice as fast beside other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character must not end the work
    try:
        from nearmiss.cli.app import app
        from nearmiss.errors import NearmissError
    except KeyboardInterrupt:
        sys.exit(130)
    try:
        app()
    except NearmissError as error:
        _refuse(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _refuse(f"{where}{error.strerror or error}; check the path, its permissions and the space left")


def _refuse(message: str) -> None:
    sys.stderr.write(f"nearmiss: {message}\n")
    sys.exit(2)
