"""Browsing: what is found and told, and what a form changes."""

from __future__ import annotations

import sqlite3

import pytest
from tests.web.pages_client import Guest, Outline, found, give_model, tell

from nearmiss.session.project import Project
from nearmiss.session.training import Trainer
from nearmiss.web.pages.browse import SIZES

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


def label_of(project, item):
    return project.browser.find(item).label


# ---- what is found ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "numbers"),
    [
        ("/browse", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("/browse?words=film", [1, 2, 3, 4]),
        ("/browse?words=good+fil", [1]),
        ('/browse?words="good" OR NOT (', []),
        ("/browse?label=1", [1, 6]),
        ("/browse?state=labelled", [1, 2, 6]),
        ("/browse?state=unlabelled", [3, 5, 7, 8]),
        ("/browse?state=disputed", [4]),
        ("/browse?state=audit", [6]),
        ("/browse?state=suspicious", [6]),
        ("/browse?person=ben", [2, 4]),
        ("/browse?state=labelled&words=play&label=1", [6]),
    ],
)
def test_search_and_filters_are_part_of_the_address(project, address, numbers):
    tell(project, "ann", 1, YES)
    tell(project, "ben", 2, NO)
    tell(project, "ann", 6, YES, source="audit")
    tell(project, "ann", 4, YES)
    tell(project, "ben", 4, NO)
    give_model(project, [*SAYS[:5], [0.1, 0.9], *SAYS[6:]])
    assert found(Guest(project).see(address)) == numbers


def test_repeated_texts_stand_together(make_project):
    project = make_project(["one two", "three", "One, two!", "three."])
    assert found(Guest(project).see("/browse?state=repeated")) == [1, 3, 2, 4]


def test_a_form_keeps_what_it_was_filled_with(project):
    page = Guest(project).see("/browse?words=play&label=2&state=labelled&size=25")
    chosen = [each["value"] for each in page.named("option") if "selected" in each and "value" in each]
    assert page.form("/browse")["words"] == "play"
    assert {"2", "labelled"} <= set(chosen)
    assert "No text passes this filter" in page.words


def test_pages_of_fifty_that_link_to_each_other(make_project):
    guest = Guest(make_project([f"text {i}" for i in range(1, 121)]))
    first, last = guest.see("/browse?words=text"), guest.see("/browse?words=text&page=3")
    assert (found(first), found(last)) == (list(range(1, 51)), list(range(101, 121)))
    assert "/browse?words=text&page=2" in first.links()
    assert "/browse?words=text&page=2" in last.links()
    assert "Page 3 of 3" in last.words
    assert found(guest.see("/browse?page=9")) == []


@pytest.mark.parametrize(
    "address",
    ["/browse?label=x", "/browse?state=odd", "/browse?page=-1", "/browse?page=0", "/browse?size=7", "/browse?page=1e3"],
)
def test_an_address_that_means_nothing_is_refused(project, address):
    answered = Guest(project).get(address)
    assert answered.status_code == 400
    assert "Traceback" not in answered.text


def test_sizes_are_those_offered(project):
    assert 50 in SIZES
    assert Guest(project).get(f"/browse?size={SIZES[0]}").status_code == 200


# ---- what a row tells ------------------------------------------------------------------------------------------------


def test_a_row_tells_label_answers_and_guess(project):
    tell(project, "ann", 1, YES)
    tell(project, "ben", 1, YES)
    project.labels.change("ann", YES, {"color": "#2f8f5b"})
    give_model(project, SAYS)
    guest = Guest(project)
    page = guest.see("/browse?state=labelled")
    assert "2 answers" in page.words
    assert "model: yes, 90 %" in page.words
    assert any(each.get("fill") == "#2f8f5b" for _, each in page.elements), "the label's colour"


def test_a_long_text_is_folded_and_whole_within(make_project):
    whole = "begin " + "word " * 200 + "end-of-it"
    page = Guest(make_project([whole, "short one", "two  spaces\nand a line"])).see("/browse")
    assert len(page.named("details")) == 2, "the long text's and the one for labelling all"
    assert "two  spaces\nand a line" in page.words
    assert "end-of-it" in page.words
    assert page.words.index("…") < page.words.index("end-of-it")


def test_many_short_lines_are_folded_too(make_project):
    page = Guest(make_project(["\n".join("abcdefgh")])).see("/browse")
    assert "a b c d e f g h" in page.words
    assert "\n".join("abcdefgh") in page.words


def test_texts_names_and_notes_are_never_markup(make_project):
    nasty = "<script>alert(1)</script> <img src=x onerror=alert(2)>"
    project = make_project([nasty, "plain"], labels=("<b>yes</b>", "no"))
    tell(project, "ann", 1, YES, note=nasty)
    tell(project, "ben", 1, NO)
    guest = Guest(project)
    for address in ("/browse", "/items/1", "/settle", "/browse/bulk?give=1", f"/browse?words={nasty}"):
        page = guest.see(address)
        assert not page.named("img"), address
        assert not page.named("b") or all("yes" not in each for each in page.named("b"))
        assert all(each.get("src", "").startswith("/static/") for each in page.named("script")), address
        loud = [name for _, each in page.elements for name in each if name == "style" or name.startswith("on")]
        assert loud == [], address


