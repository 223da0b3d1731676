"""Functions over datasets: ranked from two on, tested only where there are enough."""

import numpy as np

from nearmiss.analysis.ranks import Scores, compare_ranks
from nearmiss.experiment.reporting.targets import ranking
from nearmiss.experiment.reporting.targets.artefact import contents_of
from nearmiss.experiment.reporting.targets.grid import read_grid

SEVEN = ("sst2", "imdb", "agnews", "dbpedia", "csabstruct", "qnli", "qqp")
FUNCTIONS = ("random", "cal", "margin")


def made(reproduction, datasets, functions=FUNCTIONS, **settings):
    return ranking.ranking(read_grid(reproduction(datasets=datasets, functions=functions, whole=False, **settings)))


def test_seven_datasets_are_tested(reproduction):
    ranks = made(reproduction, SEVEN, gains=dict.fromkeys(SEVEN, -0.05))
    order, verdict = ranks.findings
    assert order == "Mean ranks, best first: MARGIN 1.00, RANDOM 2.00, CAL 3.00."
    assert "The functions differ over datasets (Friedman test" in verdict
    assert "MARGIN ahead of CAL" in verdict
    counted = next(table for table in ranks.tables if table.name == "wins-datasets")
    assert counted.columns == ("Function", "MARGIN", "RANDOM", "CAL")
    assert counted.rows[0] == ("MARGIN", "–", "7–0–0", "7–0–0")
    assert "critical difference" in contents_of(ranks)["ranks.svg"].decode()


def test_two_datasets_are_ranked_and_nothing_is_concluded(reproduction):
    ranks = made(reproduction, SEVEN[:2])
    assert ranks.findings[1].startswith("Nothing can be concluded on the order over datasets; too few datasets")
    assert "critical difference" not in contents_of(ranks)["ranks.svg"].decode()


def test_one_dataset_or_one_function_is_no_ranking(reproduction):
    assert made(reproduction, SEVEN[:1]) is None
    assert made(reproduction, SEVEN, functions=("random",)) is None


def test_functions_alike_are_said_to_be_alike():
    rng = np.random.default_rng(0)
    ranks = compare_ranks(
        Scores(("a", "b", "c"), tuple("vwxyz"), rng.permuted(np.tile([0.1, 0.2, 0.3], (5, 1)), axis=1))
    )
    assert not ranks.differ
    assert "nothing can be concluded" in ranking._findings(ranks)[1]
