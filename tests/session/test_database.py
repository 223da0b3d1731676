"""The file behind a project when things go wrong: full disks, damaged files, strangers' files, newer versions."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from nearmiss.errors import InvalidData, InvalidInput, NearmissError
from nearmiss.session.browsing import Filter
from nearmiss.session.database import Database
from nearmiss.session.items import NewItem
from nearmiss.session.project import DATABASE, Project
from nearmiss.session.schema import LATEST


class Stumble(Exception):
    pass


def count(database, table="request"):
    with database.reading() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def begin_and_stumble(database):
    with database.writing() as connection:
        connection.execute("INSERT INTO request VALUES ('one', 1)")
        raise Stumble


def do_much_and_stumble(project):
    with project.database.writing():
        project.tell("1", "animal")
        project.labels.add("ann", "plant")
        project.add([NewItem("a text that never was")], source="test")
        project.ask(2)
        raise Stumble


def fill(project):
    for _ in range(400):
        project.tell("2", "metal", note="a long story " * 500)


def use(folder):
    """Do what anybody would with a project, and look whether it is sound."""
    with Project.open(folder) as project:
        assert project.database.problems() != () or project.texts.count() == 12
        project.tell("5", "animal")
        project.browser.page(Filter("cat"))


@pytest.fixture
def database(tmp_path):
    database = Database(tmp_path / DATABASE, create=True)
    yield database
    database.close()


@pytest.fixture
def closed(project):
    """The folder of a project that holds three answers and is closed."""
    for ref in ("1", "2", "3"):
        project.tell(ref, "animal")
    project.close()
    return project.folder


def test_a_change_that_fails_leaves_nothing(database):
    for _ in range(2):
        with pytest.raises(Stumble):
            begin_and_stumble(database)
    assert count(database) == 0
    with database.writing() as connection:
        connection.execute("INSERT INTO request VALUES ('one', 1)")
    assert count(database) == 1


def test_a_failed_act_of_a_project_leaves_nothing(project, dump):
    tables = ("event", "answer", "decision", "lease", "label", "item", "sqlite_sequence", "item_words")
    before = dump(project, *tables)
    with pytest.raises(Stumble):
        do_much_and_stumble(project)
    assert dump(project, *tables) == before
    project.tell("2", "metal")
    assert project.database.problems() == ()


def test_a_change_within_a_change_is_part_of_it(database):
    with database.writing() as outer:
        with database.writing() as inner:
            inner.execute("INSERT INTO request VALUES ('one', 1)")
        assert outer.execute("SELECT count(*) FROM request").fetchone()[0] == 1
        assert count(database) == 1  # what this thread has changed so far is seen by it
    assert count(database) == 1


def test_a_change_begun_while_reading_is_refused(database):
    with database.reading(), pytest.raises(RuntimeError, match="inside reading"), database.writing():
        pass


def test_a_reader_sees_one_moment(database):
    def write():
        with database.writing() as other:
            other.execute("INSERT INTO request VALUES ('one', 1)")

    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM request").fetchone()[0] == 0
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert connection.execute("SELECT count(*) FROM request").fetchone()[0] == 0
    assert count(database) == 1


def test_changes_by_others_are_noticed(tmp_path, database):
    with closing(Database(tmp_path / DATABASE)) as other:
        before = database.changes()
        assert database.changes() == before
        with other.writing() as connection:
            connection.execute("INSERT INTO request VALUES ('one', 1)")
        assert database.changes() != before


def test_threads_that_ended_leave_no_open_files(database):
    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    def read():
        count(database)

    read()
    before = open_files()
    for _ in range(40):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert open_files() < before + 10


def test_a_full_disk_is_told_and_loses_nothing(project):
    project.tell("1", "animal")
    with project.database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(NearmissError, match=r"the disk is full: free some space"):
        fill(project)
    connection.execute("PRAGMA max_page_count = 1000000")
    told = [answer.label for answer in project.answers.of_item(1)]
    project.tell("3", "metal")  # there is space again
    assert told == [1]
    assert project.database.problems() == ()
    project.close()
    with Project.open(project.folder) as again:
        assert [answer.label for answer in again.answers.of_item(3)] == [2]


FILLING = """
import resource, signal, sys
from nearmiss.errors import NearmissError
from nearmiss.session.project import Project
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
project = Project.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
saved = 0
try:
    for i in range(5000):
        project.tell(str(1 + i % 12), "animal", note=f"{i} " + "x" * 2000)
        saved = i + 1
except NearmissError as error:
    print(saved, error, flush=True)
