import csv

import pytest

from nearmiss.errors import InvalidData
from nearmiss.text.delimited import parse_delimited


def rows(content, delimiter=None):
    return parse_delimited(content, "f.csv", delimiter).table.to_pylist()


def test_cells_stay_the_strings_they_are():
    assert rows("text,zip,flag\nNA,007,true\n") == [{"text": "NA", "zip": "007", "flag": "true"}]


def test_quoted_newlines_quotes_and_delimiters():
    assert rows('text,label\n"a, ""b""\r\nc",1\n') == [{"text": 'a, "b"\r\nc', "label": "1"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end):
    assert rows(end.join(["text,label", "a,1", "b,2"]) + end) == [
        {"text": "a", "label": "1"},
        {"text": "b", "label": "2"},
    ]


@pytest.mark.parametrize(("delimiter", "word"), [(";", "semicolon"), ("\t", "tab"), ("|", "pipe")])
def test_delimiter_is_sniffed_from_the_header_and_told(delimiter, word):
    parsed = parse_delimited(f"text{delimiter}label\na, b, c{delimiter}1\n", "f.csv")
    assert parsed.table.to_pylist() == [{"text": "a, b, c", "label": "1"}]
    assert parsed.notes == (f"columns are separated by {word}s (guessed)",)


def test_delimiters_inside_a_quoted_header_do_not_count():
    assert rows('"a;b;c",label\nx,1\n') == [{"a;b;c": "x", "label": "1"}]


def test_a_single_column_needs_no_delimiter():
    assert rows("text\nwell; well\n") == [{"text": "well; well"}]


def test_blank_lines_are_no_rows():
    assert len(rows("\ntext,label\n\na,1\n\n\nb,2\n\n")) == 2


@pytest.mark.parametrize("content", ["", "\n\n", "\r\n"])
def test_empty(content):
    with pytest.raises(InvalidData, match=r"f\.csv is empty"):
        rows(content)


def test_header_only():
    with pytest.raises(InvalidData, match=r"a header \(text, label\) but no rows"):
        rows("text,label\n")


def test_ragged_row_is_named_by_row_and_line():
    content = 'text,label\n"two\nlines",1\na, b,2\nc\n'
    with pytest.raises(InvalidData, match=r"row 2 \(line 4\) has 3 fields, the header has 2.*\(1 more rows like it\)"):
        rows(content)


def test_column_name_twice():
    with pytest.raises(InvalidData, match="'text' occurs twice"):
        rows("text,text\na,b\n")


def test_unnamed_columns_get_a_number():
    assert rows(",text,\n0,a,\n") == [{"column 1": "0", "text": "a", "column 3": ""}]


def test_a_text_in_place_of_the_header():
    with pytest.raises(InvalidData, match="looks like data"):
        rows("word " * 60 + ",1\nshort,2\n")


def test_unclosed_quote_names_the_line_it_opens_on():
    with pytest.raises(InvalidData, match="line 3: a quote is opened and never closed"):
        rows('text,label\na,1\n"b,2\nc,3\n')


def test_stray_quote_is_refused_not_dropped():
    with pytest.raises(InvalidData, match="line 2: text follows a closing quote"):
        rows('text,label\n"good" film,1\n')


def test_unquoted_tsv_keeps_its_quotes():
    parsed = parse_delimited('text\tlabel\n"good" film\t1\n"open\t0\n', "f.tsv", "\t")
    assert parsed.table["text"].to_pylist() == ['"good" film', '"open']
    assert "quotes are read as part of the text" in parsed.notes[0]


def test_quoted_tsv_is_unquoted():
    parsed = parse_delimited('text\tlabel\n"a\tb"\t1\n', "f.tsv", "\t")
    assert parsed.table["text"].to_pylist() == ["a\tb"]
    assert parsed.notes == ()


def test_texts_beyond_the_parsers_limit_and_the_limit_is_put_back():
    before = csv.field_size_limit()
    long = "x" * (before + 10)
    assert rows(f"text,label\n{long},1\n")[0]["text"] == long
    assert csv.field_size_limit() == before
