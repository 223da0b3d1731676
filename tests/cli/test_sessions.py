"""A labelling project by the command line: asked, told, trained, imported, exported; refusals in one line."""

import json
from pathlib import Path

import pytest

from nearmiss.session.project import Project


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films.nearmiss"
    texts = [f"a {word} film, number {number}" for number in range(12) for word in ("lovely", "dreadful")]
    with Project.create(folder, texts=texts, label_names=["bad", "good"]) as project:
        project.settings.change("me", {"classifier": "tfidf", "audit_share": 0.0})
    return folder


def asked(printed: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_ask_gives_texts_and_asking_again_gives_others(nearmiss, films):
    first, second = (asked(nearmiss("ask", films, "-n", 3).out) for _ in range(2))
    assert len(first) == len(second) == 3
    assert not {line["id"] for line in first} & {line["id"] for line in second}
    assert all(isinstance(line["text"], str) for line in first)


def test_what_was_told_is_there(nearmiss, films):
    told = nearmiss("tell", films, "1", "good", "--note", "clearly", "--as", "Ada")
    assert told.code == 0
    assert told.out.startswith("saved: 1 good")
    with Project.open(films) as project:
        (answer,) = project.answers.of_item(1)
        assert (answer.person, answer.note) == ("Ada", "clearly")
        assert project.labels.named("good").texts == 1


def test_a_text_can_be_skipped(nearmiss, films):
    assert "skipped" in nearmiss("tell", films, "2").out
    with Project.open(films) as project:
        assert project.answers.of_item(2)[0].kind == "skip"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("tell", "1", "goood"), "did you mean 'good'"),
        (("tell", "no such text", "good"), "no text named"),
        (("ask", "-n", "0"), "1 to 1000"),
        (("train",), "label until there are two"),
        (("export", "labels.docx"), "labels.docx"),
        (("import", "no-such-file.csv"), "no-such-file.csv"),
        (("people", "--remove", "Nobody"), "Nobody"),
    ],
)
def test_what_cannot_be_done_is_one_line(nearmiss, films, arguments, part):
    command, *rest = arguments
    outcome = nearmiss(command, films, *rest)
    assert outcome.code == 2
    assert part in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", ["ask", "train", "serve"])
def test_a_folder_without_a_project_is_refused(nearmiss, tmp_path, command):
    outcome = nearmiss(command, tmp_path)
    assert outcome.code == 2
    assert "nearmiss label FILE" in outcome.err


def test_a_file_that_is_no_database_is_refused(nearmiss, tmp_path):
    (tmp_path / "project.db").write_text("not a database at all, but long enough to look at")
    outcome = nearmiss("status", tmp_path)
    assert outcome.code == 2
    assert "damaged" in outcome.err


def test_train_then_ask_says_what_the_model_thinks(nearmiss, films):
    with Project.open(films) as project:
        for number in range(1, 9):
            project.tell(str(number), "good" if number % 2 else "bad")
    assert "model 1: tfidf on 8 labelled texts" in nearmiss("train", films).out
    (line,) = asked(nearmiss("ask", films, "-n", 1).out)
    assert line["strategy"] == "diverse-margin"
    assert set(line["model_says"]) == {"bad", "good"}


def test_status_tells_where_a_project_stands(nearmiss, films):
    nearmiss("tell", films, "1", "good")
    outcome = nearmiss("status", films)
    assert outcome.code == 0
    assert "24 texts, 1 labelled" in outcome.out
    assert "good 1" in outcome.out
    assert "model: none yet" in outcome.out


def test_status_tells_what_is_missing(nearmiss, films):
    nearmiss("tell", films, "1", "good")
    told = nearmiss("status", films).out
    assert "note: The 1 text to learn from has the same label; a model needs two." in told
    assert "note: No text yet has “bad”." in told


def test_labels_go_out_and_come_in(nearmiss, films, tmp_path):
    nearmiss("tell", films, "1", "good")
    nearmiss("tell", films, "2", "bad")
    out = tmp_path / "labels.csv"
    assert nearmiss("export", films, out).out == f"{out}: 2 texts\n"
    refused = nearmiss("export", films, out)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    with Project.create(tmp_path / "other") as other:
        folder = other.folder
    first = nearmiss("import", folder, out)
    assert "2 new texts, 2 answers taken over, new labels: bad, good" in first.out
    again = nearmiss("import", folder, out)
    assert "0 new texts, 2 texts known already" in again.out
    assert "taken over" not in again.out


@pytest.mark.slow
def test_the_model_to_take_away_loads_in_transformers(nearmiss, films, tmp_path):
    from transformers import pipeline

    with Project.open(films) as project:
        for number in range(1, 9):
            project.tell(str(number), "good" if number % 2 else "bad")
    out = tmp_path / "model"
    outcome = nearmiss("train", films, "--out", out, "--option", "epochs=1", "--option", "max-length=16")
    assert outcome.code == 0, outcome.err
    assert "a model fine-tuned on every label of films" in outcome.out
    assert "Whether the labels transfer cannot be measured: there are 0 random checks" in outcome.out
    card = (out / "README.md").read_text()
    assert "8 labelled texts" in card
    assert "nearmiss project 'films'" in card
    said = pipeline("text-classification", str(out))(["a lovely film"])
    assert said[0]["label"] in {"bad", "good"}


def test_options_of_the_model_to_take_away_need_a_folder(nearmiss, tmp_path):
    for arguments in (("--keep-audits-out",), ("--option", "epochs=1")):
        outcome = nearmiss("train", tmp_path / "anything", *arguments)
        assert outcome.code == 2
        assert "go with --out; name a folder" in outcome.err
