"""A project measures itself: readings, quality, and what its labels were worth, through the real trainer."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from nearmiss.analysis.depletion import pool_after
from nearmiss.analysis.significance import Interval
from nearmiss.models.tfidf import TfidfClassifier
from nearmiss.session.advice import Verdict, advise, read_standing, savings_told
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.gaps import label_gaps
from nearmiss.session.ground import read_ground, standing_labels
from nearmiss.session.items import NewItem
from nearmiss.session.origins import Origin, Source
from nearmiss.session.overview import overview
from nearmiss.session.quality import (
    ModelQuality,
    _thinned,
    count_lost_checks,
    guessed_classes,
    measure,
    qualities,
    quality_of,
)
from nearmiss.session.queue import share_of_checks
from nearmiss.session.readings import Reading, read_answered, readings
from nearmiss.session.training import Did, Trainer
from nearmiss.session.worth import Worth, is_weighed, latest_worth, weigh

ANIMAL, METAL = 1, 2


def kind(item):
    return ANIMAL if item % 2 else METAL


def go_on(project, n, person="ann"):
    """Answer the next texts as the queue hands them out, audits mixed in."""
    for pick in project.queue.next(person, n):
        said = Submission(pick.item.id, AnswerKind.LABEL, kind(pick.item.id))
        project.answers.submit(person, said)


@pytest.fixture
def worked(make_project):
    """A project of 300 texts, labelled batch by batch with half of them random checks."""

    def work(labels=80, **settings):
        project = make_project(300, **{"classifier": "tfidf", "batch": 10, "audit_share": 0.5, **settings})
        trainer = Trainer(project)
        trainer.step()
        for _ in range(labels // 10):
            go_on(project, 10)
            while trainer.step().did is Did.TRAINED:
                pass
        return project, trainer

    return work


def test_every_model_is_measured_when_it_is_published(worked):
    project, _ = worked()
    history, found = project.models.history(), qualities(project)
    for facts in history:
        if facts.audits:
            quality = found[facts.version]
            assert quality.checks == facts.audits
            share = facts.audits_right / facts.audits
            assert quality.accuracy.interval.low <= share <= quality.accuracy.interval.high
            assert set(quality.recalls) <= {ANIMAL, METAL}
            assert quality_of(project, facts.version) == quality
    assert len(found) >= 3
    last = [each.accuracy.interval.high - each.accuracy.interval.low for each in found.values()]
    assert last[-1] < last[0]


def test_models_of_the_past_have_read_the_checks_of_today(worked):
    project, _ = worked()
    ground, known = read_ground(project.database), readings(project.database)
    first = next(iter(known.values()))
    items = ground.audit_rows + 1
    assert np.isin(items, first.items).all()
    latest = project.models.latest()
    values = project.models.probabilities(latest.version)
    now = np.array(latest.labels)[values[ground.audit_rows].argmax(axis=1)]
    assert known[latest.version].of(items).tolist() == now.tolist()


def test_what_was_said_of_a_model_stays_when_labels_change(worked):
    project, trainer = worked()
    before = qualities(project)
    [audit, *_] = read_ground(project.database).audit_rows + 1
    project.answers.submit("ann", Submission(int(audit), AnswerKind.LABEL, 3 - kind(int(audit))))
    project.request_training()
    while trainer.step().did is not Did.NOTHING:
        pass
    after = qualities(project)
    assert {version: after[version] for version in before} == before
    assert len(after) > len(before)


def test_a_label_no_longer_on_offer_counts_as_another_class(worked):
    project, _ = worked()
    project.labels.add("ann", "plant")
    project.labels.retire("ann", METAL)
    ground = read_ground(project.database)
    reading = Reading(np.array([1, 2, 3]), np.array([ANIMAL, METAL, ANIMAL]))
    assert guessed_classes(reading, np.array([1, 2, 9]), ground).tolist() == [0, 2, 2]
    new = Reading(np.arange(1, 301), np.full(300, ANIMAL))
    found = measure(project, ground, new)
    assert found.accuracy.value == 1.0
    assert set(found.recalls) == {ANIMAL}


def test_of_very_many_looks_the_latest_are_all_known_and_the_first_stays():
    looks = [np.full(n, n) for n in range(1, 1_000)]
    kept = _thinned(looks)
    assert [len(look) for look in kept[-100:]] == list(range(900, 1_000))
    assert len(kept) == 200
    assert len(kept[0]) == 1
    assert (np.diff([len(look) for look in kept]) > 0).all()
    assert _thinned(looks[:200]) == looks[:200]


def test_answers_know_whether_the_model_of_their_time_had_guessed_them(worked):
    project, _ = worked()
    answered = read_answered(project.database)
    assert len(answered.items) == 80
    assert np.isnan(answered.guessed[:5]).all()  # before there was a model
    later = answered.guessed[40:]
    assert set(later[~np.isnan(later)].tolist()) <= {0.0, 1.0}
    assert (~np.isnan(later)).sum() > 20
    project.answers.submit("ann", Submission(int(answered.items[0]), AnswerKind.LABEL, ANIMAL))
    assert read_answered(project.database).items[0] == answered.items[0]  # said again, it keeps its place


def test_a_quiet_trainer_weighs_the_labels_once(worked):
    project, trainer = worked(120)
    facts = project.models.latest()
    assert facts.audits >= 20
    steps = [trainer.step(quiet=True).did for _ in range(4)]
    assert steps[-1] is Did.NOTHING
    worth, facts = latest_worth(project), project.models.latest()
    assert worth.model == facts.version
    assert worth.savings.labels == facts.trained_on + facts.audits
    assert [each.labels for each in worth.forecasts] == [100, 500, 1000]
    assert is_weighed(project, project.models.latest())
    assert Worth.from_json(worth.as_json()) == worth
    assert any(line.startswith("accuracy ") for line in overview(project))


def test_the_same_project_is_weighed_alike(worked):
    project, trainer = worked(120)
    facts, texts = project.models.latest(), project.texts.corpus()
    first, second = (weigh(project, facts, texts, trainer._comparable) for _ in range(2))
    assert first == second


def test_weighing_is_left_off_for_news_and_taken_up_again(worked):
    project, trainer = worked(120)
    assert not is_weighed(project, project.models.latest()) or trainer.step().did is Did.NOTHING
    facts, calls = project.models.latest(), []

    class Enough(Exception):
        pass

    def stop():
        calls.append(1)
        if len(calls) == 3:
            raise Enough

    with pytest.raises(Enough):
        weigh(project, facts, project.texts.corpus(), trainer._comparable, stop)
    with project.database.writing() as connection:
        connection.execute("UPDATE reading SET worth = NULL")
    assert latest_worth(project) is None
    assert trainer.step().did is Did.WEIGHED
    assert latest_worth(project).model == facts.version


def test_few_checks_are_not_weighed(worked):
    project, _ = worked(120, audit_share=0.05)
    assert is_weighed(project, project.models.latest())
    assert latest_worth(project) is None
    assert "Too early" in savings_told(None)


def test_a_quality_survives_being_written_down(worked):
    project, _ = worked()
    found = qualities(project)[project.models.latest().version]
    assert ModelQuality.from_json(found.as_json()) == found
    assert json.loads(found.as_json())["accuracy"]["interval"]["low"] == found.accuracy.interval.low


def test_fewer_checks_are_drawn_once_the_accuracy_is_known(make_project):
    project = make_project(2_000, audit_share=0.4)
    assert [share_of_checks(0.4, width) for width in (1.0, 0.2, 0.19, 0.1, 0.05)] == [0.4, 0.4, 0.2, 0.2, 0.1]

    def audits(person):
        return sum(pick.origin.source is Source.AUDIT for pick in project.queue.next(person, 300))

    wide = audits("ann")
    project.queue.leave("ann")
    with project.database.writing() as connection:
        facts = {"classifier": "tfidf"}
        connection.execute("INSERT INTO model (version, at, facts) VALUES (1, '', ?)", (json.dumps(facts),))
        quality = {"accuracy": {"interval": {"low": 0.85, "high": 0.9}}}
        connection.execute(
            "INSERT INTO reading (version, items, labels, quality) VALUES (1, x'', x'', ?)", (json.dumps(quality),)
        )
    narrow = audits("ann")
    assert 90 < wide < 150
    assert 15 < narrow < 50


def test_advice_follows_the_rule_that_was_set(worked):
    project, _ = worked(120)
    standing = read_standing(project)
    assert advise(standing, "budget:100").verdict is Verdict.STOP
    assert advise(standing, "budget:1000").verdict is Verdict.GO_ON
    assert advise(standing, "target:0.99").verdict is Verdict.GO_ON
    project.settings.change("ann", {"stop_when": "budget:100"})
    assert any(line.startswith("advice: You can stop") for line in overview(project))


def test_what_another_kind_of_model_would_gain_is_no_evidence(worked):
    project, trainer = worked(120)
    while trainer.step(quiet=True).did is not Did.NOTHING:
        pass
    assert read_standing(project).evidence.gains
    facts = project.models.latest()
    with project.database.writing() as connection:
        connection.execute(
            "INSERT INTO model (version, at, facts) SELECT version + 1, at,"
            " json_set(facts, '$.classifier', 'frozen') FROM model WHERE version = ?",
            (facts.version,),
        )
    assert read_standing(project).worth is None


def test_the_interval_of_a_reading_that_lacks_texts(make_project):
    reading = Reading(np.array([2, 5]), np.array([1, 2]))
    assert reading.of(np.array([5, 1, 9, 2])).tolist() == [2, -1, -1, 1]
    assert Reading(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)).of(np.array([3])).tolist() == [-1]


def test_savings_are_told_in_round_numbers_and_open_ends_in_words(worked):
    project, _ = worked(120)
    standing = read_standing(project)
    from nearmiss.analysis.savings import Savings

    told = savings_told(Worth(1, Savings(640, 1873.0, Interval(1312.0, 3149.0), 0.1, told=True), ()))
    assert told == "About 640 labels instead of about 1,900 (90 %: 1,300 to 3,100)."
    open_ended = savings_told(Worth(1, Savings(640, 1873.0, Interval(91.0, math.inf), 0.1, told=True), ()))
    assert open_ended.endswith("(90 %: 91 to more than there are texts).")
    assert standing.latest is not None


def test_imports_are_no_checks_and_unguessed(make_project):
    project = make_project(20)
    project.tell_all({1: ANIMAL, 2: METAL})
    answered = read_answered(project.database)
    assert not answered.checks.any()
    assert np.isnan(answered.guessed).all()
    project.answers.submit("ann", Submission(3, AnswerKind.LABEL, ANIMAL), Origin(Source.AUDIT, labels=(METAL,)))
    assert read_answered(project.database).guessed[-1] == 0.0


@pytest.fixture
def weighted(worked):
    """A project whose checks are drawn by the model's doubt, from the first model on."""
    project, trainer = worked(120, check_choice="weighted")
    return project, trainer


