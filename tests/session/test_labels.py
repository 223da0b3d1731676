"""Labels come, change and go; what was said with them stays said."""

from __future__ import annotations

from contextlib import suppress

import pytest

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.history import Event, EventKind
from nearmiss.session.labels import Label
from nearmiss.session.projection import happen, rebuild

ANIMAL, METAL = 1, 2


def names(project):
    return [label.name for label in project.labels.offered()]


def test_labels_are_added_in_order_all_or_none(project):
    added = project.labels.add_all("ann", [Label(0, " wood  chip "), Label(0, "stone", "hard", "#00ff00", "T")])
    assert [(each.id, each.name, each.key) for each in added] == [(3, "wood chip", ""), (4, "stone", "t")]
    with pytest.raises(InvalidInput, match="'stone' already"):
        project.labels.add_all("ann", [Label(0, "water"), Label(0, "stone")])
    assert names(project) == ["animal", "metal", "wood chip", "stone"]


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\0b", "\ud800", "line\u2028"])
def test_a_name_that_is_none_is_refused(project, name):
    for refuse in (lambda: project.labels.add("ann", name), lambda: project.labels.change("ann", 1, {"name": name})):
        if name.strip() == "line":
            continue
        with pytest.raises(InvalidInput, match="printable"):
            refuse()
    assert names(project)[:2] == ["animal", "metal"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "metal"},
        {"color": "red"},
        {"color": None},
        {"color": "#12345"},
        {"color": 7},
        {"key": "ab"},
        {"key": "u"},
        {"key": "?"},
        {"key": "\ud800"},
        {"position": "first"},
        {"position": None},
        {"colour": "#112233"},
        {"retired": 1},
        {"label": 2},
        {"description": "half \ud800"},
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_leaves_nothing(project, dump, changes):
    before = dump(project, "label", "event")
    try:
        project.labels.change("ann", ANIMAL, changes)
    except InvalidInput:
        assert dump(project, "label", "event") == before
        return
    assert set(changes) == {"description"}  # half a character may be replaced instead
    assert project.database.problems() == ()


def test_everything_about_a_label_can_be_changed(project):
    project.tell("1", "animal")
    changed = project.labels.change(
        "ann", ANIMAL, {"name": "Beast", "description": " it breathes ", "color": "#A0b0c0", "key": "B", "position": 9}
    )
    assert changed == Label(ANIMAL, "Beast", "it breathes", "#A0b0c0", "b", 9, texts=1)
    assert names(project) == ["metal", "Beast"]
    assert project.labels.named("Beast").texts == 1
    with pytest.raises(UnknownName):
        project.labels.named("animal")


def test_a_key_gives_one_label(project):
    project.labels.change("ann", ANIMAL, {"key": "x"})
    with pytest.raises(InvalidInput, match="key 'x' gives label 'animal'"):
        project.labels.change("ann", METAL, {"key": "X"})
    project.labels.retire("ann", ANIMAL)
    project.labels.change("ann", METAL, {"key": "x"})
    with suppress(InvalidInput):  # refusing is right too
        project.labels.restore("ann", ANIMAL)
    keys = [label.key for label in project.labels.offered() if label.key]
    assert len(keys) == len(set(keys))


def test_a_name_is_free_once_its_label_is_gone(project):
    project.labels.retire("ann", ANIMAL)
    again = project.labels.add("ann", "animal")
    assert again.id == 3
    with pytest.raises(InvalidInput, match="'animal' already"):
        project.labels.restore("ann", ANIMAL)
    project.labels.change("ann", again.id, {"name": "creature"})
    project.labels.restore("ann", ANIMAL)
    assert names(project) == ["animal", "metal", "creature"]


def test_labels_merged_in_a_chain_stand_and_fall_together(project):
    third = project.labels.add("ann", "thing").id
    for item, label in [("1", "animal"), ("2", "metal"), ("3", "thing")]:
        project.tell(item, label)
    project.labels.merge("ann", ANIMAL, METAL)
    project.labels.merge("ann", METAL, third)
    assert [(label.name, label.texts) for label in project.labels.offered()] == [("thing", 3)]
    project.labels.retire("ann", third)
    assert [project.browser.find(item).label for item in (1, 2, 3)] == [None] * 3
    project.labels.restore("ann", METAL)
    assert [project.browser.find(item).label for item in (1, 2, 3)] == [METAL, METAL, None]
    project.labels.restore("ann", third)
    assert [project.browser.find(item).label for item in (1, 2, 3)] == [METAL, METAL, third]


