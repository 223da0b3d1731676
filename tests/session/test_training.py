"""Between two batches: what a trainer does next, what it learns from, and what it does when that fails."""

from __future__ import annotations

import numpy as np
import pytest

from nearmiss.errors import InvalidInput, NearmissError
from nearmiss.session.answers import Submission
from nearmiss.session.browsing import Filter, State
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.ground import read_ground
from nearmiss.session.items import NewItem
from nearmiss.session.origins import Origin, Source
from nearmiss.session.project import Project
from nearmiss.session.training import Did, Trainer

ANIMAL, METAL = 1, 2
FREE = Filter(state=State.UNLABELED)


@pytest.fixture
def pool(make_project):
    return lambda texts=60, **settings: make_project(
        texts, **{"classifier": "tfidf", "batch": 4, "audit_share": 0.0, **settings}
    )


def label(project, *items, source=Source.PERSON, person="ann"):
    """Give each text the label of its kind (odd numbers are animals)."""
    for item in items:
        said = Submission(item, AnswerKind.LABEL, ANIMAL if item % 2 else METAL)
        project.answers.submit(person, said, Origin(source))


def did(trainer, **how):
    return trainer.step(**how).did


def test_cover_then_a_first_model_then_one_a_batch_then_nothing(pool):
    project = pool()
    trainer = Trainer(project)
    assert did(trainer) is Did.COVERED
    assert len(project.queue.order()) == 8
    assert did(trainer) is Did.NOTHING
    label(project, 1, 2, 3)
    assert did(trainer) is Did.NOTHING
    label(project, 4)
    step = trainer.step()
    assert (step.did, step.model.version, step.model.trained_on, step.model.changed) == (Did.TRAINED, 1, 4, None)
    assert project.models.latest() == step.model
    assert len(project.queue.order()) == 20
    assert not {1, 2, 3, 4} & set(project.queue.order())
    assert did(trainer) is Did.NOTHING
    label(project, 5, 6, 7)
    assert did(trainer) is Did.NOTHING
    label(project, 8)
    step = trainer.step()
    assert (step.did, step.model.version, step.model.trained_on) == (Did.TRAINED, 2, 8)
    assert did(trainer) is Did.NOTHING
    assert [facts.version for facts in project.models.history()] == [1, 2]


def test_a_first_model_waits_for_ten_labels_at_most(pool):
    project = pool(batch=50)
    trainer = Trainer(project)
    trainer.step()
    label(project, *range(1, 10))
    assert did(trainer) is Did.NOTHING
    label(project, 10)
    assert did(trainer) is Did.TRAINED


def test_picks_come_with_their_reasons(pool):
    project = pool()
    label(project, 1, 2, 3, 4)
    Trainer(project).step()
    [pick] = project.queue.next("bob", 1)
    origin = pick.origin
    assert (origin.source, origin.strategy, origin.model) == (Source.MODEL, "diverse-margin", 1)
    assert set(origin.labels) == {ANIMAL, METAL}
    assert sum(origin.probabilities) == pytest.approx(1, abs=1e-3)
    assert {neighbor.item for neighbor in origin.neighbors} <= {1, 2, 3, 4}


def test_a_model_learns(pool):
    project = pool(200, batch=20)
    label(project, *range(1, 81))
    Trainer(project).step()
    guesses = project.models.guesses(range(81, 201), 1)
    right = [guesses[item].labels[0] == (ANIMAL if item % 2 else METAL) for item in range(81, 201)]
    assert np.mean(right) > 0.9


@pytest.mark.parametrize("strategy", ["auto", "cal:k=3", "badge", "random", "entropy"])
def test_the_same_seed_and_labels_give_the_same_queue_to_the_last_bit(pool, dump, strategy):
    made = []
    for _ in range(2):
        project = pool(strategy=strategy)
        trainer = Trainer(project)
        trainer.step()
        queues = [dump(project, "queue")]
        for _ in range(2):
            label(project, *[pick.item.id for pick in project.ask(6, person="ann")])
            assert did(trainer) is Did.TRAINED
            queues.append(dump(project, "queue", "drawn"))
        values = project.models.probabilities(2)
        made.append((queues, values.tobytes()))
    assert made[0] == made[1]


