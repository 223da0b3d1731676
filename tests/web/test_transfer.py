"""Files out and in: whole, under safe names, and for those who may."""

from __future__ import annotations

import gzip
import io
import re
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.pages_client import Guest, Outline, tell

from nearmiss.errors import InvalidInput
from nearmiss.session.exchange.forms import read_items
from nearmiss.session.project import Project
from nearmiss.web.number_lists import read_numbers, written_numbers
from nearmiss.web.pages.transfer import TARGETS
from nearmiss.web.uploads import safe_suffix


@pytest.fixture
def make_project(tmp_path):
    made = []

    def make(texts=("good film", "bad film", "fine film"), labels=("yes", "no"), name='../Films "2026"\r\n'):
        made.append(Project.create(tmp_path / f"p{len(made)}", texts=list(texts), label_names=labels, name=name))
        return made[-1]

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project):
    project = make_project()
    tell(project, "ann", 1, 1, note="sure")
    tell(project, "ben", 2, 2)
    return project


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of their own for temporary files, to see that none is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def send_file(guest, name, content, **fields):
    return guest.client.post(
        "/import", data={"csrf_token": guest.csrf, "from": "export", **fields}, files={"file": (name, content)}
    )


# ---- out -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.form)
def test_every_file_on_offer_holds_the_labels(project, target, tmp_path, shelf):
    guest = Guest(project)
    links = [link for link in guest.see("/export").links() if f"form={target.form}" in link]
    answered = guest.get(links[0])
    assert answered.status_code == 200
    assert re.fullmatch(
        rf'attachment; filename="Films-2026-\d{{4}}-\d\d-\d\d{re.escape(target.ending)}"',
        answered.headers["content-disposition"],
    )
    path = tmp_path / f"out{target.ending}"
    path.write_bytes(answered.content)
    if target.ending == ".zip":
        zipfile.ZipFile(path).extractall(tmp_path / "unpacked")
        path = tmp_path / "unpacked" / "dataset"
    read = read_items(path)
    found = {item.text: item.label or next(answer.label for answer in item.answers) for item in read.items}
    assert found == {"good film": "yes", "bad film": "no"}
    assert list(shelf.iterdir()) == []


def test_all_texts_come_when_they_are_asked_for(project):
    assert Guest(project).get("/export/download?form=csv&everything=yes").text.count("film") == 3


@pytest.mark.parametrize("query", ["form=exe", "form=../../etc/passwd", ""])
def test_a_form_that_is_not_offered_is_refused(project, query):
    assert Guest(project).get(f"/export/download?{query}").status_code == 400


def test_nothing_labelled_is_told_and_leaves_nothing_behind(make_project, shelf):
    guest = Guest(make_project())
    assert guest.get("/export/download?form=csv").status_code == 400
    assert list(shelf.iterdir()) == []


def test_annotators_export_where_nobody_is_to_be_kept_blind(project):
    guest = Guest(project, "ben", "annotator")
    assert guest.get("/export/download?form=csv").status_code == 200
    project.settings.change("ann", {"overlap": 2})
    assert guest.get("/export/download?form=csv").status_code == 403
    assert not [link for link in guest.see("/export").links() if "download" in link]
    assert Guest(project).get("/export/download?form=csv").status_code == 200


# ---- in --------------------------------------------------------------------------------------------------------------


def test_a_file_adds_texts_and_labels(project, shelf):
    guest = Guest(project)
    answered = send_file(guest, "more.csv", b"text,label\nnew film,yes\nodd film,perhaps\ngood film,yes\n")
    assert "Added: 2 texts, 1 were here already" in Outline(answered.text).words
    assert [label.name for label in project.labels.offered()] == ["yes", "no", "perhaps"]
    assert project.browser.find(5).label == 3
    assert list(shelf.iterdir()) == []


def test_columns_are_named_where_guessing_would_fail(project):
    guest = Guest(project)
    content = b"a,b,c\none,two words here,yes\n"
    send_file(guest, "more.csv", content, text_column="b", label_column="c")
    assert project.texts.get(4).text == "two words here"


def test_a_compressed_file_is_read_by_its_name(project):
    send_file(Guest(project), "more.jsonl.gz", gzip.compress(b'{"text": "new film"}\n'))
    assert project.texts.count() == 4


def test_lines_are_texts(project):
    guest = Guest(project)
    answered = guest.client.post(
        "/import", data={"csrf_token": guest.csrf, "lines": "one\r\n\r\ntwo"}, files={"file": ("", b"")}
    )
    assert "Added: 2 texts" in answered.text
    assert project.texts.count() == 5


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("more.csv", b"", "more.csv"),
        ("more.exe", b"MZ", "more.exe"),
        ("../../etc/cron.d/job.csv", b"", "job.csv"),
        ("<b>.parquet", b"no parquet", "<b>.parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_its_own_name(project, name, content, told, shelf):
    answered = send_file(Guest(project), name, content)
    page = Outline(answered.text)
    assert answered.status_code == 400
    assert told in page.words
    assert str(shelf) not in answered.text
    assert not page.named("b")
    assert project.texts.count() == 3
    assert list(shelf.iterdir()) == []


def test_neither_file_nor_lines_is_told(project):
    guest = Guest(project)
    answered = guest.client.post("/import", data={"csrf_token": guest.csrf}, files={"file": ("", b"")})
    assert answered.status_code == 400
    assert "no file and no lines" in answered.text


def test_only_owners_add_texts_and_only_from_our_own_page(project):
    annotator, owner = Guest(project, "ben", "annotator"), Guest(project)
    assert send_file(annotator, "more.csv", b"text\nnew\n").status_code == 403
    assert not Outline(annotator.get("/export").text).sends("/import")
    assert annotator.get("/import").status_code == 403
    forged = owner.client.post("/import", data={"csrf_token": "x"}, files={"file": ("more.csv", io.BytesIO(b"text\n"))})
    assert forged.status_code == 403
    assert project.texts.count() == 3


def test_the_token_is_the_first_field_of_the_form(project):
    forms = [fields for form, fields in Guest(project).see("/export").forms if form.get("action") == "/import"]
    assert [next(iter(fields)) for fields in forms] == ["csrf_token"]


@given(st.text(max_size=60))
def test_no_name_that_is_sent_can_lead_anywhere(name):
    assert re.fullmatch(r"(\.[a-z0-9]{1,8}){0,2}", safe_suffix(name))
    assert Path("folder", f"upload{safe_suffix(name)}").parent == Path("folder")


# ---- lists of texts in a form ----------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 300), min_size=1))
def test_numbers_come_back_as_they_were_written(numbers):
    assert read_numbers(written_numbers(numbers), most=301) == tuple(sorted(numbers))


@pytest.mark.parametrize("written", ["", "1,", "3-1", "a", "1-99999999999999", "١", "1 2", "-1"])
def test_what_is_no_list_of_texts_is_refused(written):
    with pytest.raises(InvalidInput, match="preview"):
        read_numbers(written, most=5)


def test_a_list_holds_no_more_than_it_may():
    assert read_numbers("1-5", most=5) == (1, 2, 3, 4, 5)
    with pytest.raises(InvalidInput, match="more than 5"):
        read_numbers("1-5,6", most=5)
