import datetime
import json
import stat

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.text.tables import read_table
from nearmiss.text.writers import check_writable, write_table

TABLE = pa.table({"text": ['say "hi", you', "two\r\nlines", ""], "n": [1, None, 3]})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_csv_quotes_only_what_needs_it(tmp_path):
    write_table(TABLE, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b'text,n\n"say ""hi"", you",1\n"two\r\nlines",\n,3\n'


def test_a_lone_carriage_return_stays_inside_its_row(tmp_path):
    write_table(pa.table({"text": ["a\rb"], "n": ["1"]}), tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv").table.to_pylist() == [{"text": "a\rb", "n": "1"}]


def test_a_lone_empty_cell_is_no_blank_line(tmp_path):
    write_table(pa.table({"text": ["a", "", "b"]}), tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv").table["text"].to_pylist() == ["a", "", "b"]


def test_json_lines_keep_types_and_know_no_nan(tmp_path):
    table = pa.table({"text": ["é"], "n": [1], "x": [float("nan")], "m": [{"k": [1.5, None]}], "b": [True]})
    write_table(table, tmp_path / "a.jsonl")
    content = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert json.loads(content) == {"text": "é", "n": 1, "x": None, "m": {"k": [1.5, None]}, "b": True}
    assert "é" in content


def test_nested_and_typed_cells_in_csv(tmp_path):
    table = pa.table({"m": [{"k": [1]}], "b": [True], "d": [datetime.date(2024, 1, 2)]})
    write_table(table, tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv").table.to_pylist() == [{"m": '{"k": [1]}', "b": "true", "d": "2024-01-02"}]


def test_parquet_keeps_types_and_metadata(tmp_path):
    table = TABLE.replace_schema_metadata({"huggingface": "{}"})
    write_table(table, tmp_path / "a.parquet")
    assert parquet.read_table(tmp_path / "a.parquet").equals(table, check_metadata=True)


def test_an_existing_file_is_kept_unless_asked(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("precious")
    with pytest.raises(InvalidInput, match=r"exists already.*--overwrite"):
        write_table(TABLE, path)
    assert path.read_text() == "precious"
    write_table(TABLE, path, overwrite=True)
    assert path.read_text().startswith("text,n")
    assert names(tmp_path) == ["a.csv"]


def test_a_failure_half_way_leaves_nothing_behind(tmp_path):
    unwritable = pa.table({"empty": pa.array([{}], pa.struct([]))})  # Parquet has no such column
    with pytest.raises(InvalidData, match="cannot be written"):
        write_table(unwritable, tmp_path / "a.parquet")
    assert names(tmp_path) == []
    (tmp_path / "a.parquet").write_text("precious")
    with pytest.raises(InvalidData, match="cannot be written"):
        write_table(unwritable, tmp_path / "a.parquet", overwrite=True)
    assert (tmp_path / "a.parquet").read_text() == "precious"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "a.jsonl"
    table = TABLE

    class Racing:
        """A table during whose writing another program takes the name."""

        column_names = table.column_names

        def to_batches(self, max_chunksize):
            path.write_text("precious")
            return table.to_batches(max_chunksize)

    with pytest.raises(InvalidInput, match="exists already"):
        write_table(Racing(), path)
    assert path.read_text() == "precious"
    assert names(tmp_path) == ["a.jsonl"]


def test_links_are_followed(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_table(TABLE, tmp_path / "link.csv", overwrite=True)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("text,n")


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    write_table(TABLE, tmp_path / "a.csv")
    mode = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.csv")]
    assert mode[0] == mode[1]


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(InvalidInput, match=r"should end in \.csv"):
        check_writable(tmp_path / "a.xlsx")
    with pytest.raises(InvalidInput, match="there is no folder"):
        check_writable(tmp_path / "absent" / "a.csv")
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(InvalidInput, match="is a folder"):
        write_table(TABLE, tmp_path / "b.csv", overwrite=True)
