import json

import pytest

from nearmiss.errors import InvalidData
from nearmiss.text.json_rows import parse_json


def rows(content):
    return parse_json(content, "f.jsonl").table.to_pylist()


def test_lines_and_array_agree():
    items = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    assert rows("\n".join(json.dumps(item) for item in items)) == rows(json.dumps(items, indent=2)) == items


def test_blank_lines_and_carriage_returns():
    assert rows('{"text": "a"}\r\n\r\n{"text": "b"}\r\n') == [{"text": "a"}, {"text": "b"}]


def test_line_separators_inside_strings_end_no_line():
    assert rows('{"text": "a\u2028b\x85c"}') == [{"text": "a\u2028b\x85c"}]


def test_missing_keys_are_null():
    assert rows('{"text": "a"}\n{"text": "b", "label": 1}') == [
        {"text": "a", "label": None},
        {"text": "b", "label": 1},
    ]


def test_dates_and_nested_values_are_carried_as_they_are():
    item = {"text": "a", "date": "2024-01-02", "meta": {"tags": ["x", "y"], "n": 1.5}}
    assert rows(json.dumps(item)) == [item]


def test_mixed_kinds_become_text_and_it_is_told():
    parsed = parse_json(
        '{"text": "a", "label": 1}\n{"text": "b", "label": "x"}\n{"text": "c", "label": {"k": [1]}}', "f"
    )
    assert parsed.table["label"].to_pylist() == ["1", "x", '{"k": [1]}']
    assert parsed.notes == ("column 'label' holds values of different kinds; they are read as text",)


def test_truth_values_do_not_become_numbers():
    assert parse_json('{"y": 1.5}\n{"y": true}', "f").table["y"].to_pylist() == ["1.5", "true"]


def test_large_integers_survive():
    assert rows('{"id": 1180591620717411303424}') == [{"id": "1180591620717411303424"}]


@pytest.mark.parametrize("content", ["", "\n \n", "[]"])
def test_no_rows(content):
    with pytest.raises(InvalidData, match="holds no rows"):
        rows(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"text": "b"', r"line 2: not valid JSON"),
        ('{"text": "a"}\n\n{"text": b}', r"line 3: not valid JSON"),
        ('{\n  "text": "a"\n}\n', r"line 1: not valid JSON"),
        ('{"text": "a"}\n[1, 2]', r"line 2: expected an object .* found an array"),
        ("3\n", r"line 1: expected an object .* found a number"),
        ('"a"\n', r"line 1: expected an object .* found a string"),
        ('[{"text": "a"}, null]', r"object 2: expected an object .* found null"),
        ('[{"text": "a"},\n {"text": }]', r"f\.jsonl: not valid JSON .* line 2"),
        ("[" * 100_000, "cannot be read"),
        ('{"id": ' + "1" * 5000 + "}", "line 1: JSON that cannot be read"),
    ],
)
def test_broken_content_is_placed(content, message):
    with pytest.raises(InvalidData, match=message):
        rows(content)


def test_half_a_surrogate_pair_is_placed():
    with pytest.raises(InvalidData, match=r"line 2: column 'text' holds \\ud83d, half of a character"):
        rows('{"text": "a"}\n{"text": "b \\ud83d"}')


def test_whole_surrogate_pairs_are_one_character():
    assert rows('{"text": "\\ud83d\\ude00"}') == [{"text": "😀"}]
