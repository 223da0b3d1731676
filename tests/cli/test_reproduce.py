"""The paper's figures and tables from the command line, with a tiny encoder on a dataset of the tests' own."""

import csv
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tests.models.tiny import save_bert

WORDS = {"good": ("good", "fine", "great", "warm", "kind"), "bad": ("bad", "poor", "dull", "cold", "grim")}


def write_rows(path, n, seed):
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("text", "label"))
        for i in range(n):
            label = ("good", "bad")[i % 2]
            table.writerow((" ".join((*rng.choice(WORDS[label], 2), "film", f"number {rng.integers(999)}")), label))


@pytest.fixture
def films(tmp_path, monkeypatch):
    folder = tmp_path / "films"
    folder.mkdir()
    write_rows(folder / "train.csv", 300, seed=1)
    write_rows(folder / "test.csv", 40, seed=2)
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


@pytest.fixture
def flags(films, tmp_path):
    tiny = save_bert(tmp_path / "tiny")
    return (
        *("--protocol", "laptop", "--dataset", films, "--function", "cal", "--seed", 0, "--seed", 1),
        *("--model", tiny, "--max-pool", 200, "--classifier-option", "max-length=32"),
        *("--classifier-option", "steps=5", "--workers", 1),
    )


def results(out):
    """The bytes that must not differ."""
    kinds = ("runs/*/rounds.jsonl", "full/*/result.json", "full/*/entropies.npy", "profiles/*.json")
    return {str(path.relative_to(out)): path.read_bytes() for kind in kinds for path in out.glob(f"films/{kind}")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_interrupted_and_resumed_it_ends_with_the_same_bytes(nearmiss, flags, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    done = nearmiss("reproduce", "table3", "figure2", *flags, "--out", whole)
    assert done.code == 0, done.err
    assert len(results(whole)) == 4 + 2 * 2 + 2, "random is run beside cal"
    assert "200 texts" in (whole / "figure2.md").read_text(), "a cap is told"
    for name in ("figure2.svg", "figure2.png", "table3.csv", "table3.tex", "README.md"):
        assert (whole / name).stat().st_size

    command = [sys.executable, "-m", "nearmiss", "reproduce", "table3", "figure2", *map(str, flags), "--out", str(out)]
    for number, awaited in ((signal.SIGKILL, "runs/*/rounds.jsonl"), (signal.SIGINT, "full/*/lock")):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
            while child.poll() is None and not any(out.glob(f"films/{awaited}")):
                time.sleep(0.02)
            child.send_signal(number)
            _, errors = child.communicate(timeout=60)
        if number == signal.SIGINT:
            assert child.returncode == 130
            assert errors.strip().startswith("nearmiss: stopped; finished rounds are saved")
    status = nearmiss("status", out)
    assert (status.code, status.err) == (0, "")
    assert "of 4 runs done" in status.out
    again = nearmiss("reproduce", "figure2", "table3", *flags, "--out", out)
    assert again.code == 0, again.err
    assert results(out) == results(whole)

    shown = nearmiss("reproduce", "all", *flags, "--no-run", "--out", out)
    assert shown.code == 0, shown.err
    assert "table4: " in shown.out
    assert "left out: " in shown.out, "nothing of figure 3 is there"
    assert "4 of 4 runs done; 100% of all rounds" in nearmiss("status", out).out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("figure9",), "no figure or table named 'figure9'; did you mean 'figure"),
        (("all", "--protocol", "labtop"), "did you mean 'laptop'"),
        (("all", "--dataset", "nope"), "'nope'"),
        (("all", "--memory", "much"), "expected a size, such as 8GB"),
        (("all", "--max-pool", "0"), "max-pool"),
        (("all", "--seed", "-1"), "-1 is no seed"),
        (("figure2", "--classifier-option", "steps"), "expected KEY=VALUE"),
        (("figure2", "--dataset", "sst2", "--protocol", "laptop"), "point it at a folder with sst2/train.parquet"),
        (("figure2", "--no-run"), "nothing to show"),
    ],
)
def test_refusals(nearmiss, tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("NEARMISS_DATA_DIR", raising=False)
    outcome = nearmiss("reproduce", *arguments, "--out", tmp_path / "out")
    assert outcome.code == 2, outcome.out
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_status_refuses_a_place_without_experiments(nearmiss, tmp_path):
    outcome = nearmiss("status", tmp_path)
    assert outcome.code == 2
    assert "no experiment in" in outcome.err
