"""Said once, said twice, taken back: what becomes of answers one at a time."""

from __future__ import annotations

from contextlib import suppress

import pytest

from nearmiss.errors import InvalidInput, NearmissError, UnknownName
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.origins import Origin, Source

LABEL, SKIP, UNSURE = AnswerKind.LABEL, AnswerKind.SKIP, AnswerKind.UNSURE
ANIMAL, METAL = 1, 2


def events(project):
    with project.database.reading() as connection:
        return connection.execute("SELECT count(*) FROM event").fetchone()[0]


def labels(project, item=1):
    return [answer.label for answer in project.answers.of_item(item)]


@pytest.fixture
def label(project):
    return lambda person, item=1, label=ANIMAL, **more: project.answers.submit(
        person, Submission(item, LABEL, label, **more)
    )


def test_the_same_key_twice_is_one_answer(project, label):
    first = label("ann", key="k")
    before = events(project)
    again = label("ann", key="k")
    assert (again.event, again.at, again.items, again.repeated) == (first.event, first.at, (1,), True)
    assert events(project) == before


@pytest.mark.parametrize(
    "person, other",
    [
        ("ann", Submission(1, LABEL, METAL, "k")),
        ("ann", Submission(2, LABEL, ANIMAL, "k")),
        ("ann", Submission(1, SKIP, key="k")),
        ("bob", Submission(1, LABEL, ANIMAL, "k")),
    ],
)
def test_another_answer_under_the_same_key_is_refused(project, label, person, other):
    label("ann", key="k")
    before = events(project)
    with pytest.raises(InvalidInput, match="key 'k' was used for another answer"):
        project.answers.submit(person, other)
    assert (events(project), labels(project)) == (before, [ANIMAL])


def test_a_key_tells_answering_settling_and_undoing_apart(project, label):
    label("ann", key="answered")
    project.answers.settle("ann", 2, METAL, key="settled")
    project.answers.undo("ann", key="undone")
    for key in ("answered", "undone"):
        with pytest.raises(InvalidInput, match="used for"):
            project.answers.settle("ann", 1, ANIMAL, key=key)
    for key in ("settled", "undone"):
        with pytest.raises(InvalidInput, match="used for"):
            label("ann", 2, METAL, key=key)
    for key in ("answered", "settled"):
        with pytest.raises(InvalidInput, match="used for"):
            project.answers.undo("ann", key=key)
    with pytest.raises(InvalidInput, match="used for"):
        project.answers.undo("bob", key="undone")
    assert labels(project) == [ANIMAL]


def test_settling_twice_under_one_key_is_once(project):
    first = project.answers.settle("ann", 1, METAL, key="k")
    assert project.answers.settle("ann", 1, METAL, key="k").repeated
    with pytest.raises(InvalidInput, match="used for another"):
        project.answers.settle("ann", 1, ANIMAL, key="k")
    assert project.answers.undo("ann").items == first.items
    assert project.answers.undo("ann") is None


def test_a_key_still_counts_after_its_label_was_merged(project, label):
    label("ann", key="k")
    project.labels.merge("ann", ANIMAL, METAL)
    assert label("ann", key="k").repeated
    assert labels(project) == [METAL]


def test_an_answer_that_was_undone_stays_undone_when_its_key_comes_late(project, label):
    label("ann", key="k")
    project.answers.undo("ann")
    assert label("ann", key="k").repeated
    assert labels(project) == []


def test_undoing_twice_under_one_key_is_once(project, label):
    label("ann", 1)
    label("ann", 2)
    first = project.answers.undo("ann", key="u")
    again = project.answers.undo("ann", key="u")
    assert (again.event, again.items, again.repeated) == (first.event, (2,), True)
    assert labels(project, 1) == [ANIMAL]


def test_many_under_keys_of_their_own_count_once(project):
    said = [Submission(item, LABEL, ANIMAL, f"k{item}") for item in (1, 2)]
    project.answers.submit_all("ann", said)
    before = events(project)
    with suppress(InvalidInput):  # refusing is right too; half of it, or a crash, is not
        assert project.answers.submit_all("ann", said).repeated
    assert events(project) == before


def test_undo_goes_back_as_far_as_there_is_anything(project, label):
    for item, chosen in [(1, ANIMAL), (2, METAL), (1, METAL), (3, ANIMAL)]:
        label("ann", item, chosen)
    undone = [project.answers.undo("ann") for _ in range(5)]
    assert [receipt and receipt.items for receipt in undone] == [(3,), (1,), (2,), (1,), None]
    assert project.answers.recent("ann") == ()


def test_undo_brings_back_what_was_said_before(project, label):
    label("ann", note="sure")
    label("ann", label=METAL)
    project.answers.undo("ann")
    [answer] = project.answers.of_item(1)
    assert (answer.label, answer.note) == (ANIMAL, "sure")


def test_many_at_once_are_undone_at_once(project, label):
    label("ann", 9)
    project.tell_all({1: ANIMAL, 2: METAL, 3: METAL}, person="ann")
    label("bob", 1, METAL)
    assert project.answers.undo("ann").items == (1, 2, 3)
    assert [labels(project, item) for item in (1, 2, 3, 9)] == [[METAL], [], [], [ANIMAL]]


def test_nobody_undoes_what_another_did(project, label):
    label("ann")
    label("bob", label=METAL)
    label("ann", 2)
    assert project.answers.undo("bob").items == (1,)
    assert project.answers.undo("bob") is None
    assert labels(project) == [ANIMAL]


