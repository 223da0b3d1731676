"""Pools in shards on the command line: cut, chosen from, refused in a sentence."""

from __future__ import annotations

import csv

import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import InvalidData

TEXTS = [f"{('a good film', 'a bad film', 'a dull book')[i % 3]}, number {i}" for i in range(40)]


def write(path, head, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def pool(tmp_path, nearmiss):
    """Forty texts in shards of fifteen."""
    file = write(tmp_path / "pool.csv", ["key", "body", "year"], [(f"k{i}", t, 2000 + i) for i, t in enumerate(TEXTS)])
    outcome = nearmiss("shard", file, tmp_path / "pool", "--rows", 15, "--text-column", "body", "--id-column", "key")
    assert outcome.code == 0, outcome.err
    assert "40 texts in 3 shards" in outcome.out
    return tmp_path / "pool"


@pytest.fixture
def labels(tmp_path):
    kinds = [(f"k{i}", "book" if i % 3 == 2 else "film") for i in range(9)]
    return write(tmp_path / "labels.csv", ["id", "label"], kinds)


def test_shards_have_ids_texts_and_all_other_columns(pool):
    table = parquet.read_table(pool)
    assert table.column_names == ["id", "text", "year"]
    assert table.column("id").to_pylist() == [f"k{i}" for i in range(40)]
    assert table.column("text").to_pylist() == TEXTS
    assert [parquet.ParquetFile(path).metadata.num_rows for path in sorted(pool.glob("*"))] == [15, 15, 10]


def test_a_batch_comes_out_of_a_folder_of_shards(pool, labels, tmp_path, nearmiss):
    out, work = tmp_path / "next.csv", tmp_path / "work"
    outcome = nearmiss("select", pool, labels, "-n", 5, "--strategy", "cal", "--work-dir", work, "--out", out)
    assert outcome.code == 0, outcome.err
    assert "score: 40 texts" in outcome.err
    chosen = rows(out)
    assert [row["nearmiss_rank"] for row in chosen] == ["1", "2", "3", "4", "5"]
    assert all(int(row["id"][1:]) >= 9 and row["text"] == TEXTS[int(row["id"][1:])] for row in chosen)
    assert all(row["nearmiss_reason"].startswith("nearest labelled: ") for row in chosen)
    again = tmp_path / "again.csv"
    nearmiss("select", labels, "--pool", pool, "-n", 5, "--strategy", "cal", "--work-dir", work, "--out", again)
    assert again.read_bytes() == out.read_bytes()


def test_another_model_is_an_option(pool, labels, tmp_path, nearmiss):
    out = tmp_path / "next.csv"
    options = ("--option", "max-length=16", "--work-dir", tmp_path / "work", "--out", out)
    assert nearmiss("select", pool, labels, "-n", 3, *options).code == 0
    assert len(rows(out)) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--strategy", "typiclust"), "does not work on shards; take one of random"),
        (("--classifier", "tuned"), "does not read shards; take frozen"),
        (("--option", "epochs=3"), "no option for pools in shards named 'epochs'"),
        (("--workers", "2"), "belong to --executor ray"),
        (("--cpus-per-worker", "2"), "belong to --executor ray"),
        (("--option", "max-length=many"), "option max_length of classifier 'frozen' takes"),
        (("-n", "50"), "asked for 50 texts, only 31"),
        (("--executor", "ray", "--address", "127.0.0.1:9"), "no Ray cluster at '127.0.0.1:9'"),
        (("--executor", "ray", "--workers", "0"), "at least one worker"),
    ],
)
def test_refusals_are_one_sentence(pool, labels, tmp_path, nearmiss, arguments, told):
    outcome = nearmiss(
        "select", pool, labels, "-n", 3, "--work-dir", tmp_path / "work", "--out", tmp_path / "next.csv", *arguments
    )
    assert outcome.code == 2
    assert told in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "next.csv").exists()


