"""People: who is let in, and who is not any longer."""

from __future__ import annotations

import pytest
from tests.web.pages_client import Guest, Outline, tell

from nearmiss.session.project import Project
from nearmiss.web.security.passwords import verify_password

GOOD = "correct horse battery"


@pytest.fixture
def project(tmp_path):
    texts = [f"text number {i}" for i in range(1, 11)]
    with Project.create(tmp_path / "p", texts=texts, label_names=["yes", "no"]) as project:
        yield project


def known(project):
    return {person.name: person.role for person in project.people.every()}


def test_somebody_is_added_and_can_sign_in(project):
    guest = Guest(project)
    sent = {"name": "  Eve   B ", "role": "annotator", "password": GOOD, "again": GOOD}
    answered = guest.send("/people", sent)
    assert "Added: Eve B can sign in now." in answered.text
    assert GOOD not in answered.text
    assert known(project)["Eve B"] == "annotator"
    guest.client.cookies.clear()
    signed = guest.client.post("/login", data={"name": "Eve B", "password": GOOD})
    assert "Eve B" in signed.text


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": ""}, "name-wrong"),
        ({"name": "ann"}, "name-wrong"),
        ({"password": "short", "again": "short"}, "new-told new-password-wrong"),
        ({"again": "something else"}, "new-again-wrong"),
    ],
)
def test_what_is_wrong_is_told_beside_the_field_and_nobody_is_added(project, changed, field):
    guest, before = Guest(project), known(project)
    answered = guest.send("/people", {"name": "eve", "role": "owner", "password": GOOD, "again": GOOD, **changed})
    page = Outline(answered.text)
    assert answered.status_code == 400
    assert [each["aria-describedby"] for each in page.named("input") if each.get("aria-invalid")] == [field]
    assert GOOD not in answered.text
    assert known(project) == before | {"ann": "owner"}


def test_a_new_password_ends_the_sessions_of_the_old_one(project):
    project.people.add("ben", role="annotator")
    session = project.people.create("ben")
    sent = {"name": "ben", "password": GOOD, "again": GOOD}
    Guest(project).send("/people/password", sent)
    assert project.people.find(session) is None
    assert verify_password(GOOD, project.people.password_hash("ben"))
    assert known(project)["ben"] == "annotator"


def test_a_poor_password_is_told_where_it_was_typed(project):
    project.people.add("ben", role="annotator")
    answered = Guest(project).send("/people/password", {"name": "ben", "password": GOOD, "again": "other"})
    page = Outline(answered.text)
    assert answered.status_code == 400
    assert len([each for each in page.named("details") if "open" in each]) == 1
    assert project.people.password_hash("ben") is None


def test_who_is_removed_is_out_and_what_they_said_stays(project):
    project.people.add("ben", role="annotator")
    session = project.people.create("ben")
    tell(project, "ben", 1, 1)
    guest = Guest(project)
    assert "Removed: ben" in guest.send("/people/remove", {"name": "ben"}).text
    assert "ben" not in known(project)
    assert project.people.find(session) is None
    assert project.browser.find(1).label == 1
    assert "not let in" in guest.see("/people").words


def test_nobody_removes_themselves(project):
    guest = Guest(project)
    assert guest.send("/people/remove", {"name": "ann"}).status_code == 400
    assert "ann" in known(project)
    assert "Remove ann" not in guest.see("/people").words


def test_what_each_has_done_is_told(project):
    for item, (first, second) in enumerate([(1, 1), (1, 1), (1, 2), (2, 2)], start=1):
        tell(project, "ann", item, first)
        tell(project, "ben", item, second)
    tell(project, "cem", 1, 1)
    words = " ".join(Guest(project).see("/people").words.split())
    assert "75 % 95 %: 19 % to 99 %; 3 of 4" not in words  # cem shares text 1 with both
    assert "80 % 95 %: 28 % to 99 %; 4 of 5" in words
    assert "100 % 95 %: 16 % to 100 %; 2 of 2" in words


@pytest.mark.parametrize("path", ["/people", "/people/password", "/people/remove"])
def test_people_are_for_owners(project, path):
    project.people.add("cem", role="annotator")
    guest, before = Guest(project, "ben", "annotator"), known(project)
    sent = {"name": "cem", "role": "owner", "password": GOOD, "again": GOOD}
    assert guest.send(path, sent).status_code == 403
    assert guest.get("/people").status_code == 403
    assert known(project) == before | {"ben": "annotator"}
    assert project.people.password_hash("cem") is None
