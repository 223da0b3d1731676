"""What reading a file of another tool gives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nearmiss.session.exchange.records import ExchangedItem

__all__ = ["ImportedItems", "occurring_labels"]


@dataclass(frozen=True, slots=True)
class ImportedItems:
    """The texts of a file.

    Attributes
    ----------
    items
        In the order of the file.
    label_names
        As the file declares them, else those that occur, sorted.
    notes
        What was guessed or left out, in sentences for the user.
    form
        What the file was read as.
    """

    items: tuple[ExchangedItem, ...]
    label_names: tuple[str, ...]
    notes: tuple[str, ...]
    form: str


def occurring_labels(items: Iterable[ExchangedItem]) -> tuple[str, ...]:
    """List every label that holds, was given or is suggested, sorted; whole numbers by size.

    Examples
    --------
    >>> occurring_labels([ExchangedItem(None, "good", label="10"), ExchangedItem(None, "bad", label="9")])
    ('9', '10')
    """
    found: set[str] = set()
    for item in items:
        found.update(answer.label for answer in item.answers if answer.label is not None)
        if item.label is not None:
            found.add(item.label)
        if item.suggestion is not None:
            found.add(item.suggestion.label)
    if all(name.isascii() and name.isdigit() and len(name) < 100 for name in found):
        return tuple(sorted(found, key=lambda name: (int(name), name)))
    return tuple(sorted(found))
