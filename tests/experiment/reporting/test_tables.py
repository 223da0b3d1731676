"""The terminal table, the CSV, and the numbers beneath them."""

import csv
import io

import pytest

from nearmiss.experiment.report import rounds_csv
from nearmiss.experiment.reporting.summary import summarize

PAPER = ("random", "entropy", "margin", "bertkm", "badge", "alps", "cal", "diverse-margin", "diverse-cal")


def test_csv_has_every_round_in_full(run, result_of):
    result = result_of([run("random", 0, [0.1 + 0.2, 0.5], ood={"imdb": 0.75}), run("cal", 0, [0.4, 1 / 3])])
    rows = list(csv.DictReader(io.StringIO(rounds_csv(result))))
    assert [(row["strategy"], row["round"], row["n_labeled"]) for row in rows] == [
        ("random", "0", "200"),
        ("random", "1", "260"),
        ("cal", "0", "200"),
        ("cal", "1", "260"),
    ]
    assert [float(row["accuracy"]) for row in rows] == [0.1 + 0.2, 0.5, 0.4, 1 / 3]
    assert [row["ood_accuracy:imdb"] for row in rows] == ["", "0.75", "", ""]
    assert rows[1]["selection_seconds"] == "0.25"


@pytest.mark.parametrize(
    "strategies",
    [
        PAPER,
        ("random", "cal:k=5,divergence=cross-entropy,anchor=labeled,reduce=median"),
        ("random", "diverse-least-confidence"),
    ],
)
@pytest.mark.parametrize("n_rounds", [1, 2, 6, 15])
@pytest.mark.parametrize("width", [72, 80, 100, 140])
def test_terminal_table_fits(strategies, n_rounds, width, grid, terminal):
    result = grid(strategies=strategies, n_rounds=n_rounds)
    table = terminal(result, width)
    assert max(map(len, table.splitlines())) <= width
    assert "…" not in table
    budgets = [200 + 60 * i for i in range(n_rounds)]
    heads = table.splitlines()[2].split()
    assert heads[1] == "200"
    assert f"{budgets[-1]:,}" in heads
    assert ("interval" in heads) == (width >= 100) or n_rounds == 1
    for function in summarize(result).functions:
        assert f"{100 * function.area.mean:.1f} ± " in table


def test_a_wider_terminal_shows_more_budgets(grid, terminal):
    result = grid(n_rounds=6)
    narrow, wide = (terminal(result, width).splitlines()[2].split() for width in (80, 140))
    assert narrow[1:4] == ["200", "320", "500"]
    assert {"200", "260", "320", "380", "440", "500"} <= set(wide)