@pytest.mark.parametrize("address", ["/browse", "/items/1", "/settle", "/browse/bulk?give=1", "/welcome"])
def test_one_heading_and_a_name_for_every_field(make_project, address):
    project = make_project(TEXTS if address != "/welcome" else [])
    if address != "/welcome":
        tell(project, "ann", 1, YES)
        tell(project, "ben", 1, NO)
    page = Guest(project).see(address)
    assert len(page.named("h1")) == 1
    named = {each.get("for") for each in page.named("label")}
    fields = [*page.named("select"), *page.named("textarea"), *page.named("input")]
    unnamed = [each for each in fields if each.get("type") != "hidden" and each.get("id") not in named]
    assert unnamed == []
    ids = [each["id"] for _, each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    assert all("scope" in each for each in page.named("th"))


# ---- corrected in place ----------------------------------------------------------------------------------------------


def test_a_label_is_corrected_in_place_and_the_view_comes_back(project):
    tell(project, "ann", 1, YES)
    guest = Guest(project)
    form = guest.see("/browse?words=film&label=1").form("/items/1/answer")
    after = guest.send("/items/1/answer", {**form, "answer": NO})
    assert (after.url.path, after.url.query, after.url.fragment) == ("/browse", b"words=film&label=1", "item-1")
    assert after.history[0].status_code == 303
    assert "Saved: text 1 is “no”." in after.text
    assert label_of(project, 1) == NO
    assert "Saved:" not in guest.get("/browse").text, "told once"


def test_a_correction_is_taken_back_by_the_button_beside_its_notice(project):
    tell(project, "ann", 1, YES)
    guest = Guest(project)
    after = guest.send("/items/1/answer", {"answer": NO, "view": "words=film"})
    undone = guest.send("/browse/undo", Outline(after.text).form("/browse/undo"))
    assert (undone.url.path, undone.url.query) == ("/browse", b"words=film")
    assert "Taken back: text 1 is as before." in undone.text
    assert label_of(project, 1) == YES


def test_the_button_takes_back_nothing_but_what_it_stands_beside(project):
    guest = Guest(project)
    after = guest.send("/items/1/answer", {"answer": NO})
    tell(project, "ann", 2, YES)
    refused = guest.send("/browse/undo", Outline(after.text).form("/browse/undo"))
    assert refused.status_code == 400
    assert (label_of(project, 1), label_of(project, 2)) == (NO, YES)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "no label was chosen"),
        ({"answer": "99"}, "no label number 99"),
        ({"answer": "x"}, "must be a whole number"),
        ({"name": "yess"}, "yes"),
        ({"answer": "1", "view": "state=odd"}, "odd"),
    ],
)
def test_an_answer_that_means_nothing_changes_nothing(project, fields, told):
    answered = Guest(project).send("/items/1/answer", fields)
    assert answered.status_code == 400
    assert told in answered.text
    assert project.answers.of_item(1) == ()


def test_a_text_that_is_not_there(project):
    guest = Guest(project)
    for number in (0, 99, 10**15, 10**30):
        assert guest.get(f"/items/{number}").status_code == 400, number
        assert guest.send(f"/items/{number}/answer", {"answer": YES}).status_code == 400, number


def test_a_form_without_the_token_is_refused(project):
    guest = Guest(project)
    for path, fields in (
        ("/items/1/answer", {"answer": YES}),
        ("/browse/bulk", {"items": "1-3", "give": YES}),
        ("/settle", {"item": 1, "answer": YES}),
        ("/browse/undo", {"event": 1}),
        ("/welcome/labels", {"names": "new"}),
    ):
        assert guest.client.post(path, data=fields).status_code == 403, path
    assert project.answers.of_item(1) == ()


def test_many_labels_are_typed_and_skip_and_unsure_have_buttons(make_project):
    project = make_project(labels=[f"label {i}" for i in range(1, 41)])
    guest = Guest(project)
    page = guest.see("/items/1")
    assert len(page.named("datalist")) == 1
    assert {each.get("value") for each in page.named("button")} >= {"skip", "unsure"}
    guest.send("/items/1/answer", {"name": "label 17"})
    assert label_of(project, 1) == 17
    guest.send("/items/1/answer", {"name": "label 17", "answer": "unsure", "note": "two fit"})
    (answer,) = project.answers.of_item(1)
    assert (answer.kind, answer.note) == ("unsure", "two fit")


def test_whether_guesses_were_in_sight_is_kept(make_project):
    for suggestions, visible in (("offered", True), ("never", False)):
        project = make_project(suggestions=suggestions)
        give_model(project, SAYS)
        guest = Guest(project)
        form = guest.see("/browse").form("/items/3/answer")
        guest.send("/items/3/answer", {**form, "answer": YES})
        assert project.answers.provenance(3)[0].suggestion_visible is visible
        assert f"guesses in sight {'yes' if visible else 'no'}" in guest.see("/items/3").words


# ---- the trained model -----------------------------------------------------------------------------------------------


def test_a_wrong_label_is_found_where_the_model_doubts_it(make_project):
    texts = [f"cat dog hen {i}" for i in range(20)] + [f"iron zinc tin {i}" for i in range(20)]
    project = make_project(texts)
    for item in range(1, 41):
        tell(project, "ann", item, YES if item <= 20 else NO)
    tell(project, "ann", 7, NO)
    Trainer(project).train()
    assert found(Guest(project).see("/browse?state=suspicious"))[:1] == [7]


def test_reading_writes_nothing(project):
    guest = Guest(project)
    with sqlite3.connect(f"file:{project.folder / 'project.db'}?mode=ro", uri=True) as connection:
        before = connection.execute("SELECT count(*) FROM event").fetchone()
        for address in ("/browse", "/items/1", "/settle", "/browse/bulk?give=1"):
            guest.see(address)
        assert connection.execute("SELECT count(*) FROM event").fetchone() == before