def test_weighted_checks_are_drawn_in_the_order_of_the_model_and_counted(weighted):
    project, _ = weighted
    with project.database.reading() as connection:
        rows = connection.execute("SELECT item, origin FROM drawn WHERE place IS NOT NULL ORDER BY place").fetchall()
    listed = [row["item"] for row in rows]
    assert len(listed) == 20
    picks = project.queue.next("ann", 20)
    checks = [pick for pick in picks if pick.origin.source is Source.AUDIT]
    assert [pick.item.id for pick in checks] == listed[: len(checks)]
    assert all(pick.origin.weight > 0 for pick in checks)
    assert all(pick.origin.weight is None for pick in picks if pick.origin.source is not Source.AUDIT)


def test_a_model_is_measured_by_what_its_checks_count(weighted):
    project, _ = weighted
    ground, answered = read_ground(project.database), read_answered(project.database)
    checks = answered.on_offer(ground)
    counts = checks.counts
    assert (counts == 1).any()  # before there was a model, they were drawn uniformly
    assert (counts != 1).sum() > 30
    facts = project.models.latest()
    found = quality_of(project, facts.version)
    known = checks.events <= facts.cutoff
    reading = readings(project.database)[facts.version]
    right = guessed_classes(reading, checks.items, ground) == checks.classes
    value = 1 - np.mean(np.where(right, 0, counts)[known])
    pool = pool_after(answered.checks, answered.guessed, ground.texts, answered.counts)
    assert found.accuracy.value == pytest.approx(pool.corrected(value), abs=1e-9)


