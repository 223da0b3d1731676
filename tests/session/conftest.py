"""Small projects on disk, and a clock that moves when it is told to."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from nearmiss.session.project import Project

ANIMALS = ["cat", "dog", "horse", "cow", "goat", "hen", "duck", "pig"]
METALS = ["iron", "zinc", "lead", "gold", "tin", "brass", "steel", "chrome"]


def mixed_texts(n):
    """Texts of two kinds in turn, all different: odd numbers are of animals, even ones of metals."""
    kinds = (ANIMALS, METALS)
    return [f"{kinds[i % 2][i % 8]} {kinds[i % 2][i // 8 % 8]} and note {i}" for i in range(n)]


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def make_project(tmp_path):
    """Make projects of n texts, or of the texts given, and close them at the end."""
    made = []

    def make(texts=12, labels=("animal", "metal"), seed=0, **settings):
        chosen = mixed_texts(texts) if isinstance(texts, int) else texts
        project = Project.create(tmp_path / f"p{len(made)}", texts=chosen, label_names=labels, seed=seed)
        made.append(project)
        if settings:
            project.settings.change("ann", settings)
        return project

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project):
    return make_project()


@pytest.fixture
def dump():
    """Read whole tables, row by row, in the order of their keys."""

    def read(project, *tables):
        with project.database.reading() as connection:
            return {
                table: [tuple(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")]
                for table in tables
            }

    return read


@pytest.fixture
def run_python():
    """Run a program of ours to its end in a process of its own."""

    def run(code, *arguments):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=True
        )

    return run
