"""Whole experiments from the command line, on a small dataset of the tests' own."""

import csv
import signal
import subprocess
import sys
import time

import pytest

FLAGS = ("--classifier", "tfidf", "--initial", 6, "--batch", 4, "--budget", 14, "--seed", 0, "--workers", 1)


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "reviews.csv"
    adjectives = {"good": ("good", "fine", "great", "warm"), "bad": ("bad", "poor", "dull", "cold")}
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("text", "label"))
        for label, words in adjectives.items():
            table.writerows(
                (f"{a} film number {i} and {b} acting", label) for i, a in enumerate(words * 4) for b in words[:2]
            )
    return path


def test_from_flags_to_report(nearmiss, dataset, tmp_path):
    out = tmp_path / "out"
    outcome = nearmiss("run", "--dataset", dataset, "-s", "random", "-s", "margin", *FLAGS, "--out", out)
    assert outcome.code == 0, outcome.err
    assert "margin" in outcome.out
    assert (out / "report.html").exists()
    assert (out / "results.csv").exists()
    again = nearmiss("run", "--dataset", dataset, "-s", "random", "-s", "margin", *FLAGS, "--out", out)
    assert "2 of 2 runs were finished before" in again.out


def test_random_is_always_run_and_full_supervision_if_asked(nearmiss, dataset, tmp_path):
    out = tmp_path / "out"
    asked = ("run", "--dataset", dataset, "-s", "margin", *FLAGS, "--out", out)
    assert nearmiss(*asked).code == 0
    with (out / "results.csv").open() as file:
        assert {row["strategy"] for row in csv.DictReader(file)} == {"random", "margin"}
    assert "90 %" not in (out / "table.md").read_text()
    outcome = nearmiss(*asked, "--full-supervision")
    assert outcome.code == 0, outcome.err
    assert "90 %" in (out / "table.md").read_text()
    assert len(list(out.glob("full/*/result.json"))) == 1
    again = nearmiss(*asked)
    assert again.code == 0
    assert "90 %" in (out / "table.md").read_text(), "what was trained once stays in the report"


def test_validation_by_flag_is_refused_by_a_classifier_that_has_no_use_for_it(nearmiss, dataset, tmp_path):
    outcome = nearmiss(
        "run", "--dataset", dataset, *FLAGS, "-s", "margin", "--validation", "5", "--out", tmp_path / "out"
    )
    assert outcome.code == 2
    assert "looks at no validation set" in outcome.err


def test_spec_file_changed_by_flags(nearmiss, dataset, tmp_path):
    spec = tmp_path / "spec.toml"
    spec.write_text(
        f'dataset = "{dataset}"\nstrategies = ["random"]\nseeds = [0, 1]\ninitial = 6\nbatch = 4\nbudget = 10\n'
        '[classifier]\nname = "tfidf"\n'
    )
    out = tmp_path / "out"
    outcome = nearmiss("run", spec, "--seed", 5, "--budget", 14, "--out", out, "--workers", 1)
    assert outcome.code == 0, outcome.err
    with (out / "results.csv").open() as file:
        results = list(csv.DictReader(file))
    assert {row["seed"] for row in results} == {"5"}
    assert max(int(row["n_labeled"]) for row in results) == 14


def test_columns_of_ones_own(nearmiss, tmp_path):
    path, out = tmp_path / "odd.csv", tmp_path / "out"
    rows = [f"{word} and {other},aside {i},{word}" for i, word in enumerate(("yes", "no") * 12) for other in ("a", "b")]
    path.write_text("\n".join(["body,remark,verdict", *rows]))
    columns = ("--text-column", "body", "--label-column", "verdict")
    outcome = nearmiss("run", "--dataset", path, *columns, "-s", "random", *FLAGS, "--out", out)
    assert outcome.code == 0, outcome.err
    refused = nearmiss("run", "--dataset", path, "--text-column", "boddy", "-s", "random", *FLAGS, "--out", out / "2")
    assert refused.code == 2
    assert "boddy" in refused.err


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "name a spec file"),
        (("nope.toml",), "nope.toml"),
        (("--dataset", "nope", "-s", "random"), "no dataset"),
        (("--dataset", "banking77", "-s", "randm"), "did you mean 'random'"),
        (("--dataset", "banking77", "-s", "random", "--budget", "nine"), "budget"),
        (("--dataset", "banking77", "-s", "random", "--classifier", "tfdf"), "did you mean 'tfidf'"),
        (("--dataset", "banking77", "-s", "random", "--executor", "rai"), "did you mean 'ray'"),
        (("--dataset", "banking77", "-s", "random", "--address", "auto"), "add --executor ray"),
        (("--dataset", "banking77", "-s", "random", "--gpus-per-run", "1"), "--gpus-per-run is for a Ray cluster"),
    ],
)
def test_refusals(nearmiss, tmp_path, arguments, message):
    out = tmp_path / "out"
    outcome = nearmiss("run", *arguments, "--out", out)
    assert outcome.code == 2
    assert outcome.err.startswith("nearmiss: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not list(out.glob("runs/*"))


def test_a_class_that_occurs_once_cannot_be_stratified(nearmiss, dataset, tmp_path):
    with dataset.open("a") as file:
        file.write("neither here nor there,odd\n")
    out = tmp_path / "out"
    outcome = nearmiss("run", "--dataset", dataset, "-s", "random", *FLAGS, "--out", out)
    assert outcome.code == 2
    assert "'odd'" in outcome.err
    assert "random" in outcome.err  # the mend
    assert not list(out.glob("runs/*"))


def test_ctrl_c_stops_quietly_and_the_same_command_goes_on(dataset, tmp_path):
    out = tmp_path / "out"
    strategies = ("-s", "random", "-s", "margin", "-s", "cal")
    arguments = ("run", "--dataset", dataset, *strategies, *FLAGS, "--seed", 1, "--seed", 2, "--out", out)
    command = [sys.executable, "-m", "nearmiss", *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("runs/*/rounds.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()
