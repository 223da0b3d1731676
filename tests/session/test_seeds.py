"""Texts near the words and examples of labels: the right ones, in turn, once each, and not for ever."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.models.tfidf import TfidfClassifier
from nearmiss.session.clues import Clue, Sought, clue_of, sought_labels, unseen
from nearmiss.session.ground import Ground
from nearmiss.session.labels import Label
from nearmiss.session.origins import Origin, Source
from nearmiss.session.queue import QueueEntry
from nearmiss.session.seeds import PATIENCE, mixed, seek
from nearmiss.text.corpus import Texts


def ids(*values):
    return np.array(values, dtype=np.int64)


def make_ground(texts, closed=(), rows=(), classes=(), labels=(1, 2, 3)):
    return Ground(labels, ids(*rows), ids(*classes), ids(), ids(), ids(*sorted({*closed, *rows})), texts, 0, 0)


def sought(label, *words):
    return Sought(label, Clue.SEEDS, words)


class Vectors:
    """Give texts the vectors of a table, and the pool's those of an array."""

    def __init__(self, pool, features, table):
        self.pool, self.features, self.table = pool, features, table

    def __call__(self, texts):
        return self.features if texts is self.pool else np.array([self.table[word] for word in texts.first])


@pytest.fixture
def plane():
    """Forty texts around a quarter circle, and three words that lie at its ends and in its middle."""
    angles = np.linspace(0, np.pi / 2, 40)
    features = np.column_stack([np.cos(angles), np.sin(angles)])
    pool = Texts(tuple(f"text {i}" for i in range(40)))
    table = {"first": (1.0, 0.0), "last": (0.0, 1.0), "middle": (3.0, 3.0), "away": (-1.0, -1.0)}
    return pool, Vectors(pool, features, table)


def found(plane, wanted, n, ground=None):
    pool, vectors = plane
    entries = seek(wanted, pool, vectors, ground or make_ground(40), origin=Origin(Source.COVER), n=n)
    return [(entry.item - 1, entry.origin.strategy) for entry in entries]


def test_labels_take_turns_and_the_nearest_come_first(plane):
    picks = found(plane, [sought(1, "first"), sought(3, "last")], 5)
    assert picks == [
        (0, "seeds:label=1"),
        (39, "seeds:label=3"),
        (1, "seeds:label=1"),
        (38, "seeds:label=3"),
        (2, "seeds:label=1"),
    ]


def test_any_of_several_seeds_will_do_and_answered_texts_are_passed_over(plane):
    picks = found(plane, [sought(1, "first", "last")], 4, make_ground(40, closed=(0, 38)))
    assert {row for row, _ in picks} == {1, 2, 39, 37}


def test_what_lies_nearer_to_another_label_comes_later(plane):
    rows = [row for row, _ in found(plane, [sought(1, "middle"), sought(2, "last")], 12)]
    assert max(rows[::2]) < 24  # nearer to the middle than to the end, and on the far side of it from there


def test_scores_are_cosines_less_those_to_others(plane):
    pool, vectors = plane
    wanted = [sought(1, "first"), sought(2, "last")]
    for entry in seek(wanted, pool, vectors, make_ground(40), origin=Origin(Source.MODEL, model=3), n=6):
        x, y = vectors.features[entry.item - 1]
        assert entry.origin.score == pytest.approx(
            x - y if entry.origin.strategy == "seeds:label=1" else y - x, abs=1e-5
        )
        assert (entry.origin.source, entry.origin.model) == (Source.MODEL, 3)


def test_a_label_is_given_up_after_twenty_texts(plane):
    everything = found(plane, [sought(1, "first")], 40)
    assert [row for row, _ in everything] == list(range(PATIENCE))
    answered = make_ground(40, closed=range(PATIENCE))
    assert found(plane, [sought(1, "first")], 40, answered) == []


