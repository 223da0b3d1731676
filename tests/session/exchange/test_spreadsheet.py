"""No cell of an export does anything when a spreadsheet opens it."""

import csv
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidData
from nearmiss.session.exchange.forms import read_items, write_items
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem, ExchangedSuggestion
from nearmiss.session.exchange.spreadsheet import defused, from_cells, restored, to_cells

TEXT = st.text(st.sampled_from("=+-@\t\r＝＋－＠'\"‘” \n\0\u200ba1e.5") | st.characters(exclude_categories=["Cs"]))
FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    "  =1",
    "\n=1",
    "'=1",
    '"=1',
    "\0=1",
]
FORMULAS += ["\u200b=1", "\ufeff=1", "“=1", '=HYPERLINK("http://example.org";"x")', "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_defused(text):
    assert defused(text) == "'" + text
    assert restored(defused(text)) == text


@pytest.mark.parametrize("text", ["", "a=1", "it's", "'tis", "3-4", "5", "é", "'", "#=1", "(=1)"])
def test_other_texts_are_left_alone(text):
    assert defused(text) == text
    assert restored(text) == text


@given(TEXT)
def test_defusing_can_always_be_undone(text):
    assert restored(defused(text)) == text


def does_something(cell):
    """The obvious check: past blanks and opening quotes other than an apostrophe, the first character is a sign."""
    return re.match(r'[\s"“”\u200b\ufeff\0]*[=+\-@＝＋－＠]', cell) is not None or cell[:1] in ("\t", "\r")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_no_cell_of_an_export_does_anything(tmp_path, name):
    items = [
        ExchangedItem(
            text,
            text,
            text,
            {text: text},
            text,
            (ExchangedAnswer(text, AnswerKind.LABEL, text, note=text),),
            ExchangedSuggestion(text, 0.5, text),
            {"note": text, "score": -5, "seconds": -0.5, "source": "-5"},
        )
        for text in FORMULAS
    ]
    write_items(items, tmp_path / name, label_names=())
    with (tmp_path / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="," if name == "a.csv" else "\t"))
    header = rows[0]
    for row in rows:
        for column, cell in zip(header, row, strict=True):
            if (column, cell) not in (("nearmiss_score", "-5"), ("nearmiss_seconds", "-0.5")):
                assert not does_something(cell), (column, cell)
    assert {row[header.index("nearmiss_score")] for row in rows[1:]} == {"-5"}
    assert read_items(tmp_path / name).items == tuple(items)


def test_other_peoples_apostrophes_stay(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,note\n'=1,'=a,'-5\n=1,=b,-5\n")
    first, second = read_items(tmp_path / "a.csv").items
    assert (first.text, first.label, first.meta) == ("'=1", "'=a", {"note": "'-5"})
    assert (second.text, second.label, second.meta) == ("=1", "=b", {"note": "-5"})


def test_typed_cells_tell_numbers_from_strings():
    values = [5, -5, 0.25, 1e-7, True, False, None]
    strings = ["5", "-5", "1e9", "true", "FALSE", "", '"5"', '"', "five", None]
    table = pa.table({"a": pa.array(strings), "b": pa.array([str(value) for value in strings])})
    assert from_cells(to_cells(table, ["a"]), ["a"], "a.csv")["a"] == strings
    for value in values:
        [back] = from_cells(to_cells(pa.table({"a": [value]}), ["a"]), ["a"], "a.csv")["a"]
        assert (back, type(back)) == (value, type(value))


def test_columns_that_fall_together_once_restored():
    with pytest.raises(InvalidData, match="occurs twice"):
        from_cells(pa.table({"=a": ["x"], "'=a": ["y"]}), [], "a.csv")
