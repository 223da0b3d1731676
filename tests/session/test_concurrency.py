"""Many people at once, in threads and in another process: nothing lost, nothing twice, nothing half."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter

from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.items import NewItem

OTHER = """
import sys
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.project import Project
with Project.open(sys.argv[1]) as project:
    for i in range(60):
        for pick in project.ask(1, person="process"):
            project.answers.submit("process", Submission(pick.item.id, AnswerKind.LABEL, 1 + i % 2, f"process {i}"))
            print(pick.item.id, flush=True)
"""


def together(*works):
    """Run all at once, each in a thread, and give what went wrong."""
    failures = []
    start = threading.Barrier(len(works))

    def run(work):
        try:
            start.wait()
            work()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_eight_threads_and_a_process_lose_and_double_nothing(make_project):
    project = make_project(400)
    told = []

    def work(person):
        def label():
            for i in range(25):
                for pick in project.ask(1, person=person):
                    said = Submission(pick.item.id, AnswerKind.LABEL, 1 + i % 2, f"{person} {i}")
                    receipt = project.answers.submit(person, said)
                    assert project.answers.submit(person, said).event == receipt.event
                    told.append((receipt.event, person, pick.item.id, 1 + i % 2))

        return label

    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(project.folder)], stdout=subprocess.PIPE, text=True
    ) as other:
        first = int(other.stdout.readline())
        assert together(*(work(f"p{i}") for i in range(8))) == []
        elsewhere = [first, *map(int, other.stdout.read().split())]
    assert other.returncode == 0
    assert len(told) == 200
    assert len(elsewhere) == 60
    items = [item for _, _, item, _ in told] + elsewhere
    assert len(set(items)) == 260  # nobody was given what another had
    with project.database.reading() as connection:
        answers = connection.execute("SELECT event, person, item, label FROM answer").fetchall()
        assert connection.execute("SELECT count(*) FROM event WHERE kind = 'answered'").fetchone()[0] == 260
        assert connection.execute("SELECT count(*) FROM lease").fetchone()[0] == 0
    assert {tuple(row) for row in answers if row["person"] != "process"} == set(told)
    assert sorted(row["item"] for row in answers if row["person"] == "process") == sorted(elsewhere)
    assert project.database.problems() == ()


def test_everybody_answering_one_text_counts_once_each(make_project):
    project = make_project(2)

    def work(person):
        def label():
            for i in range(10):
                project.answers.submit(person, Submission(1, AnswerKind.LABEL, 1 + (i + len(person)) % 2))

        return label

    people = ["a", "bb", "ccc", "dddd", "eeeee"]
    assert together(*map(work, people)) == []
    answers = project.answers.of_item(1)
    assert sorted(answer.person for answer in answers) == people
    found = project.browser.find(1)
    [(most, _)] = Counter(answer.label for answer in answers).most_common(1)
    assert (found.answers, found.label, found.disputed) == (5, most, True)


def test_a_reader_never_sees_half_a_change(make_project):
    project = make_project(20)
    project.tell_all(dict.fromkeys(range(1, 21), 1), person="ann")
    done = threading.Event()
    seen = Counter()

    def write():
        try:
            for i in range(12):
                project.tell_all(dict.fromkeys(range(1, 21), 1 + i % 2), person="ann")
                project.answers.undo("ann")
                project.labels.merge("ann", 1, 2)
                project.labels.restore("ann", 1)
        finally:
            done.set()

    def read():
        while not done.is_set():
            with project.database.reading() as connection:
                decided = connection.execute("SELECT label, count(*) FROM decision GROUP BY label").fetchall()
                answered = connection.execute("SELECT label, count(*) FROM answer GROUP BY label").fetchall()
                merged = connection.execute("SELECT merged_into FROM label WHERE id = 1").fetchone()[0]
            [(label, texts)] = map(tuple, decided)
            assert texts == 20
            [(said, given)] = map(tuple, answered)
            assert given == 20
            assert label == (2 if merged else said)
            seen[label] += 1

    assert together(write, read, read) == []
    assert seen.total() > 10


def test_undoing_and_answering_at_once_agree_in_the_end(make_project, dump):
    project = make_project(10)

    def answer():
        for i in range(30):
            project.answers.submit("ann", Submission(1 + i % 10, AnswerKind.LABEL, 1))

    def undo():
        for _ in range(20):
            project.answers.undo("ann")

    assert together(answer, undo, undo) == []
    standing = 30 - sum(1 for _ in dump(project, "undone")["undone"])
    taken_back = 0
    while project.answers.undo("ann") is not None:
        taken_back += 1
    assert taken_back == standing
    assert dump(project, "answer", "decision") == {"answer": [], "decision": []}
    assert project.database.problems() == ()


def test_labels_of_one_name_are_made_once(make_project):
    project = make_project(1)
    failures = together(*[lambda: project.labels.add("ann", "plant")] * 6)
    assert len(failures) == 5
    assert all("there is a label 'plant' already" in str(error) for error in failures)
    assert [label.name for label in project.labels.offered()] == ["animal", "metal", "plant"]


def test_the_same_texts_added_at_once_are_added_once(make_project):
    project = make_project(1)
    wanted = [NewItem(f"text {i}") for i in range(50)]
    found = []
    assert together(*[lambda: found.append(project.find_or_add(wanted, source="test"))] * 5) == []
    assert project.texts.count() == 51
    assert set(found) == {tuple(range(2, 52))}