def test_nothing_near_nothing_sought_and_nothing_left(plane):
    assert found(plane, [sought(1, "away")], 5) == []
    assert found(plane, [], 5) == []
    assert found(plane, [sought(1, "first")], 0) == []
    assert found(plane, [sought(1, "first")], 5, make_ground(40, closed=range(40))) == []
    none = Texts(())
    assert seek([sought(1, "first")], none, plane[1], make_ground(0), origin=Origin(Source.COVER), n=3) == ()


@given(
    st.integers(0, 25), st.sets(st.integers(0, 39)), st.lists(st.sampled_from(["first", "last", "middle"]), max_size=3)
)
def test_picks_are_open_and_come_once(n, closed, words):
    angles = np.linspace(0, np.pi / 2, 40)
    pool = Texts(tuple(f"text {i}" for i in range(40)))
    table = {"first": (1.0, 0.0), "last": (0.0, 1.0), "middle": (3.0, 3.0)}
    plane = pool, Vectors(pool, np.column_stack([np.cos(angles), np.sin(angles)]), table)
    wanted = [sought(k + 1, word) for k, word in enumerate(words)]
    rows = [row for row, _ in found(plane, wanted, n, make_ground(40, closed=closed))]
    assert len(rows) == len(set(rows)) <= n
    assert not set(rows) & closed


@pytest.mark.parametrize("paired", [False, True])
def test_words_find_texts_by_tfidf_and_words_nobody_uses_find_none(paired):
    first = ("the cat sleeps", "iron rusts", "a cat eats", "gold shines", "the cow")
    texts = Texts(first, first if paired else None)
    classifier = TfidfClassifier()
    classifier.prepare(texts)
    wanted = [sought(1, "cat"), sought(2, "platinum"), sought(3, "gold iron")]
    entries = seek(wanted, texts, classifier.label_free, make_ground(5), origin=Origin(Source.COVER), n=9)
    by_label = {}
    for entry in entries:
        by_label.setdefault(entry.origin.strategy, set()).add(entry.item)
    assert by_label == {"seeds:label=1": {1, 3}, "seeds:label=3": {2, 4}}


# ---- what is sought --------------------------------------------------------------------------------------------------


def test_seeds_go_before_names_and_names_are_put_into_words():
    labels = [
        Label(1, "CardArrival_late"),
        Label(2, "refund", seeds="money back\nreturned"),
        Label(3, "x"),
        Label(4, "42"),
        Label(5, "sports", "games people play"),
        Label(6, "Größe"),
    ]
    assert [(each.label, each.clue, each.words) for each in sought_labels(labels, names=True)] == [
        (1, Clue.NAME, ("Card Arrival late",)),
        (2, Clue.SEEDS, ("money back", "returned")),
        (5, Clue.NAME, ("sports", "games people play")),
        (6, Clue.NAME, ("Größe",)),
    ]
    assert [each.label for each in sought_labels(labels, names=False)] == [2]


def test_labels_that_a_text_to_learn_from_has_are_not_sought():
    wanted = [sought(label, "word") for label in (1, 2, 3)]
    assert [each.label for each in unseen(wanted, make_ground(9, rows=(4,), classes=(1,)))] == [1, 3]


@pytest.mark.parametrize("strategy", ["", "typiclust", "seeds", "seeds:label=", "name:label=x", "xname:label=3"])
def test_other_strategies_are_no_clue(strategy):
    assert clue_of(strategy) is None


@pytest.mark.parametrize("clue", Clue)
def test_a_clue_is_read_as_it_was_written(clue):
    assert clue_of(Sought(12, clue, ("a",)).strategy) == (clue, 12)


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 19), unique=True), st.integers(1, 4))
def test_mixing_keeps_both_orders_and_loses_nothing(some, others, every):
    entries = [[QueueEntry(item, Origin(Source.COVER)) for item in items] for items in (some, others)]
    order = [entry.item for entry in mixed(*entries, every=every)]
    rest = [item for item in others if item not in some]
    assert [item for item in order if item in some] == some
    assert [item for item in order if item not in some] == rest
    expected = [every * (k + 1) - 1 for k in range(len(some)) if (every - 1) * (k + 1) <= len(rest)]
    assert [order.index(item) for item in some][: len(expected)] == expected
