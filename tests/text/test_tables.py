import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.text.tables import read_table

TABLE = pa.table({"text": ["naïve", "日本"], "label": [0, 1]})
CSV = "text,label\nnaïve,0\n日本,1\n"


def test_binary_formats_agree(tmp_path):
    parquet.write_table(TABLE, tmp_path / "a.parquet")
    feather.write_feather(TABLE, tmp_path / "a.feather", compression="zstd")
    with ipc.new_file(tmp_path / "file.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE)
    with ipc.new_stream(tmp_path / "stream.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE)
    for name in ("a.parquet", "a.feather", "file.arrow", "stream.arrow"):
        assert read_table(tmp_path / name).table.equals(TABLE), name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_decide(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(CSV.encode(encoding))
    assert read_table(tmp_path / "a.csv").table["text"].to_pylist() == ["naïve", "日本"]
    assert read_table(tmp_path / "a.csv").table.column_names == ["text", "label"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_mark_is_recognised_and_can_be_named(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nnaive,0\n".encode(encoding))
    with pytest.raises(InvalidData, match=r"NUL bytes.*--encoding utf-16-le"):
        read_table(path)
    assert read_table(path, encoding=encoding).table["text"].to_pylist() == ["naive"]


def test_latin_1_names_line_and_byte_and_the_mend(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nplain,0\nnaïve,0\n".encode("latin-1"))
    with pytest.raises(InvalidData, match=r"line 3: byte 0xef at offset 21 is not UTF-8.*--encoding latin-1"):
        read_table(path)
    assert read_table(path, encoding="latin-1").table["text"].to_pylist() == ["plain", "naïve"]


def test_wrong_and_unknown_encodings(tmp_path):
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    with pytest.raises(InvalidData, match="is not ASCII"):
        read_table(tmp_path / "a.csv", encoding="ascii")
    with pytest.raises(InvalidInput, match="no encoding named 'utf-9'"):
        read_table(tmp_path / "a.csv", encoding="utf-9")


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n"])
def test_impossible_delimiters(tmp_path, delimiter):
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    with pytest.raises(InvalidInput, match="delimiter"):
        read_table(tmp_path / "a.csv", delimiter=delimiter)


def test_tsv_takes_the_tab_even_when_the_header_has_commas(tmp_path):
    (tmp_path / "a.tsv").write_text("text, long, really\tlabel\na\t1\n")
    assert read_table(tmp_path / "a.tsv").table.column_names == ["text, long, really", "label"]


def test_gzip(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "a.JSONL.GZ").write_bytes(gzip.compress(b'{"text": "a"}\n'))
    assert read_table(tmp_path / "a.csv.gz").table.num_rows == 2
    assert read_table(tmp_path / "a.JSONL.GZ").table.to_pylist() == [{"text": "a"}]
    for broken in (gzip.compress(CSV.encode())[:-12], b"not gzip at all"):
        (tmp_path / "b.csv.gz").write_bytes(broken)
        with pytest.raises(InvalidData, match="not a whole gzip file"):
            read_table(tmp_path / "b.csv.gz")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.arrow", "a.csv.gz"])
def test_zero_bytes(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InvalidData, match="is empty"):
        read_table(tmp_path / name)


def test_truncated_binary_files(tmp_path):
    parquet.write_table(TABLE, tmp_path / "a.parquet")
    feather.write_feather(TABLE, tmp_path / "a.arrow")
    with ipc.new_stream(tmp_path / "stream.arrow", TABLE.schema) as writer:
        writer.write_table(TABLE)
    for name in ("a.parquet", "a.arrow", "stream.arrow"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InvalidData, match="is not a whole"):
            read_table(tmp_path / name)


def test_text_under_a_binary_name(tmp_path):
    for name in ("a.parquet", "a.feather"):
        (tmp_path / name).write_text(CSV, encoding="utf-8")
        with pytest.raises(InvalidData, match="is not a whole"):
            read_table(tmp_path / name)


def test_binary_table_without_rows_or_with_a_name_twice(tmp_path):
    parquet.write_table(TABLE.slice(0, 0), tmp_path / "a.parquet")
    with pytest.raises(InvalidData, match=r"holds columns \(text, label\) but no rows"):
        read_table(tmp_path / "a.parquet")
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    feather.write_feather(twice, tmp_path / "b.arrow")
    with pytest.raises(InvalidData, match="'text' occurs twice"):
        read_table(tmp_path / "b.arrow")


def test_objects_without_keys(tmp_path):
    (tmp_path / "a.jsonl").write_text("{}\n{}\n")
    with pytest.raises(InvalidData, match="no rows"):
        read_table(tmp_path / "a.jsonl")


def test_paths_that_are_no_readable_file(tmp_path):
    with pytest.raises(InvalidData, match="no such file"):
        read_table(tmp_path / "absent.csv")
    (tmp_path / "a.docx").touch()
    with pytest.raises(InvalidData, match=r"should end in one of \.csv"):
        read_table(tmp_path / "a.docx")
    Path(tmp_path, "folder.csv").mkdir()
    with pytest.raises(InvalidData, match="cannot be read: Is a directory"):
        read_table(tmp_path / "folder.csv")
