"""Wins, labels needed, what labels cost and trainings that collapsed: in every report, where they are known."""

from dataclasses import replace

from nearmiss.experiment.records import FullSupervision
from nearmiss.experiment.report import verdict_sentences, write_report
from nearmiss.experiment.reporting.evidence import labels_table, wins_table
from nearmiss.experiment.reporting.summary import summarize

FULL = tuple(FullSupervision(seed, 0.9, 0.9, 0.3) for seed in range(3))


def test_wins_ties_and_losses_over_seeds(clear_result):
    table = wins_table(summarize(clear_result()))
    cells = {row[0]: dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows}
    assert cells["margin"]["random"] == "3–0–0"
    assert cells["random"]["margin"] == "0–0–3"
    assert cells["entropy"]["random"] == "2–0–1"
    assert {cells[name][name] for name in cells} == {"–"}


def test_only_shared_seeds_are_counted(run, result_of):
    runs = [
        run("random", 0, [0.8, 0.8]),
        run("random", 1, [0.8, 0.8]),
        run("cal", 1, [0.8, 0.8]),
        run("cal", 2, [1, 1]),
    ]
    table = wins_table(summarize(result_of(runs)))
    assert [row[1:] for row in table.rows] == [("–", "0–1–0"), ("0–1–0", "–")]


def test_one_function_has_nobody_to_beat(grid):
    assert wins_table(summarize(grid(strategies=("random",)))) is None


def test_labels_needed_are_told_where_full_supervision_is_known(run, result_of):
    runs = [run("random", seed, [0.7, 0.8, 0.82]) for seed in range(3)]
    runs += [run("cal", seed, [0.7, 0.85, 0.9]) for seed in range(3)]
    summary = summarize(result_of(runs), FULL)
    table = labels_table(summary)
    assert table.columns[1] == "90 % (81.0)"
    cal, random = table.rows
    assert cal[:3] == ("cal", "244 (244 to 244)", "16 % (16 to 16)")
    assert random[1:3] == ("290 (290 to 290)", "–")
    assert random[5] == "> 320 (0 of 3)"
    assert labels_table(summarize(result_of(runs))) is None


def test_the_report_holds_the_evidence(tmp_path, grid, parsed, words):
    paths = write_report(grid(), tmp_path, FULL)
    page, tables = words(parsed(paths.html)), paths.table_markdown.read_text(encoding="utf-8")
    for text in (page, tables):
        assert "Win–tie–loss over seeds" in text
        assert "Labels needed to reach 90, 95 and 99 % of full supervision" in text
    assert "Labels needed to reach" not in words(parsed(write_report(grid(), tmp_path / "b").html))


def test_validation_labels_are_counted(tmp_path, grid, parsed, words):
    free, paid = grid(), replace(grid(), validation_size=250)
    assert "cost 500 labels in all; no labels are spent on validation" in summarize(free).price
    sentence = "cost 750 labels in all: 500 for training and 250 for validation"
    assert sentence in summarize(paid).price
    assert sentence in words(parsed(write_report(paid, tmp_path).html))


def test_collapsed_trainings_are_never_silent(tmp_path, run, result_of, parsed, words):
    broken = run("cal", 0, [0.5, 0.6])
    first, last = broken.rounds
    broken = replace(broken, rounds=(replace(first, attempts=3, collapsed=True), replace(last, attempts=2)))
    result = result_of([run("random", 0, [0.5, 0.7]), broken])
    retried = "In 2 of 4 rounds the model gave one class to every text and was trained again (cal 2)"
    stuck = "In 1 of 4 rounds the model that counts gave one class to every text (cal 1)"
    text = " ".join(verdict_sentences(result))
    assert retried in text
    assert stuck in text
    assert retried in words(parsed(write_report(result, tmp_path).html))
    assert not any("one class" in sentence for sentence in verdict_sentences(result_of([run("random", 0, [0.5])])))


def test_a_cap_is_in_every_title(tmp_path, grid, terminal):
    capped = grid(notes=("pool capped at 6,000 of 60,000 texts, drawn by class",))
    paths = write_report(capped, tmp_path)
    assert "pool capped at 6,000 texts" in paths.figure_svg.read_text(encoding="utf-8")
    assert "pool capped at 6,000 texts" in paths.table_markdown.read_text(encoding="utf-8").splitlines()[0]
    assert "pool capped at 6,000" in terminal(capped, 140)
    assert "capped" not in terminal(grid(), 140)
