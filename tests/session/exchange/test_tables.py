"""Tables of other people, and what is refused in ours."""

import json

import datasets
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import InvalidData, InvalidInput, UnknownName
from nearmiss.session.exchange.forms import read_items, write_items
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem

FILMS = "id,sentence,label,year\n7,good film,pos,1999\n8,bad film,,\n"


def test_a_table(tmp_path):
    (tmp_path / "films.csv").write_text(FILMS)
    imported = read_items(tmp_path / "films.csv")
    assert imported.items == (
        ExchangedItem("7", "good film", meta={"year": "1999"}, label="pos"),
        ExchangedItem("8", "bad film"),
    )
    assert (imported.label_names, imported.form) == (("pos",), "csv")
    assert imported.notes == (
        "text column: 'sentence' (guessed)",
        "label column: 'label' (guessed)",
        "id column: 'id' (guessed)",
        "1 of 2 rows have a label",
    )


def test_named_columns(tmp_path):
    (tmp_path / "a.tsv").write_text("name\tq\ta\tkind\tlabel\nx\twho?\tme\tgood\t3\n")
    options = {"text_column": "q", "pair_column": "a", "label_column": "kind", "id_column": "name"}
    [item] = read_items(tmp_path / "a.tsv", **options).items
    assert item == ExchangedItem("x", "who?", "me", {"label": "3"}, "good")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_json_tables_keep_their_other_columns_as_text(tmp_path, name):
    rows = [{"text": "good", "label": 1, "n": 2, "m": {"k": [1.5]}, "t": True}, {"text": "bad", "label": 0, "n": None}]
    (tmp_path / name).write_text(json.dumps(rows) if name == "a.json" else "\n".join(map(json.dumps, rows)))
    first, second = read_items(tmp_path / name).items
    assert first == ExchangedItem(None, "good", None, {"n": "2", "m": '{"k": [1.5]}', "t": "true"}, "1")
    assert second == ExchangedItem(None, "bad", None, {}, "0")


def test_declared_classes(tmp_path):
    declaration = {"info": {"features": {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}}}
    table = pa.table({"text": ["good"], "label": [1]}).replace_schema_metadata({"huggingface": json.dumps(declaration)})
    parquet.write_table(table, tmp_path / "a.parquet")
    imported = read_items(tmp_path / "a.parquet")
    assert (imported.items[0].label, imported.label_names, imported.form) == ("pos", ("neg", "pos"), "parquet")