def test_labels_are_joined_by_id_or_refused(pool, tmp_path, nearmiss):
    def refused(head, *lines):
        file = write(tmp_path / "odd.csv", head, lines)
        outcome = nearmiss("select", pool, file, "-n", 3, "--work-dir", tmp_path / "w", "--out", tmp_path / "n.csv")
        assert outcome.code == 2
        return outcome.err

    assert "there is no column 'id', only name, label" in refused(["name", "label"], ("k1", "a"))
    assert "none of the 1 labelled ids is in it" in refused(["id", "label"], ("nobody", "a"))
    assert "the id 'k1' stands in rows 1 and 2" in refused(["id", "label"], ("k1", "a"), ("k1", "b"))
    assert "no row has a label" in refused(["id", "label"], ("k1", ""))


def test_a_bad_shard_stops_or_is_left_out(pool, labels, tmp_path, nearmiss):
    (pool / "part-00001.parquet").write_bytes(b"broken")
    arguments = ("select", pool, labels, "-n", 3, "--work-dir", tmp_path / "work", "--out", tmp_path / "next.csv")
    outcome = nearmiss(*arguments)
    assert outcome.code == 2
    assert "part-00001.parquet: cannot be read as Parquet" in outcome.err
    outcome = nearmiss(*arguments, "--on-bad-shard", "skip")
    assert outcome.code == 0, outcome.err
    assert "left out:" in outcome.err
    assert len(rows(tmp_path / "next.csv")) == 3


def test_what_cannot_be_cut_is_refused(tmp_path, nearmiss):
    twice = write(tmp_path / "twice.csv", ["id", "text"], [("a", "one text"), ("a", "another text")])
    outcome = nearmiss("shard", twice, tmp_path / "out")
    assert outcome.code == 2
    assert "column 'id' does not name each row once, and labels are joined by id" in outcome.err
    once = write(tmp_path / "once.csv", ["id", "text"], [("a", "one text"), ("b", "another text")])
    assert nearmiss("shard", once, tmp_path / "out").code == 0
    outcome = nearmiss("shard", once, tmp_path / "out")
    assert outcome.code == 2
    assert "holds shards already" in outcome.err


def test_an_interrupted_cut_leaves_no_half_of_a_pool(tmp_path, monkeypatch):
    from nearmiss.scale import cutting
    from nearmiss.text.readers import read_corpus

    file = read_corpus(write(tmp_path / "pool.csv", ["id", "text"], [(i, f"text {i}") for i in range(9)]))
    writing, write_part = [], cutting._write

    def fail_at_the_third(part, out):
        writing.append(part)
        if len(writing) == 3:
            raise OSError(28, "No space left on device")
        write_part(part, out)

    monkeypatch.setattr(cutting, "_write", fail_at_the_third)
    with pytest.raises(InvalidData, match="No space left"):
        cutting.cut_into_shards(file, str(tmp_path / "out"), 2)
    assert not list((tmp_path / "out").iterdir())


def test_a_column_that_shards_keep_for_themselves_is_no_other(tmp_path, nearmiss):
    file = write(tmp_path / "pool.csv", ["key", "body", "text"], [("a", "one text", "x"), ("b", "another text", "y")])
    outcome = nearmiss("shard", file, tmp_path / "out", "--text-column", "body", "--id-column", "key")
    assert outcome.code == 2
    assert "another column is called 'text'" in outcome.err


def test_options_of_the_other_way_are_refused(pool, labels, tmp_path, nearmiss):
    out = ("--out", tmp_path / "next.csv")
    outcome = nearmiss("select", labels, labels, "-n", 1, "--work-dir", tmp_path / "w", *out)
    assert outcome.code == 2
    assert "--work-dir is for pools in shards" in outcome.err
    outcome = nearmiss("select", pool, labels, "-n", 1, "--encoding", "latin-1", *out)
    assert outcome.code == 2
    assert "do nothing with shards" in outcome.err


def test_a_pool_must_be_named(nearmiss, labels):
    outcome = nearmiss("select", "-n", 3)
    assert outcome.code == 2
    assert "name the texts to choose from" in outcome.err
    outcome = nearmiss("select", labels, labels, "--pool", "somewhere")
    assert outcome.code == 2
    assert "--pool names the pool" in outcome.err
