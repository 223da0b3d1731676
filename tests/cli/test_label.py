"""``nearmiss label`` and ``serve``, as processes: a link, one project a file, Ctrl-C, and refusals in one line."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nearmiss.session.history import EventKind
from nearmiss.session.project import Project

LINK = re.compile(r"http://127\.0\.0\.1:\d+/enter\?token=\S{30,}")


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    file = tmp_path / "reviews.csv"
    file.write_text("id,text\n" + "".join(f"r{i},review number {i}\n" for i in range(6)))
    return file


@contextmanager
def started(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command until it has printed its link, and give what it had printed by then."""
    command = [sys.executable, "-m", "nearmiss", *map(str, arguments), "--no-browser"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        printed = []
        try:
            for line in process.stdout:
                printed.append(line)
                if LINK.search(line):
                    break
            yield process, "".join(printed)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def test_a_file_becomes_a_project_beside_it_and_the_link_lets_its_owner_in(reviews):
    with started("label", reviews, "--labels", "good, bad", "--port", 0) as (_, printed):
        assert LINK.search(printed), printed
        assert "6 new texts" in printed
    with Project.open(reviews.with_name("reviews.nearmiss")) as project:
        assert [label.name for label in project.labels.offered()] == ["good", "bad"]
        assert project.texts.named("r3").text == "review number 3"


def test_the_same_command_goes_on_and_takes_in_what_the_file_has_gained(reviews):
    with started("label", reviews, "--labels", "good,bad", "--port", 0):
        pass
    with Project.open(reviews.with_name("reviews.nearmiss")) as project:
        project.tell("r1", "good")
    with reviews.open("a") as file:
        file.write("r6,one more\n")
    with started("label", reviews, "--labels", "good,bad", "--port", 0) as (_, printed):
        assert "1 new text, 6 texts known already" in printed
    with Project.open(reviews.with_name("reviews.nearmiss")) as project:
        assert (project.texts.count(), project.labels.named("good").texts) == (7, 1)


def test_words_and_examples_come_from_a_file(reviews, tmp_path):
    seeds = tmp_path / "seeds.csv"
    seeds.write_text("text,label\nlovely,good\n a  joy ,good\nawful,bad\nso so,mixed\n")
    for _ in range(2):  # the same file again changes nothing
        with started("label", reviews, "--labels", "good,bad", "--seeds", seeds, "--port", 0) as (_, printed):
            assert "seeds.csv: 4 seeds for 3 labels" in printed
    with Project.open(reviews.with_name("reviews.nearmiss")) as project:
        assert {label.name: label.seed_texts for label in project.labels.offered()} == {
            "good": ("lovely", "a joy"),
            "bad": ("awful",),
            "mixed": ("so so",),
        }
        with project.database.reading() as connection:
            changes = connection.execute("SELECT count(*) FROM event WHERE kind = ?", (EventKind.LABEL_CHANGED,))
            assert changes.fetchone()[0] == 3


def test_seeds_without_labels_are_refused_before_anything_is_made(nearmiss, reviews, tmp_path):
    seeds = tmp_path / "seeds.csv"
    seeds.write_text("text\nlovely\n")
    outcome = nearmiss("label", reviews, "--seeds", seeds, "--no-browser")
    assert outcome.code == 2
    assert "columns named text and label" in outcome.err
    assert not reviews.with_name("reviews.nearmiss").exists()


def test_ctrl_c_ends_it_without_a_traceback(reviews):
    with started("label", reviews, "--labels", "good,bad", "--port", 0) as (process, _):
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in rest


def test_a_datasets_name_opens_a_project_to_try(tmp_path):
    with started("label", "banking77", "--project", tmp_path / "try", "--port", 0) as (_, printed):
        assert LINK.search(printed), printed
    with Project.open(tmp_path / "try") as project:
        assert len(project.labels.offered()) == 77
        assert project.texts.count() == 8999  # 9,003 less four repeated
        assert project.answers.recent("root") == ()


def test_a_taken_port_is_told(nearmiss, reviews):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = nearmiss("label", reviews, "--labels", "a,b", "--port", taken.getsockname()[1], "--no-browser")
    assert outcome.code == 2
    assert "--port" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("no-such.csv",), "no-such.csv"),
        (("reviews.csv", "--host", "0.0.0.0"), "nobody has a password"),
        (("reviews.csv", "--certificate", "no-such.pem"), "--key"),
        (("reviews.csv", "--text-column", "words"), "words"),
        (("reviews.csv", "--labels", "a,a"), "there is a label 'a' already"),
        (("reviews.csv", "--project", "reviews.csv"), "reviews.csv"),
    ],
)
def test_what_cannot_be_done_is_one_line(nearmiss, reviews, monkeypatch, arguments, part):
    monkeypatch.chdir(reviews.parent)
    outcome = nearmiss("label", *arguments, "--no-browser", "--port", 0)
    assert outcome.code == 2, outcome
    assert part in outcome.err
    assert "Traceback" not in outcome.err


def test_a_refused_file_leaves_no_half_project(nearmiss, reviews, monkeypatch):
    monkeypatch.chdir(reviews.parent)
    reviews.write_text("text\n\n\n")
    assert nearmiss("label", "reviews.csv", "--no-browser", "--port", 0).code == 2
    assert not (reviews.parent / "reviews.nearmiss" / "project.db").exists()
