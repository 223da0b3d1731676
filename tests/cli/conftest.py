import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from nearmiss.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Nearmiss = Callable[..., Outcome]


@pytest.fixture
def nearmiss(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nearmiss:
    """Run the command line in this process, as the installed script does."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["nearmiss", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 0
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return run
