"""One text: all that was said of it, how that came about, and who may know."""

from __future__ import annotations

import pytest
from tests.web.pages_client import Guest, found, give_model, tell

from nearmiss.session.project import Project

YES, NO = 1, 2
TEXTS = ["good film", "bad film", "fine film", "poor film", "a long play", "good play", "dull play", "sly play"]
#: The model's word of each of them.
SAYS = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.05, 0.95], [0.5, 0.5], [0.7, 0.3], [0.3, 0.7], [0.45, 0.55]]


@pytest.fixture
def make_project(tmp_path):
    made = []

    def make(texts=TEXTS, labels=("yes", "no"), **settings):
        project = Project.create(tmp_path / f"p{len(made)}", texts=list(texts), label_names=labels)
        project.settings.change("ann", {"classifier": "tfidf", **settings})
        made.append(project)
        return project

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project):
    return make_project()


@pytest.fixture
def shared(make_project):
    """A project in which two people answer each text, ann owns it, and ben has answered the first four."""
    project = make_project(overlap=2)
    project.people.add("ann", role="owner")
    project.people.add("ben")
    for item, label in ((1, YES), (2, NO), (3, NO), (4, YES)):
        tell(project, "ben", item, label, note=f"ben of {item}", source="audit" if item == 2 else "model")
    return project


def test_a_text_is_shown_with_everything_said_of_it(shared):
    shared.settings.write_guidelines("ann", "One label a text.")
    tell(shared, "ann", 2, YES, note="not to me")
    words = Guest(shared).see("/items/2").words
    for told in ("bad film", "ben", "“ben of 2”", "“not to me”", "margin", "0.125", "version 1", "2.5 s"):
        assert told in words, told
    assert "random check" in words, "who has answered may know"
    assert "no" in words
    assert "disputed" in words


def test_neighbours_are_links(shared):
    tell(shared, "ann", 1, YES)
    page = Guest(shared).see("/items/1")
    assert page.links().count("/items/2") == 3, "the next text, and what was near for each of the two"
    table = next(each for each in page.named("table") if each.get("class") == "grid")
    assert table
    assert "0.250" in page.words
    assert "90 %" in page.words


def test_an_answer_given_on_its_page_with_a_note(project):
    guest = Guest(project)
    form = guest.see("/items/3").form("/items/3/answer")
    after = guest.send("/items/3/answer", {**form, "answer": "unsure", "note": "both fit"})
    assert after.url.path == "/items/3"
    assert "Saved: text 3 is marked unsure." in after.text
    assert "“both fit”" in after.text
    again = guest.send("/items/3/answer", {**form, "answer": "unsure", "note": "both fit"})
    assert again.status_code == 200
    assert len(project.answers.provenance(3)) == 1, "sent twice, it counts once"


def test_what_was_taken_back_is_told_as_such(project):
    tell(project, "ann", 1, YES)
    tell(project, "ann", 1, NO)
    project.answers.undo("ann")
    words = Guest(project).see("/items/1").words
    assert "taken back by ann" in words


# ---- who may know what -----------------------------------------------------------------------------------------------


def test_what_others_said_is_hidden_until_one_has_answered(shared):
    cem = Guest(shared, "cem", "annotator")
    rows = cem.see("/browse")
    assert "ben" not in cem.see("/items/2").words
    assert "ben of" not in rows.words
    assert "random check" not in rows.words
    assert rows.words.count("you see how once you have answered") == 4
    assert found(cem.see("/browse?label=1")) == found(cem.see("/browse?state=labelled")) == []
    assert found(cem.see("/browse?person=ben")) == []
    cem.send("/items/2/answer", {"answer": NO})
    assert "“ben of 2”" in cem.see("/items/2").words
    assert found(cem.see("/browse?state=labelled")) == [2]


def test_a_text_that_has_all_its_answers_is_open_to_all(shared):
    tell(shared, "ann", 1, YES)
    assert "“ben of 1”" in Guest(shared, "cem", "annotator").see("/items/1").words


def test_an_owner_sees_what_everyone_said(shared):
    ann = Guest(shared)
    assert found(ann.see("/browse?label=1")) == [1, 4]
    assert "“ben of 2”" in ann.see("/items/2").words


def test_an_owner_who_may_yet_be_asked_learns_nothing_of_a_random_check(shared):
    ann = Guest(shared)
    for item in (2, 3):  # a random check, and a text that is none
        words = ann.see(f"/items/{item}").words
        assert "random check" not in words
        assert "margin" not in words
        assert "How each answer came about is told once you have given yours." in words
    assert ann.see("/browse?words=bad").words.count("random check") == 1, "the filter of that name"
    tell(shared, "cem", 2, NO)  # now it has the two answers wanted
    assert "random check" in ann.see("/items/2").words


def test_random_checks_are_listed_for_owners_alone(shared):
    cem = Guest(shared, "cem", "annotator")
    tell(shared, "cem", 2, YES)
    assert cem.get("/browse?state=audit").status_code == 403
    assert "audit" not in [each.get("value") for each in cem.see("/browse").named("option")]
    assert found(Guest(shared).see("/browse?state=audit")) == [2]


@pytest.mark.parametrize("role", ["owner", "annotator"])
def test_who_takes_an_answer_back_learns_nothing_of_a_random_check(make_project, role):
    project = make_project()
    guest = Guest(project, "cem", role)
    tell(project, "cem", 2, YES, source="audit")
    assert "random check" in guest.see("/items/2").words
    project.answers.undo("cem")
    assert "random check" not in guest.see("/items/2").words
    offered = int(role == "owner")  # the filter of that name
    assert guest.see("/browse?words=bad").words.count("random check") == offered


@pytest.mark.parametrize("role", ["owner", "annotator"])
def test_guesses_are_kept_back_from_whoever_has_yet_to_answer(make_project, role):
    project = make_project(overlap=2, suggestions="never")
    give_model(project, SAYS)
    tell(project, "ben", 2, NO)
    cem = Guest(project, "cem", role)
    for address in ("/items/2", "/browse", "/items/3"):
        assert "80 %" not in cem.see(address).words, address
    cem.send("/items/2/answer", {"answer": NO})
    assert "80 %" in cem.see("/items/2").words
    assert "model: no, 80 %" in cem.see("/browse?words=bad").words
