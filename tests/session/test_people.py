"""Who may work on a project, and for how long a session lasts."""

from __future__ import annotations

import pytest

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.people import Person, checked_name, local_person
from nearmiss.session.project import Project

MONTH = 30 * 86_400


@pytest.fixture
def people(project):
    project.people.add("ann", role="owner", password_hash="one")
    project.people.add("bob", password_hash="two")
    return project.people


def test_the_one_who_makes_a_project_owns_it(project):
    assert project.people.every() == (Person(local_person(), "owner"),)


def test_people_are_found_by_name(people):
    assert people.get("ann") == Person("ann", "owner", signs_in=True)
    assert people.get("bob") == Person("bob", "annotator", signs_in=True)
    with pytest.raises(UnknownName, match="did you mean 'ann'"):
        people.get("anne")


def test_names_are_kept_in_one_form(people):
    assert people.add("  Ada   Lovelace ").name == "Ada Lovelace"
    assert people.add("Ada Lovelace", role="owner").role == "owner"
    assert sum(person.name == "Ada Lovelace" for person in people.every()) == 1


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\0b", "\ud800", "\u202e"])
def test_a_name_that_is_none_is_refused(people, name):
    with pytest.raises(InvalidInput, match="printable"):
        people.add(name)
    with pytest.raises(InvalidInput, match="printable"):
        checked_name(name)


def test_an_unknown_role_is_refused(people):
    with pytest.raises(UnknownName, match="role"):
        people.add("cyd", role="king")
    assert "cyd" not in {person.name for person in people.every()}


def test_a_session_survives_reopening(project, people):
    token = people.create("ann")
    project.close()
    with Project.open(project.folder) as again:
        assert again.people.find(token) == "ann"


def test_a_token_is_kept_as_its_hash_alone(project, people):
    token = people.create("ann")
    with project.database.reading() as connection:
        assert token not in "\n".join(connection.iterdump())
    project.close()
    held = b"".join(file.read_bytes() for file in project.folder.glob("project.db*"))
    assert token.encode() not in held


def test_sessions_are_told_apart(people):
    tokens = [people.create("ann"), people.create("ann"), people.create("bob")]
    assert len(set(tokens)) == 3
    assert [people.find(token) for token in tokens] == ["ann", "ann", "bob"]
    people.end(tokens[0])
    assert [people.find(token) for token in tokens] == [None, "ann", "bob"]
    people.end("never was")


@pytest.mark.parametrize("token", ["", "x", "\ud800", "é" * 1000, "' OR 1=1 --", "%"])
def test_a_token_that_never_was_opens_nothing(people, token):
    people.create("ann")
    assert people.find(token) is None


def test_a_session_ends_after_a_month(people, clock):
    token = people.create("ann")
    clock.advance(MONTH - 1)
    assert people.find(token) == "ann"
    clock.advance(2)
    assert people.find(token) is None


def test_sessions_that_ended_are_swept(project, people, clock, dump):
    people.create("ann")
    clock.advance(MONTH + 1)
    people.create("bob")
    assert len(dump(project, "login")["login"]) == 1


def test_a_new_password_ends_every_session(people):
    token, other = people.create("ann"), people.create("bob")
    people.add("ann", role="owner", password_hash="three")
    assert people.find(token) is None
    assert people.find(other) == "bob"
    assert people.password_hash("ann") == "three"


def test_a_new_role_keeps_the_password_and_the_session(people):
    token = people.create("bob")
    people.add("bob", role="owner")
    assert (people.find(token), people.password_hash("bob"), people.get("bob").role) == ("bob", "two", "owner")


def test_whoever_is_removed_is_out_at_once(project, people):
    token = people.create("bob")
    [pick] = project.ask(1, person="bob")
    project.tell("1", "animal", person="bob")
    people.remove("bob")
    assert people.find(token) is None
    assert people.password_hash("bob") is None
    assert "bob" not in {person.name for person in people.every()}
    assert project.queue.origin("bob", pick.item.id) is None
    assert [answer.person for answer in project.answers.of_item(1)] == ["bob"]
    with pytest.raises(UnknownName):
        people.remove("bob")


def test_whoever_comes_back_needs_a_new_password(people):
    token = people.create("bob")
    people.remove("bob")
    people.add("bob")
    assert people.get("bob") == Person("bob", "annotator", signs_in=False)
    assert people.find(token) is None
    people.add("bob", password_hash="four")
    assert people.find(people.create("bob")) == "bob"


def test_a_session_for_a_stranger_opens_nothing(people):
    assert people.find(people.create("mallory")) is None