def test_savings_are_told_from_uniform_checks_alone(worked):
    project, trainer = worked(80)
    while trainer.step(quiet=True).did is not Did.NOTHING:
        pass
    assert latest_worth(project).savings.labels == project.models.latest().trained_on + project.models.latest().audits
    project.settings.change("ann", {"check_choice": "weighted"})
    uniform = len(read_ground(project.database).audit_rows)
    project.request_training()
    trainer.step()
    go_on(project, 40)
    while trainer.step(quiet=True).did is not Did.NOTHING:
        pass
    weights = read_answered(project.database).on_offer(read_ground(project.database)).weights
    assert np.isnan(weights).sum() == uniform
    assert (~np.isnan(weights)).sum() > 5
    assert latest_worth(project).model == project.models.latest().version


def test_a_project_of_weighted_checks_alone_tells_no_savings(weighted):
    project, trainer = weighted
    while trainer.step(quiet=True).did is not Did.NOTHING:
        pass
    assert latest_worth(project) is None
    assert savings_told(None) in "\n".join(overview(project))
    assert "Random checks are weighted" in "\n".join(overview(project))


def test_from_uniform_to_weighted_checks_and_back(worked):
    project, trainer = worked(60, check_choice="weighted")
    project.settings.change("ann", {"check_choice": "uniform"})
    project.request_training()
    assert trainer.step().did is Did.TRAINED
    picks = project.queue.next("ann", 20)
    assert all(pick.origin.weight is None for pick in picks)