def test_ids_that_name_no_row(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n1,b\n")
    imported = read_items(tmp_path / "a.csv")
    assert [(item.ref, item.meta) for item in imported.items] == [(None, {"id": "1"}), (None, {"id": "1"})]
    assert "column 'id' does not name each row once; it is kept beside the text" in imported.notes


def test_rows_without_text(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n2,\n3,c\n")
    with pytest.raises(InvalidData, match="no text in row 2"):
        read_items(tmp_path / "a.csv")
    assert [item.ref for item in read_items(tmp_path / "a.csv", on_missing="drop").items] == ["1", "3"]


def test_encodings(tmp_path):
    (tmp_path / "a.csv").write_bytes("text,label\ncafé,a\n".encode("latin-1"))
    with pytest.raises(InvalidData, match="--encoding latin-1"):
        read_items(tmp_path / "a.csv")
    assert read_items(tmp_path / "a.csv", encoding="latin-1").items[0].text == "café"
    (tmp_path / "a.json").write_bytes(json.dumps([{"data": {"text": "café"}}], ensure_ascii=False).encode("utf-16"))
    assert read_items(tmp_path / "a.json").items[0].text == "café"
    (tmp_path / "b.json").write_bytes(json.dumps([{"data": {"text": "café"}}], ensure_ascii=False).encode("latin-1"))
    assert read_items(tmp_path / "b.json", encoding="latin-1").items[0].text == "café"
    with pytest.raises(InvalidData, match="name its encoding"):
        read_items(tmp_path / "b.json", form="label-studio")
    with pytest.raises(InvalidInput, match="no encoding named 'klingon'"):
        read_items(tmp_path / "b.json", encoding="klingon")


def test_a_saved_dataset(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    datasets.Dataset.from_dict({"text": ["good"], "label": [1]}, features=features).save_to_disk(tmp_path / "saved")
    imported = read_items(tmp_path / "saved")
    assert (imported.items, imported.form) == ((ExchangedItem(None, "good", label="pos"),), "huggingface")


def test_forms_and_files_that_do_not_go_together(tmp_path):
    (tmp_path / "a.csv").write_text(FILMS)
    with pytest.raises(UnknownName, match="no form named 'exel'"):
        read_items(tmp_path / "a.csv", form="exel")
    with pytest.raises(UnknownName, match="did you mean 'argilla'"):
        write_items([ExchangedItem("1", "a")], tmp_path / "b.json", form="argila", label_names=())
    with pytest.raises(InvalidData, match="is a folder"):
        read_items(tmp_path, form="csv")
    with pytest.raises(InvalidData, match="is a folder, not a file"):
        read_items(tmp_path)
    with pytest.raises(InvalidData, match="a huggingface dataset is a folder"):
        read_items(tmp_path / "a.csv", form="huggingface")
    with pytest.raises(InvalidData, match="no such file"):
        read_items(tmp_path / "absent.csv")
    with pytest.raises(InvalidData, match=r"ends in \.json"):
        read_items(tmp_path / "a.csv", form="argilla")
    with pytest.raises(InvalidInput, match=r"for label-studio or argilla"):
        write_items([ExchangedItem("1", "a")], tmp_path / "b.json", label_names=())
    with pytest.raises(InvalidInput, match="does not tell the form"):
        write_items([ExchangedItem("1", "a")], tmp_path / "b", label_names=())


@pytest.mark.parametrize(
    "name, form", [("a.csv", "csv"), ("a.tsv", "tsv"), ("a.ndjson", "jsonl"), ("a.parquet", "parquet")]
)
def test_the_suffix_tells_the_form(tmp_path, name, form):
    write_items([ExchangedItem("1", "a")], tmp_path / name, label_names=())
    imported = read_items(tmp_path / name)
    assert imported.items == (ExchangedItem("1", "a"),)
    assert read_items(tmp_path / name, form="csv").items == imported.items


def test_columns_of_an_export(tmp_path):
    answer = ExchangedAnswer("ann", AnswerKind.LABEL, "pos", seconds=2.5)
    item = ExchangedItem("7", "good", None, {"year": "1999", "text": "x"}, "pos", (answer,), None, {"score": 0.5})
    write_items([item], tmp_path / "a.csv", label_names=["pos"])
    answers = '"[{""annotator"": ""ann"", ""kind"": ""label"", ""label"": ""pos"", ""seconds"": 2.5}]"'
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "id,text,label,year,meta.text.,nearmiss_score,nearmiss_answers",
        f"7,good,pos,1999,x,0.5,{answers}",
    ]


def test_our_own_columns_need_no_names(tmp_path):
    write_items([ExchangedItem("1", "a", meta={"other": "b"})], tmp_path / "a.csv", label_names=())
    imported = read_items(tmp_path / "a.csv", text_column="other")
    assert imported.items[0].text == "a"
    assert "the file is an export of nearmiss: its own columns are used, not those named" in imported.notes


def test_names_too_long_for_a_header(tmp_path):
    item = ExchangedItem("1", "a", meta={"x" * 300: "b"})
    with pytest.raises(InvalidInput, match="a name of 300 characters"):
        write_items([item], tmp_path / "a.csv", label_names=())
    write_items([item], tmp_path / "a.jsonl", label_names=())
    assert read_items(tmp_path / "a.jsonl").items == (item,)


@pytest.mark.parametrize(
    "answers, message",
    [
        ("nonsense", "row 1: nearmiss_answers: not valid JSON"),
        ("{}", "row 1: the answers should be an array of objects"),
        ("[1]", "row 1: the answers should be an array of objects"),
        ('[{"kind": "skip"}]', "row 1: 'annotator' should be a name"),
        ('[{"annotator": "a", "kind": "maybe"}]', "row 1: 'kind' should be one of label, skip, unsure"),
        ('[{"annotator": "a", "kind": "label"}]', "row 1: 'label' should be a label"),
        ('[{"annotator": "a", "kind": "skip", "label": "x"}]', "row 1: 'label' should be missing"),
        ('[{"annotator": "a", "kind": "skip", "seconds": -1}]', "row 1: 'seconds' should be a number of seconds"),
        ('[{"annotator": ["a"], "kind": "skip"}]', "row 1: 'annotator' should be a string"),
    ],
)
def test_answers_that_were_changed(tmp_path, answers, message):
    row = {"id": "1", "text": "a", "label": None, "nearmiss_answers": answers}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    with pytest.raises(InvalidData, match=message):
        read_items(tmp_path / "a.jsonl")


def test_an_export_without_its_texts(tmp_path):
    (tmp_path / "a.csv").write_text("id,nearmiss_answers\n1,[]\n")
    with pytest.raises(InvalidData, match="no column 'text' any more"):
        read_items(tmp_path / "a.csv")


def test_suggestions_that_were_changed(tmp_path):
    for written, message in (("[]", "should be an object"), ("{}", "'label' should be a label")):
        (tmp_path / "a.csv").write_text(f"id,text,nearmiss_suggestion,nearmiss_answers\n1,a,{written},[]\n")
        with pytest.raises(InvalidData, match=message):
            read_items(tmp_path / "a.csv")
