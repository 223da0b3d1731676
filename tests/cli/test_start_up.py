"""``nearmiss --help`` must answer at once: held by what is imported, not by a clock."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "sklearn", "scipy", "pyarrow", "matplotlib", "numpy", "pandas", "datasets"}


def imported_by(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(' '.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy():
    assert not imported_by("import nearmiss") & HEAVY


@pytest.mark.parametrize("command", ["", "run", "reproduce", "status", "select", "strategies", "datasets"])
def test_help_loads_nothing_heavy(command):
    code = f"""
import sys
from nearmiss.cli import main
sys.argv = ["nearmiss", *{command.split()}, "--help"]
try:
    main()
except SystemExit as leave:
    assert not leave.code
"""
    assert not imported_by(code) & HEAVY


def test_public_names_are_few_and_all_there():
    import nearmiss

    assert len(nearmiss.__all__) <= 20
    assert set(dir(nearmiss)) == set(nearmiss.__all__)
    for name in nearmiss.__all__:
        assert getattr(nearmiss, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        nearmiss.no_such_name  # noqa: B018
