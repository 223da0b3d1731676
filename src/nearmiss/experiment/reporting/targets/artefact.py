"""A figure or table of the paper, made again: everything that is written of it, and the files it becomes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nearmiss.experiment.reporting.latex import escape_latex, latex
from nearmiss.experiment.reporting.rendering import figure_png, figure_svg
from nearmiss.experiment.reporting.tables import TextTable, markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Artefact", "Drawing", "Records", "Value", "bullets", "contents_of", "plain", "section"]

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Records:
    """The numbers behind an artefact in full precision, one row each; None where there is none."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A figure and what it shows, for those who cannot see it."""

    figure: Figure
    description: str


@dataclass(frozen=True, slots=True, eq=False)
class Artefact:
    """One target of a reproduction.

    Attributes
    ----------
    name
        What its files are called: ``figure2``.
    title
        What it shows, of which model, on pools of which size.
    records
        The numbers in full.
    tables
        The numbers in words, beside the paper's; captions go on from the title.
    findings
        Sentences on what the numbers say.
    notes
        Sentences on how to read the columns, and what differs from the paper.
    drawing
        None for a table.
    """

    name: str
    title: str
    records: Records
    tables: tuple[TextTable, ...]
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    drawing: Drawing | None = None


def contents_of(artefact: Artefact) -> dict[str, bytes]:
    """Compose the files of an artefact by name: SVG and PNG where there is a figure, then Markdown, CSV and LaTeX."""
    contents: dict[str, bytes] = {}
    if artefact.drawing is not None:
        contents[f"{artefact.name}.svg"] = figure_svg(artefact.drawing.figure).encode()
        contents[f"{artefact.name}.png"] = figure_png(artefact.drawing.figure)
    contents[f"{artefact.name}.md"] = section(artefact, level=1).encode()
    contents[f"{artefact.name}.csv"] = _csv(artefact.records).encode()
    contents[f"{artefact.name}.tex"] = _tex(artefact).encode()
    return contents


def section(artefact: Artefact, level: int) -> str:
    """Write an artefact as a section of a Markdown page, under a heading of the level given.

    Examples
    --------
    >>> table = TextTable("table9", "Seconds.", ("Function", "Time"), (("CAL", "2.0"),))
    >>> print(section(Artefact("table9", "Table 9: time", Records((), ()), (table,), notes=("One seed.",)), 2))
    ## Table 9: time
    <BLANKLINE>
    Seconds.
    <BLANKLINE>
    | Function | Time |
    | :--- | ---: |
    | CAL | 2.0 |
    <BLANKLINE>
    - One seed.
    <BLANKLINE>
    """
    parts = [f"{'#' * level} {plain(artefact.title)}\n"]
    if artefact.drawing is not None:
        parts.append(f"![{_alternative(artefact.drawing.description)}]({artefact.name}.svg)\n")
    if artefact.findings:
        parts.append(bullets(artefact.findings))
    parts += [markdown(table) for table in artefact.tables]
    if artefact.notes:
        parts.append(bullets(artefact.notes))
    return "\n".join(parts)


def bullets(sentences: Sequence[str]) -> str:
    """Write sentences as a Markdown list."""
    return "".join(f"- {plain(sentence)}\n" for sentence in sentences)


def plain(text: str) -> str:
    r"""Write text so that Markdown shows it as it is.

    Examples
    --------
    >>> print(plain("cal_k < *2*"))
    cal\_k &lt; \*2\*
    """
    for character in "\\`*_":
        text = text.replace(character, f"\\{character}")
    return text.replace("<", "&lt;")


def _alternative(text: str) -> str:
    return plain(text).replace("[", "(").replace("]", ")")


def _csv(records: Records) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(records.columns)
    writer.writerows(records.rows)
    return buffer.getvalue()


def _tex(artefact: Artefact) -> str:
    """Write every table under the artefact's title, and the sentences below as a list."""
    tables = [latex(_titled(table, artefact.title)) for table in artefact.tables]
    sentences = [rf"  \item{{}} {escape_latex(text)}" for text in (*artefact.findings, *artefact.notes)]
    below = [r"\begin{itemize}", *sentences, r"\end{itemize}"] if sentences else []
    return "\n".join(["% In the preamble: \\usepackage{booktabs}", *tables, *below, ""])


def _titled(table: TextTable, title: str) -> TextTable:
    return replace(table, caption=f"{title}. {table.caption}")
