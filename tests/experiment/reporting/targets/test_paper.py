"""The paper's numbers: transcribed whole, and agreeing where the paper prints averages of its own cells."""

import statistics

import pytest

from nearmiss.experiment.reporting.targets import paper


def test_every_dataset_and_function_is_there():
    assert set(paper.RUNTIME_ORDER) == set(paper.DATASETS)
    assert (
        set(paper.PROFILES) == set(paper.RUNTIMES) == set(paper.TOTALS) == set(paper.FIGURE_2) == set(paper.FUNCTIONS)
    )
    assert all(set(rows) <= set(paper.FUNCTIONS) for rows in paper.OUT_OF_DOMAIN.values())
    assert set(paper.OUT_OF_DOMAIN) == {(name, one.ood) for name, one in paper.DATASETS.items() if one.ood}


@pytest.mark.parametrize("function", paper.FUNCTIONS)
def test_averages_are_those_of_the_cells(function):
    cells = {name: one.inference + one.selection for name, one in paper.RUNTIMES[function].items()}
    for average, datasets in paper.AVERAGES.items():
        printed = paper.TOTALS[function].get(average)
        known = [cells[name] for name in datasets if name in cells]
        assert (printed is None) == (len(known) < len(datasets))
        if printed is not None:
            assert abs(statistics.fmean(known) - printed) < 1
