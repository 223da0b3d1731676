"""Colours for labels: apart from one another for most eyes, and clear on light and dark pages alike."""

from __future__ import annotations

from nearmiss.errors import InvalidInput

__all__ = ["PALETTE", "contrast"]

#: Names and ``#rrggbb``; each has a contrast of 3 or more to both papers of the page.
PALETTE: dict[str, str] = {
    "blue": "#3d84c6",
    "orange": "#c8651b",
    "green": "#2f8f5b",
    "pink": "#c45a94",
    "violet": "#8a6fd1",
    "teal": "#1f8a94",
    "red": "#d1495b",
    "olive": "#8a7d1e",
    "brown": "#a0704a",
    "grey": "#7b8794",
}


def contrast(first: str, second: str) -> float:
    """Give the contrast of two colours, from 1 to 21 (WCAG 2.2).

    Raises
    ------
    InvalidInput
        A colour is not written as ``#rrggbb``.

    Examples
    --------
    >>> contrast("#000000", "#ffffff")
    21.0
    """
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return round((lighter + 0.05) / (darker + 0.05), 2)


def _luminance(color: str) -> float:
    try:
        channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    except ValueError:
        raise InvalidInput(f"colour {color!r}: write it as #rrggbb, such as #2a6f97") from None
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
