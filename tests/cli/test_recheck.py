"""``nearmiss recheck``: labels in doubt on the terminal and in a file."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from nearmiss.session.project import Project

WRONG = {"7", "20"}


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "films.nearmiss"
    texts = [f"a {word} film, number {number}" for number in range(20) for word in ("lovely", "dreadful")]
    with Project.create(folder, texts=texts, label_names=["bad", "good"]) as project:
        project.settings.change("me", {"classifier": "tfidf", "audit_share": 0.0})
        for item in range(1, 31):
            project.tell(str(item), "good" if (item % 2 == 1) != (str(item) in WRONG) else "bad")
    return folder


def test_labels_in_doubt_are_printed_most_doubtful_first(nearmiss, films):
    pytest.importorskip("cleanlab")
    outcome = nearmiss("recheck", films)
    assert outcome.code == 0, outcome.err
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert {line["id"] for line in lines} == WRONG
    assert [line["score"] for line in lines] == sorted((line["score"] for line in lines), reverse=True)
    line = next(line for line in lines if line["id"] == "7")
    assert (line["label"], line["suggested"]) == ("bad", "good")
    assert set(line["model_says"]) == {"bad", "good"}
    assert {near["label"] for near in line["near"]} == {"good"}
    assert "2 of 30 labels are contradicted" in outcome.err


def test_n_is_how_many_at_most(nearmiss, films):
    pytest.importorskip("cleanlab")
    assert len(nearmiss("recheck", films, "-n", 1).out.splitlines()) == 1


def test_all_go_into_a_file(nearmiss, films, tmp_path):
    pytest.importorskip("cleanlab")
    out = tmp_path / "doubts.csv"
    assert nearmiss("recheck", films, "-n", 1, "--out", out).out == f"{out}: 2 labels to look at again\n"
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == WRONG
    assert set(json.loads(rows[0]["model_says"])) == {"bad", "good"}
    refused = nearmiss("recheck", films, "--out", out)
    assert refused.code == 2
    assert "--overwrite" in refused.err


def test_nothing_is_changed(nearmiss, films):
    pytest.importorskip("cleanlab")
    with Project.open(films) as project:
        before = project.newest_event()
        nearmiss("recheck", films)
        assert project.newest_event() == before


def test_without_cleanlab_the_mend_is_one_line(nearmiss, films, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    outcome = nearmiss("recheck", films)
    assert outcome.code == 2
    assert "nearmiss[quality]" in outcome.err


def test_a_folder_without_a_project_is_refused(nearmiss, tmp_path):
    assert nearmiss("recheck", tmp_path).code == 2
