"""Texts as they come: the same again, names that clash, pairs, odd characters, and very many."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearmiss.errors import InvalidInput
from nearmiss.session.browsing import Filter
from nearmiss.session.items import NewItem

ODD = st.text(max_size=12) | st.sampled_from(["\0", "a\0b", "\ud800", "\ud83d\ude00", "１", "e\u0301", "\u2028", "'"])
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def add(project, *items):
    return project.add([NewItem(item) if isinstance(item, str) else item for item in items], source="test")


@pytest.fixture
def empty(make_project):
    return make_project(texts=[])


def test_the_same_texts_again_are_recognised(empty):
    first = add(empty, "one", "two", "one")
    assert (first.ids, first.added, first.known) == ((1, 2, 1), 2, 1)
    again = add(empty, "two", "three", "one")
    assert (again.ids, again.added, again.known) == ((2, 3, 1), 1, 2)
    assert empty.texts.count() == 3
    assert tuple(empty.texts.corpus().first) == ("one", "two", "three")


def test_the_same_text_under_two_names_is_two_texts(empty):
    added = add(empty, NewItem("same", ref="x"), NewItem("same", ref="y"), NewItem("same", ref="x"))
    assert (added.ids, added.added) == ((1, 2, 1), 2)
    assert add(empty, "same").ids == (1,)  # without a name it is the first of them


def test_a_name_that_means_another_text_is_refused_and_leaves_nothing(empty):
    add(empty, NewItem("one", ref="x"))
    with pytest.raises(InvalidInput, match="'x' names another text"):
        add(empty, NewItem("new", ref="y"), NewItem("other", ref="x"))
    assert empty.texts.count() == 1
    with pytest.raises(InvalidInput, match="'x' names another text"):
        empty.texts.find([NewItem("other", ref="x")])


def test_texts_without_names_go_round_names_that_are_taken(empty):
    add(empty, NewItem("one", ref="2"), NewItem("two", ref="2'"), NewItem("three", ref="4"))
    added = add(empty, "four", "five", NewItem("six", ref="seven"), "seven")
    refs = [empty.texts.get(number).ref for number in added.ids]
    assert len({"2", "2'", "4", *refs}) == 7
    assert [empty.texts.named(ref).id for ref in refs] == list(added.ids)
    assert add(empty, "four", "five").added == 0


def test_finding_is_adding_without_adding(empty):
    add(empty, "one", NewItem("two", ref="b"))
    assert empty.texts.find([NewItem("two", ref="b"), NewItem("new"), NewItem("one")]) == (2, None, 1)
    assert empty.texts.count() == 2


def test_finding_or_adding_writes_nothing_when_all_are_known(empty, dump):
    items = [NewItem("one"), NewItem("two")]
    assert empty.find_or_add(items, source="test") == (1, 2)
    before = dump(empty, "event")
    assert empty.find_or_add(items[::-1], source="test") == (2, 1)
    assert dump(empty, "event") == before
    assert empty.find_or_add([NewItem("three"), *items], source="test") == (3, 1, 2)


def test_pairs_and_single_texts_do_not_mix(empty):
    add(empty, NewItem("one", "eins"), NewItem("one", "uno"), NewItem("two", ""))
    assert empty.texts.count() == 3
    assert tuple(empty.texts.corpus().second) == ("eins", "uno", "")
    with pytest.raises(InvalidInput, match="text 1 has no partner, but the project holds text pairs"):
        add(empty, "three")
    assert empty.texts.find([NewItem("one", "uno")]) == (2,)


def test_a_first_load_of_both_kinds_is_refused(empty):
    with pytest.raises(InvalidInput, match="text 2 is one of a pair, but the project holds single texts"):
        add(empty, "one", NewItem("two", "zwei"))
    assert empty.texts.count() == 0


@pytest.mark.parametrize("text", ["", "  ", "\n\t", "\u3000"])
def test_an_empty_text_is_refused(empty, text):
    with pytest.raises(InvalidInput, match="text 2 is empty"):
        add(empty, "fine", text)
    assert empty.texts.count() == 0


def test_half_a_character_is_replaced_and_told(empty):
    added = add(empty, NewItem("so \ud800 sad", meta={"mood": "\udfff"}), "well")
    assert len(added.notes) == 2
    assert "text 1 holds half a character" in added.notes[0]
    item = empty.texts.get(1)
    for text in (item.text, item.meta["mood"]):
        assert "\ufffd" in text
        text.encode("utf-8")
    assert add(empty, "so \ud800 sad").added == 0


def test_two_halves_that_belong_together_become_whole(empty):
    add(empty, "\ud83d\ude00 fun")
    assert empty.texts.get(1).text == "😀 fun"


def test_texts_hold_everything_else_unchanged(empty):
    texts = [
        "a\0b",
        "line\r\nbreak",
        "\ufeffbom",
        "e\u0301 é",
        "\u202eabc",
        "𝔘nicode",
        "x" * 2_000_000,
        "'; DROP TABLE",
    ]
    added = add(empty, *texts)
    assert [empty.texts.get(number).text for number in added.ids] == texts
    assert add(empty, *texts).added == 0
    assert empty.database.problems() == ()


@MANY
@given(
    items=st.lists(
        st.builds(
            NewItem,
            st.builds("{} {}".format, st.integers(0, 5), ODD),
            ref=st.none() | ODD.filter(len),
            meta=st.dictionaries(ODD, ODD, max_size=2),
        ),
        max_size=6,
        unique_by=lambda item: item.ref if item.ref is not None else item.text,
    )
)
def test_anything_comes_in_whole_or_is_refused_in_a_sentence(make_project, items):
    project = make_project(texts=[])
    try:
        added = project.add(items, source="test")
    except InvalidInput:
        assert project.texts.count() == 0
        return
    again = project.add(items, source="test")
    assert again.ids == added.ids
    assert again.added == 0
    assert project.texts.find(items) == added.ids
    for number, item in zip(added.ids, items, strict=True):
        known = project.texts.get(number)
        assert project.texts.named(known.ref).id == number
        if item.text.isascii():
            assert known.text == item.text


@pytest.mark.parametrize("number", [0, -1, 13, 2**63, 2**70, -(2**70)])
def test_a_number_of_no_text_is_refused(project, number):
    with pytest.raises(InvalidInput):
        project.texts.get(number)
    with pytest.raises(InvalidInput):
        project.browser.find(number)


def test_a_name_of_no_text_is_refused(project):
    for name in ("nobody", "", "\ud800", "13"):
        with pytest.raises(InvalidInput):
            project.texts.named(name)


def test_the_random_order_depends_on_the_seed_alone(make_project):
    def order(project):
        with project.database.reading() as connection:
            return [row["id"] for row in connection.execute("SELECT id FROM item ORDER BY draw")]

    one, same, other = make_project(50), make_project(50), make_project(50, seed=1)
    assert order(one) == order(same) != order(other)
    assert order(one) != sorted(order(one))
    more = [NewItem(f"more {i}") for i in range(50)]
    one.add(more, source="test")
    same.add(more, source="elsewhere")
    assert order(one) == order(same)


@pytest.mark.slow
def test_a_hundred_thousand_texts_come_in_within_seconds(empty):
    words = np.array(["river", "kitchen", "railway", "garden", "winter", "music", "paper", "stone"])
    picked = words[np.random.default_rng(0).integers(len(words), size=(100_000, 12))]
    items = [NewItem(f"{' '.join(row)} {i}", ref=f"row-{i}", meta={"year": "1999"}) for i, row in enumerate(picked)]
    started = time.perf_counter()
    added = empty.add(items, source="test")
    adding = time.perf_counter() - started
    assert added.ids == tuple(range(1, 100_001))
    started = time.perf_counter()
    assert empty.add(items, source="test").added == 0
    again = time.perf_counter() - started
    started = time.perf_counter()
    page = empty.browser.page(Filter("river 777"))
    searching = time.perf_counter() - started
    assert page.total > 0
    started = time.perf_counter()
    assert len(empty.ask(10)) == 10
    asking = time.perf_counter() - started
    print(f"100,000 texts: added {adding:.1f} s, again {again:.1f} s, search {searching:.3f} s, ask {asking:.3f} s")
    assert adding < 30
    assert searching < 2
    assert asking < 1
