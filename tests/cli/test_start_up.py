"""``nearmiss --help`` must answer at once: held by what is imported, not by a clock."""

import subprocess
import sys

import pytest

#: How many modules `import nearmiss` (0.05 s) and `nearmiss --help` (0.4 s) may load, the interpreter's own included.
#: Measured with Python 3.11: 64, and 318 to 417 by command; most of the latter are typer's and rich's.
IMPORT_BUDGET, HELP_BUDGET = 80, 470

HEAVY = {"torch", "transformers", "sklearn", "scipy", "pyarrow", "matplotlib", "numpy", "pandas", "datasets"}


def modules_of(code: str) -> set[str]:
    program = f"{code}\nimport sys; print(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_importing_the_package_loads_nothing_heavy():
    modules = modules_of("import nearmiss")
    assert not packages(modules) & HEAVY
    assert len(modules) <= IMPORT_BUDGET


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
    modules = modules_of(code)
    assert not packages(modules) & HEAVY
    assert len(modules) <= HELP_BUDGET


def test_public_names_are_few_and_all_there():
    import nearmiss

    assert len(nearmiss.__all__) <= 20
    assert set(dir(nearmiss)) == set(nearmiss.__all__)
    for name in nearmiss.__all__:
        assert getattr(nearmiss, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        nearmiss.no_such_name  # noqa: B018
