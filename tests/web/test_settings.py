"""Settings: labels come, change and go; guidelines and training follow; annotators change nothing."""

from __future__ import annotations

import sqlite3

import pytest
from tests.web.pages_client import Guest, Outline, tell

from nearmiss.session.project import Project
from nearmiss.session.settings import Settings

YES, NO, MAYBE = 1, 2, 3


@pytest.fixture
def project(tmp_path):
    texts = [f"text number {i}" for i in range(1, 11)]
    with Project.create(tmp_path / "p", texts=texts, label_names=["yes", "no", "maybe"]) as project:
        yield project


def names(project):
    return [label.name for label in project.labels.offered()]


# ---- labels ----------------------------------------------------------------------------------------------------------


def test_labels_are_added_by_lines(project):
    answered = Guest(project).send("/settings/labels", {"names": "never\r\n\r\n  often  \r\nnever"})
    assert "Added: 2 labels." in answered.text
    assert names(project) == ["yes", "no", "maybe", "never", "often"]


@pytest.mark.parametrize(("typed", "told"), [("new\nyes", "a label 'yes' already"), (" \n ", "0 labels")])
def test_labels_that_cannot_be_added_are_told_beside_the_field(project, typed, told):
    answered = Guest(project).send("/settings/labels", {"names": typed})
    page = Outline(answered.text)
    assert answered.status_code == 400
    assert told in page.words
    assert page.named("textarea")[0]["aria-describedby"] == "names-wrong"
    assert names(project) == ["yes", "no", "maybe"]


def test_a_label_is_changed_and_its_page_shows_it(project):
    guest = Guest(project)
    changed = {"name": "Yes & so", "description": "when sure", "color": "other", "other": "#102030", "label_key": "Y"}
    assert "Saved: “Yes &amp; so”." in guest.send("/settings/labels/1", changed).text
    label = project.labels.named("Yes & so")
    assert (label.id, label.description, label.color, label.key) == (YES, "when sure", "#102030", "y")
    page = guest.see("/settings/labels/1")
    assert page.form("/settings/labels/1")["name"] == "Yes & so"
    assert [each["value"] for each in page.named("input") if "checked" in each] == ["other"]


@pytest.mark.parametrize(
    ("field", "value", "described"),
    [
        ("name", "no", "name-wrong"),
        ("name", " ", "name-wrong"),
        ("other", "red", "colour-wrong"),
        ("label_key", "s", "key-told key-wrong"),
    ],
)
def test_what_is_wrong_with_a_label_is_told_beside_its_field(project, field, value, described):
    sent = {"name": "yes", "description": "kept <i>", "color": "other", "other": "", "label_key": "", field: value}
    answered = Guest(project).send("/settings/labels/1", sent)
    page = Outline(answered.text)
    assert answered.status_code == 400
    wrong = [each["aria-describedby"] for each in page.named("input") if each.get("aria-invalid")]
    assert wrong == [described]
    assert "kept <i>" in page.words  # nothing that was typed is lost
    assert project.labels.every()[0].name == "yes"


def test_labels_move_and_stay_within_the_list(project):
    guest = Guest(project)
    guest.send("/settings/labels/3/move", {"way": "up"})
    assert names(project) == ["yes", "maybe", "no"]
    guest.send("/settings/labels/1/move", {"way": "up"})
    assert names(project) == ["yes", "maybe", "no"]
    guest.send("/settings/labels/1/move", {"way": "down"})
    assert names(project) == ["maybe", "yes", "no"]


def test_labels_in_the_same_place_move_too(project):
    for label in project.labels.every():
        project.labels.change("ann", label.id, {"position": 7})
    Guest(project).send("/settings/labels/3/move", {"way": "up"})
    assert names(project) == ["yes", "maybe", "no"]


def test_retiring_is_previewed_done_and_restored(project):
    tell(project, "ann", 1, YES)
    project.answers.settle("ann", 2, YES)
    guest = Guest(project)
    page = guest.see("/settings/labels/1/retire")
    assert "2 texts will have no label" in page.words
    assert "1 of them was settled" in page.words
    assert names(project)[0] == "yes"
    guest.send("/settings/labels/1/retire", {})
    assert names(project) == ["no", "maybe"]
    assert "yes is retired" in guest.see("/settings").words
    guest.send("/settings/labels/1/restore", {})
    assert names(project) == ["yes", "no", "maybe"]
    assert project.browser.find(1).label == YES


def test_merging_is_previewed_done_and_restored(project):
    tell(project, "ann", 1, YES)
    tell(project, "ann", 2, YES)
    tell(project, "ben", 2, NO)
    tell(project, "ann", 3, YES)
    tell(project, "ben", 3, MAYBE)
    guest = Guest(project)
    page = guest.see("/settings/labels/1/merge?into=2")
    assert "1 text with “yes” will have “no”" in page.words
    assert "1 text on which people differ between these two" in page.words
    guest.send("/settings/labels/1/merge", {"into": "2"})
    assert [project.browser.find(item).label for item in (1, 2)] == [NO, NO]
    assert [project.browser.find(item).disputed for item in (2, 3)] == [False, True]
    assert "yes is merged into “no”" in guest.see("/settings").words
    guest.send("/settings/labels/1/restore", {})
    assert project.browser.find(1).label == YES


@pytest.mark.parametrize("query", ["into=1", "into=99", "into=x", "name=nothing", ""])
def test_a_merge_that_means_nothing_is_refused(project, query):
    assert Guest(project).get(f"/settings/labels/1/merge?{query}").status_code == 400


def test_restoring_a_name_that_was_taken_is_told(project):
    project.labels.retire("ann", YES)
    project.labels.add("ann", "yes")
    answered = Guest(project).send("/settings/labels/1/restore", {})
    assert answered.status_code == 400
    assert "already" in answered.text


