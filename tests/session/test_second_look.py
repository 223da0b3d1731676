"""Labels in doubt in a project: listed with their reasons, never changed by themselves, settled by people."""

from __future__ import annotations

import json
import sys

import pytest

from nearmiss.errors import MissingExtra, NearmissError
from nearmiss.session import second_look as module
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.history import events_of_item
from nearmiss.session.origins import Origin, Source
from nearmiss.session.projection import rebuild
from nearmiss.session.second_look import (
    SecondLook,
    give_second_label,
    look_again,
    read_second_look,
    second_look,
    still_open,
)
from nearmiss.session.training import Did, Trainer

pytest.importorskip("cleanlab")

ANIMAL, METAL = 1, 2
WRONG = (7, 20)


def label(project, *items, source=Source.PERSON, person="ann", wrong=WRONG):
    """Give each text the label of its kind (odd numbers are animals), but for the wrong ones."""
    for item in items:
        right = ANIMAL if item % 2 else METAL
        said = Submission(item, AnswerKind.LABEL, 3 - right if item in wrong else right)
        project.answers.submit(person, said, Origin(source))


@pytest.fixture
def pool(make_project):
    def make(texts=60, **settings):
        return make_project(texts, **{"classifier": "tfidf", "batch": 4, "audit_share": 0.0, **settings})

    return make


@pytest.fixture
def project(pool):
    """Forty texts have labels, two of them the wrong one."""
    project = pool()
    label(project, *range(1, 41))
    return project


def listed(look):
    return [doubt.item for doubt in look.doubts]


def test_wrong_labels_are_listed_with_what_contradicts_them(project):
    look = second_look(project)
    assert sorted(listed(look)) == list(WRONG)
    assert (look.judged, look.alone) == (40, 0)
    doubt = next(doubt for doubt in look.doubts if doubt.item == 7)
    assert (doubt.label, doubt.suggested) == (METAL, ANIMAL)
    assert doubt.origin.source is Source.SECOND_LOOK
    assert doubt.origin.labels[0] == ANIMAL
    assert set(doubt.origin.labels) == {ANIMAL, METAL}
    assert doubt.origin.neighbors
    assert all(near.label == ANIMAL and near.item != 7 for near in doubt.origin.neighbors)
    assert json.loads(json.dumps(doubt.origin.as_json(), allow_nan=False))


def test_looking_changes_nothing_and_looking_again_says_the_same(project, dump):
    before = dump(project, "event", "decision", "answer")
    assert second_look(project) == second_look(project)
    assert dump(project, "event", "decision", "answer") == before


@pytest.mark.parametrize("given", [0, 1, 2, 3])
def test_few_labels_are_no_trouble(pool, given):
    project = pool()
    label(project, *range(1, given + 1))
    look = second_look(project)
    assert look.doubts == ()
    assert look.judged + look.alone == given


def test_one_label_only_is_no_trouble(pool):
    project = pool()
    label(project, *range(1, 30, 2), wrong=())
    assert second_look(project).doubts == ()


def test_random_checks_take_no_part_unless_asked(pool):
    project = pool()
    label(project, *(item for item in range(1, 41) if item != 7))
    label(project, 7, source=Source.AUDIT)
    assert listed(second_look(project)) == [20]
    assert sorted(listed(second_look(project, audits=True))) == [7, 20]
    look = second_look(project)
    assert 7 not in {near.item for doubt in look.doubts for near in doubt.origin.neighbors}


def test_a_kept_label_is_not_listed_again_until_that_is_undone(project):
    look = second_look(project)
    doubt = look.doubts[0]
    give_second_label(project, "ann", doubt, doubt.label)
    assert project.browser.find(doubt.item).label == doubt.label
    assert doubt.item not in listed(second_look(project))
    assert doubt not in still_open(project, look)
    project.answers.undo("ann")
    assert doubt.item in listed(second_look(project))
    assert doubt in still_open(project, look)


