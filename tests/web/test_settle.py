"""Settling what people differ on, and the numbers that say how far they agree."""

from __future__ import annotations

import pytest
from tests.web.pages_client import Guest, Outline, give_model, tell

from nearmiss.session.project import Project

YES, NO, MAYBE = 1, 2, 3


@pytest.fixture
def make_project(tmp_path):
    made = []

    def make(texts=30, labels=("yes", "no", "maybe"), **settings):
        chosen = [f"text number {i}" for i in range(1, texts + 1)]
        project = Project.create(tmp_path / f"p{len(made)}", texts=chosen, label_names=labels)
        project.settings.change("ann", {"classifier": "tfidf", "overlap": 2, **settings})
        made.append(project)
        return project

    yield make
    for project in made:
        project.close()


@pytest.fixture
def project(make_project):
    """People differ on texts 1 and 2, ben is unsure of 3, all agree on 4."""
    project = make_project()
    for person, labels in (("ann", (YES, NO, YES, YES)), ("ben", (NO, YES, None, YES))):
        for item, label in enumerate(labels, start=1):
            tell(project, person, item, label, note=f"{person} of {item}")
    tell(project, "cem", 1, NO)
    return project


def cases(page):
    """List the texts that wait, by the forms that settle them."""
    told = [fields["item"] for form, fields in page.forms if form.get("class") == "verdict"]
    return [int(item) for item in told]


def buttons(page):
    """List the labels of the first case's keys."""
    return [(each["data-key"], each["value"]) for each in page.named("button") if "data-key" in each]


def test_texts_that_wait_are_listed_with_who_said_what(project):
    page = Guest(project).see("/settle")
    assert cases(page) == [1, 2, 3]
    for told in ("ann of 1", "ben of 1", "ben of 3", "unsure"):
        assert told in page.words, told
    assert "3 texts on which people differ" in " ".join(page.words.split())
    assert "text number 4" not in page.words


def test_what_most_people_said_has_the_first_key(project):
    give_model(project, [[0.1, 0.1, 0.8]] * 30)
    page = Guest(project).see("/settle")
    assert buttons(page)[:3] == [("1", str(NO)), ("2", str(YES)), ("3", str(MAYBE))], "then the model's"
    assert "maybe, 80 %" in page.words


def test_one_button_settles_and_the_next_text_comes_first(project):
    guest = Guest(project)
    form = guest.see("/settle").form("/settle")
    after = guest.send("/settle", {**form, "answer": YES})
    assert after.url.path == "/settle"
    assert "Settled: text 1 is “yes”." in after.text
    assert cases(Outline(after.text)) == [2, 3]
    found = project.browser.find(1)
    assert (found.label, found.settled, found.disputed) == (YES, True, False)
    assert [answer.label for answer in project.answers.of_item(1)] == [YES, NO, NO], "answers stay as they were given"


def test_another_label_with_a_note(project):
    guest = Guest(project)
    form = guest.see("/settle").form("/settle")
    guest.send("/settle", {**form, "answer": MAYBE, "note": "see the guidelines"})
    assert project.browser.find(1).label == MAYBE
    words = guest.see("/items/1").words
    assert "settled it on" in words
    assert "“see the guidelines”" in words


def test_settling_is_taken_back_by_the_button_beside_its_notice(project):
    guest = Guest(project)
    after = guest.send("/settle", {**guest.see("/settle").form("/settle"), "answer": YES})
    undone = guest.send("/browse/undo", Outline(after.text).form("/browse/undo"))
    assert undone.url.path == "/settle"
    assert cases(Outline(undone.text)) == [1, 2, 3]


def test_a_verdict_sent_twice_counts_once(project):
    guest = Guest(project)
    form = {**guest.see("/settle").form("/settle"), "answer": YES}
    for _ in range(2):
        assert guest.send("/settle", form).status_code == 200
    with project.database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM event WHERE kind = 'settled'").fetchone()[0] == 1


