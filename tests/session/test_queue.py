"""Who gets which text: leases, overlap, audits, the order, and many asking at once."""

from __future__ import annotations

import json
import threading
from collections import Counter

import pytest

from nearmiss.errors import InvalidInput
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.origins import Origin, Source
from nearmiss.session.queue import QueueEntry

ANIMAL = 1


def numbers(picks):
    return [pick.item.id for pick in picks]


def give(project, person, item, kind=AnswerKind.LABEL):
    label = ANIMAL if kind is AnswerKind.LABEL else None
    return project.answers.submit(person, Submission(item, kind, label))


def enqueue(project, *items):
    project.enqueue([QueueEntry(item, Origin(Source.MODEL, "margin", 0.5, 1)) for item in items])


def test_nobody_gets_what_another_holds(make_project):
    project = make_project(30)
    given = [number for person in ("ann", "bob", "cyd") for number in numbers(project.queue.next(person, 10))]
    assert sorted(given) == list(range(1, 31))
    assert project.queue.next("dan", 1) == ()


def test_a_lease_runs_out(make_project, clock):
    project = make_project(3, lease_seconds=60)
    held = numbers(project.queue.next("ann", 3))
    clock.advance(59)
    assert project.queue.next("bob", 1) == ()
    clock.advance(2)
    assert sorted(numbers(project.queue.next("bob", 3))) == sorted(held)
    assert project.queue.origin("ann", held[0]) is None


def test_asking_again_renews_what_is_held_and_gives_back_the_rest(make_project, clock):
    project = make_project(3, lease_seconds=60)
    held = numbers(project.queue.next("ann", 3))
    clock.advance(50)
    project.queue.next("ann", 1, held[:2])
    assert numbers(project.queue.next("bob", 3)) == held[2:] or project.queue.origin("ann", held[2]) is not None
    clock.advance(50)
    assert not set(held[:2]) & set(numbers(project.queue.next("bob", 3)))


def test_renewing_keeps_and_leaving_returns(make_project, clock):
    project = make_project(2, lease_seconds=60)
    first, second = numbers(project.queue.next("ann", 2))
    clock.advance(50)
    project.queue.renew("ann", [first])
    assert numbers(project.queue.next("bob", 2)) == [second]
    clock.advance(50)
    assert project.queue.next("cyd", 2) == ()
    project.queue.leave("ann")
    assert numbers(project.queue.next("cyd", 2)) == [first]


def test_a_held_text_stays_its_holders_when_the_lease_ran_out_and_nobody_wanted_it(make_project, clock):
    project = make_project(4, lease_seconds=60, audit_share=0.9)
    [pick] = project.queue.next("ann", 1)
    clock.advance(600)
    [more] = project.queue.next("ann", 1, [pick.item.id])
    assert project.queue.origin("ann", pick.item.id) == pick.origin
    assert sorted(numbers(project.queue.next("bob", 4))) == sorted({1, 2, 3, 4} - {pick.item.id, more.item.id})


def test_an_answer_sent_late_does_not_take_the_text_from_its_new_holder(make_project, clock):
    project = make_project(1, lease_seconds=60)
    [pick] = project.queue.next("ann", 1)
    clock.advance(61)
    assert numbers(project.queue.next("bob", 1)) == [1]
    give(project, "ann", pick.item.id)
    assert project.queue.origin("bob", 1) is not None
    assert len(project.answers.of_item(1)) == 1


def test_the_order_is_kept(make_project):
    project = make_project(12, audit_share=0.0)
    enqueue(project, 7, 2, 11, 5)
    assert project.queue.order() == (7, 2, 11, 5)
    assert numbers(project.queue.next("ann", 2)) == [7, 2]
    assert numbers(project.queue.next("bob", 2)) == [11, 5]
    project.queue.leave("ann")
    picks = project.queue.next("cyd", 2)
    assert numbers(picks) == [7, 2]
    assert picks[0].origin == Origin(Source.MODEL, "margin", 0.5, 1)


def test_an_empty_queue_falls_back_on_the_random_order(make_project):
    project = make_project(12, audit_share=0.0)
    enqueue(project, 7)
    picks = project.queue.next("ann", 12)
    assert sorted(numbers(picks)) == list(range(1, 13))
    assert [pick.origin.source for pick in picks] == [Source.MODEL] + [Source.RANDOM] * 11
    with project.database.reading() as connection:
        drawn = [row["id"] for row in connection.execute("SELECT id FROM item WHERE id <> 7 ORDER BY draw")]
    assert numbers(picks)[1:] == drawn


def test_a_new_order_leaves_what_is_handed_out(make_project):
    project = make_project(12, audit_share=0.0)
    enqueue(project, 1, 2)
    assert numbers(project.queue.next("ann", 1)) == [1]
    enqueue(project, 1, 3)
    assert numbers(project.queue.next("bob", 1)) == [3]
    assert project.queue.origin("ann", 1) is not None


def test_skipping_leaves_a_text_to_the_others_alone(make_project):
    project = make_project(1)
    give(project, "ann", 1, AnswerKind.SKIP)
    assert project.queue.next("ann", 1) == ()
    assert numbers(project.queue.next("bob", 1)) == [1]


def test_a_text_comes_back_when_its_answer_is_undone(make_project):
    project = make_project(3)
    for number in (1, 2, 3):
        give(project, "ann", number)
    assert project.queue.next("ann", 1) == ()
    project.answers.undo("ann")
    assert numbers(project.queue.next("ann", 3)) == [3]


