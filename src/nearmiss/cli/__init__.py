"""The command line: parse, call one function, print."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run ``nearmiss``; exit with 2 and one line on anything the user can mend, 130 on Ctrl-C."""
    from nearmiss.cli.app import app
    from nearmiss.errors import NearmissError

    # Texts come in many lengths, and torch would keep a compiled kernel for each: 400 MB that buy no speed. Read when
    # torch is first imported, and inherited by the workers.
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, "16")
    try:
        app()
    except NearmissError as error:
        _refuse(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _refuse(f"{where}{error.strerror or error}; check the path, its permissions and the space left")
    except KeyboardInterrupt:
        sys.stderr.write("\nnearmiss: stopped; what was finished is saved\n")
        sys.exit(130)


def _refuse(message: str) -> None:
    sys.stderr.write(f"nearmiss: {message}\n")
    sys.exit(2)