def test_a_trainer_that_begins_anew_goes_on_the_same(pool, dump):
    one, other = pool(), pool()
    for project in (one, other):
        trainer = Trainer(project)
        trainer.step()
        label(project, 1, 2, 3, 4)
        trainer.step()
        label(project, 5, 6, 7, 8)
        (trainer if project is one else Trainer(project)).step()
    assert dump(one, "queue") == dump(other, "queue")


def test_one_label_alone_is_nothing_to_learn_from(pool):
    project = pool()
    trainer = Trainer(project)
    trainer.step()
    label(project, 1, 3, 5, 7, 9, 11)
    assert did(trainer) is Did.NOTHING
    project.request_training()
    assert did(trainer, quiet=True) is Did.NOTHING
    with pytest.raises(InvalidInput, match="6 texts to learn from, with 1 different labels"):
        trainer.train()
    assert len(project.ask(5, person="bob")) == 5


def test_no_labels_and_no_texts_are_nothing(make_project):
    project = make_project(texts=[], labels=(), classifier="tfidf")
    trainer = Trainer(project)
    assert did(trainer) is Did.NOTHING
    with pytest.raises(InvalidInput, match="0 texts to learn from"):
        trainer.train()
    project.add([NewItem("one"), NewItem("two")], source="test")
    assert did(trainer) is Did.COVERED
    assert did(trainer) is Did.NOTHING


def test_audits_are_never_trained_on(pool):
    project = pool()
    label(project, 1, 2, 3, 4)
    label(project, *range(21, 31), source=Source.AUDIT)
    ground = read_ground(project.database)
    assert list(ground.rows) == [0, 1, 2, 3]
    assert list(ground.audit_rows) == list(range(20, 30))
    assert len(ground.closed_rows) == 14
    facts = Trainer(project).step().model
    assert (facts.trained_on, facts.audits) == (4, 10)
    values = project.models.probabilities(1)[20:30].argmax(axis=1)
    assert facts.audits_right == sum(values == np.arange(10) % 2)
    assert not set(range(21, 31)) & {n.item for item in project.queue.order() for n in reason(project, item).neighbors}


def reason(project, item):
    with project.database.reading() as connection:
        row = connection.execute("SELECT origin FROM queue WHERE item = ?", (item,)).fetchone()
    return Origin.from_json(row["origin"])


def test_audits_do_not_change_the_model(pool):
    """Whatever people say of audits, the model is the same to the last bit."""
    made = []
    for audited in ([21, 22, 23, 24], []):
        project = pool()
        label(project, 1, 2, 3, 4)
        label(project, *audited, source=Source.AUDIT)
        Trainer(project).step()
        made.append(project.models.probabilities(1).tobytes())
    assert made[0] == made[1]


def test_what_changed_is_the_share_of_texts_labelled_otherwise(pool):
    project = pool()
    trainer = Trainer(project)
    label(project, 1, 2, 3, 4)
    trainer.step()
    before = project.models.probabilities(1).argmax(axis=1)
    label(project, *range(5, 17))
    facts = trainer.step().model
    after = project.models.probabilities(2).argmax(axis=1)
    assert facts.changed == pytest.approx((before != after).mean(), abs=1e-5)


def test_quiet_trains_for_a_single_label(pool):
    project = pool()
    trainer = Trainer(project)
    label(project, 1, 2, 3, 4)
    trainer.step()
    assert did(trainer, quiet=True) is Did.NOTHING
    label(project, 5)
    assert did(trainer) is Did.NOTHING
    assert did(trainer, quiet=True) is Did.TRAINED
    assert did(trainer, quiet=True) is Did.NOTHING


def test_what_is_taken_back_counts_as_news(pool):
    project = pool()
    trainer = Trainer(project)
    label(project, *range(1, 13))
    trainer.step()
    for _ in range(3):
        project.answers.undo("ann")
    assert did(trainer) is Did.NOTHING
    project.answers.undo("ann")
    step = trainer.step()
    assert (step.did, step.model.trained_on) == (Did.TRAINED, 8)


def test_a_request_is_served_once(pool):
    project = pool()
    trainer = Trainer(project)
    label(project, 1, 2)
    project.request_training()
    project.request_training()
    assert project.training_requested()
    trainer.step()
    assert not project.training_requested()
    assert did(trainer) in (Did.NOTHING, Did.COVERED)
    assert project.models.latest().version == 1
    project.request_training()
    assert trainer.step().model.version == 2


