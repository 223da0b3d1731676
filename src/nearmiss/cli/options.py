"""Flags that hold more than one value, read."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from nearmiss.errors import InvalidInput

if TYPE_CHECKING:
    from nearmiss.experiment.spec import Option

__all__ = ["classifier_option", "memory_size"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def classifier_option(text: str) -> tuple[str, Option]:
    """Read ``KEY=VALUE``, the value typed as TOML types it, and as text where TOML would have none of it.

    Raises
    ------
    InvalidInput
        There is no key or no value.

    Examples
    --------
    >>> classifier_option("max-length=64"), classifier_option("pooling=cls")
    (('max_length', 64), ('pooling', 'cls'))
    """
    key, equals, value = text.partition("=")
    if not equals or not key or not value:
        raise InvalidInput(f"--option {text!r}: expected KEY=VALUE, such as --option max-length=64")
    try:
        typed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        typed = value
    return key.replace("-", "_"), typed if isinstance(typed, str | int | float | bool) else value


def memory_size(text: str) -> int:
    """Read a size of memory, in bytes.

    Raises
    ------
    InvalidInput
        It is no size, or nothing at all.

    Examples
    --------
    >>> memory_size("8GB"), memory_size("1.5 GiB"), memory_size("512m")
    (8000000000, 1610612736, 512000000)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper(), re.ASCII)
    if found is None or found[2] not in _UNITS or (size := int(float(found[1]) * _UNITS[found[2]])) < 1:
        raise InvalidInput(f"--memory {text!r}: expected a size, such as 8GB or 512MB")
    return size
