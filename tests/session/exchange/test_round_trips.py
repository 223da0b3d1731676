"""What goes out comes back, in everything the form can carry."""

import json
import math
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearmiss.errors import InvalidInput
from nearmiss.session.exchange.forms import FORMS, read_items, write_items
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem, ExchangedSuggestion

NAMES = ["neg", "pos", "=1+1", "the rest"]
MANY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# Everything but lone surrogates, with what breaks files and spreadsheets drawn often.
NASTY = '=1+1|\'=1|\'\'| =a|-5|+x|@a|\t|\r|\n\r|＝1|\0|"|"a|,|;|true|[]|007|1e5|null|"x"|TRUE|-0'
NASTY += "|'|مرحبا|é|\u202eabc|👩‍👩‍👧|\ufeff|\u2028|\x85"
TEXT = st.lists(
    st.sampled_from(NASTY.split("|")) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=4
).map("".join)
FILLED = TEXT.filter(lambda text: text.strip())
SCALAR = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
ANSWER = st.builds(
    lambda annotator, kind, label, seconds, note: ExchangedAnswer(
        annotator, kind, label if kind == "label" else None, "2026-11-23T12:37:59.842Z", seconds, note
    ),
    st.sampled_from(["ann", "1", "bob@example.org", "007", "=cmd"]),
    st.sampled_from(list(AnswerKind)),
    st.sampled_from(NAMES),
    st.none() | st.floats(0, 1e6),
    TEXT,
)
SUGGESTION = st.builds(ExchangedSuggestion, st.sampled_from(NAMES), st.none() | st.floats(0, 1), TEXT)
META = st.dictionaries(
    st.sampled_from(["year", "id", "text", "label", "text_pair", "ref", "status", "data", "annotator", "fields"])
    | st.sampled_from(["x.suggestion", "x.responses", "nearmiss_x", "meta.id.", "annotation_id", "lead_time"])
    | TEXT,
    FILLED,
    max_size=4,
)
PROVENANCE = st.dictionaries(
    st.sampled_from(["source", "strategy", "score", "model_version", "neighbors", "suggestion_visible"]), SCALAR
)
ITEM = st.builds(
    ExchangedItem,
    st.none() | FILLED,
    FILLED,
    st.none() | FILLED,
    META,
    st.none() | st.sampled_from(NAMES),
    st.lists(ANSWER, max_size=3).map(tuple),
    st.none() | SUGGESTION,
    PROVENANCE,
)
ITEMS = st.lists(ITEM, min_size=1, max_size=4)
FILES = {
    "csv": "a.csv",
    "tsv": "a.tsv",
    "jsonl": "a.jsonl",
    "parquet": "a.parquet",
    "huggingface": "folder",
    "label-studio": "a.json",
    "argilla": "a.json",
}


def known(item):
    """None is what is not there."""
    return replace(item, provenance={key: value for key, value in item.provenance.items() if value is not None})


def there_and_back(items, tmp_path, form, name=None):
    path = tmp_path / (name or FILES[form])
    write_items(items, path, form=form, label_names=NAMES, overwrite=True)
    imported = read_items(path)
    assert imported.form == form
    return imported


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "huggingface"])
@given(items=ITEMS)
@MANY
def test_tables_carry_everything(tmp_path, form, items):
    assert there_and_back(items, tmp_path, form).items == tuple(map(known, items))


def carried_by_json(item):
    """Where the answers agree, that is the label, whatever it was before."""
    labels = {answer.label for answer in item.answers} - {None}
    return replace(known(item), label=labels.pop() if len(labels) == 1 and item.label is None else item.label)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@given(items=ITEMS)
@MANY
def test_argilla_carries_all_but_a_label_against_the_answers(tmp_path, name, items):
    def carried(item):
        labels = {answer.label for answer in item.answers} - {None}
        return replace(known(item), label=labels.pop() if len(labels) == 1 else item.label)

    assert there_and_back(items, tmp_path, "argilla", name).items == tuple(map(carried, items))


@given(items=ITEMS)
@MANY
def test_label_studio_carries_all_but_a_label_withheld(tmp_path, items):
    found = there_and_back(items, tmp_path, "label-studio").items
    assert found == tuple(map(carried_by_json, items))


@pytest.mark.parametrize("form", FORMS)
def test_a_text_full_of_nothing(tmp_path, form):
    item = ExchangedItem("1", "a" + "\0" * 10_000)
    assert there_and_back([item], tmp_path, form).items == (item,)


