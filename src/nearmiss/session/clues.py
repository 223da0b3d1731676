"""What a label without texts is looked for by: words and examples somebody gave, or its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from nearmiss.session.ground import Ground
from nearmiss.session.labels import Label

__all__ = ["Clue", "Sought", "clue_of", "sought_labels", "unseen"]


class Clue(StrEnum):
    """What a label is looked for by."""

    SEEDS = "seeds"  # words or examples that somebody wrote down
    NAME = "name"  # its name and description, in want of seeds


@dataclass(frozen=True, slots=True)
class Sought:
    """A label that is looked for.

    Attributes
    ----------
    label, clue
        Its number, and what it is looked for by.
    words
        The words, sentences or examples themselves.
    """

    label: int
    clue: Clue
    words: tuple[str, ...]

    @property
    def strategy(self) -> str:
        """How the origin of a pick names it.

        Examples
        --------
        >>> Sought(7, Clue.SEEDS, ("refund",)).strategy
        'seeds:label=7'
        """
        return f"{self.clue}:label={self.label}"


def clue_of(strategy: str) -> tuple[Clue, int] | None:
    """Read from a pick's strategy by what, and for which label, it was looked for; None where it was not.

    Examples
    --------
    >>> clue_of("seeds:label=7"), clue_of("diverse-margin")
    ((<Clue.SEEDS: 'seeds'>, 7), None)
    """
    found = _WRITTEN.fullmatch(strategy)
    return None if found is None else (Clue(found[1]), int(found[2]))


_WRITTEN = re.compile(rf"({'|'.join(Clue)}):label=(\d+)")


def sought_labels(labels: Iterable[Label], *, names: bool) -> tuple[Sought, ...]:
    """List the labels that can be looked for: those with seeds and, if names count, all others by name.

    Examples
    --------
    >>> labels = [Label(1, "card_arrival"), Label(2, "refund", seeds="money back"), Label(3, "7")]
    >>> [sought.words for sought in sought_labels(labels, names=True)]
    [('card arrival',), ('money back',)]
    """
    found = []
    for label in labels:
        if label.seed_texts:
            found.append(Sought(label.id, Clue.SEEDS, label.seed_texts))
        elif names and _WORD.search(label.name):
            words = " ".join(re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", label.name)).strip()
            found.append(Sought(label.id, Clue.NAME, (words, label.description) if label.description else (words,)))
    return tuple(found)


#: A number or a letter is no name to look for.
_WORD = re.compile(r"[^\W\d_]{2}")


def unseen(sought: Iterable[Sought], ground: Ground) -> tuple[Sought, ...]:
    """Keep the labels that no text to learn from has."""
    seen = {ground.labels[c] for c in np.unique(ground.classes).tolist()}
    return tuple(each for each in sought if each.label not in seen)
