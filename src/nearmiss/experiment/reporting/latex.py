r"""Tables as LaTeX, in the style of ``booktabs``: ready for ``\input`` once the preamble loads that package."""

from __future__ import annotations

from nearmiss.experiment.reporting.tables import TextTable

__all__ = ["escape_latex", "latex"]

#: Words longer than this are broken into lines.
LONG_WORDS = 24
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "Φ": r"$\Phi$",
    "χ": r"$\chi$",
    "²": r"$^2$",
    "–": "--",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
}


def escape_latex(text: str) -> str:
    r"""Write text so that LaTeX prints it as it is; characters that are not LaTeX's own stay, for UTF-8 input.

    Examples
    --------
    >>> print(escape_latex("cal_k: 81.2 ± 0.4 %"))
    cal\_k: 81.2 $\pm$ 0.4 \%
    >>> print(escape_latex("a \\ b"))
    a \textbackslash{} b
    """
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def latex(table: TextTable) -> str:
    r"""Write a table as a float with a caption and a label; columns of words are set left, long ones in lines.

    Examples
    --------
    >>> print(latex(TextTable("cost", "Seconds & minutes.", ("Function", "Training"), (("cal_k", "1.2"),))))
    \begin{table}
      \centering
      \caption{Seconds \& minutes.}
      \label{tab:cost}
      \begin{tabular}{lr}
        \toprule
        Function & Training \\
        \midrule
        cal\_k & 1.2 \\
        \bottomrule
      \end{tabular}
    \end{table}
    <BLANKLINE>
    """

    def line(cells: tuple[str, ...]) -> str:
        return "    " + " & ".join(map(_cell, cells)) + r" \\"

    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape_latex(table.caption)}}}",
            rf"  \label{{tab:{table.name}}}",
            rf"  \begin{{tabular}}{{l{''.join(_side(table, i) for i in range(1, len(table.columns)))}}}",
            r"    \toprule",
            line(table.columns),
            r"    \midrule",
            *map(line, table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _side(table: TextTable, column: int) -> str:
    if table.columns[column] not in table.words:
        return "r"
    return "l" if max((len(row[column]) for row in table.rows), default=0) <= LONG_WORDS else r"p{0.25\linewidth}"


def _cell(text: str) -> str:
    escaped = escape_latex(text)
    # Behind \\ a bracket would be read as that command's option.
    return f"{{{escaped}}}" if escaped.startswith(("[", "*")) else escaped
