"""Names for the other columns of a text that cannot be taken for one of ours."""

from __future__ import annotations

from collections.abc import Container

__all__ = ["PREFIX", "escaped_key", "unescaped_key"]

#: How the names of all columns begin that tell how a label was come by.
PREFIX = "nearmiss_"

_BEFORE = "meta."
_AFTER = "."


def escaped_key(key: str, taken: Container[str]) -> str:
    """Name a column of the user's so that no reader trims it or takes it for another.

    Parameters
    ----------
    key
        The column's own name.
    taken
        Names that mean something else in the file.

    Examples
    --------
    >>> escaped_key("topic", {"text"}), escaped_key("text", {"text"})
    ('topic', 'meta.text.')
    """
    plain = key and key == key.strip() and key not in taken and not key.startswith((PREFIX, _BEFORE))
    return key if plain else f"{_BEFORE}{key}{_AFTER}"


def unescaped_key(name: str, taken: Container[str]) -> str:
    """Give a column its own name back; one that ``escaped_key`` did not change stays as it is.

    Examples
    --------
    >>> unescaped_key("meta.text.", {"text"}), unescaped_key("meta.topic.", {"text"})
    ('text', 'meta.topic.')
    """
    if not (name.startswith(_BEFORE) and name.endswith(_AFTER) and len(name) >= len(_BEFORE) + len(_AFTER)):
        return name
    key = name[len(_BEFORE) : -len(_AFTER)]
    return key if escaped_key(key, taken) != key else name
