import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidData, ModelUnavailable, UnknownName
from nearmiss.text.readers import read_corpus
from nearmiss.text.writers import write_table


@pytest.fixture
def write(tmp_path):
    def _write(content, name="pool.csv"):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", newline="")
        return path

    return _write


def test_everything_is_aligned_and_carried(write):
    file = read_corpus(write("id,sentence,mood,extra\nx7,good,pos,1\nx3,bad,neg,2\n"), label_column="mood")
    assert file.corpus.name == "pool"
    assert file.corpus.texts.first == ("good", "bad")
    assert file.corpus.labels is not None
    assert file.corpus.labels.tolist() == file.label_ids.tolist() == [1, 0]
    assert file.corpus.label_names == ("neg", "pos")
    assert file.row_ids == ("x7", "x3")
    assert file.row_numbers.tolist() == [1, 2]
    assert file.table.column_names == ["id", "sentence", "mood", "extra"]
    assert file.notes == ("text column: 'sentence' (guessed)", "id column: 'id' (guessed)")


def test_take_keeps_rows_together(write):
    file = read_corpus(write("text,label,extra\na,x,1\nb,y,2\nc,x,3\n")).take([2, 0])
    assert file.corpus.texts.first == ("c", "a")
    assert file.label_ids.tolist() == [0, 0]
    assert file.row_ids == ("3", "1")
    assert file.table["extra"].to_pylist() == ["3", "1"]
    assert len(file.take([])) == 0


def test_pairs(write):
    file = read_corpus(write("premise,hypothesis,label\na,b,0\nc,d,1\n"))
    assert file.corpus.texts.second == ("b", "d")


def test_partly_labelled_files_are_split(write):
    file = read_corpus(write("text,label\na,x\nb,\nc,y\nd, \n"))
    assert file.corpus.labels is None
    assert file.corpus.label_names == ("x", "y")
    assert file.notes[-1] == "2 of 4 rows have a label"
    labeled, unlabeled = file.labeled(), file.unlabeled()
    assert labeled.corpus.gold().tolist() == [0, 1]
    assert labeled.row_ids == ("1", "3")
    assert unlabeled.corpus.labels is None
    assert unlabeled.corpus.texts.first == ("b", "d")


def test_required_labels_name_the_rows_that_lack_one(write):
    path = write("text,label\na,x\nb,\nc,y\nd,\n")
    with pytest.raises(InvalidData, match=r"column 'label' has no label in rows 2, 4; add them"):
        read_corpus(path, labels="required")


def test_labels_can_be_ignored_or_absent(write):
    path = write("text,label\na,x\nb,y\n")
    assert read_corpus(path, labels="ignored").corpus.labels is None
    assert read_corpus(write("text\na\n", "b.csv")).corpus.labels is None
    with pytest.raises(InvalidData, match="no label column found"):
        read_corpus(write("text\na\n", "b.csv"), labels="some")


def test_declared_names_win_over_what_occurs(write):
    path = write("text,label\na,pos\nb,pos\n")
    assert read_corpus(path, label_names=["pos", "neg"]).corpus.label_names == ("pos", "neg")
    with pytest.raises(InvalidData, match=r"pool\.csv: column 'label': row 1: label 'pos' is not among"):
        read_corpus(path, label_names=["positive", "negative"])


def test_names_beside_the_file(write):
    write('```json\n{"label_names": ["neg", "pos"]}\n```\n', "README.md")
    file = read_corpus(write("text,label\na,1\nb,0\n"))
    assert file.corpus.label_names == ("neg", "pos")
    assert file.corpus.gold().tolist() == [1, 0]
    path = write("text,label\na,good\n", "other.csv")
    with pytest.raises(InvalidData, match=r"label 'good' is not among .*beside it; label_names overrides them"):
        read_corpus(path)
    assert read_corpus(path, label_names=["good"]).corpus.label_names == ("good",)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", 'text,label\na,1\n"",1\n   ,1\nb,0\n'),
        ("p.jsonl", '{"text": "a", "label": 1}\n{"text": null, "label": 1}\n{"label": 1}\n{"text": "b", "label": 0}\n'),
    ],
)
def test_missing_texts_are_an_error_or_dropped(write, name, content):
    path = write(content, name)
    with pytest.raises(InvalidData, match=r"column 'text' has no text in rows 2, 3 of 4;.*--on-missing drop"):
        read_corpus(path)
    file = read_corpus(path, on_missing="drop")
    assert file.corpus.texts.first == ("a", "b")
    assert file.row_numbers.tolist() == [1, 4]
    assert file.row_ids == ("1", "4")
    assert file.table.num_rows == 2
    assert "2 of 4 rows have no text and are left out" in file.notes


def test_many_missing_rows_are_counted_not_listed(write):
    path = write("text,label\n" + "x,1\n" + ",1\n" * 20)
    with pytest.raises(InvalidData, match=r"rows 2, 3, 4, 5, 6, 7, 8, 9 and 12 more of 21"):
        read_corpus(path)


def test_a_column_without_any_text(write):
    path = write('{"text": null, "x": 1}\n{"text": "  ", "x": 2}', "p.jsonl")
    with pytest.raises(InvalidData, match="no row has text in column 'text'"):
        read_corpus(path, on_missing="drop")


