"""A short run of the crash test; ``python -m benchmarks.labelling kills`` makes the long one."""

from pathlib import Path

import pytest
from benchmarks.labelling.kills import torment

from nearmiss.session.project import Project


@pytest.mark.slow
def test_no_acknowledged_label_is_lost_when_the_server_is_killed(tmp_path: Path):
    folder = tmp_path / "project"
    texts = [f"text number {number}, about {'this' if number % 2 else 'that'}" for number in range(5000)]
    with Project.create(folder, texts=texts, label_names=["a", "b", "c"]) as project:
        project.settings.change("me", {"classifier": "tfidf"})
    report = torment(folder, kills=10, seed=1)
    assert report.acknowledged > 20
    assert report.resent > 0
    assert (report.lost, report.doubled, report.wrong, report.problems) == (0, 0, 0, ())
