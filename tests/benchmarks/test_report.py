"""Results survive the disk, and the page says what they say."""

from pathlib import Path

import pytest
from benchmarks.report import render, value
from benchmarks.results import Figure, Lines, Mark, Note, Record, Results, Table

MACHINE, LIMITS = {"processor": "abacus"}, {"float32-numpy": 100.0, "float32-torch": 80.0, "read": 10.0}
FIGURE = Figure(
    "CAL",
    {"n": 1000, "m": 10, "d": 4, "k": 3},
    0.5,
    "s",
    "FAISS",
    0.4,
    (Mark("ratio", high=1.1), Mark("ours", high=2.0)),
    flop=25e9,
    raw={"CAL": [0.4, 0.5, 0.6]},
)
LINES = Lines("growth", "Seconds", "n", "s", {"nearmiss": [(1, 2.0), (2, 4.0)]})


def record(quick=False, complete=True):
    items = [FIGURE, Note("The batches agree."), Table("Seconds", ("", "n = 1"), [["ours", "2"]]), LINES]
    return Record("cal-large", "2026-01-02", "abc", quick, MACHINE, LIMITS, items, 3.0, complete)


def page(*records):
    drawn = []
    text = render({each.name: each for each in records}, lambda what: drawn.append(what) or Path("plots/x.svg"))
    return text, drawn


def test_marks_are_judged_each():
    text, drawn = page(record())
    assert (
        "| CAL | 1,000 | 10 | 4 |  | 3 |  | 0.5 s | 0.4 s | FAISS | 1.25 | at most 1.1×; at most 2 s | **no**; yes |"
        in text
    )
    assert "The batches agree." in text
    assert "| ours | 2 |" in text
    assert "| processor | abacus |" in text
    assert drawn == [[FIGURE], LINES]


def test_a_share_is_of_the_best_product():
    assert "| 25 GFLOP | 0.5 s | 50 | 50% | 50% |" in page(record())[0]


def test_a_quick_or_interrupted_run_says_so():
    text, _ = page(record(quick=True, complete=False))
    assert "marks not judged" in text
    assert "**Incomplete**" in text
    assert "| – |" not in text.replace("| –; – |", "")


@pytest.mark.parametrize(
    ("number", "unit", "written"),
    [(0.00412, "s", "4.12 ms"), (9.876, "s", "9.88 s"), (312.4, "MB", "312 MB"), (0.99997, "", "0.99997")],
)
def test_values_carry_their_units(number, unit, written):
    assert value(number, unit) == written


def test_a_mark_without_a_peer_is_not_judged():
    alone = Figure("CAL", {"n": 1}, 0.5, marks=(Mark("ratio", high=1.1), Mark("ours", low=0.4, high=0.6)))
    assert [alone.met(mark) for mark in alone.marks] == [None, True]


def test_results_of_other_sections_stay(tmp_path):
    path = tmp_path / "results.json"
    Results(path).save(record())
    again = Results(path)
    again.save(Record("badge", "2026-01-03", "abc", True, MACHINE, LIMITS, [Note("Half done.")]))
    kept = Results(path).records
    assert list(kept) == ["cal-large", "badge"]
    assert kept["cal-large"].items[0] == FIGURE
    assert not kept["badge"].complete
    assert page(*kept.values())[0] == page(*again.records.values())[0]