def test_new_texts_and_labels_call_for_a_model(pool):
    project = pool()
    trainer = Trainer(project)
    label(project, 1, 2, 3, 4)
    trainer.step()
    project.add([NewItem("a goat and a hen")], source="test")
    assert project.models.guess(61) is None
    step = trainer.step()
    assert (step.did, step.model.texts) == (Did.TRAINED, 61)
    assert project.models.guess(61) is not None
    plant = project.labels.add("ann", "plant").id
    step = trainer.step()
    assert step.model.labels == (ANIMAL, METAL, plant)
    assert did(trainer) is Did.NOTHING


def test_merged_and_retired_labels_leave_the_model(pool):
    project = pool()
    wood = project.labels.add("ann", "wood").id
    label(project, *range(1, 9))
    project.tell_all({9: wood, 10: wood, 11: wood}, person="bob")
    trainer = Trainer(project)
    assert trainer.step().model.labels == (ANIMAL, METAL, wood)
    project.labels.merge("ann", wood, METAL)
    facts = trainer.step().model
    assert (facts.labels, facts.trained_on) == ((ANIMAL, METAL), 11)
    assert dict(zip(*np.unique(read_ground(project.database).classes, return_counts=True), strict=True)) == {0: 4, 1: 7}
    project.labels.restore("ann", wood)
    project.labels.retire("ann", ANIMAL)
    facts = trainer.step().model
    assert (facts.labels, facts.trained_on) == ((METAL, wood), 7)
    guess = project.models.guess(1)
    assert set(guess.labels) == {METAL, wood}
    assert {1, 3, 5, 7} <= set(project.browser.ids(FREE))


def test_disputes_are_not_trained_on(pool):
    project = pool()
    label(project, 1, 2, 3, 4)
    project.answers.submit("bob", Submission(1, AnswerKind.LABEL, METAL))
    ground = read_ground(project.database)
    assert sorted(ground.rows) == [1, 2, 3]
    assert 0 in ground.closed_rows
    project.answers.settle("cyd", 1, METAL)
    ground = read_ground(project.database)
    assert dict(zip(ground.rows.tolist(), ground.classes.tolist(), strict=True)) == {0: 1, 1: 1, 2: 0, 3: 1}


def test_skipped_texts_are_not_ranked_again(pool):
    project = pool()
    trainer = Trainer(project)
    label(project, 1, 2, 3, 4)
    trainer.step()
    skipped = project.queue.order()
    for item in skipped:
        project.answers.submit("ann", Submission(item, AnswerKind.SKIP))
    project.request_training()
    trainer.step()
    assert project.queue.order()
    assert not set(skipped) & set(project.queue.order())


@pytest.fixture
def failing(pool, tmp_path):
    """A project whose next training fails, with a model from before."""
    project = pool()
    label(project, 1, 2, 3, 4)
    Trainer(project).step()
    project.settings.change("ann", {"classifier": "finetuned", "encoder": str(tmp_path / "nowhere")})
    label(project, 5, 6, 7, 8)
    return project


def fail(trainer):
    with pytest.raises(NearmissError, match="nowhere"):
        trainer.step()


def test_passing_over_waits_for_something_new(failing):
    trainer = Trainer(failing)
    fail(trainer)
    trainer.pass_over()
    assert did(trainer) is Did.NOTHING
    label(failing, 9)
    fail(trainer)
    trainer.pass_over()
    assert did(trainer) is Did.NOTHING
    failing.request_training()
    fail(trainer)
    trainer.pass_over()
    assert did(trainer, quiet=True) is Did.NOTHING


@pytest.mark.parametrize("news", ["settings", "label", "request"])
def test_what_came_while_a_training_failed_is_not_passed_over(failing, news):
    trainer = Trainer(failing)
    fail(trainer)
    if news == "settings":
        failing.settings.change("ann", {"classifier": "tfidf"})
    elif news == "label":
        label(failing, 9)
    else:
        failing.request_training()
    trainer.pass_over()
    if news == "settings":
        assert did(trainer) is Did.TRAINED
    else:
        fail(trainer)


