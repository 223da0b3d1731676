"""Progress: what the random checks say, how fast people are, what the trainer does, and who may tell it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.web.desk import Desk
from tests.web.pages_client import Guest, Outline, tell

from nearmiss.analysis.estimates import Estimate, Pool
from nearmiss.analysis.quality import accuracy
from nearmiss.analysis.savings import Forecast, Savings
from nearmiss.analysis.significance import Interval
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.session.quality import ModelQuality
from nearmiss.session.readings import Reading
from nearmiss.session.trainer_state import Activity, TrainerState
from nearmiss.session.worth import Worth
from nearmiss.web.working_time import paces

YES, NO = 1, 2


@pytest.fixture
def project(tmp_path):
    texts = [f"text number {i}" for i in range(1, 201)]
    with Project.create(tmp_path / "p", texts=texts, label_names=["yes", "no <b>"]) as project:
        yield project


class Told:
    """A trainer that says what it is told to, and notes that it was cancelled."""

    def __init__(self, state=None):
        self._state = state or TrainerState()
        self.cancelled = 0

    def state(self):
        return self._state

    def cancel(self):
        self.cancelled += 1


def publish(project, version, audits, right, changed, notes=()):
    even = np.full((40, 2), 0.5, dtype=np.float32)
    facts = ModelFacts(version, "", "tfidf", "margin", (1, 2), 10 * version, 0.5, 0, audits, right, changed, 40, notes)
    none = np.empty(0, dtype=np.int64)
    project.publish(facts, even, [], [], 0, Reading(none, none), quality(audits, right).as_json() if audits else None)


def quality(audits, right):
    """What checks would say of a model if it were the only one."""
    found = accuracy(right, audits, Pool(remaining=10**9), 0.05)
    recall = Estimate(0.5, Interval(0.25, 0.75), audits // 2)
    return ModelQuality(audits, found, replace(found, value=found.value - 0.1), {YES: recall})


def test_a_project_without_anything_says_so(project):
    page = Guest(project).see("/progress")
    assert "Too early to tell: there is no model yet." in page.words
    assert "There is no measurement yet" in page.words
    assert "Nobody has answered yet." in page.words
    assert len(page.named("h1")) == 1


def test_accuracy_never_comes_without_its_interval(project):
    publish(project, 1, 30, 20, None)
    publish(project, 2, 60, 48, 0.123, notes=("the encoder stays frozen",))
    page = Guest(project).see("/progress")
    words = " ".join(page.words.split())
    assert "80 % 95 %: 68 % to 89 %, by 60 checks" in words
    assert "70 % 95 %: 68 % to 89 %" in words  # macro-F1
    assert "12.3 %" in page.words
    assert "the encoder stays frozen" in page.words
    assert "labels 12.3 % of all texts otherwise than the one before" in page.words
    assert len(page.named("circle")) - 2 == 2  # two stand in the name of the page


def test_the_numbers_behind_the_picture_are_a_table(project):
    publish(project, 1, 30, 20, None)
    words = " ".join(Guest(project).see("/progress").words.split())
    assert "20 of 30 67 % 47 % to 83 % 57 % – 0.5" in words


def weighed(project, worse=0.2, high=900.0, told=True):
    publish(project, 1, 60, 48, None)
    savings = Savings(64, 187.0, Interval(131.0, high), worse, told)
    worth = Worth(1, savings, (Forecast(100, -0.004, Interval(-0.02, 0.012)),))
    with project.database.writing() as connection:
        connection.execute("UPDATE reading SET worth = ?", (worth.as_json(),))


def test_savings_and_the_outlook_are_told(project):
    weighed(project)
    words = " ".join(Guest(project).see("/progress").words.split())
    assert "About 64 labels instead of about 190 (90 %: 130 to 900)." in words
    assert "100 −0.4 points −2.0 to +1.2" in words
    assert "worse than random" not in words


def test_savings_that_cannot_be_told_yet_are_not(project):
    weighed(project, told=False)
    assert "Too early to tell what picking texts has saved." in Guest(project).see("/progress").words


def test_picks_that_do_worse_than_random_are_warned_of_and_an_owner_changes_that(project):
    weighed(project, worse=0.95)
    desk = Desk(project)
    page = Outline(desk.client.get("/progress").text)
    assert "worse than random" in page.words
    assert page.sends("/progress/random")
    answer = desk.client.post("/progress/random", data={"csrf_token": desk.csrf})
    assert "picked at random" in answer.text
    assert project.settings.read().strategy == "random"
    assert project.training_requested()
    assert not Outline(desk.client.get("/progress").text).sends("/progress/random")
    assert not Outline(Desk(project, "ben", role="annotator").client.get("/progress").text).sends("/progress/random")


def test_the_recall_of_each_label_stands_beside_its_texts(project):
    publish(project, 1, 60, 48, None)
    tell(project, "ann", 1, YES)
    assert "finds 50 % (95 %: 25 % to 75 %)" in " ".join(Guest(project).see("/progress").words.split())


def test_the_rule_that_advice_follows_is_told(project):
    project.settings.change("ann", {"stop_when": "budget:1"})
    publish(project, 1, 0, 0, None)
    tell(project, "ann", 1, YES)
    words = Guest(project).see("/progress").words
    assert "You can stop" in words
    assert "budget:1" in words


def test_labels_are_counted_and_lead_to_their_texts(project):
    tell(project, "ann", 1, YES)
    tell(project, "ann", 2, YES)
    tell(project, "ben", 3, NO)
    page = Guest(project).see("/progress")
    assert {"/browse?label=1", "/browse?label=2"} <= set(page.links())
    assert "no <b>" in page.words
    assert not page.named("b")


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (TrainerState(Activity.READING, 10, 40), "The encoder is reading the texts: 10 of 40 (25 %)."),
        (TrainerState(Activity.TRAINING), "A model is being trained."),
        (TrainerState(Activity.FAILED, error="no encoder named <x>; mend it"), "no encoder named <x>; mend it"),
        (TrainerState(Activity.CANCELLED), "The training was cancelled"),
        (TrainerState(Activity.OFF), "The trainer is off"),
    ],
)
def test_what_the_trainer_does_is_told(project, state, told):
    desk = Desk(project, trainings=Told(state))
    page = Outline(desk.client.get("/progress").text)
    assert told in page.words
    assert page.sends("/progress/cancel") == (state.activity in (Activity.READING, Activity.TRAINING))
    assert [bar["value"] for bar in page.named("progress")] == (["10"] if state.read else [])


def test_an_owner_asks_for_a_model_and_cancels_it(project):
    trainings = Told(TrainerState(Activity.TRAINING))
    desk = Desk(project, trainings=trainings)
    asked = desk.client.post("/progress/train", data={"csrf_token": desk.csrf})
    assert project.training_requested()
    assert "Asked for" in asked.text
    assert "Asked for" not in desk.client.get("/progress").text  # told once
    desk.client.post("/progress/cancel", data={"csrf_token": desk.csrf})
    assert trainings.cancelled == 1


@pytest.mark.parametrize("path", ["/progress/train", "/progress/cancel", "/progress/random"])
def test_annotators_leave_the_trainer_alone(project, path):
    trainings = Told(TrainerState(Activity.TRAINING))
    desk = Desk(project, "ben", role="annotator", trainings=trainings)
    assert desk.client.post(path, data={"csrf_token": desk.csrf}).status_code == 403
    assert not project.training_requested()
    assert trainings.cancelled == 0
    page = Outline(desk.client.get("/progress").text)
    assert not page.sends("/progress/train")


def test_labels_given_at_once_are_no_pace(project):
    project.tell_all({1: YES, 2: YES, 3: NO}, person="ann")
    project.answers.submit("ann", Submission(4, AnswerKind.SKIP))
    assert {name: pace.answers for name, pace in paces(project).items()} == {"ann": 1}
