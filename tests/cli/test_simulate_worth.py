"""``nearmiss simulate-worth``: from a dataset to figures, and what it refuses."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def films(tmp_path, monkeypatch):
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "cache"))
    words = {"good": ["lovely", "fine", "great"], "bad": ["dreadful", "dull", "poor"]}
    rows = [
        f"a {words[label][n % 3]} film with {n} scenes and {n % 7} songs,{label}"
        for n in range(120)
        for label in ("good", "bad")
    ]
    file = tmp_path / "films.csv"
    file.write_text("text,label\n" + "\n".join(rows) + "\n")
    return file


def test_a_dataset_becomes_figures_and_the_same_command_goes_on(nearmiss, films, tmp_path):
    arguments = ("simulate-worth", "--dataset", films, "--projects", 2, "--labels", 60, "--out", tmp_path / "worth")
    outcome = nearmiss(*arguments)
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("looks, accuracy") == 2
    assert "## Quality: do the 95 % intervals hold?" in outcome.out
    found = json.loads((tmp_path / "worth" / "figures.json").read_text())
    assert found["all"]["projects"] == 2
    again = nearmiss(*arguments)
    assert not again.err
    assert again.out == outcome.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--dataset", "no-such-data"), "no-such-data"),
        (("--labels", 10), "at least 50 labels"),
        (("--check-share", 1.5), "between 0 and 1"),
        (("--strategy", "diverse-margine"), "diverse-margin"),
    ],
)
def test_what_cannot_be_simulated_is_refused(nearmiss, films, tmp_path, arguments, why):
    given = arguments if arguments[0] == "--dataset" else ("--dataset", films, *arguments)
    outcome = nearmiss("simulate-worth", *given, "--projects", 1, "--out", tmp_path / "worth")
    assert outcome.code == 2
    assert why in outcome.err
    assert "Traceback" not in outcome.err


def test_another_campaign_in_the_same_folder_is_refused(nearmiss, films, tmp_path):
    arguments = ("simulate-worth", "--dataset", films, "--projects", 1, "--out", tmp_path / "worth")
    assert nearmiss(*arguments, "--labels", 60).code == 0
    for other in (("--labels", 70), ("--labels", 60, "--check-share", 0.4), ("--labels", 60, "--weighted-checks")):
        outcome = nearmiss(*arguments, *other)
        assert outcome.code == 2
        assert "by another plan" in outcome.err


def test_a_line_that_lost_its_end_is_made_anew(nearmiss, films, tmp_path):
    arguments = ("simulate-worth", "--dataset", films, "--projects", 1, "--labels", 60, "--out", tmp_path / "worth")
    first = nearmiss(*arguments)
    path = tmp_path / "worth" / "projects.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\xff")
    assert nearmiss(*arguments).out == first.out
    assert path.read_bytes() == whole


def test_a_dataset_named_twice_counts_once(nearmiss, films, tmp_path):
    twice = ("--dataset", films, "--dataset", films)
    outcome = nearmiss("simulate-worth", *twice, "--projects", 1, "--labels", 60, "--out", tmp_path / "worth")
    assert outcome.code == 0, outcome.err
    assert len((tmp_path / "worth" / "projects.jsonl").read_text().splitlines()) == 1


def test_a_dataset_in_which_no_model_is_measured_is_refused(nearmiss, tmp_path, monkeypatch):
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "one.csv"
    file.write_text("text,label\n" + "".join(f"a film with {n} scenes,good\n" for n in range(200)))
    outcome = nearmiss(
        "simulate-worth", "--dataset", file, "--projects", 1, "--labels", 60, "--out", tmp_path / "worth"
    )
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
