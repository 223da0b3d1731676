"""Tables 1 to 3: ours beside the paper's, dashes where either has nothing."""

from dataclasses import replace

import pytest

from nearmiss.errors import InvalidInput
from nearmiss.experiment.reporting.targets.grid import read_grid
from nearmiss.experiment.reporting.targets.samples import table1, table2, table3


def test_table1_has_the_papers_sizes_and_its_missing_datasets(reproduction):
    table = table1(read_grid(reproduction(datasets=("sst2", "csabstruct"), whole=False))).tables[0]
    sst2, stand_in, *missing = table.rows
    assert sst2[0] == "SST-2"
    assert sst2[3:9] == ("3,000 (capped)", "60.6K", "none", "6.7K", "872", "871")
    assert stand_in[0] == "CSAbstruct (for PubMed)"
    assert [row[0] for row in missing] == [
        f"{name} (missing)" for name in ("IMDB", "AG News", "DBpedia", "QNLI", "QQP")
    ]


def test_table1_counts_validation_labels(reproduction):
    whole = reproduction(datasets=("sst2",), whole=False)
    paid = replace(whole, experiments={"sst2": replace(whole.experiments["sst2"], validation_size=6735)})
    artefact = table1(read_grid(paid))
    assert artefact.tables[0].rows[0][5] == "6,735"
    assert any("Validation labels, spent beside the budget" in note and "6,735" in note for note in artefact.notes)


def test_table2_stands_beside_the_paper(reproduction):
    artefact = table2(read_grid(reproduction()))
    (table,) = artefact.tables
    assert table.columns == ("Function", "SST-2 → IMDB", "Paper")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["CAL"] == ("75.0 ± 0.0", "79.0 ± 1.4")
    assert rows["MARGIN"] == ("75.0 ± 0.0", "–")
    assert rows["Full supervision"] == ("77.0 ± 0.0", "–")
    assert "Not scored here: IMDB → SST-2 and QQP → TwitterPPDB." in artefact.notes
    assert artefact.records.rows[0] == ("sst2", "imdb", "random", 0, 0.75, 0.7628, 0.0072)


def test_table2_without_such_a_test_set(reproduction):
    with pytest.raises(InvalidInput, match="out-of-domain"):
        table2(read_grid(reproduction(datasets=("agnews",), whole=False)))


def test_table3_says_which_way_is_up(reproduction):
    artefact = table3(read_grid(reproduction()))
    means, single = artefact.tables
    assert means.columns[:3] == ("Function", "DIV.-I ↑", "Paper")
    assert "REPR. ↓" in means.columns
    rows = {row[0]: row[1:] for row in means.rows}
    assert rows["CAL"] == ("0.700", "0.768", "0.300", "0.350", "0.335", "0.200", "0.231", "2.000", "2.693", "0.500")
    assert len(single.rows) == 2 * len(rows)
    for column in ("DIV.-I", "DIV.-F", "UNC.", "REPR.", "Density"):
        assert any(note.startswith(column) for note in artefact.notes)


def test_table3_averages_only_what_is_known_on_every_dataset(reproduction):
    whole = reproduction()
    partly = tuple(one for one in whole.profiles["agnews"] if one.strategy != "badge")
    artefact = table3(read_grid(replace(whole, profiles={**whole.profiles, "agnews": partly})))
    assert "BADGE" not in {row[0] for row in artefact.tables[0].rows}
    assert "Left out of the means for want of a dataset: BADGE." in artefact.notes
    assert ("AG News", "BADGE", *["–"] * 6) in artefact.tables[1].rows
