"""Why a text was asked about, in words that a person takes in at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from nearmiss.session.clues import Clue, clue_of
from nearmiss.session.items import Item
from nearmiss.session.origins import Origin, Source

__all__ = ["KEPT_BACK", "NeighborTold", "Reason", "reason_of"]

_SHOWN = 3
_START = 300
#: Two labels this close in probability leave the model wavering.
_WAVERS = 0.15
#: Below this, even the likeliest label is doubtful.
_SURE = 0.6


@dataclass(frozen=True, slots=True)
class NeighborTold:
    """A labelled text near this one: its beginning, its label, what the model says of it, and how far off both are."""

    item: int
    text: str
    label: str
    guess: str
    probability: float
    distance: float
    divergence: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a text came up.

    Attributes
    ----------
    sentence
        The reason in a sentence.
    source
        Who chose it, in two words; empty while that must not be told.
    guesses
        What the model says: names and probabilities, likeliest first.
    neighbors
        The labelled texts nearest to it.
    details
        Strategy, score and model version, for those who want to know.
    """

    sentence: str
    source: str
    guesses: tuple[tuple[str, float], ...]
    neighbors: tuple[NeighborTold, ...]
    details: str


#: What is told before the answer in a project that is labelled without the model's guesses.
KEPT_BACK = Reason(
    "Chosen by nearmiss. What the model says of it is kept back in this project until it is answered.", "", (), (), ""
)


def reason_of(origin: Origin, names: Mapping[int, str], items: Mapping[int, Item], *, revealed: bool) -> Reason:
    """Tell why a text was asked about.

    Before it is answered (``revealed`` false), a random check is told in the same words as any other pick: who knows
    that a text is a check looks at it twice, and the check measures something else.

    Parameters
    ----------
    names
        Every label's name, by number.
    items
        The neighbours' texts, by number.

    Examples
    --------
    >>> origin = Origin(Source.AUDIT, labels=(1, 2), probabilities=(0.5, 0.45))
    >>> reason_of(origin, {1: "refund", 2: "cancel"}, {}, revealed=False).sentence
    'The model wavers between “refund” (50 %) and “cancel” (45 %).'
    >>> reason_of(origin, {1: "refund", 2: "cancel"}, {}, revealed=True).source
    'random check'
    """
    guesses = tuple(
        (names.get(label, "?"), probability)
        for label, probability in zip(origin.labels, origin.probabilities, strict=True)
    )
    neighbors = tuple(
        NeighborTold(
            neighbor.item,
            _start(items[neighbor.item]),
            names.get(neighbor.label, "?"),
            names.get(neighbor.guess, "?"),
            neighbor.probability,
            neighbor.distance,
            neighbor.divergence,
        )
        for neighbor in origin.neighbors
        if neighbor.item in items
    )
    # Before the answer it would tell picks from checks, and lead whoever labels.
    looked_for = _looked_for(origin, names) if revealed else ""
    return Reason(
        looked_for or _sentence(origin, guesses, neighbors),
        _SOURCES[origin.source] if revealed else "",
        guesses,
        neighbors,
        _details(origin) if revealed else "",
    )


_SOURCES = {
    Source.MODEL: "the model’s pick",
    Source.COVER: "covers the pool",
    Source.RANDOM: "random",
    Source.AUDIT: "random check",
    Source.PERSON: "looked up",
    Source.IMPORT: "imported",
    Source.SECOND_LOOK: "second look",
}


def _sentence(origin: Origin, guesses: tuple[tuple[str, float], ...], neighbors: tuple[NeighborTold, ...]) -> str:
    if origin.source in (Source.PERSON, Source.IMPORT):
        return "Somebody chose this text, not nearmiss."
    if origin.source is Source.SECOND_LOOK and guesses:
        return _second_look(guesses, neighbors)
    if not guesses:
        return "There is no model yet: the first texts are spread over all there are."
    best, share = guesses[0]
    near = Counter(neighbor.label for neighbor in neighbors[:_SHOWN])
    label, count = near.most_common(1)[0] if near else (best, 0)
    if label != best and count > near[best]:
        like = f"Like {_NUMBERS[count]} “{label}” {'text' if count == 1 else 'texts'}"
        return f"{like}, yet the model says “{best}” ({_percent(share)})."
    if len(guesses) > 1 and share - guesses[1][1] < _WAVERS:
        second, less = guesses[1]
        return f"The model wavers between “{best}” ({_percent(share)}) and “{second}” ({_percent(less)})."
    if share < _SURE:
        return f"The model says “{best}”, but is only {_percent(share)} sure."
    return f"The model says “{best}” ({_percent(share)}); your answer bears it out, or corrects it."


def _looked_for(origin: Origin, names: Mapping[int, str]) -> str:
    """Say which label a text was looked for, and by what; empty where it was not."""
    clue = clue_of(origin.strategy)
    if clue is None:
        return ""
    by, label = clue
    near = "words and examples" if by is Clue.SEEDS else "name"
    return f"Looked for: it lies near the {near} of “{names.get(label, '?')}”, of which texts were wanted."


def _second_look(guesses: tuple[tuple[str, float], ...], neighbors: tuple[NeighborTold, ...]) -> str:
    says = f"A model that has not learned from this text says “{guesses[0][0]}” ({_percent(guesses[0][1])})"
    names = [name for name, _ in Counter(neighbor.label for neighbor in neighbors).most_common(2)]
    near = " and ".join(f"“{name}”" for name in names)
    return f"{says}; near it lie texts of {near}." if near else f"{says}."


_NUMBERS = {1: "this", 2: "these two", 3: "these three"}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _details(origin: Origin) -> str:
    parts = [origin.strategy] if origin.strategy else []
    if origin.score is not None:
        parts.append(f"score {origin.score:.4g}")
    if origin.model is not None:
        parts.append(f"model {origin.model}")
    return ", ".join(parts)


def _start(item: Item) -> str:
    both = item.text if item.pair is None else f"{item.text} | {item.pair}"
    return both if len(both) <= _START else both[:_START] + "…"
