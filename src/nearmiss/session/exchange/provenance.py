"""How a label was come by, as plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from nearmiss.errors import InvalidInput
from nearmiss.session.exchange.json_objects import as_text

__all__ = ["Scalar", "known_values", "scalar"]

Scalar = str | int | float | bool | None

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Columns of ours with another meaning.
_TAKEN = frozenset({"all_answers", "answers", "label", "suggestion"})


def known_values(provenance: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Leave out what is not known: None, and numbers that are not finite, which JSON cannot hold.

    Raises
    ------
    InvalidInput
        A key that cannot name a column of ours.

    Examples
    --------
    >>> known_values({"source": "model", "score": float("nan"), "note": None})
    {'source': 'model'}
    """
    for key in provenance:
        if key in _TAKEN or not _KEY.fullmatch(key):
            raise InvalidInput(
                f"provenance key {key!r} cannot name a column; use letters, digits and underscores, "
                f"and none of {', '.join(sorted(_TAKEN))}"
            )
    return {
        key: value
        for key, value in provenance.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }


def scalar(value: object) -> Scalar:
    """Take a decoded JSON value for one of these; an array or object becomes its text.

    Examples
    --------
    >>> scalar(0.5), scalar([1])
    (0.5, '[1]')
    """
    return value if isinstance(value, (str, int, float, bool)) else as_text(value)