def test_undoing_a_settlement_brings_the_dispute_back(project, label):
    label("ann")
    label("bob", label=METAL)
    project.answers.settle("cyd", 1, METAL)
    found = project.browser.find(1)
    assert (found.label, found.settled, found.disputed) == (METAL, True, False)
    project.answers.undo("cyd")
    found = project.browser.find(1)
    assert (found.label, found.settled, found.disputed) == (None, False, True)


def test_all_or_none_of_many_are_saved(project):
    said = [Submission(1, LABEL, ANIMAL), Submission(999, LABEL, ANIMAL)]
    before = events(project)
    with pytest.raises(InvalidInput, match="no text number 999"):
        project.answers.submit_all("ann", said)
    assert (events(project), labels(project)) == (before, [])


@pytest.mark.parametrize(
    "said, told",
    [
        (Submission(99, LABEL, ANIMAL), "no text number 99"),
        (Submission(0, SKIP), "no text number 0"),
        (Submission(2**70, SKIP), None),
        (Submission(1, LABEL), "give a label"),
        (Submission(1, SKIP, ANIMAL), "give a label"),
        (Submission(1, LABEL, 77), "no label number 77"),
        (Submission(1, SKIP, note="n" * 10_001), "10001 characters"),
        (Submission(1, SKIP, key=""), "key of 0 characters"),
        (Submission(1, SKIP, key="k" * 201), "key of 201 characters"),
        (Submission(1, SKIP, seconds=-1.0), "seconds is -1.0"),
        (Submission(1, SKIP, seconds=float("nan")), "seconds is nan"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(project, said, told):
    before = events(project)
    with pytest.raises(InvalidInput, match=told):
        project.answers.submit("ann", said)
    with pytest.raises(InvalidInput, match=told):
        project.answers.submit_all("ann", [said])
    assert events(project) == before


def test_half_a_character_in_a_note_or_key_is_no_crash(project):
    for said in (Submission(1, SKIP, note="so \ud800"), Submission(2, SKIP, key="\ud800")):
        try:
            project.answers.submit("ann", said)
        except NearmissError:
            continue
    assert project.database.problems() == ()


def test_a_retired_label_is_not_given(project, label):
    label("ann")
    project.labels.retire("ann", ANIMAL)
    with pytest.raises(UnknownName, match="'animal' is retired"):
        label("bob")
    assert labels(project) == [None]
    assert project.browser.find(1).answers == 0


def test_labels_merged_after_the_answers_agree_and_part_again(project, label):
    label("ann", label=ANIMAL)
    label("bob", label=METAL)
    assert project.browser.find(1).disputed
    project.labels.merge("ann", METAL, ANIMAL)
    found = project.browser.find(1)
    assert (found.label, found.disputed, found.answers) == (ANIMAL, False, 2)
    label("cyd", 2, METAL)  # given under the old number, it is the new label
    project.labels.restore("ann", METAL)
    assert project.browser.find(1).disputed
    assert labels(project, 2) == [ANIMAL]


def test_an_unsure_answer_is_a_dispute_and_a_skip_is_nothing(project, label):
    project.answers.submit("ann", Submission(1, UNSURE, note="hm"))
    found = project.browser.find(1)
    assert (found.label, found.disputed, found.answers) == (None, True, 1)
    project.answers.submit("ann", Submission(2, SKIP))
    assert not project.browser.find(2).disputed
    label("bob", 1)
    assert project.browser.find(1).label == ANIMAL


def test_provenance_tells_how_each_answer_came_about(project):
    project.settings.write_guidelines("ann", "Be fair.")
    project.answers.submit("ann", Submission(1, LABEL, ANIMAL, suggestion_visible=True), Origin(Source.AUDIT))
    [given] = project.answers.provenance(1)
    assert (given.person, given.origin.source, given.guideline, given.suggestion_visible) == (
        "ann",
        Source.AUDIT,
        1,
        True,
    )
    project.answers.undo("ann")
    assert project.answers.provenance(1) == ()


def test_the_lease_says_where_a_text_came_from(make_project):
    project = make_project(audit_share=0.9)
    picks = project.queue.next("ann", 8)
    for pick in picks:
        project.answers.submit("ann", Submission(pick.item.id, LABEL, ANIMAL))
    told = [project.answers.provenance(pick.item.id)[0].origin for pick in picks]
    assert told == [pick.origin for pick in picks]
    assert Source.AUDIT in {origin.source for origin in told}
    assert all(project.browser.find(p.item.id).audit == (p.origin.source is Source.AUDIT) for p in picks)


def test_taking_back_by_the_names_of_keys(project, label):
    label("ann", 1, key="tool:7:1")
    label("bob", 2, key="tool:7:2")
    label("bob", 3, key="tool:70:1")
    assert set(project.answers.take_back("tool", "tool:7:").items) == {1, 2}
    assert [labels(project, item) for item in (1, 2, 3)] == [[], [], [ANIMAL]]
    assert project.answers.take_back("tool", "tool:7:") is None
    assert project.answers.undo("bob").items == (3,)
    assert project.answers.undo("ann") is None


def test_recent_answers_come_newest_first(project, label):
    for item in (3, 1, 2):
        label("ann", item)
    label("bob", 4)
    assert [answer.item for answer in project.answers.recent("ann", 2)] == [2, 1]
