"""How figures become files and parts of a page: colours by role, fixed settings, SVG and PNG without dates.

The same figure gives the same bytes. Needs matplotlib, imported on use; its global state is left as it was.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FONT_SIZE", "PALETTE", "Ink", "figure_png", "figure_svg", "inline_svg", "settings"]

FONT_SIZE = 10.5
DOTS_PER_INCH = 160


@dataclass(frozen=True, slots=True)
class Ink:
    """One colour by its role, on a light page and on a dark one."""

    light: str
    dark: str


#: Roles and colours. The series keep apart for colour-blind readers and hold 3:1 against their page; markers and dashes
#: tell them apart without colour. No colour may occur twice: a page's SVG is themed by replacing each with its role.
PALETTE: Mapping[str, Ink] = MappingProxyType(
    {
        "figure-text": Ink("#24292f", "#e6e8eb"),
        "figure-quiet": Ink("#57606a", "#a6adb7"),
        "figure-axis": Ink("#8c959f", "#767e88"),
        "figure-grid": Ink("#e4e7eb", "#2d333b"),
        "figure-page": Ink("#ffffff", "#15181c"),
        "series-reference": Ink("#111417", "#fafbfc"),
        "series-0": Ink("#0072b2", "#4ea3f0"),
        "series-1": Ink("#d55e00", "#ff8f52"),
        "series-2": Ink("#00875f", "#3fcf9f"),
        "series-3": Ink("#b8508f", "#f09acb"),
        "series-4": Ink("#a87b00", "#f0c245"),
        "series-5": Ink("#3d8fd1", "#a4d6ff"),
        "series-6": Ink("#7d1f4f", "#d8628f"),
        "series-7": Ink("#6b7016", "#c5cc5a"),
        "series-8": Ink("#43339b", "#a596ff"),
        "series-9": Ink("#7b4b2a", "#cfa282"),
    }
)


@contextmanager
def settings() -> Iterator[None]:
    """Hold matplotlib to fixed settings while a figure is drawn or written, whatever the reader's matplotlibrc says."""
    from matplotlib import rc_context, rcdefaults

    text = PALETTE["figure-text"].light
    with rc_context():
        rcdefaults()
        with rc_context(
            {
                "font.family": ["DejaVu Sans"],
                "font.size": FONT_SIZE,
                "text.color": text,
                "axes.labelcolor": text,
                "axes.facecolor": "none",
                "svg.fonttype": "none",
                "svg.hashsalt": "nearmiss",
            }
        ):
            yield


def figure_svg(figure: Figure) -> str:
    """Write a figure as a file of its own, on white, readable anywhere."""
    return _svg(figure, PALETTE["figure-page"].light)


def figure_png(figure: Figure) -> bytes:
    """Write a figure as PNG on white."""
    buffer = io.BytesIO()
    with settings():
        page = PALETTE["figure-page"].light
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, facecolor=page, metadata={"Software": None})
    return buffer.getvalue()


def inline_svg(figure: Figure, prefix: str, description: str) -> str:
    """Write a figure to stand inside an HTML page.

    Colours become the page's CSS variables, named after the roles of ``PALETTE``; ids begin with the prefix, so that
    several figures may share a page; the description is what a screen reader says.
    """
    svg = _svg(figure, "none")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    # Only style attributes hold colours; names of functions in the text must stay as they are.
    svg = re.sub(r'style="[^"]*"', lambda match: _themed(match.group()), svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{_attribute(description)}" ', 1)


def _themed(style: str) -> str:
    # A viewer's own fonts serve the page; sizes, weights and anchors are the figure's.
    style = style.replace("font-family: 'DejaVu Sans'; ", "")
    for role, ink in PALETTE.items():
        style = style.replace(ink.light, f"var(--{role})")
    return style


def _attribute(text: str) -> str:
    for character, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return text


def _svg(figure: Figure, background: str) -> str:
    buffer = io.StringIO()
    with settings():
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", facecolor=background, metadata=metadata)
    return buffer.getvalue()
