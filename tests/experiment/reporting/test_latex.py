"""LaTeX: whatever stands in a cell is printed, and nothing of it is run."""

import re

import pytest

from nearmiss.experiment.reporting.latex import escape_latex, latex
from nearmiss.experiment.reporting.tables import TextTable


@pytest.mark.parametrize("character", "&%$#_{}")
def test_special_characters_get_a_backslash(character):
    assert escape_latex(f"a{character}b") == f"a\\{character}b"


def test_commands_in_a_name_are_text():
    assert escape_latex(r"\input{x}~^") == r"\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}"


def test_numbers_keep_their_signs():
    assert escape_latex("−0.4 ± 0.1 → ≥ –") == r"$-$0.4 $\pm$ 0.1 $\rightarrow$ $\geq$ --"


def test_a_bracket_at_the_start_of_a_row_is_no_option():
    table = TextTable("t", "Caption.", ("Variant", "Value"), (("[CLS]", "1"),))
    assert "{[CLS]} & 1" in latex(table)


def test_words_are_set_left_and_long_ones_in_lines():
    table = TextTable(
        "t", "C.", ("F", "Short", "Long", "N"), (("a", "better", "words " * 9, "1"),), words=("Short", "Long")
    )
    assert r"\begin{tabular}{llp{0.25\linewidth}r}" in latex(table)


def test_every_row_has_as_many_cells_as_columns():
    table = TextTable("t", "C.", ("F", "A & B"), (("x & y", "1 & 2"), ("z", "–")))
    rows = [line for line in latex(table).splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1]
