"""Figures 2 and 3: panels, lines, the level of full supervision, and the tables beside them."""

from dataclasses import replace

from nearmiss.experiment.reporting.targets.figure2 import figure2
from nearmiss.experiment.reporting.targets.figure3 import figure3
from nearmiss.experiment.reporting.targets.grid import read_grid
from nearmiss.experiment.reporting.targets.panels import FULL_SUPERVISION


def panels(artefact):
    return [axes for axes in artefact.drawing.figure.axes if axes.get_visible()]


def test_one_panel_a_dataset_in_the_protocols_order(reproduction):
    artefact = figure2(read_grid(reproduction(datasets=("agnews", "sst2", "my_data"), functions=("random", "cal"))))
    assert [axes.get_title(loc="left") for axes in panels(artefact)] == ["SST-2", "AG News", "my_data"]
    assert [len(axes.lines) for axes in panels(artefact)] == [3, 3, 3]
    (legend,) = artefact.drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["RANDOM", "CAL", FULL_SUPERVISION]


def test_no_level_where_full_supervision_is_not_known(reproduction):
    artefact = figure2(read_grid(reproduction(functions=("random", "cal"), whole=False)))
    assert [len(axes.lines) for axes in panels(artefact)] == [2, 2]
    assert any("no line of full supervision" in note for note in artefact.notes)


def test_a_function_missing_on_one_dataset_is_a_dash_there(reproduction):
    whole = reproduction(whole=False)
    runs = tuple(run for run in whole.experiments["agnews"].runs if run.key.strategy != "cal")
    partly = replace(
        whole, experiments={**whole.experiments, "agnews": replace(whole.experiments["agnews"], runs=runs)}
    )
    artefact = figure2(read_grid(partly))
    assert next(row for row in artefact.tables[1].rows if row[0] == "CAL")[2] == "–"
    assert any(note.startswith("AG News: No finished run of cal") for note in artefact.notes)


def test_variants_stand_in_the_papers_groups_with_cal_and_random(reproduction):
    artefact = figure3(reproduction())
    titles = [axes.get_title(loc="left") for axes in panels(artefact)]
    assert titles == ["Boundary, neighbourhood", "Scoring function", "Feature space"]
    assert [len(axes.lines) - 3 for axes in panels(artefact)] == [2, 3, 4]  # besides random, CAL and the level


def test_every_variant_is_held_against_cal_and_the_paper(reproduction):
    artefact = figure3(reproduction())
    (table,) = artefact.tables
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert list(rows)[:2] == ["CAL", "RANDOM"]
    assert rows["CAL opposite"]["Verdict"] == "worse"
    assert rows["CAL opposite"]["In the paper"].startswith("stays at the accuracy of the initial set")
    assert rows["CAL"]["To CAL"] == "–"
    assert any(finding.startswith("Shown to be worse than CAL: CAL opposite") for finding in artefact.findings)
    assert not any("missing here" in note for note in artefact.notes)


def test_variants_of_ones_own_and_missing_ones_are_named(reproduction):
    whole = reproduction()
    runs = []
    for run in whole.ablation.runs:
        if run.key.strategy == "cal:reduce=max":
            run = replace(run, key=replace(run.key, strategy="cal:k=5"))
        if "tfidf" not in run.key.strategy:
            runs.append(run)
    artefact = figure3(replace(whole, ablation=replace(whole.ablation, runs=tuple(runs))))
    assert panels(artefact)[-1].get_title(loc="left") == "Not in the paper"
    assert "Of the paper's variants, reduce = max and features = tfidf are missing here." in artefact.notes
    assert "cal:k=5 is not in the paper." in artefact.notes
    assert any(note.startswith("AG News: No finished run of cal:reduce=max") for note in artefact.notes)


def test_cal_and_random_are_borrowed_from_the_main_grid(reproduction):
    whole = reproduction()
    variants = tuple(run for run in whole.ablation.runs if run.key.strategy not in ("random", "cal"))
    artefact = figure3(replace(whole, ablation=replace(whole.ablation, runs=variants)))
    assert [row[0] for row in artefact.tables[0].rows[:2]] == ["CAL", "RANDOM"]
    without = replace(whole, ablation=replace(whole.ablation, runs=variants), experiments={})
    assert "nothing can be concluded" in figure3(without).findings[0]
