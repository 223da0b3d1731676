import json

import pyarrow as pa
import pytest

from nearmiss.errors import InvalidData
from nearmiss.text.labels import declared_names, encode_labels


def encoded(values, names=None):
    result = encode_labels(values, names, "f.csv")
    return result.ids.tolist(), result.names


@pytest.mark.parametrize(
    ("values", "ids", "names"),
    [
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        ([" b", "a ", "b"], [1, 0, 1], ("a", "b")),
        ([0, 2, 1], [0, 2, 1], ("0", "1", "2")),
        ([10, 9, 100], [1, 0, 2], ("9", "10", "100")),
        ([-1, 1], [0, 1], ("-1", "1")),
        (["10", "9", "100"], [1, 0, 2], ("9", "10", "100")),
        (["1.0", "0.0", ""], [1, 0, -1], ("0", "1")),
        ([1.0, 0.0, float("nan")], [1, 0, -1], ("0", "1")),
        ([True, False, None], [1, 0, -1], ("false", "true")),
        (["a", "7"], [1, 0], ("7", "a")),
        ([None, "  "], [-1, -1], ()),
        (["12345678901234567890", "12345678901234567891"], [0, 1], ("12345678901234567890", "12345678901234567891")),
    ],
)
def test_undeclared(values, ids, names):
    assert encoded(values) == (ids, names)


@pytest.mark.parametrize(
    ("values", "names", "ids"),
    [
        (["pos", "neg"], ("neg", "pos"), [1, 0]),
        ([1, 0, -1], ("neg", "pos"), [1, 0, -1]),
        (["1", "0.0", "-1", ""], ("neg", "pos"), [1, 0, -1, -1]),
        ([3, 1], ("1", "2", "3"), [2, 0]),  # numbers among the names are names, not positions
        ([-1, 1], ("-1", "1"), [0, 1]),
        ([-1, 1], ("0", "1"), [-1, 1]),
    ],
)
def test_declared(values, names, ids):
    assert encoded(values, names) == (ids, names)


def test_undeclared_label_is_placed_and_the_nearest_named():
    with pytest.raises(
        InvalidData, match=r"f\.csv: row 2: label 'postive' is not among .*negative, positive.*'positive'"
    ):
        encoded(["negative", "postive"], ("negative", "positive"))


@pytest.mark.parametrize("value", [2, -2, "2"])
def test_id_beyond_the_names(value):
    with pytest.raises(InvalidData, match=f"label '{value}' is not among the declared names"):
        encoded([value], ("negative", "positive"))


def test_long_lists_of_names_are_cut():
    with pytest.raises(InvalidData, match="and 80 more"):
        encoded(["x"], tuple(f"n{i}" for i in range(100)))


def test_what_cannot_be_a_label():
    with pytest.raises(InvalidData, match=r"row 2: label 0\.5 is a fraction"):
        encoded([1.0, 0.5])
    with pytest.raises(InvalidData, match="row 1: the label is a list"):
        encoded([["a", "b"]])
    with pytest.raises(InvalidData, match="declared twice"):
        encoded(["a"], ("a", "a "))


def test_names_that_differ_in_case_are_told():
    assert encode_labels(["Pos", "pos"], None, "f").notes == (
        "labels 'Pos' and 'pos' differ only in case and count as two classes",
    )


FEATURES = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}


def test_declarations_and_their_order(tmp_path):
    plain = pa.schema([("label", pa.int64())])
    assert declared_names(plain, "label", tmp_path) is None
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    assert declared_names(plain, "label", tmp_path) == ("neg", "pos")
    assert declared_names(plain, "text", tmp_path) is None
    (tmp_path / "README.md").write_text(
        '# x\n```json\n{"other": 1}\n```\n\n```json\r\n{"label_names": ["a", "b"]}\r\n```\n'
    )
    assert declared_names(plain, "label", tmp_path) == ("a", "b")
    marked = plain.with_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})
    assert declared_names(marked, "label", tmp_path) == ("neg", "pos")


def test_declarations_of_other_make_are_passed_over(tmp_path):
    (tmp_path / "README.md").write_bytes(b"```json\n{broken\n```\n\xff\n```json\n[1]\n```")
    (tmp_path / "dataset_info.json").write_text("[]")
    assert declared_names(pa.schema([]).with_metadata({"huggingface": "{"}), "label", tmp_path) is None


def test_a_declaration_that_is_no_list_of_names(tmp_path):
    (tmp_path / "README.md").write_text('```json\n{"label_names": {"a": 0}}\n```')
    with pytest.raises(InvalidData, match="must be a list of strings"):
        declared_names(pa.schema([]), "label", tmp_path)
