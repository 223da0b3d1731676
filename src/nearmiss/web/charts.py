"""Pictures of numbers, drawn as SVG that a screen reader can tell and a strict page may hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from nearmiss.errors import InvalidInput

__all__ = ["CurvePoint", "learning_curve", "share_bar", "swatch"]

_WIDTH, _HEIGHT = 720.0, 360.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 92.0, 28.0, 20.0, 72.0
#: About so many numbers stand below the picture.
_TICKS = 5


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One measurement of a learning curve.

    Attributes
    ----------
    labels
        Labels the model learned from.
    share, low, high
        Its accuracy and the interval, from 0 to 1.
    """

    labels: int
    share: float
    low: float
    high: float


def learning_curve(points: Sequence[CurvePoint], title: str) -> Markup:
    """Draw accuracy over labels: a line through the measurements, and their intervals as a band.

    Parameters
    ----------
    points
        At least one, in the order of time.
    title
        What a screen reader says of the whole.

    Raises
    ------
    InvalidInput
        There are no points, or a share outside 0 to 1.

    Examples
    --------
    >>> picture = learning_curve([CurvePoint(20, 0.6, 0.4, 0.8), CurvePoint(40, 0.7, 0.5, 0.85)], "Accuracy <b>")
    >>> "<b>" in picture, picture.count("<circle")
    (False, 2)
    """
    if not points:
        raise InvalidInput("a learning curve without points; draw it once there is a measurement")
    if any(not 0 <= value <= 1 for point in points for value in (point.share, point.low, point.high)):
        raise InvalidInput("a share lies outside 0 to 1; give shares, not per cents")
    most = _round_up(max(point.labels for point in points))
    placed = [(_across(point.labels, most), point) for point in points]
    last = points[-1]
    told = (
        f"From {points[0].labels} to {last.labels} labels. The last value is {100 * last.share:.0f} %, "
        f"with a 95 % interval from {100 * last.low:.0f} to {100 * last.high:.0f} %."
    )
    band = [(x, _up(point.high)) for x, point in placed] + [(x, _up(point.low)) for x, point in reversed(placed)]
    parts = [_frame(most)]
    if len(placed) > 1:
        parts.append(Markup('<polygon class="band" points="{}"/>').format(_path(band)))
        parts.append(
            Markup('<polyline class="line" points="{}"/>').format(_path([(x, _up(p.share)) for x, p in placed]))
        )
    for x, point in placed:
        whisker = Markup('<line class="whisker" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
        parts.append(whisker.format(x=_number(x), low=_number(_up(point.low)), high=_number(_up(point.high))))
        dot = Markup('<circle class="dot" cx="{}" cy="{}" r="4.5"/>')
        parts.append(dot.format(_number(x), _number(_up(point.share))))
    frame = Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="curve-title curve-told">'
        '<title id="curve-title">{}</title><desc id="curve-told">{}</desc>{}</svg>'
    )
    return frame.format(_number(_WIDTH), _number(_HEIGHT), title, told, Markup("").join(parts))


def share_bar(share: float, color: str = "") -> Markup:
    """Draw a share of a whole as a bar; the number itself must stand beside it.

    Raises
    ------
    InvalidInput
        The share is not from 0 to 1.

    Examples
    --------
    >>> 'width="25.0"' in share_bar(0.25, "#2a6f97")
    True
    """
    if not 0 <= share <= 1:
        raise InvalidInput(f"a share of {share}; it must be from 0 to 1")
    fill = Markup(' fill="{}"').format(color) if color else Markup("")
    bar = Markup(
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rail" width="100" height="4"/><rect class="filled" width="{:.1f}" height="4"{}/></svg>'
    )
    return bar.format(100 * share, fill)


def swatch(color: str) -> Markup:
    """Draw a label's colour as a dot; nothing for a label without one.

    Examples
    --------
    >>> swatch("")
    Markup('')
    """
    if not color:
        return Markup("")
    return Markup(
        '<svg class="swatch-dot" viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5" fill="{}"/></svg>'
    ).format(color)


def _frame(most: int) -> Markup:
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _up(share)
        rule = Markup('<line class="rule" x1="{}" x2="{}" y1="{y}" y2="{y}"/>')
        parts.append(rule.format(_number(_LEFT), _number(_WIDTH - _RIGHT), y=_number(y)))
        name = Markup('<text class="side-tick" x="{}" y="{}">{:.0f} %</text>')
        parts.append(name.format(_number(_LEFT - 10), _number(y + 5), 100 * share))
    step = _step(most)
    for labels in range(0, most + 1, step):
        tick = Markup('<text class="low-tick" x="{}" y="{}">{}</text>')
        parts.append(tick.format(_number(_across(labels, most)), _number(_HEIGHT - _BOTTOM + 28), labels))
    caption = Markup('<text class="low-tick" x="{}" y="{}">labels the model learned from</text>')
    parts.append(caption.format(_number((_LEFT + _WIDTH - _RIGHT) / 2), _number(_HEIGHT - 10)))
    return Markup("").join(parts)


def _step(most: int) -> int:
    """Give a round distance between ticks."""
    rough = max(1.0, most / _TICKS)
    magnitude = 10 ** math.floor(math.log10(rough))
    return int(next(magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= rough))


def _round_up(most: int) -> int:
    step = _step(max(1, most))
    return max(1, math.ceil(most / step)) * step


def _across(labels: int, most: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * labels / most


def _up(share: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share)


def _path(corners: Sequence[tuple[float, float]]) -> str:
    return str(escape(" ".join(f"{_number(x)},{_number(y)}" for x, y in corners)))


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