def test_the_partner_can_be_what_is_missing(write):
    path = write("question1,question2\na,b\nc,\n")
    with pytest.raises(InvalidData, match="column 'question2' has no text in row 2"):
        read_corpus(path)
    assert read_corpus(path, on_missing="drop").corpus.texts.second == ("b",)


def test_a_dropped_row_declares_no_class(write):
    file = read_corpus(write("text,label\na,x\nb,y\n,z\n"), on_missing="drop")
    assert file.corpus.label_names == ("x", "y")


def test_ids_that_repeat_fall_back_to_numbers_unless_named(write):
    path = write("id,text\n7,a\n7,b\n")
    assert read_corpus(path).row_ids == ("1", "2")
    with pytest.raises(InvalidData, match="column 'id' does not name each row once"):
        read_corpus(path, id_column="id")


def test_numbers_as_texts_when_named(write):
    assert read_corpus(write("n,label\n12,a\n13,b\n"), text_column="n").corpus.texts.first == ("12", "13")


def test_mixed_json_texts_are_told(write):
    file = read_corpus(write('{"text": "a"}\n{"text": 12}\n', "p.jsonl"))
    assert file.corpus.texts.first == ("a", "12")
    assert "column 'text' holds values of different kinds; they are read as text" in file.notes


def test_dictionary_encoded_columns(tmp_path):
    table = pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode(), "label": [0, 1, 0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    file = read_corpus(tmp_path / "a.parquet")
    assert file.corpus.texts.first == ("a", "b", "a")
    assert file.corpus.gold().dtype == np.int64


def test_names_from_parquet_metadata(tmp_path):
    features = {"label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    table = pa.table({"text": ["a", "b"], "label": [1, -1]})
    marked = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(marked, tmp_path / "a.parquet")
    file = read_corpus(tmp_path / "a.parquet")
    assert file.corpus.label_names == ("neg", "pos")
    assert file.label_ids.tolist() == [1, -1]


def test_invalid_utf_8_in_a_binary_file(tmp_path):
    column = pa.StringArray.from_buffers(
        1, pa.py_buffer(np.array([0, 2], dtype=np.int32).tobytes()), pa.py_buffer(b"\xff\xfe")
    )
    parquet.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    with pytest.raises(InvalidData, match="column 'text' holds bytes that are not UTF-8"):
        read_corpus(tmp_path / "a.parquet")


def test_what_is_no_file(tmp_path):
    with pytest.raises(InvalidData, match=r"no such file: .*absent.csv"):
        read_corpus(tmp_path / "absent.csv")
    for name in ("absent.csv", "./absent", "some/where/absent"):
        with pytest.raises(InvalidData, match="no such file"):
            read_corpus(name)
    with pytest.raises(InvalidData, match="is a folder, not a file; it holds no file that can be read"):
        read_corpus(tmp_path)
    (tmp_path / "a.csv").write_text("text\na\n")
    with pytest.raises(InvalidData, match=r"name one of the files in it: a.csv"):
        read_corpus(str(tmp_path))


def test_a_name_of_the_hub_without_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailable, match=r"'nobody/nothing' is not on this machine.*give the path of a file"):
        read_corpus("nobody/nothing")


def test_a_saved_dataset(tmp_path):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    dataset = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features=features).select([2, 0])
    dataset.save_to_disk(tmp_path / "one")
    file = read_corpus(tmp_path / "one")
    assert file.corpus.texts.first == ("c", "a")
    assert file.corpus.label_names == ("neg", "pos")
    assert file.corpus.name == "one"
    DatasetDict(dev=dataset, test=dataset).save_to_disk(tmp_path / "two")
    assert len(read_corpus(tmp_path / "two", split="dev")) == 2
    with pytest.raises(InvalidData, match=r"has the splits dev, test; .*split="):
        read_corpus(tmp_path / "two")
    with pytest.raises(UnknownName, match=r"no split of .* named 'tset'; did you mean 'test'"):
        read_corpus(tmp_path / "two", split="tset")


def test_a_saved_dataset_with_a_file_missing(tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "one")
    next((tmp_path / "one").glob("*.arrow")).unlink()
    with pytest.raises(InvalidData, match="is not a whole saved dataset"):
        read_corpus(tmp_path / "one")


# Every character a file can hold: not halves of surrogate pairs, and no NUL, by which UTF-16 is recognised.
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
texts = cells.filter(lambda text: text.strip())
tables = st.lists(st.tuples(texts, st.sampled_from(["pos", "neg", "other"]), cells), min_size=1, max_size=8)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
@given(rows=tables)
def test_what_is_written_is_read_back(tmp_path_factory, suffix, rows):
    first, labels, extra = (list(column) for column in zip(*rows, strict=True))
    table = pa.table({"text": first, "label": labels, "extra": extra})
    path = tmp_path_factory.mktemp("round") / f"batch{suffix}"
    write_table(table, path)
    file = read_corpus(path)
    assert file.corpus.texts.first == tuple(first)
    assert [file.corpus.label_names[i] for i in file.label_ids] == labels
    assert file.table.to_pydict() == table.to_pydict()


@given(column=st.lists(texts, min_size=1, max_size=8))
def test_a_single_column_is_read_back(tmp_path_factory, column):
    path = tmp_path_factory.mktemp("round") / "batch.csv"
    write_table(pa.table({"text": column}), path)
    assert read_corpus(path, text_column="text").corpus.texts.first == tuple(column)