def test_merging_in_a_circle_is_refused(project):
    project.labels.merge("ann", ANIMAL, METAL)
    for label, into in [(METAL, ANIMAL), (ANIMAL, METAL), (METAL, METAL)]:
        with pytest.raises(InvalidInput):
            project.labels.merge("ann", label, into)
    assert names(project) == ["metal"]


def test_merging_what_is_merged_names_the_label_that_stands_for_it(project):
    third = project.labels.add("ann", "thing").id
    project.labels.merge("ann", ANIMAL, METAL)
    with pytest.raises(InvalidInput, match=r"'animal' is merged (with|into) 'metal'"):
        project.labels.merge("ann", ANIMAL, third)


def test_merging_into_what_is_gone_is_refused(project):
    project.labels.retire("ann", METAL)
    with pytest.raises(InvalidInput, match="'metal' is retired"):
        project.labels.merge("ann", ANIMAL, METAL)


@pytest.mark.parametrize("label", [0, -1, 99, 2**70])
def test_a_number_of_no_label_is_refused(project, label):
    for act in (
        lambda: project.labels.change("ann", label, {"name": "x"}),
        lambda: project.labels.retire("ann", label),
        lambda: project.labels.restore("ann", label),
        lambda: project.labels.merge("ann", label, ANIMAL),
        lambda: project.labels.merge("ann", ANIMAL, label),
    ):
        with pytest.raises(InvalidInput):
            act()
    assert names(project) == ["animal", "metal"]


# ---- seeds -----------------------------------------------------------------------------------------------------------


def test_seeds_are_kept_one_a_line_each_once(project):
    label = project.labels.change("ann", ANIMAL, {"seeds": " a  cat\r\n\r\nthe dog\na cat\n\ud800x\0y\n"})
    assert label.seeds == "a cat\nthe dog\n\N{REPLACEMENT CHARACTER}x y"
    assert label.seed_texts == ("a cat", "the dog", "\N{REPLACEMENT CHARACTER}x y")
    assert project.labels.menu()[0].seed_texts == label.seed_texts
    assert project.labels.change("ann", ANIMAL, {"seeds": ""}).seed_texts == ()
    assert project.labels.add("ann", "wood", seeds="oak\nbirch").seed_texts == ("oak", "birch")


@pytest.mark.parametrize(("seeds", "told"), [("\n".join(map(str, range(101))), "101 lines"), ("x" * 2001, "2001 char")])
def test_too_many_or_too_long_seeds_are_refused(project, seeds, told):
    for refuse in (
        lambda: project.labels.change("ann", ANIMAL, {"seeds": seeds}),
        lambda: project.labels.add("ann", "wood", seeds=seeds),
    ):
        with pytest.raises(InvalidInput, match=f"^seeds: .*{told}"):
            refuse()
    assert project.labels.every()[0].seeds == ""
    assert names(project) == ["animal", "metal"]


def test_seeds_follow_from_the_history_that_of_older_projects_included(project, dump):
    project.labels.change("ann", ANIMAL, {"seeds": "cat"})
    project.labels.add("ann", "wood", seeds="oak")
    before = dump(project, "label")
    with project.database.writing() as connection:
        rebuild(connection)
    assert dump(project, "label") == before
    body = {"label": 9, "name": "old", "description": "", "color": "", "key": "", "position": 9}  # as once written
    with project.database.writing() as connection:
        happen(connection, Event(EventKind.LABEL_ADDED, "ann", body))
    assert project.labels.named("old").seeds == ""


def test_a_name_that_was_changed_merged_or_retired_is_remembered(make_project):
    project = make_project(4)
    one, two = (label.id for label in project.labels.offered())
    project.labels.change("ann", one, {"name": "beast"})
    project.labels.merge("ann", two, one)
    assert project.labels.names_ever() == {"animal", "metal", "beast"}


def test_the_same_command_brings_no_label_back(make_project):
    from nearmiss.cli.projects import _add_labels

    project = make_project(4)
    one, two = (label.id for label in project.labels.offered())
    project.labels.change("ann", one, {"name": "beast"})
    project.labels.retire("ann", two)
    _add_labels(project, ["animal", "metal"])
    assert [label.name for label in project.labels.offered()] == ["beast"]
    _add_labels(project, ["animal", "plant"])
    assert [label.name for label in project.labels.offered()] == ["beast", "plant"]
