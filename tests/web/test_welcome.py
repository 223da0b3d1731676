"""How a project begins: texts, two labels, then the first text."""

from __future__ import annotations

import pytest
from tests.web.pages_client import Guest, Outline

from nearmiss.session.project import Project


@pytest.fixture
def make_project(tmp_path):
    made = []

    def make(texts=(), labels=()):
        made.append(Project.create(tmp_path / f"p{len(made)}", texts=list(texts), label_names=labels))
        return made[-1]

    yield make
    for project in made:
        project.close()


@pytest.mark.parametrize(("texts", "labels"), [((), ()), (["one"], ()), (["one"], ["yes"]), ((), ["yes", "no"])])
def test_the_label_page_leads_here_while_something_is_missing(make_project, texts, labels):
    answered = Guest(make_project(texts, labels)).get("/")
    assert answered.url.path == "/welcome"
    assert answered.status_code == 200


def test_with_texts_and_labels_it_leads_to_the_first_text(make_project):
    answered = Guest(make_project(["one", "two"], ["yes", "no"])).get("/welcome")
    assert answered.history[0].status_code == 303
    assert answered.url.path == "/"


def test_both_ways_to_begin_are_on_the_page(make_project):
    page = Guest(make_project()).see("/welcome")
    assert page.form("/import")["from"] == "welcome"
    forms = {each["action"]: each for each in page.named("form")}
    assert forms["/import"]["enctype"] == "multipart/form-data"
    assert forms["/welcome/labels"]["method"] == "post"
    assert any(each.get("type") == "file" for each in page.named("input"))


def test_from_nothing_to_the_first_text(make_project):
    guest = Guest(make_project())
    file = {"file": ("reviews.csv", b"text,stars\nlate again,1\nas it should be,5\n")}
    sent = {"csrf_token": (None, guest.csrf), "from": (None, "welcome"), "text_column": (None, "text"), **file}
    after = guest.client.post("/import", files=sent)
    assert after.url.path == "/welcome"
    assert "Added: 2 texts" in after.text
    assert "2 texts are here" in after.text
    done = guest.send("/welcome/labels", {"names": "refund\n\n  cancel \r\n"})
    assert "Added: 2 labels." in done.text
    assert "Start labelling" in done.text
    assert [label.name for label in guest.project.labels.offered()] == ["refund", "cancel"]
    assert guest.get("/welcome").url.path == "/"


@pytest.mark.parametrize(("names", "told"), [("", "label"), ("no\nyes", "'yes' already"), ("x" * 300, "200")])
def test_labels_that_cannot_be_added_are_told_beside_the_field(make_project, names, told):
    guest = Guest(make_project(["one"], ["yes"]))
    answered = guest.send("/welcome/labels", {"names": names})
    assert answered.status_code == 400
    page = Outline(answered.text)
    (field,) = [each for each in page.named("textarea") if each["id"] == "names"]
    assert field["aria-invalid"] == "true"
    assert any(each.get("id") == field["aria-describedby"] for each in page.named("p"))
    assert told in page.words
    assert len(guest.project.labels.offered()) == 1, "all or none"
    assert names in answered.text, "what was typed is not lost"


def test_an_annotator_waits_until_it_is_set_up(make_project):
    guest = Guest(make_project(["one"]), "cem", "annotator")
    page = guest.see("/welcome")
    assert not page.sends("/welcome/labels")
    assert not page.sends("/import")
    assert "still setting it up" in page.words
    assert guest.send("/welcome/labels", {"names": "yes\nno"}).status_code == 403
    assert guest.project.labels.offered() == ()
