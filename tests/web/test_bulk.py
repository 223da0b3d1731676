"""Labelling many at once: first a preview, then exactly what was in it, taken back as one."""

from __future__ import annotations

import pytest
from tests.web.pages_client import Guest, Outline, tell

from nearmiss.session.browsing import Filter, State
from nearmiss.session.project import Project
from nearmiss.web.pages.bulk import MOST

YES, NO = 1, 2
TEXTS = ["good film", "bad film", "fine film", "poor film", "a long play", "good play", "dull play", "sly play"]


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


def label_of(project, item):
    return project.browser.find(item).label


def test_many_are_labelled_as_previewed_and_taken_back_as_one(project):
    tell(project, "ann", 1, NO)
    guest = Guest(project)
    preview = guest.see("/browse/bulk?words=film&give=1")
    assert "4 texts would get “yes”" in preview.words
    assert "3 without a label, 1 now “no”." in " ".join(preview.words.split())
    form = preview.form("/browse/bulk")
    after = guest.send("/browse/bulk", form)
    assert (after.url.path, after.url.query) == ("/browse", b"words=film")
    assert "Saved: 4 texts are now “yes”." in after.text
    assert [label_of(project, item) for item in range(1, 6)] == [YES] * 4 + [None]
    undone = guest.send("/browse/undo", Outline(after.text).form("/browse/undo"))
    assert "Taken back: 4 texts are as before." in undone.text
    assert [label_of(project, item) for item in range(1, 6)] == [NO, None, None, None, None]


def test_exactly_what_was_previewed_is_labelled(project):
    guest = Guest(project)
    form = guest.see("/browse/bulk?state=unlabelled&words=film&give=1").form("/browse/bulk")
    assert form["items"] == "1-4"
    tell(project, "ben", 2, NO)  # meanwhile: the filter would find it no more
    guest.send("/browse/bulk", form)
    assert {item: project.answers.of_item(item)[-1].label for item in (1, 2, 3, 4)} == dict.fromkeys((1, 2, 3, 4), YES)
    assert project.browser.find(2).disputed


def test_a_preview_sent_twice_counts_once(project):
    guest = Guest(project)
    form = guest.see("/browse/bulk?words=film&give=1").form("/browse/bulk")
    for _ in range(2):
        assert guest.send("/browse/bulk", form).status_code == 200
    assert len(project.answers.provenance(1)) == 1


def test_many_are_labelled_by_a_person_not_a_model(project):
    guest = Guest(project)
    guest.send("/browse/bulk", guest.see("/browse/bulk?words=film&give=1").form("/browse/bulk"))
    assert project.answers.provenance(1)[0].origin.source == "person"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("/browse/bulk?give=9", "no label number 9"),
        ("/browse/bulk", "label"),
        ("/browse/bulk?give=1&words=nothing", "no text passes"),
    ],
)
def test_a_preview_of_nothing_is_refused(project, address, told):
    answered = Guest(project).get(address)
    assert answered.status_code == 400
    assert told in answered.text


@pytest.mark.parametrize("items", ["", "0", "1-9", "4-2", "1,1", "1-3;drop", f"1-{MOST + 1}", "1-999999999999999"])
def test_a_broken_list_of_texts_labels_none(project, items):
    assert Guest(project).send("/browse/bulk", {"items": items, "give": YES}).status_code == 400
    assert project.browser.ids(Filter(state=State.LABELED)) == ()


def test_more_texts_than_one_act_may_hold_are_refused(make_project):
    project = make_project([f"text {i}" for i in range(MOST + 1)])
    answered = Guest(project).get("/browse/bulk?give=1")
    assert answered.status_code == 400
    assert f"at most {MOST}" in answered.text


def test_annotators_label_one_at_a_time(project):
    cem = Guest(project, "cem", "annotator")
    assert not cem.see("/browse").sends("/browse/bulk")
    assert cem.get("/browse/bulk?give=1").status_code == 403
    assert cem.send("/browse/bulk", {"items": "1-3", "give": YES}).status_code == 403
    assert project.answers.of_item(1) == ()
