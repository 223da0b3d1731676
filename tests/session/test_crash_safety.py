"""Whatever moment the process is killed at, everything it acknowledged is there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from nearmiss.session.project import Project

LABELLING = """
import sys
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.project import Project
project, turn, i = Project.open(sys.argv[1]), int(sys.argv[2]), 0
while True:
    i += 1
    for pick in project.ask(1, person="ann"):
        project.queue.leave("ann")
    said = Submission(1 + i % 40, AnswerKind.LABEL, 1 + i % 2, f"{turn}:{i}", seconds=1.5)
    receipt = project.answers.submit("ann", said)
    print(receipt.event, said.key, said.item, said.label, flush=True)
    if i % 7 == 0:
        receipt = project.tell_all({1 + i % 40: 1, 1 + (i + 1) % 40: 2}, person="bob")
        print(receipt.event, "-", receipt.items[-1], 2, flush=True)
"""


@contextmanager
def labelling(folder, turn):
    with subprocess.Popen(
        [sys.executable, "-c", LABELLING, str(folder), str(turn)], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.slow
def test_everything_acknowledged_survives_a_kill(make_project):
    project = make_project(40)
    project.close()
    rng = random.Random(3)
    printed = []
    for turn in range(10):
        with labelling(project.folder, turn) as child:
            printed += [child.stdout.readline().split() for _ in range(rng.randrange(1, 60))]
            child.send_signal(signal.SIGKILL)
            printed += [line.split() for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        with Project.open(project.folder) as again:
            assert again.database.problems() == ()
            with again.database.reading() as connection:
                rows = connection.execute("SELECT seq, key, item, json_extract(body, '$.label') AS label FROM event")
                known = {str(row["seq"]): [row["key"] or "-", str(row["item"]), str(row["label"])] for row in rows}
                halves = connection.execute(
                    "SELECT batch FROM event WHERE batch IS NOT NULL GROUP BY batch HAVING count(*) <> 2"
                ).fetchall()
                behind = connection.execute(
                    "SELECT item, person, max(seq) AS seq FROM event WHERE kind = 'answered' GROUP BY item, person"
                    " EXCEPT SELECT item, person, event FROM answer"
                ).fetchall()
        assert [known.get(event) for event, *_ in printed] == [rest for _, *rest in printed]
        assert (halves, behind) == ([], [])
    assert len(printed) > 100
