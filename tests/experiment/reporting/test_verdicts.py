"""What the sentences claim, and what they must not."""

import re
from dataclasses import replace

import pytest

from nearmiss.errors import InvalidInput
from nearmiss.experiment.report import summary_table, verdict_sentences, write_report
from nearmiss.experiment.reporting.summary import summarize
from nearmiss.experiment.spec import RunKey


def test_sentences_name_winners_losers_and_the_undecided(clear_result):
    headline, *sentences, resolution = verdict_sentences(clear_result())
    assert headline == "1 of 3 functions beats random here: margin. 1 does worse: cal. For 1 no difference is shown."
    margin, cal, entropy = sentences
    assert margin.startswith("margin beats random: +2.1 points of AULC (95 % interval +1.9 to +2.3), ahead in 3 of 3")
    assert margin.endswith("significant after Holm correction (p = 0.002). At 320 labels: +2.1 points of accuracy.")
    assert cal.startswith(
        "cal does worse than random: −3.1 points of AULC (95 % interval −3.5 to −2.8), behind in 3 of 3"
    )
    assert entropy.startswith(
        "entropy is ahead of random in 2 of 3 seeds, +0.1 points of AULC (95 % interval −2.8 to +2.9)"
    )
    assert "not significant after Holm correction (p = 0.93)" in entropy
    assert resolution == (
        "With 3 seeds, the 95 % intervals reach ±0.2 to ±2.8 points around the differences: smaller ones are not"
        " resolved here."
    )


def test_ahead_in_every_seed_is_not_enough(run, result_of):
    runs = [run("random", s, [0.8, 0.8]) for s in range(3)]
    runs += [run("cal", s, [0.8 + gain] * 2) for s, gain in enumerate((0.001, 0.012, 0.03))]
    headline, sentence, _ = verdict_sentences(result_of(runs))
    assert headline == "cal is not shown to beat random here."
    assert sentence.startswith(
        "cal is ahead of random in 3 of 3 seeds, +1.4 points of AULC (95 % interval −2.2 to +5.1);"
    )
    assert "not significant" in sentence


def test_no_comparison_without_random(tmp_path, grid, parsed, words, terminal):
    result = grid(strategies=("cal", "margin"))
    (headline,) = verdict_sentences(result)
    assert "random is not among the finished runs, so no comparison is possible" in headline
    page = words(parsed(write_report(result, tmp_path).html))
    assert headline in page
    assert "thick dashed line" not in page
    assert "cal" in terminal(result)


def test_random_alone(tmp_path, grid):
    result = grid(strategies=("random",))
    (headline,) = verdict_sentences(result)
    assert "nothing to compare" in headline
    assert "<h3>One function at a time" not in write_report(result, tmp_path).html.read_text(encoding="utf-8")


def test_one_seed_is_never_a_verdict(tmp_path, grid, parsed, words, terminal):
    result = grid(seeds=(7,))
    headline, *sentences = verdict_sentences(result)
    assert "one seed cannot show that any function is better or worse" in headline
    assert all("one seed cannot be tested" in sentence for sentence in sentences)
    page = words(parsed(write_report(result, tmp_path).html))
    assert "±" not in page.replace("±1 SD", "")
    assert not re.search(r"\bnan\b", page, flags=re.IGNORECASE)
    assert "±" not in terminal(result)


def test_one_round(tmp_path, grid, parsed, words, terminal):
    result = grid(n_rounds=1)
    assert len(verdict_sentences(result)) == 1 + 8 + 1
    page = words(parsed(write_report(result, tmp_path).html))
    assert "200 labels" in page
    assert not re.search(r"\bnan\b", page, flags=re.IGNORECASE)
    lines = terminal(result).splitlines()
    assert next(line for line in lines if "diverse-cal" in line).rstrip().endswith("–")


def test_equal_results_and_equal_gains(run, result_of):
    runs = [run("random", s, [0.7, 0.8]) for s in range(3)]
    runs += [run("twin", s, [0.7, 0.8]) for s in range(3)] + [run("shift", s, [0.71, 0.81]) for s in range(3)]
    headline, twin, shift = verdict_sentences(result_of(runs))
    assert headline == "None of 2 functions is shown to beat random here. 1 could not be tested."
    assert twin == "twin has the same AULC as random in all 3 seeds. At 260 labels: 0.0 points of accuracy."
    assert "differs from random by +1.0 points of AULC in each of 3 seeds" in shift


def test_only_common_seeds_are_paired_and_it_is_said(tmp_path, clear_result, parsed, words):
    whole = clear_result()
    kept = tuple(r for r in whole.runs if r.key != RunKey("margin", 1))
    result = replace(whole, runs=kept, spec=whole.spec.replace(strategies=(*whole.spec.strategies, "alps")))
    sentences = verdict_sentences(result)
    assert any(s.startswith("margin") and "of 2 seeds" in s for s in sentences)
    assert "No finished run of alps: missing from everything below." in sentences
    (remark,) = (s for s in sentences if s.startswith("margin has no finished run"))
    assert "for seed 1; its means are over seeds 0 and 2 alone" in remark
    margin = next(f for f in summarize(result).functions if f.strategy == "margin")
    assert margin.area_comparison.seeds == (0, 2)
    assert margin.area_comparison.difference.mean == pytest.approx(0.021)
    page = words(parsed(write_report(result, tmp_path).html))
    assert remark in page


def test_seeds_apart_share_nothing(run, result_of):
    runs = [run("random", 0, [0.7, 0.8]), run("cal", 1, [0.7, 0.9])]
    sentences = verdict_sentences(result_of(runs))
    assert "nothing to compare" in sentences[0]


def test_no_runs_at_all(result_of):
    with pytest.raises(InvalidInput, match="no finished run"):
        summary_table(result_of([], strategies=("cal",), seeds=(0,)))