def test_a_trainer_told_what_was_cancelled_waits_for_something_new(pool):
    project = pool()
    label(project, 1, 2, 3, 4)
    trainer = Trainer(project, passed_over=read_ground(project.database).cutoff)
    assert did(trainer) is Did.COVERED
    assert did(trainer) is Did.NOTHING
    label(project, 5)
    assert did(trainer) is Did.TRAINED


def test_a_classifier_that_cannot_be_loaded_is_told_and_the_last_model_stays(pool, tmp_path, dump):
    project = pool()
    label(project, 1, 2, 3, 4)
    trainer = Trainer(project)
    trainer.step()
    before = dump(project, "queue", "model")
    project.settings.change("ann", {"classifier": "finetuned", "encoder": str(tmp_path / "nowhere")})
    label(project, 5, 6, 7, 8)
    with pytest.raises(NearmissError, match="nowhere"):
        trainer.step()
    assert dump(project, "queue", "model") == before
    assert project.models.guess(60) is not None
    trainer.pass_over()
    assert did(trainer) is Did.NOTHING
    project.settings.change("ann", {"classifier": "tfidf", "encoder": "minilm"})
    assert did(trainer) is Did.TRAINED


def test_a_lost_file_of_predictions_is_made_again(pool):
    project = pool()
    label(project, 1, 2, 3, 4)
    trainer = Trainer(project)
    trainer.step()
    for file in (project.folder / "models").rglob("*.npy"):
        file.unlink()
    with Project.open(project.folder) as again:
        assert again.models.guess(1) is None
        assert did(Trainer(again)) is Did.TRAINED
        assert again.models.guess(1) is not None


def test_only_the_latest_predictions_are_kept(pool):
    project = pool()
    trainer = Trainer(project)
    for turn in range(4):
        label(project, *range(1 + 4 * turn, 5 + 4 * turn))
        trainer.step()
    kept = sorted(folder.name for folder in (project.folder / "models").iterdir())
    assert kept == ["000003", "000004"]
    assert len(project.models.history()) == 4


def test_a_strategy_that_reads_what_the_classifier_lacks_is_no_dead_end(pool):
    project = pool(strategy="bald")
    label(project, 1, 2, 3, 4)
    step = Trainer(project).step()
    assert step.did is Did.TRAINED
    assert any("bald" in note for note in step.model.notes)
    assert len(project.queue.order()) == 20


def test_pairs_are_trained_on(make_project):
    pairs = [NewItem(f"{a} {i}", f"{b} {i}") for i in range(12) for a, b in [("cat", "cat"), ("cat", "iron")]]
    project = make_project(pairs, labels=("same", "other"), classifier="tfidf", batch=4)
    label(project, 1, 2, 3, 4)
    assert did(Trainer(project)) is Did.TRAINED
    assert project.models.probabilities(1).shape == (24, 2)


def test_everything_labelled_leaves_an_empty_queue(pool):
    project = pool(8)
    label(project, *range(1, 9))
    assert did(Trainer(project)) is Did.TRAINED
    assert project.queue.order() == ()
    assert project.ask(1, person="ann") == ()


@pytest.mark.slow
def test_the_embedded_encoder_reads_then_takes_over_from_tfidf(pool):
    project = pool(60, classifier="tuned")
    trainer = Trainer(project)
    assert did(trainer) is Did.COVERED  # by TF-IDF, at once
    label(project, 1, 2, 3, 4)
    first = trainer.step()
    assert (first.did, first.model.classifier) == (Did.TRAINED, "tfidf")
    assert any("has read 0 of 60" in note for note in first.model.notes)
    step = trainer.step()
    assert (step.did, step.read, step.texts) == (Did.READ, 60, 60)
    step = trainer.step()
    assert (step.did, step.model.classifier) == (Did.TRAINED, "tuned")
    assert did(trainer) is Did.NOTHING
    again = Trainer(project)  # another process finds everything in the cache
    assert did(again) is Did.READ
    assert did(again) is Did.NOTHING
    guesses = project.models.guesses(range(5, 61), 1)
    assert np.mean([guesses[item].labels[0] == (ANIMAL if item % 2 else METAL) for item in range(5, 61)]) > 0.8