def test_a_verdict_may_be_changed(project):
    guest = Guest(project)
    for label in (YES, NO):
        guest.send("/settle", {"item": 1, "answer": label})
    assert project.browser.find(1).label == NO


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"item": 1}, "no label was chosen"),
        ({"item": 1, "answer": "skip"}, "settled on a label"),
        ({"item": 1, "answer": "99"}, "no label number 99"),
        ({"item": 4, "answer": NO}, "Nobody differs on text 4"),
        ({"item": 99, "answer": NO}, "no text number 99"),
        ({"item": "", "answer": NO}, "must be a whole number"),
    ],
)
def test_a_verdict_that_means_nothing_changes_nothing(project, fields, told):
    answered = Guest(project).send("/settle", fields)
    assert answered.status_code == 400
    assert told in answered.text
    assert not any(project.browser.find(item).settled for item in range(1, 5))


def test_an_annotator_settles_only_what_they_may_see(make_project):
    project = make_project(overlap=3)
    for person, label in (("ann", YES), ("ben", NO)):
        tell(project, person, 1, label)
        tell(project, person, 2, label)
    cem = Guest(project, "cem", "annotator")
    assert cases(cem.see("/settle")) == []
    assert "ann" not in cem.see("/settle").words.split("How far")[0]
    assert cem.send("/settle", {"item": 1, "answer": YES}).status_code == 403
    tell(project, "cem", 1, NO)
    assert cases(cem.see("/settle")) == [1]
    assert cem.send("/settle", {"item": 1, "answer": YES}).status_code == 200
    assert project.browser.find(1).settled


def test_a_long_list_is_paged(make_project):
    project = make_project()
    for item in range(1, 24):
        tell(project, "ann", item, YES)
        tell(project, "ben", item, NO)
    guest = Guest(project)
    assert cases(guest.see("/settle")) == list(range(1, 11))
    assert cases(guest.see("/settle?page=3")) == [21, 22, 23]
    assert guest.get("/settle?page=x").status_code == 400


def test_a_retired_label_is_no_side(project):
    project.labels.retire("ann", NO)
    page = Guest(project).see("/settle")
    assert cases(page) == [3]
    assert "no" not in [value for _, value in buttons(page)]


# ---- how far people agree --------------------------------------------------------------------------------------------


def agreement(page):
    """Give the words of the section, one space between them."""
    return " ".join(page.words.split("How far people agree")[1].split())


def test_agreement_is_told_with_its_interval(make_project):
    project = make_project(texts=40)
    for item in range(1, 41):
        tell(project, "ann", item, YES if item <= 20 else NO)
        tell(project, "ben", item, YES if item <= 15 or item > 35 else NO)
    told = agreement(Guest(project).see("/settle"))
    # 30 of 40 agree, and each label is given 20 times by both: kappa is (0.75 - 0.5) / 0.5.
    assert "ann and ben Cohen’s κ 0.50 0.23 to 0.77 40 75 %" in told
    # Chance, for alpha, draws without putting back: 1 - 0.25 / (40 / 79).
    assert "Everyone Krippendorff’s α 0.51" in told


def test_agreement_of_three_names_each_pair(make_project):
    project = make_project()
    for item in range(1, 9):
        for person in ("ann", "ben", "cem"):
            tell(project, person, item, YES if item % 2 else NO)
    told = agreement(Guest(project).see("/settle"))
    assert told.count("Cohen’s κ 1.00") == 3
    assert "ann and cem" in told


def test_without_two_answers_to_a_text_there_is_no_number(make_project):
    project = make_project()
    tell(project, "ann", 1, YES)
    tell(project, "ben", 2, NO)
    guest = Guest(project)
    assert "No text has labels of two people yet." in agreement(guest.see("/settle"))
    assert "Nothing to settle" in guest.see("/settle").words


def test_labels_that_were_merged_agree(make_project):
    project = make_project()
    for item in range(1, 7):
        tell(project, "ann", item, YES if item % 2 else NO)
        tell(project, "ben", item, MAYBE if item % 2 else NO)
    assert "Cohen’s κ 1.00" not in agreement(Guest(project).see("/settle"))
    project.labels.merge("ann", MAYBE, YES)
    assert "ann and ben Cohen’s κ 1.00" in agreement(Guest(project).see("/settle"))


def test_all_of_one_label_leaves_nothing_to_measure(make_project):
    project = make_project()
    for item in range(1, 4):
        tell(project, "ann", item, YES)
        tell(project, "ben", item, YES)
    assert "not defined – 3 100 %" in agreement(Guest(project).see("/settle"))
