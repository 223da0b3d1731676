"""Looking things up: whatever is typed is a search and never a mistake, and every state finds its texts."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearmiss.errors import InvalidInput
from nearmiss.session.answers import Submission
from nearmiss.session.browsing import Filter, State
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.items import NewItem
from nearmiss.session.origins import Origin, Source
from nearmiss.session.published import ModelFacts

TEXTS = [
    "The café on the river bank",
    "A bank of the Bank of England",
    "Riverbanks are wet",
    "NOT a near AND dear friend OR foe",
    "Straße und Fluß",
    "snake_case and kebab-case",
    "e-mail: me@example.org",
    "100% sure, 3.14",
]


@pytest.fixture
def library(make_project):
    return make_project(texts=TEXTS)


def search(project, words, **more):
    return project.browser.ids(Filter(words, **more))


@pytest.mark.parametrize(
    "words, found",
    [
        ("", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("   ", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("bank", (1, 2)),
        ("BANK river", (1,)),
        ("river", (1, 3)),
        ("riv", (1, 3)),
        ("riv bank", ()),
        ("cafe", (1,)),
        ("CAFÉ", (1,)),
        ("cafe\u0301", (1,)),
        ('"bank', (1, 2)),
        ('"the café"', (1,)),
        ("bank OR", ()),
        ("foe OR", (4,)),
        ("AND NOT", (4,)),
        ("NEAR(", (4,)),
        ("text:bank", ()),
        ("^bank", (1, 2)),
        ("-bank", (1, 2)),
        ("bank*", (1, 2)),
        ("{text pair} : bank", ()),
        ("snake_case", (6,)),
        ("kebab-case", (6,)),
        ("me@example.org", (7,)),
        ("3.14", (8,)),
        ("straße", (5,)),
        ("!!! ???", ()),
        ("***", ()),
        ("\0", ()),
        ("😀", ()),
        ("nothing", ()),
    ],
)
def test_whatever_is_typed_is_looked_for(library, words, found):
    assert search(library, words) == found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.text(max_size=30) | st.text(alphabet="\"*^:(){}+-ANDORNEAR' ab\0", max_size=30))
def test_no_search_breaks(library, words):
    assert set(search(library, words)) <= set(range(1, 9))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_words_of_a_text_find_it(library, data):
    number = data.draw(st.integers(1, len(TEXTS)))
    words = data.draw(st.lists(st.sampled_from(TEXTS[number - 1].split()), min_size=1, max_size=3))
    words[-1] = words[-1][: data.draw(st.integers(1, len(words[-1])))]
    shown = data.draw(st.sampled_from([str, str.upper, str.lower, lambda text: unicodedata.normalize("NFD", text)]))
    wanted = shown(" ".join(words))
    if any(letter.isalnum() for letter in words[-1]) and "ß" not in wanted.lower() and "SS" not in wanted:
        assert number in search(library, wanted)


def test_pairs_are_searched_on_both_sides(make_project):
    project = make_project(texts=[NewItem("one", "eins"), NewItem("two", "zwei")])
    assert search(project, "zwei") == (2,)
    assert search(project, "one eins") == (1,)


def test_texts_added_later_are_found(library):
    library.add([NewItem("a late riverside walk")], source="test")
    assert search(library, "river") == (1, 3, 9)


@pytest.fixture
def labelled(make_project):
    """1 labelled, 2 skipped, 3 disputed, 4 settled, 5 an audit, 6 unsure, 7 undone, 8 of a retired label."""
    project = make_project(texts=TEXTS, labels=("a", "b", "gone"))

    def say(person, item, kind, label=None, source=Source.PERSON):
        project.answers.submit(person, Submission(item, kind, label), Origin(source))

    say("ann", 1, AnswerKind.LABEL, 1)
    say("ann", 2, AnswerKind.SKIP)
    for item in (3, 4):
        say("ann", item, AnswerKind.LABEL, 1)
        say("bob", item, AnswerKind.LABEL, 2)
    project.answers.settle("cyd", 4, 2)
    say("bob", 5, AnswerKind.LABEL, 2, Source.AUDIT)
    say("bob", 6, AnswerKind.UNSURE)
    say("ann", 8, AnswerKind.LABEL, 3)
    say("ann", 7, AnswerKind.LABEL, 1)
    project.answers.undo("ann")
    project.labels.retire("ann", 3)
    return project


@pytest.mark.parametrize(
    "state, found",
    [
        (State.LABELED, (1, 4, 5)),
        (State.UNLABELED, (2, 7, 8)),
        (State.SKIPPED, (2,)),
        (State.DISPUTED, (3, 6)),
        (State.SETTLED, (4,)),
        (State.AUDIT, (5,)),
        (State.SUSPICIOUS, ()),
        (State.REPEATED, ()),
        (None, (1, 2, 3, 4, 5, 6, 7, 8)),
    ],
)
def test_every_state_finds_its_texts(labelled, state, found):
    page = labelled.browser.page(Filter(state=state))
    assert tuple(each.item.id for each in page.found) == found
    assert page.total == len(found)
    for each in page.found:
        assert labelled.browser.find(each.item.id) == each
        assert {
            State.LABELED: each.label is not None,
            State.UNLABELED: each.label is None and each.answers == 0,
            State.SKIPPED: each.answers == 0,
            State.DISPUTED: each.disputed,
            State.SETTLED: each.settled,
            State.AUDIT: each.audit,
        }.get(state, True)


def test_filters_narrow_each_other(labelled):
    assert labelled.browser.ids(Filter(label=2)) == (4, 5)
    assert labelled.browser.ids(Filter(person="bob")) == (3, 4, 5, 6)
    assert labelled.browser.ids(Filter(label=2, person="ann")) == (4,)
    assert labelled.browser.ids(Filter("bank", label=1)) == (1,)
    assert labelled.browser.ids(Filter("bank", state=State.SKIPPED)) == (2,)
    assert labelled.browser.ids(Filter(label=99)) == ()
    assert labelled.browser.ids(Filter(person="'; DROP TABLE")) == ()


def test_pages_together_are_everything(make_project):
    project = make_project(23)
    pages = [project.browser.page(Filter(), number, 10) for number in (1, 2, 3, 4)]
    assert [len(page.found) for page in pages] == [10, 10, 3, 0]
    assert {page.total for page in pages} == {23}
    assert [each.item.id for page in pages for each in page.found] == list(range(1, 24))


@pytest.mark.parametrize("number, size", [(0, 10), (-1, 10), (1, 0), (1, 1001)])
def test_a_page_that_cannot_be_is_refused(project, number, size):
    with pytest.raises(InvalidInput, match="pages count from 1"):
        project.browser.page(Filter(), number, size)


def test_suspicious_are_labels_the_model_gives_little(make_project):
    project = make_project(6)
    for item in (1, 2, 3, 4):
        project.answers.submit("ann", Submission(item, AnswerKind.LABEL, 1))
    project.answers.settle("ann", 4, 1)
    given = np.array([[0.1, 0.9], [0.9, 0.1], [0.01, 0.99], [0.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    facts = ModelFacts(1, "", "tfidf", "margin", (1, 2), 4, 0.1, 9, 0, 0, None, 5)
    project.publish(facts, given, entries=(), drawn=(), request=0)
    assert project.browser.ids(Filter(state=State.SUSPICIOUS)) == (3, 1)
    assert project.browser.ids(Filter(state=State.SUSPICIOUS, words="horse")) == (3,)
    project.labels.retire("ann", 1)
    assert project.browser.ids(Filter(state=State.SUSPICIOUS)) == ()


def test_repeated_are_texts_that_differ_in_no_letter(make_project):
    texts = ["Hello, world!", "other", "hello WORLD", "x 1", "X-1", "Hello world?", "!!!", "???"]
    project = make_project(texts=texts)
    assert project.browser.ids(Filter(state=State.REPEATED)) == (1, 3, 6, 4, 5)
    project.tell_all({4: 1, 5: 2, 1: 1, 3: 1})
    assert project.browser.ids(Filter(state=State.REPEATED)) == (4, 5, 1, 3, 6)
