"""Numbers of labels, given as a count or as a share of the pool."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from nearmiss.errors import InvalidInput

__all__ = ["Amount"]

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*", re.ASCII)
_COUNT = re.compile(r"\s*(\d+)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of labels: ``200``, or ``1%`` of the pool.

    Attributes
    ----------
    number
        The count, or the per cent, exactly.
    is_percent
        Which of the two it is.

    Examples
    --------
    >>> Amount.parse("batch", "2%").resolve(pool_size=22_500)
    450
    >>> str(Amount.parse("batch", "0.50 %")), Amount.parse("batch", 60).resolve(pool_size=1_000)
    ('0.5%', 60)
    """

    number: Fraction
    is_percent: bool = False

    @classmethod
    def parse(cls, key: str, value: object) -> Amount:
        """Read a count or a per cent.

        Raises
        ------
        InvalidInput
            The value is neither, is not above 0, or exceeds 100 %.
        """
        amount = _read(value)
        if amount is None or amount.number <= 0:
            raise InvalidInput(
                f'{key} = {value!r}: expected a count of at least 1 (200) or a per cent of the pool ("1%")'
            )
        if amount.is_percent and amount.number > 100:
            raise InvalidInput(f"{key} = {value!r}: a pool has no more than 100%")
        return amount

    def resolve(self, pool_size: int) -> int:
        """Count the labels in a pool of this size; halves round up, and any per cent gives at least one."""
        if not self.is_percent:
            return int(self.number)
        return max(1, int(self.number * pool_size / 100 + Fraction(1, 2)))

    def plain(self) -> int | str:
        """Give the value as TOML writes it."""
        return str(self) if self.is_percent else int(self.number)

    def __str__(self) -> str:
        if not self.is_percent:
            return str(int(self.number))
        whole, rest = divmod(self.number, 1)
        digits = ""
        while rest:  # ends, for parse reads finite decimals only
            digit, rest = divmod(rest * 10, 1)
            digits += str(digit)
        return f"{whole}.{digits}%" if digits else f"{whole}%"


def _read(value: object) -> Amount | None:
    if isinstance(value, Amount):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Amount(Fraction(value))
    if isinstance(value, str) and (percent := _PERCENT.fullmatch(value)):
        return Amount(Fraction(percent[1]), is_percent=True)
    if isinstance(value, str) and (count := _COUNT.fullmatch(value)):
        return Amount(Fraction(count[1]))
    return None