def test_the_other_label_holds_and_its_history_says_why(project):
    doubt = next(doubt for doubt in second_look(project).doubts if doubt.item == 7)
    give_second_label(project, "ben", doubt, doubt.suggested, note="slipped")
    found = project.browser.find(7)
    assert (found.label, found.settled) == (ANIMAL, True)
    assert [answer.label for answer in project.answers.of_item(7)] == [METAL], "answers stay as they were given"
    with project.database.reading() as connection:
        event = events_of_item(connection, 7)[-1]
    assert (event.person, event.body["note"], event.body["suggestion_visible"]) == ("ben", "slipped", True)
    assert Origin.from_json(event.body["origin"]) == doubt.origin
    assert 7 not in listed(second_look(project))


def test_what_was_settled_follows_from_the_history(project, dump):
    doubt = second_look(project).doubts[0]
    give_second_label(project, "ben", doubt, doubt.suggested)
    before = dump(project, "decision", "answer")
    with project.database.writing() as connection:
        rebuild(connection)
    assert dump(project, "decision", "answer") == before


def test_a_disputed_label_is_left_to_those_who_settle(project):
    label(project, 7, person="ben", wrong=())
    assert 7 not in listed(second_look(project))


def test_a_label_given_anew_or_taken_out_is_no_open_doubt(project):
    look = second_look(project)
    label(project, 7, wrong=())
    assert [doubt.item for doubt in still_open(project, look)] == [20]
    project.labels.retire("ann", METAL)
    assert still_open(project, look) == ()


def test_the_trainer_leaves_a_list_when_it_has_nothing_else_to_do(project):
    trainer = Trainer(project)
    assert trainer.step().did is Did.TRAINED
    assert read_second_look(project) is None
    assert trainer.step().did is Did.NOTHING
    look = read_second_look(project)
    assert look is not None
    assert look == second_look(project)
    assert look.model == 1


def test_the_list_is_made_once_a_model(project, monkeypatch):
    trainer = Trainer(project)
    for _ in range(2):
        trainer.step()
    monkeypatch.setattr(module, "second_look", lambda *given, **named: pytest.fail("looked without a new model"))
    trainer.step()
    monkeypatch.undo()
    label(project, *range(41, 45))
    assert [trainer.step().did for _ in range(2)] == [Did.TRAINED, Did.NOTHING]
    look = read_second_look(project)
    assert (look.model, look.judged) == (2, 44)


def test_what_goes_wrong_is_told_and_not_tried_again(project, monkeypatch):
    project.settings.change("ann", {"batch": 4})
    trainer = Trainer(project)
    trainer.step()

    def refuse(*given, **named):
        raise NearmissError("the disk is full")

    monkeypatch.setattr(module, "second_look", refuse)
    assert trainer.step().did is Did.NOTHING
    assert read_second_look(project) == SecondLook(model=1, error="the disk is full")
    monkeypatch.setattr(module, "second_look", lambda *given, **named: pytest.fail("tried again"))
    trainer.step()


def test_without_cleanlab_the_trainer_goes_on_and_the_caller_is_told(project, monkeypatch):
    trainer = Trainer(project)
    trainer.step()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    look_again(project, project.texts.corpus(), lambda: pytest.fail("no classifier is called for"))
    assert read_second_look(project) is None
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(MissingExtra, match="nearmiss"):
        second_look(project)


@pytest.mark.parametrize("written", ["", "{", "[]", '{"doubts": [{"item": 1}]}', '{"doubts": [], "of": 3}'])
def test_a_broken_list_is_none(project, written):
    (project.folder / "second-look.json").write_text(written)
    assert read_second_look(project) is None


def test_many_labels_are_judged_newest_first(project, monkeypatch):
    monkeypatch.setattr(module, "_MOST_JUDGED", 30)
    look = second_look(project)
    assert look.judged == 30
    assert listed(look) == [20]