"""


def test_a_file_that_can_grow_no_more_is_told_and_loses_nothing(closed, run_python):
    saved, told = run_python(FILLING, str(closed)).stdout.split(" ", 1)
    assert int(saved) > 0
    assert DATABASE in told
    with Project.open(closed) as project:
        assert project.database.problems() == ()
        notes = [answer.note.split()[0] for item in range(1, 13) for answer in project.answers.of_item(item)]
        newest = range(max(0, int(saved) - 12), int(saved))
        assert {str(i) for i in newest} <= set(notes)


def test_no_project_is_told(tmp_path):
    with pytest.raises(InvalidData, match="holds no project"):
        Project.open(tmp_path)
    with pytest.raises(InvalidData, match="holds no project"):
        Project.open(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_told_and_left_alone(tmp_path):
    file = tmp_path / DATABASE
    file.write_text("not a database, but a long letter to my aunt " * 100)
    before = file.read_bytes()
    with pytest.raises(InvalidData, match="damaged or no project"):
        Project.open(tmp_path)
    assert file.read_bytes() == before


def test_a_database_of_something_else_is_told_and_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.commit()
    with pytest.raises(InvalidData):
        Project.open(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


def test_an_empty_file_is_no_project(tmp_path):
    (tmp_path / DATABASE).touch()
    with pytest.raises(InvalidData, match="no project"):
        Project.open(tmp_path)


def test_a_project_of_a_newer_version_is_told_and_left_alone(closed):
    with closing(sqlite3.connect(closed / DATABASE)) as connection:
        connection.execute(f"PRAGMA user_version = {LATEST + 1}")
    with pytest.raises(InvalidData, match=r"newer nearmiss .* pip install --upgrade"):
        Project.open(closed)
    with closing(sqlite3.connect(closed / DATABASE)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (LATEST + 1,)


def test_a_damaged_file_is_told_in_a_sentence(closed, tmp_path):
    rng = random.Random(7)
    whole = (closed / DATABASE).read_bytes()
    told = 0
    for attempt in range(20):
        folder = tmp_path / f"damaged{attempt}"
        folder.mkdir()
        broken = bytearray(whole)
        for _ in range(6):
            at = rng.randrange(100, len(broken) - 512)
            broken[at : at + 512] = rng.randbytes(512)
        (folder / DATABASE).write_bytes(broken)
        try:
            use(folder)
        except NearmissError:
            told += 1
    assert told > 3


def test_a_cut_off_file_is_told(closed, tmp_path):
    whole = (closed / DATABASE).read_bytes()
    (tmp_path / DATABASE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NearmissError):
        use(tmp_path)


def test_a_lost_write_ahead_log_costs_no_more_than_itself(project, tmp_path):
    project.tell("1", "animal")
    project.close()  # folds the log into the file
    shutil.copy(project.folder / DATABASE, tmp_path / DATABASE)
    with Project.open(tmp_path) as copy:
        assert len(copy.answers.of_item(1)) == 1


def test_another_program_that_keeps_the_file_locked_is_told(project, monkeypatch):
    monkeypatch.setattr("nearmiss.session.database._PATIENCE", 0.05)
    failures = []
    with closing(sqlite3.connect(project.folder / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def tell():  # a new thread has a connection of its own, with the short patience
            try:
                project.tell("1", "animal")
            except NearmissError as error:
                failures.append(str(error))

        thread = threading.Thread(target=tell)
        thread.start()
        thread.join()
        other.execute("ROLLBACK")
    assert len(failures) == 1
    assert "locked" in failures[0]
    project.tell("1", "animal")
    assert len(project.answers.of_item(1)) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_told(closed):
    for path in (closed / DATABASE, closed):
        path.chmod(0o500)
    try:
        with pytest.raises(NearmissError), Project.open(closed) as project:
            project.tell("4", "animal")
    finally:
        closed.chmod(0o700)
        (closed / DATABASE).chmod(0o600)


def test_a_file_that_may_only_be_read_is_told(project):
    with project.database.reading() as connection:
        pass
    connection.execute("PRAGMA query_only = 1")
    with pytest.raises(NearmissError, match="readonly"):
        project.tell("1", "animal")
    connection.execute("PRAGMA query_only = 0")
    project.tell("1", "animal")


def test_a_folder_that_holds_something_is_not_taken_for_a_new_project(tmp_path, project):
    (tmp_path / "letter.txt").touch()
    for folder in (tmp_path, tmp_path / "letter.txt", project.folder):
        with pytest.raises(InvalidInput, match="holds something already"):
            Project.create(folder)


def test_a_project_that_could_not_be_made_is_not_in_the_way(tmp_path):
    folder = tmp_path / "p"
    for wrong in ({"label_names": ["a", "a"]}, {"texts": ["fine", " "]}, {"label_names": [""]}):
        with pytest.raises(InvalidInput):
            Project.create(folder, **wrong)
        assert not any(folder.iterdir())
    with Project.create(folder, texts=["fine"], label_names=["a"]) as project:
        assert project.texts.count() == 1


def test_two_projects_tell_each_other_apart(make_project):
    one, other = make_project(), make_project()
    assert one.uid != other.uid
    one.close()
    with Project.open(one.folder) as again:
        assert (again.uid, again.name, again.seed) == (one.uid, one.name, one.seed)


def test_a_folder_whose_name_is_odd_works(tmp_path):
    folder = tmp_path / "späte Filme? #1 & 100%.nearmiss"
    with Project.create(folder, texts=["a text"], label_names=["a"]) as project:
        project.tell("1", "a")
        assert project.name == folder.stem
    assert Path(folder, DATABASE).is_file()
    with Project.open(str(folder)) as project:
        assert len(project.answers.of_item(1)) == 1