def test_types_come_back(tmp_path):
    provenance = {
        "score": -5,
        "seconds": 2.0,
        "suggestion_visible": True,
        "model_version": "-5",
        "note": "",
        "x": "TRUE",
    }
    item = ExchangedItem("1", "good", provenance=provenance)
    for form in FORMS:
        [back] = there_and_back([item], tmp_path, form).items
        assert back.provenance == provenance, form
        assert {key: type(value) for key, value in back.provenance.items()} == {
            key: type(value) for key, value in provenance.items()
        }, form


@pytest.mark.parametrize("form", FORMS)
def test_numbers_that_are_none_are_left_out(tmp_path, form):
    item = ExchangedItem("1", "good", provenance={"score": math.nan, "other": math.inf, "source": "model"})
    [back] = there_and_back([item], tmp_path, form).items
    assert back.provenance == {"source": "model"}


@pytest.mark.parametrize("form", FORMS)
def test_half_a_character_is_refused_and_leaves_nothing(tmp_path, form):
    with pytest.raises(InvalidInput, match="half a character"):
        there_and_back([ExchangedItem("1", "good \ud83d")], tmp_path, form)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMS)
def test_no_items_and_names_that_do_not_fit(tmp_path, form):
    with pytest.raises(InvalidInput, match="no items"):
        there_and_back([], tmp_path, form)
    if form != "huggingface":
        with pytest.raises(InvalidInput, match="should end in"):
            there_and_back([ExchangedItem("1", "a")], tmp_path, form, "a.docx")
    with pytest.raises(InvalidInput, match="provenance key 'answers'"):
        there_and_back([ExchangedItem("1", "a", provenance={"answers": 1})], tmp_path, form)
    with pytest.raises(InvalidInput, match="there is no folder"):
        write_items([ExchangedItem("1", "a")], tmp_path / "absent" / FILES[form], form=form, label_names=())


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_is_kept_unless_asked(tmp_path, form):
    path = tmp_path / FILES[form]
    write_items([ExchangedItem("1", "first")], path, form=form, label_names=NAMES)
    with pytest.raises(InvalidInput, match=r"exists already.*--overwrite"):
        write_items([ExchangedItem("1", "second")], path, form=form, label_names=NAMES)
    assert read_items(path).items[0].text == "first"
    write_items([ExchangedItem("1", "second")], path, form=form, label_names=NAMES, overwrite=True)
    assert read_items(path).items[0].text == "second"
    assert [file.name for file in tmp_path.iterdir()] == [FILES[form]]


@pytest.mark.parametrize("form", FORMS)
def test_labels_are_declared_or_those_that_occur(tmp_path, form):
    items = [ExchangedItem("1", "a", label="pos"), ExchangedItem("2", "b")]
    assert there_and_back(items, tmp_path, form).label_names == (tuple(NAMES) if form == "huggingface" else ("pos",))


def test_rows_emptied_in_a_spreadsheet(tmp_path):
    path = tmp_path / "a.csv"
    write_items([ExchangedItem("1", "a"), ExchangedItem("2", "b")], path, label_names=())
    path.write_text(path.read_text().replace("2,b", "2,"))
    with pytest.raises(InvalidInput, match="no text in row 2 of 2"):
        read_items(path)
    imported = read_items(path, on_missing="drop")
    assert [item.ref for item in imported.items] == ["1"]
    assert imported.notes == ("1 of 2 rows have no text and are left out",)


def test_a_spreadsheet_may_save_with_other_separators_and_line_ends(tmp_path):
    path = tmp_path / "a.csv"
    items = [ExchangedItem("1", "=a", answers=(ExchangedAnswer("ann", AnswerKind.SKIP),), provenance={"b": True})]
    write_items(items, path, label_names=())
    lines = path.read_text().replace(",", ";").replace(";true;", ";TRUE;").splitlines()
    answers = json.dumps(json.dumps([{"annotator": "ann", "kind": "skip"}])).replace('\\"', '""')
    path.write_text("\ufeff" + "\r\n".join([lines[0], f"1;'=a;;TRUE;{answers}"]), encoding="utf-8")
    assert read_items(path).items == tuple(items)


@pytest.mark.parametrize("form", ["csv", "label-studio", "argilla"])
def test_many_items_take_a_moment(tmp_path, form):
    answer = ExchangedAnswer("ann", AnswerKind.LABEL, "pos", "2026-11-23T12:37:59.842Z", 2.5)
    provenance = {"source": "model", "score": 0.25, "annotator": "ann"}
    items = [
        ExchangedItem(str(i), f"film {i}", None, {"year": "1999"}, "pos", (answer,), None, provenance)
        for i in range(5_000)
    ]
    started = time.process_time()
    assert there_and_back(items, tmp_path, form).items == tuple(items)
    assert time.process_time() - started < 20  # about a second; quadratic work would take hours
