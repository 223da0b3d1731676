"""How numbers are written in tables and sentences: units, signs, digits, and a dash for what does not exist."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nearmiss.analysis.curves import Estimate
from nearmiss.analysis.significance import Interval
from nearmiss.analysis.thresholds import LabelReduction, LabelsToReach

__all__ = [
    "ABSENT",
    "count",
    "decimals",
    "interval",
    "labels",
    "listing",
    "mebibytes",
    "p_value",
    "percent",
    "points",
    "printable",
    "record",
    "reduction",
    "seconds",
]

#: Stands where there is no number, so that nobody reads NaN.
ABSENT = "–"
MINUS = "−"


def count(number: int) -> str:
    """Write a whole number with thousands separated.

    Examples
    --------
    >>> count(12000)
    '12,000'
    """
    return f"{number:,}"


def percent(value: Estimate | None) -> str:
    """Write a fraction as per cent, with its standard deviation where there is one.

    Examples
    --------
    >>> percent(Estimate(0.8123, 0.004, 3)), percent(Estimate(0.8123, None, 1)), percent(None)
    ('81.2 ± 0.4', '81.2', '–')
    """
    return ABSENT if value is None else _spread(100 * value.mean, None if value.std is None else 100 * value.std, 1)


def decimals(value: Estimate | None) -> str:
    """Write a number with three decimals, with its standard deviation where there is one.

    Examples
    --------
    >>> decimals(Estimate(0.5, 0.25, 2))
    '0.500 ± 0.250'
    """
    return ABSENT if value is None else _spread(value.mean, value.std, 3)


def _spread(mean: float, std: float | None, digits: int) -> str:
    return f"{mean:.{digits}f}" if std is None else f"{mean:.{digits}f} ± {std:.{digits}f}"


def points(difference: float | None) -> str:
    """Write a difference of fractions in percentage points, with its sign.

    Examples
    --------
    >>> points(0.0123), points(-0.004), points(-0.0000001), points(None)
    ('+1.2', '−0.4', '0.0', '–')
    """
    if difference is None:
        return ABSENT
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def interval(ends: Interval | None) -> str:
    """Write an interval of differences in percentage points.

    Examples
    --------
    >>> interval(Interval(-0.003, 0.027))
    '−0.3 to +2.7'
    """
    return ABSENT if ends is None else f"{points(ends.low)} to {points(ends.high)}"


def p_value(p: float | None) -> str:
    """Write a p-value with three decimals below 0.1 and two above.

    Rounding never carries a value across the 0.05 mark.

    Examples
    --------
    >>> p_value(0.21), p_value(0.0123), p_value(0.0000004), p_value(0.04996)
    ('0.21', '0.012', '<0.001', '0.049')
    """
    if p is None:
        return ABSENT
    if p < 0.001:
        return "<0.001"
    if p < 0.05 <= round(p, 3):
        return "0.049"
    return f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def seconds(duration: float | None) -> str:
    """Write seconds with about three significant digits.

    Examples
    --------
    >>> seconds(0.0041), seconds(1.234), seconds(45.67), seconds(12871.0)
    ('0.004', '1.23', '45.7', '12,871')
    """
    if duration is None:
        return ABSENT
    if duration < 1:
        return f"{duration:.3f}"
    return f"{duration:.2f}" if duration < 10 else f"{duration:.1f}" if duration < 100 else f"{duration:,.0f}"


def record(wins: int, ties: int, losses: int) -> str:
    """Write a record of wins, ties and losses.

    Examples
    --------
    >>> record(3, 0, 2)
    '3–0–2'
    """
    return f"{wins}–{ties}–{losses}"


def labels(needed: LabelsToReach | None) -> str:
    """Write the labels needed to reach a target, with their interval; above the budget, with how many seeds got there.

    Examples
    --------
    >>> half = LabelsToReach(0.9, 0.8, (0, 1), (120.0, None), 450, None, None)
    >>> whole = LabelsToReach(0.9, 0.8, (0, 1), (120.0, 140.0), 450, 130.0, Interval(120.0, math.inf))
    >>> labels(whole), labels(half)
    ('130 (120 to > 450)', '> 450 (1 of 2)')
    """
    if needed is None:
        return ABSENT
    budget = f"> {count(needed.budget)}"
    if needed.median is None:
        return f"{budget} ({needed.n_reached} of {len(needed.seeds)})"

    def end(value: float) -> str:
        return count(round(value)) if math.isfinite(value) else budget

    ends = needed.interval
    median = f"{'≤ ' if needed.is_upper_bound else ''}{end(needed.median)}"
    return median if ends is None else f"{median} ({end(ends.low)} to {end(ends.high)})"


def reduction(saved: LabelReduction | None) -> str:
    """Write a share of labels saved in per cent, with its interval; ≥ where the reference did not get there.

    Examples
    --------
    >>> needed = LabelsToReach(0.9, 0.8, (0, 1), (120.0, 140.0), 450, 130.0, None)
    >>> reduction(LabelReduction(needed, needed, 0.25, False, Interval(-0.1, 0.5))), reduction(None)
    ('25 % (−10 to 50)', '–')
    """
    if saved is None or saved.reduction is None:
        return ABSENT

    def end(share: float) -> str:
        return f"{100 * share:.0f}".replace("-0", "0").replace("-", MINUS) if math.isfinite(share) else f"{MINUS}∞"

    bound = "≥ " if saved.at_least else ""
    ends = saved.interval
    return f"{bound}{end(saved.reduction)} %{'' if ends is None else f' ({end(ends.low)} to {end(ends.high)})'}"


def mebibytes(size: int) -> str:
    """Write a number of bytes in mebibytes.

    Examples
    --------
    >>> mebibytes(1_288_490_189)
    '1,229 MiB'
    """
    return f"{size / 2**20:,.0f} MiB"


def listing(names: Sequence[object]) -> str:
    """Join names as a sentence does.

    Examples
    --------
    >>> listing(["cal"]), listing(["cal", "badge"]), listing([0, 1, 2])
    ('cal', 'cal and badge', '0, 1 and 2')
    """
    words = [str(name) for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def printable(name: str) -> str:
    r"""Replace control characters, which SVG does not allow, not even escaped.

    Examples
    --------
    >>> printable("cal\a:k=5")
    'cal?:k=5'
    """
    return "".join(character if character.isprintable() else "?" for character in name)
