"""Tables 4 and 5: inference apart from selection, and averages only over datasets that are all there."""

from nearmiss.experiment.reporting.targets.grid import read_grid
from nearmiss.experiment.reporting.targets.runtimes import table4, table5

SEVEN = ("sst2", "imdb", "agnews", "dbpedia", "csabstruct", "qnli", "qqp")


def rows(artefact):
    (table,) = artefact.tables
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_inference_and_selection_beside_the_papers(reproduction):
    known = rows(table4(read_grid(reproduction(whole=False))))
    assert known["CAL"]["SST-2"] == "(2.00, 0.250)"
    assert known["CAL, paper"]["SST-2"] == "(464, 244)"
    assert known["BADGE, paper"]["AG News"] == "–"
    assert "MARGIN, paper" not in known


def test_columns_grow_with_the_pool_and_stand_ins_count(reproduction):
    artefact = table5(read_grid(reproduction(datasets=SEVEN, functions=("random", "cal"), whole=False)))
    assert artefact.tables[0].columns[1:] == (
        *("DBpedia", "IMDB", "SST-2", "QNLI", "AG News", "CSAbstruct", "QQP"),
        *("AVG.-ALL", "AVG.-3", "AVG.-6"),
    )
    known = rows(artefact)
    assert {known["CAL"][average] for average in ("AVG.-ALL", "AVG.-3", "AVG.-6")} == {"2.25"}
    assert known["CAL, paper"]["AVG.-ALL"] == "1482"


def test_no_average_over_datasets_that_are_missing(reproduction):
    known = rows(table5(read_grid(reproduction(datasets=("dbpedia", "imdb", "sst2"), whole=False))))
    assert (known["CAL"]["AVG.-3"], known["CAL"]["AVG.-6"], known["CAL"]["AVG.-ALL"]) == ("2.25", "–", "–")