def test_a_label_that_is_not_there(project):
    assert Guest(project).get("/settings/labels/99").status_code == 400


def test_words_of_a_label_are_kept_shown_and_looked_for_at_once(project):
    guest = Guest(project)
    sent = {**guest.see("/settings/labels/2").form("/settings/labels/2"), "seeds": "never\r\n\r\nnot <at> all"}
    guest.send("/settings/labels/2", sent)
    assert project.labels.named("no").seed_texts == ("never", "not <at> all")
    assert "not <at> all" in guest.see("/settings/labels/2").words
    assert project.training_requested()


def test_words_of_a_label_that_has_texts_ask_for_no_training(project):
    tell(project, "ann", 1, YES)
    Guest(project).send("/settings/labels/1", {"name": "yes", "seeds": "surely"})
    assert project.labels.named("yes").seeds == "surely"
    assert not project.training_requested()


def test_too_many_words_are_told_beside_their_field(project):
    answered = Guest(project).send("/settings/labels/1", {"name": "yes", "seeds": "\n".join(map(str, range(101)))})
    page = Outline(answered.text)
    assert answered.status_code == 400
    wrong = [each["aria-describedby"] for each in page.named("textarea") if each.get("aria-invalid")]
    assert wrong == ["seeds-told seeds-wrong"]
    assert "100" in page.words  # what was typed is still there
    assert project.labels.named("yes").seeds == ""


# ---- guidelines ------------------------------------------------------------------------------------------------------


def test_guidelines_are_previewed_without_being_saved(project):
    answered = Guest(project).send("/settings/guidelines", {"text": "*Look* <script>", "act": "preview"})
    assert "<em>Look</em> &lt;script&gt;" in answered.text
    assert project.settings.guidelines().version == 0


def test_guidelines_are_saved_as_versions(project):
    guest = Guest(project)
    assert "version 1 is in force" in guest.send("/settings/guidelines", {"text": "one", "act": "save"}).text
    assert "Nothing changed." in guest.send("/settings/guidelines", {"text": "one\r\n", "act": "save"}).text
    guest.send("/settings/guidelines", {"text": "two", "act": "save"})
    words = " ".join(guest.see("/settings/guidelines").words.split())
    assert words.index("Version 2") < words.index("(in force)") < words.index("Version 1")


def test_guidelines_too_long_are_told_and_kept_in_the_field(project):
    answered = Guest(project).send("/settings/guidelines", {"text": "x" * 100_001, "act": "save"})
    assert answered.status_code == 400
    assert "keep them to 100000" in answered.text
    assert "x" * 100_001 in answered.text


# ---- choosing and training -------------------------------------------------------------------------------------------


def test_every_setting_is_on_the_page_with_its_default(project):
    page = Guest(project).see("/settings/training")
    fields = {each.get("name") for tag in ("input", "select") for each in page.named(tag)}
    assert set(Settings.__dataclass_fields__) <= fields
    assert page.words.count("Default:") == len(Settings.__dataclass_fields__)


def test_settings_are_saved_together(project):
    Guest(project).send("/settings/training", {"batch": "25", "audit_share": "0.1", "strategy": "cal:k=5"})
    now = project.settings.read()
    assert (now.batch, now.audit_share, now.strategy, now.overlap) == (25, 0.1, "cal:k=5", 1)


def test_each_wrong_setting_is_told_beside_its_field_and_none_is_changed(project):
    sent = {"batch": "0", "strategy": "entrpy", "audit_share": "0.5", "overlap": "two"}
    answered = Guest(project).send("/settings/training", sent)
    page = Outline(answered.text)
    assert answered.status_code == 400
    wrong = {each["name"] for each in page.named("input") if each.get("aria-invalid")}
    assert wrong == {"batch", "strategy", "overlap"}
    assert "did you mean 'entropy'" in page.words
    assert project.settings.read() == Settings()
    assert page.form("/settings/training")["overlap"] == "two"  # what was typed stays there


# ---- who may ---------------------------------------------------------------------------------------------------------

PAGES = [
    "/settings",
    "/settings/labels/1",
    "/settings/labels/1/retire",
    "/settings/labels/1/merge?into=2",
    "/settings/training",
    "/settings/guidelines",
]
WRITES = [
    ("/settings/labels", {"names": "more"}),
    ("/settings/labels/1", {"name": "other"}),
    ("/settings/labels/1/move", {"way": "down"}),
    ("/settings/labels/1/retire", {}),
    ("/settings/labels/1/merge", {"into": "2"}),
    ("/settings/labels/1/restore", {}),
    ("/settings/training", {"batch": "5"}),
    ("/settings/guidelines", {"text": "mine", "act": "save"}),
]


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_one_heading_a_name_for_every_field_and_are_for_owners(project, path):
    page = Guest(project).see(path)
    assert len(page.named("h1")) == 1
    labelled = {each.get("for") for each in page.named("label")}
    for tag in ("input", "select", "textarea"):
        for field in page.named(tag):
            if field.get("type") not in ("hidden", "radio"):
                assert field.get("id") in labelled, field
    assert Guest(project, "ben", "annotator").get(path).status_code == 403


@pytest.mark.parametrize(("path", "fields"), WRITES)
def test_annotators_and_forged_forms_change_nothing(project, path, fields):
    def events():
        with sqlite3.connect(project.folder / "project.db") as connection:
            return connection.execute("SELECT count(*) FROM event").fetchone()[0]

    before = events()
    annotator, owner = Guest(project, "ben", "annotator"), Guest(project)
    assert annotator.send(path, fields).status_code == 403
    assert owner.client.post(path, data=fields).status_code == 403
    assert events() == before
