"""Flags that hold more than one value, read."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from nearmiss.errors import InvalidInput

if TYPE_CHECKING:
    from nearmiss.experiment.spec import Option

__all__ = ["classifier_option"]


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
