"""Files of a reproduction: which there are, that they repeat to the byte, and what they say of what is missing."""

import csv
import io
import re
from dataclasses import replace

import pytest

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.experiment.protocol import Changes
from nearmiss.experiment.reporting.reproduction import TARGETS, write_index, write_target
from nearmiss.experiment.reproduction import Reproduction

CAPPED = "capped at 3,000 texts)"


def read(paths, kind):
    return next(path for path in paths if path.suffix == f".{kind}").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_its_files(tmp_path, reproduction, target):
    paths = write_target(reproduction(), target, tmp_path / "out")
    kinds = ["svg", "png"] * target.startswith("figure") + ["md", "csv", "tex"]
    assert [path.name for path in paths] == [f"{target}.{kind}" for kind in kinds]
    heading = read(paths, "md").splitlines()[0]
    assert heading.startswith(f"# {target[:-1].capitalize()} {target[-1]}:")
    assert heading.endswith(CAPPED)
    assert CAPPED in read(paths, "tex")
    if target.startswith("figure"):
        assert CAPPED in read(paths, "svg")
    assert "Model: MiniLM, top layer tuned" in read(paths, "md")
    assert not re.search(r"\bnan\b", read(paths, "md") + read(paths, "csv"), flags=re.IGNORECASE)


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_reproduction_gives_the_same_bytes(tmp_path, reproduction, target):
    first = write_target(reproduction(), target, tmp_path / "a")
    second = write_target(reproduction(), target, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("target", TARGETS)
def test_csv_is_rectangular(tmp_path, reproduction, target):
    head, *rows = csv.reader(io.StringIO(read(write_target(reproduction(), target, tmp_path), "csv")))
    assert rows
    assert {len(row) for row in rows} == {len(head)}


@pytest.mark.parametrize("target", TARGETS)
def test_latex_is_balanced(tmp_path, reproduction, target):
    text = read(write_target(reproduction(), target, tmp_path), "tex")
    bare = re.sub(r"\\[{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{")
    assert r"\toprule" in text


def test_unknown_target(tmp_path, reproduction):
    with pytest.raises(UnknownName, match="table6"):
        write_target(reproduction(), "table6", tmp_path)


def test_nothing_finished_is_refused(tmp_path, reproduction):
    empty = Reproduction(reproduction().protocol, {})
    for target in TARGETS:
        with pytest.raises(InvalidInput):
            write_target(empty, target, tmp_path)
    with pytest.raises(InvalidInput, match="no run of laptop is finished"):
        write_index(empty, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_index_shows_everything(tmp_path, reproduction):
    page = write_index(reproduction(), tmp_path).read_text(encoding="utf-8")
    for heading in ("Is CAL better?", "How many labels it takes", "What differs from the paper", "How to repeat this"):
        assert f"\n## {heading}\n" in page
    for target in TARGETS:
        assert f"\n## {target[:-1].capitalize()} {target[-1]}:" in page
    assert "](figure2.svg)" in page
    assert "](ranks.svg)" in page
    assert (tmp_path / "ranks.svg").exists()
    assert "nearmiss reproduce all --protocol laptop" in page
    assert page.count("Model: MiniLM, top layer tuned") == 1


def test_the_index_names_what_is_not_made(tmp_path, reproduction):
    page = write_index(reproduction(whole=False), tmp_path).read_text(encoding="utf-8")
    assert "- figure3: no run of the ablation on agnews is finished" in page
    assert "- table3: no acquired texts have been measured" in page
    assert "No model was trained on a whole pool" in page


def test_notes_of_the_reproduction_reach_the_index(tmp_path, reproduction):
    noted = replace(reproduction(), notes=("pubmed is not on this machine.",))
    assert "- pubmed is not on this machine." in write_index(noted, tmp_path).read_text(encoding="utf-8")


def test_an_uncapped_pool_is_not_called_capped(tmp_path, reproduction):
    paths = write_target(reproduction(capped=False), "figure2", tmp_path)
    assert "capped" not in read(paths, "svg") + read(paths, "md")


def test_one_seed_is_no_spread_and_no_verdict(tmp_path, reproduction):
    page = write_index(reproduction(seeds=(4,)), tmp_path).read_text(encoding="utf-8")
    assert "one seed; the paper has 5" in page or "1 seed; the paper has 5" in page
    assert "nothing can be concluded on CAL" in page
    assert not re.search(r"\bnan\b", page, flags=re.IGNORECASE)


def test_a_report_without_random_says_so(tmp_path, reproduction):
    page = write_index(reproduction(functions=("cal", "margin")), tmp_path).read_text(encoding="utf-8")
    assert "RANDOM has no finished run, so nothing is held against it." in page
    assert "CAL against RANDOM: not compared" in page


def test_the_command_repeats_what_was_changed_by_hand(tmp_path, reproduction):
    whole = reproduction(datasets=("sst2",), functions=("random", "cal:k=5"), whole=False)
    changes = Changes(
        datasets=("sst2",), functions=("cal:k=5",), seeds=(3,), max_pool=500, model="my model", options={"epochs": 2}
    )
    changed = replace(whole, protocol=whole.protocol.changed(changes))
    page = write_index(changed, tmp_path).read_text(encoding="utf-8")
    assert (
        "nearmiss reproduce all --protocol laptop --dataset sst2 --function cal:k=5 --seed 3 --max-pool 500"
        " --classifier-option epochs=2 --model 'my model' --out OUT"
    ) in page