def test_a_random_draw_that_stands_in_for_a_pick_counts_nothing(weighted):
    project, _ = weighted
    project.settings.change("ann", {"audit_share": 0.0})
    with project.database.writing() as connection:
        connection.execute("DELETE FROM queue")
    picks = project.queue.next("ann", 100)
    assert {pick.origin.source for pick in picks} == {Source.RANDOM}
    assert all(pick.origin.weight is None for pick in picks)


def test_what_is_answered_while_a_model_trains_is_no_part_of_its_measurement(worked, monkeypatch):
    project, trainer = worked(60)
    fit = TfidfClassifier.fit

    def fit_while_people_label(self, *args, **options):
        fit(self, *args, **options)
        go_on(project, 10, person="bob")

    monkeypatch.setattr(TfidfClassifier, "fit", fit_while_people_label)
    project.request_training()
    assert trainer.step().did is Did.TRAINED
    facts = project.models.latest()
    found = quality_of(project, facts.version)
    assert len(read_ground(project.database).audit_rows) > facts.audits
    assert found.checks == facts.audits


def test_labels_that_nobody_was_asked_for_change_no_measurement(worked):
    project, _ = worked(80)
    before = quality_of(project, project.models.latest().version)
    untouched = [item for item in range(1, 301) if item not in set(read_answered(project.database).items.tolist())]
    project.tell_all({item: kind(item) for item in untouched[:120]})
    answered = read_answered(project.database)
    assert (~answered.asked).sum() == 120
    known = answered.drawn_or_picked()
    assert known.checks.sum() == answered.checks.sum()
    assert not np.isnan(known.guessed[~known.checks]).any()
    ground, latest = read_ground(project.database), readings(project.database)[project.models.latest().version]
    found = measure(project, ground, latest)
    assert found.accuracy.value == pytest.approx(before.accuracy.value, abs=0.02)
    assert any("came without being asked for" in sentence for sentence in label_gaps(project).sentences)


def test_a_merge_changes_nothing_of_what_models_of_the_past_said(worked):
    project, _ = worked(80)
    third = project.labels.add("ann", "alloy").id
    ground = read_ground(project.database)
    known = readings(project.database)
    items = ground.audit_rows + 1
    before = {version: (reading.of(items) == METAL).tolist() for version, reading in known.items()}
    guessed = read_answered(project.database).guessed
    project.labels.merge("ann", METAL, third)
    after = {version: (reading.of(items) == third).tolist() for version, reading in readings(project.database).items()}
    assert after == before
    assert standing_labels(project.database) == {METAL: third}
    assert np.array_equal(read_answered(project.database).guessed, guessed, equal_nan=True)


def test_checks_without_a_label_lower_the_bound_and_are_told(worked):
    project, _ = worked(80)
    before = quality_of(project, project.models.latest().version)
    checks = [pick for pick in project.queue.next("ann", 60) if pick.origin.source is Source.AUDIT][:8]
    for pick in checks:
        project.answers.submit("ann", Submission(pick.item.id, AnswerKind.SKIP))
    assert count_lost_checks(project.database) == 8
    ground, latest = read_ground(project.database), readings(project.database)[project.models.latest().version]
    found = measure(project, ground, latest)
    assert found.accuracy.interval.low < before.accuracy.interval.low
    assert found.accuracy.interval.high == before.accuracy.interval.high
    assert any("8 random checks have an answer and no label" in sentence for sentence in label_gaps(project).sentences)


