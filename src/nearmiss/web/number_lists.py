"""Long lists of numbers in a form field: written as runs, so that a hundred thousand fit where a preview sends them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nearmiss.errors import InvalidInput

__all__ = ["read_numbers", "written_numbers"]

_FORM = re.compile(r"\d{1,15}(-\d{1,15})?(,\d{1,15}(-\d{1,15})?)*")


def written_numbers(numbers: Iterable[int]) -> str:
    """Write numbers as runs, in order, each once.

    Examples
    --------
    >>> written_numbers([5, 1, 2, 3, 9, 10])
    '1-3,5,9-10'
    """
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def read_numbers(written: str, most: int) -> tuple[int, ...]:
    """Read what ``written_numbers`` wrote.

    Parameters
    ----------
    most
        More numbers are refused.

    Raises
    ------
    InvalidInput
        It is something else, or holds too many.

    Examples
    --------
    >>> read_numbers("1-3,5", most=10)
    (1, 2, 3, 5)
    """
    if not written.isascii() or not _FORM.fullmatch(written):
        raise InvalidInput(f"{written[:40]!r} is no list of texts; go back and look at the preview again")
    numbers: list[int] = []
    for run in written.split(","):
        first, _, last = run.partition("-")
        span = range(int(first), int(last or first) + 1)
        if not span or len(numbers) + len(span) > most:
            raise InvalidInput(f"the list of texts is broken, or holds more than {most}; look at the preview again")
        numbers.extend(span)
    return tuple(numbers)
