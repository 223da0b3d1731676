"""CAL against random, entropy and margin: every comparison told, better or not."""

from nearmiss.experiment.reporting.targets.contest import bout_table, bouts, contest_sentences
from nearmiss.experiment.reporting.targets.grid import read_grid

FUNCTIONS = ("random", "entropy", "margin", "cal")


def told(reproduction, **gains):
    known = bouts(read_grid(reproduction(functions=FUNCTIONS, gains=gains)))
    return known, contest_sentences(known)


def test_where_cal_is_better_and_where_worse(reproduction):
    known, (headline, random, entropy, margin) = told(reproduction, sst2=0.06, agnews=-0.06)
    assert [(bout.dataset, bout.rival) for bout in known] == [
        (dataset, rival) for dataset in ("sst2", "agnews") for rival in ("random", "entropy", "margin")
    ]
    assert headline.startswith("CAL is shown to beat each of RANDOM, ENTROPY and MARGIN on 1 of 2 datasets (SST-2).")
    assert random.startswith("CAL against RANDOM: shown to be better on 1 of 2 datasets (SST-2 +")
    assert "shown to be worse on 1 (AG News −" in random
    assert entropy.startswith("CAL against ENTROPY")
    assert margin.startswith("CAL against MARGIN")
    assert len(bout_table(known).rows) == 6


def test_where_nothing_can_be_concluded(reproduction):
    known = bouts(read_grid(reproduction(functions=FUNCTIONS, seeds=(0,))))
    sentences = contest_sentences(known)
    assert "on none of 2 datasets" in sentences[0]
    assert "not testable on 2" in sentences[1]
    assert sentences[-1] == "No comparison is significant, so nothing can be concluded on CAL from these runs."


def test_correction_is_over_all_rows(reproduction):
    known, _ = told(reproduction, sst2=0.06)
    tested = sorted(
        (bout.comparison.difference.p_value, bout.comparison.adjusted_p)
        for bout in known
        if bout.comparison.adjusted_p is not None
    )
    smallest, adjusted = tested[0]
    assert adjusted == min(1.0, len(tested) * smallest)


def test_without_cal(reproduction):
    known = bouts(read_grid(reproduction(functions=("random", "margin"), whole=False)))
    assert known == ()
    assert bout_table(known) is None
    (sentence,) = contest_sentences(known)
    assert "nothing can be concluded on CAL" in sentence
