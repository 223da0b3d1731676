"""The second look at the plain page: what is in doubt, why, and the two keys that end it."""

from __future__ import annotations

import pytest
from tests.web.pages_client import Guest, Outline, tell

from nearmiss.errors import NearmissError
from nearmiss.session import second_look as module
from nearmiss.session.project import Project
from nearmiss.session.second_look import look_again
from nearmiss.session.training import Trainer
from nearmiss.web.pages import second_look as page_module

pytest.importorskip("cleanlab")

ANIMAL, METAL, PLANT = 1, 2, 3
WRONG = (7, 20)


@pytest.fixture
def make_project(tmp_path):
    made = []

    def make(wrong=WRONG, **settings):
        kinds = (["iron", "zinc", "lead", "gold"], ["cat", "dog", "horse", "cow"])
        texts = [f"{kinds[i % 2][i % 4]} {kinds[i % 2][i // 4 % 4]} and note {i}" for i in range(1, 51)]
        project = Project.create(tmp_path / f"p{len(made)}", texts=texts, label_names=("animal", "metal", "plant"))
        made.append(project)
        project.settings.change("ann", {"classifier": "tfidf", "audit_share": 0.0, **settings})
        for item in range(1, 41):
            right = ANIMAL if item % 2 else METAL
            tell(project, "ann", item, 3 - right if item in wrong else right)
        return project

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project):
    """Two of forty labels are wrong, and the trainer has looked."""
    project = make_project()
    looked(project)
    return project


def looked(project):
    trainer = Trainer(project)
    for _ in range(2):
        trainer.step()


def cases(page):
    """List the texts in doubt, by the forms that end it."""
    return [int(fields["item"]) for form, fields in page.forms if form.get("class") == "verdict"]


def buttons(page, case=0):
    """List the keys of a case."""
    found = [(each["data-key"], int(each["value"])) for each in page.named("button") if "data-key" in each]
    return found[2 * case : 2 * case + 2]


def form_of(page, item):
    return next(fields for form, fields in page.forms if fields.get("item") == str(item))


def test_labels_in_doubt_are_listed_with_the_reason(project):
    page = Guest(project).see("/second-look")
    assert sorted(cases(page)) == list(WRONG)
    at = cases(page).index(7)
    assert buttons(page, at) == [("1", METAL), ("2", ANIMAL)]
    words = " ".join(page.words.split())
    assert "2 labels that model and nearest labelled texts contradict alike" in words
    assert "Of 40 labels, judged when model 1 came, the most doubtful first" in words
    assert "A model that has not learned from this text says “animal”" in words
    assert "near it lie texts of “animal”" in words
    assert "Keep metal" in words
    assert "Change to animal" in words


def test_a_kept_label_is_gone_from_the_list_and_comes_back_by_undo(project):
    guest = Guest(project)
    after = guest.send("/second-look", {**form_of(guest.see("/second-look"), 7), "answer": METAL})
    assert after.url.path == "/second-look"
    assert "Kept: text 7 is “metal”." in after.text
    assert cases(Outline(after.text)) == [20]
    assert project.browser.find(7).label == METAL
    undone = guest.send("/browse/undo", Outline(after.text).form("/browse/undo"))
    assert undone.url.path == "/second-look"
    assert sorted(cases(Outline(undone.text))) == list(WRONG)


def test_the_other_label_is_given_and_its_history_says_how(project):
    guest = Guest(project)
    after = guest.send("/second-look", {**form_of(guest.see("/second-look"), 7), "answer": ANIMAL})
    assert "Changed: text 7 is now “animal”." in after.text
    found = project.browser.find(7)
    assert (found.label, found.settled) == (ANIMAL, True)
    words = " ".join(guest.see("/items/7").words.split())
    assert "settled it on animal" in words
    assert "How it came about: second look" in words
    assert "second-look" in words


def test_a_third_label_with_a_note(project):
    guest = Guest(project)
    guest.send("/second-look", {"item": 7, "answer": PLANT, "note": "it is a shrub"})
    assert project.browser.find(7).label == PLANT
    assert "“it is a shrub”" in guest.see("/items/7").words


def test_a_verdict_sent_twice_counts_once(project):
    guest = Guest(project)
    form = {**form_of(guest.see("/second-look"), 7), "answer": ANIMAL}
    for _ in range(2):
        assert guest.send("/second-look", form).status_code == 200
    with project.database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM event WHERE kind = 'settled'").fetchone()[0] == 1


def test_a_doubt_that_somebody_resolved_meanwhile_is_not_resolved_again(project):
    ann, ben = Guest(project), Guest(project, "ben")
    stale = form_of(ben.see("/second-look"), 7)
    ann.send("/second-look", {**form_of(ann.see("/second-look"), 7), "answer": ANIMAL})
    refused = ben.send("/second-look", {**stale, "answer": METAL})
    assert refused.status_code == 400
    assert "not in doubt any more" in refused.text
    assert project.browser.find(7).label == ANIMAL


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"item": 7}, "no label was chosen"),
        ({"item": 7, "answer": "skip"}, "ends on a label"),
        ({"item": 7, "answer": "99"}, "no label number 99"),
        ({"item": 4, "answer": METAL}, "not in doubt any more"),
        ({"item": 99, "answer": METAL}, "not in doubt any more"),
        ({"item": "", "answer": METAL}, "must be a whole number"),
    ],
)
def test_a_verdict_that_means_nothing_changes_nothing(project, fields, told):
    answered = Guest(project).send("/second-look", fields)
    assert answered.status_code == 400
    assert told in answered.text
    assert not any(project.browser.find(item).settled for item in range(1, 41))


def test_an_annotator_looks_only_at_what_they_may_see(make_project):
    project = make_project(overlap=2)
    looked(project)
    ben = Guest(project, "ben", "annotator")
    assert cases(ben.see("/second-look")) == []
    assert ben.send("/second-look", {"item": 7, "answer": ANIMAL}).status_code == 403
    tell(project, "ben", 7, METAL)
    assert cases(ben.see("/second-look")) == [7]
    assert ben.send("/second-look", {"item": 7, "answer": ANIMAL}).status_code == 200
    assert project.browser.find(7).label == ANIMAL


def test_before_the_first_list_the_page_says_when_it_comes(make_project):
    assert "There is no list yet" in Guest(make_project()).see("/second-look").words


def test_when_nothing_is_in_doubt_the_page_says_so(make_project):
    project = make_project(wrong=())
    looked(project)
    assert "Nothing to look at again" in Guest(project).see("/second-look").words


def test_what_went_wrong_is_told(make_project, monkeypatch):
    project = make_project()
    Trainer(project).step()

    def refuse(*given, **named):
        raise NearmissError("no space is left")

    monkeypatch.setattr(module, "second_look", refuse)
    look_again(project, project.texts.corpus(), lambda: None)
    assert "no space is left" in Guest(project).see("/second-look").words


def test_without_cleanlab_the_page_names_the_mend(make_project, monkeypatch):
    monkeypatch.setattr(page_module.importlib.util, "find_spec", lambda name: None)
    assert "nearmiss[quality]" in Guest(make_project()).see("/second-look").words


def test_a_long_list_is_paged(project, monkeypatch):
    monkeypatch.setattr(page_module, "_SHOWN", 1)
    guest = Guest(project)
    shown = [cases(guest.see(f"/second-look?page={number}")) for number in (1, 2, 3)]
    assert sorted(shown[0] + shown[1]) == list(WRONG)
    assert shown[2] == []
    assert guest.get("/second-look?page=x").status_code == 400