def test_texts_that_came_after_the_checks_are_told(worked):
    project, _ = worked(80)
    assert not any("came after random checks" in sentence for sentence in label_gaps(project).sentences)
    project.add([NewItem(f"another kind of text, number {i}") for i in range(100)], source="later.csv")
    assert any("100 texts came after random checks" in sentence for sentence in label_gaps(project).sentences)


def test_with_nothing_left_to_label_advice_is_to_stop(make_project):
    project = make_project(12, classifier="tfidf")
    project.tell_all({item: kind(item) for item in range(1, 13)})
    Trainer(project).step()
    advice = advise(read_standing(project), "budget:1000")
    assert advice.verdict is Verdict.STOP
    assert advice.sentence == "Every text has an answer."


def test_without_random_checks_advice_says_that_it_stays_so(make_project):
    project = make_project(60, classifier="tfidf", audit_share=0.0)
    trainer = Trainer(project)
    trainer.step()
    go_on(project, 20)
    trainer.step()
    assert "it will stay so" in advise(read_standing(project), "target:90%").sentence


def test_no_forecast_goes_beyond_the_texts_there_are(worked):
    project, trainer = worked(120)
    while trainer.step(quiet=True).did is not Did.NOTHING:
        pass
    standing = read_standing(project)
    assert [each.labels for each in standing.worth.forecasts] == [100, 500, 1000]
    assert [each.labels for each in standing.forecasts] == [100]


def test_the_reserve_does_not_repeat_the_batch(make_project):
    texts = [f"{word} and note {i}" for i in range(100, 140) for word in ("cat", "iron") for _ in range(3)]
    project = make_project([f"{text}{' ' * place}" for place, text in enumerate(texts)], classifier="tfidf")
    project.settings.change("ann", {"strategy": "distinct-margin", "audit_share": 0.0, "batch": 5})
    trainer = Trainer(project)
    trainer.step()
    for pick in project.queue.next("ann", 20):
        label = ANIMAL if "cat" in pick.item.text else METAL
        project.answers.submit("ann", Submission(pick.item.id, AnswerKind.LABEL, label))
    while trainer.step().did is Did.TRAINED:
        pass
    said = [project.texts.get(item).text.strip() for item in project.queue.order()[:15]]
    assert len(set(said)) == 15


def test_picks_before_the_first_model_do_not_make_the_rest_look_easy(make_project):
    project = make_project(300, classifier="tfidf", audit_share=0.5)
    rng = np.random.default_rng(0)
    for pick in project.queue.next("ann", 200):
        label = kind(pick.item.id) if rng.random() < 0.8 else 3 - kind(pick.item.id)
        project.answers.submit("ann", Submission(pick.item.id, AnswerKind.LABEL, label))
    facts = Trainer(project).train()
    found = quality_of(project, facts.version)
    assert found.accuracy.value == pytest.approx(facts.audits_right / facts.audits)


def test_a_label_that_no_text_has_is_told_where_advice_is_to_stop(worked):
    project, _ = worked(60)
    project.labels.add("ann", "plant")
    advice = advise(read_standing(project), "budget:10")
    assert advice.verdict is Verdict.STOP
    assert "But no text yet has “plant”" in advice.reason


def test_a_budget_needs_no_model(make_project):
    project = make_project(30, classifier="tfidf")
    project.tell_all(dict.fromkeys(range(1, 11), ANIMAL))
    assert advise(read_standing(project), "budget:5").verdict is Verdict.STOP
    assert "ten texts to learn from" in advise(read_standing(project), "target:90%").reason


def test_for_a_model_that_takes_long_to_train_no_forecast_is_promised(worked):
    project, _ = worked(80)
    standing = replace(read_standing(project), worth=None)
    slow = replace(standing, history=tuple(replace(facts, classifier="finetuned") for facts in standing.history))
    assert "No forecast is made for a finetuned model" in advise(slow, "gain:0.005/100").reason
    assert "No forecast is made" not in advise(standing, "gain:0.005/100").reason
    assert "No forecast is made" not in advise(slow, "target:99.9%").reason