def test_texts_of_a_retired_label_come_back_to_whoever_gave_it(make_project):
    project = make_project(3)
    for number in (1, 2, 3):
        give(project, "ann", number)
    project.labels.retire("ann", ANIMAL)
    assert sorted(numbers(project.queue.next("ann", 3))) == [1, 2, 3]
    project.queue.leave("ann")
    project.labels.restore("ann", ANIMAL)
    assert project.queue.next("ann", 3) == ()


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_as_many_people_answer_as_are_wanted(make_project, overlap):
    project = make_project(8, overlap=overlap)
    people = ["ann", "bob", "cyd", "dan"]
    busy = True
    while busy:
        busy = False
        for person in people:
            for pick in project.queue.next(person, 1):
                give(project, person, pick.item.id)
                busy = True
    for number in range(1, 9):
        told = [answer.person for answer in project.answers.of_item(number)]
        assert len(told) == len(set(told)) == overlap


def test_leases_count_towards_the_overlap(make_project):
    project = make_project(1, overlap=2)
    assert numbers(project.queue.next("ann", 1)) == [1]
    assert numbers(project.queue.next("bob", 1)) == [1]
    assert project.queue.next("cyd", 1) == ()
    give(project, "ann", 1)
    assert project.queue.next("cyd", 1) == ()


def test_a_settled_text_is_asked_of_nobody(make_project):
    project = make_project(1, overlap=3)
    project.answers.settle("ann", 1, ANIMAL)
    assert project.queue.next("bob", 1) == ()


def test_the_share_of_texts_with_several_answers_is_the_one_asked_for(make_project):
    project = make_project(600, overlap=2, overlap_share=0.25)
    shared = 0
    assert len(project.ask(600, person="ann")) == 600
    while picks := project.ask(50, person="bob"):
        shared += len(picks)
    assert shared / 600 == pytest.approx(0.25, abs=0.07)  # four standard deviations


def test_nobody_is_given_the_same_text_twice(make_project):
    project = make_project(60, overlap=2, audit_share=0.5)
    seen = Counter()
    while picks := project.queue.next("ann", 7):
        for pick in picks:
            seen[pick.item.id] += 1
            give(project, "ann", pick.item.id, [AnswerKind.LABEL, AnswerKind.SKIP][pick.item.id % 2])
    assert seen == Counter(range(1, 61))


def test_what_is_held_is_not_given_again(make_project):
    project = make_project(20)
    held = numbers(project.queue.next("ann", 5))
    more = numbers(project.queue.next("ann", 5, held))
    assert len({*held, *more}) == 10
    assert not {*held, *more} & set(numbers(project.ask(10, person="ann")))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_the_share_of_audits_is_the_one_asked_for(make_project, share):
    project = make_project(1500, audit_share=share)
    enqueue(project, *range(1, 1501))
    sources = Counter(pick.origin.source for pick in project.queue.next("ann", 1000))
    assert sources[Source.AUDIT] / 1000 == pytest.approx(share, abs=0.05)
    assert set(sources) <= {Source.AUDIT, Source.MODEL}


def test_which_picks_are_audits_does_not_depend_on_what_is_seen_or_how_many_are_asked_for(make_project):
    one, other = make_project(200, audit_share=0.3), make_project(200, audit_share=0.3)
    enqueue(one, *range(1, 101))
    enqueue(other, *range(200, 100, -1))
    places = [pick.origin.source is Source.AUDIT for pick in one.queue.next("ann", 40)]
    step = []
    while len(step) < 40:
        [pick] = other.queue.next("ann", 1)
        step.append(pick.origin.source is Source.AUDIT)
        give(other, "ann", pick.item.id)
    assert step == places
    assert [pick.origin.source is Source.AUDIT for pick in one.queue.next("bob", 40)] != places


def test_audits_follow_the_random_order(make_project):
    project = make_project(300, audit_share=0.5)
    enqueue(project, *range(1, 301))
    audits = [pick.item.id for pick in project.queue.next("ann", 60) if pick.origin.source is Source.AUDIT]
    with project.database.reading() as connection:
        draws = {row["id"]: row["draw"] for row in connection.execute("SELECT id, draw FROM item")}
    assert len(audits) > 15
    assert [draws[number] for number in audits] == sorted(draws[number] for number in audits)


@pytest.mark.parametrize("n", [0, 1001])
def test_a_senseless_number_of_texts_is_refused(project, n):
    with pytest.raises(InvalidInput, match=f"asked for {n} texts at once"):
        project.queue.next("ann", n)


def test_threads_asking_at_once_never_share_a_text(make_project):
    project = make_project(160)
    given, failures = [], []
    start = threading.Barrier(8)

    def ask(person):
        try:
            start.wait()
            for _ in range(5):
                picks = project.ask(3, person=person)
                given.extend((person, number) for number in numbers(picks))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(f"p{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(given) == len({number for _, number in given}) == 120


def test_one_person_asking_from_several_places_at_once_gets_each_text_once(make_project):
    project = make_project(100)
    given = []
    start = threading.Barrier(6)

    def ask():
        start.wait()
        for _ in range(8):
            given.extend(numbers(project.ask(1, person="ann")))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == len(set(given)) == 48


def test_the_reason_of_a_pick_survives_the_lease(make_project):
    project = make_project(5, audit_share=0.0)
    origin = Origin(Source.MODEL, "cal:k=5", 0.25, 3, (2, 1), (0.75, 0.25))
    project.enqueue([QueueEntry(4, origin)])
    [pick] = project.queue.next("ann", 1)
    assert pick.origin == project.queue.origin("ann", 4) == origin
    assert json.loads(json.dumps(origin.as_json()))["source"] == "model"
