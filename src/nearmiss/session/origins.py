"""How a text came before a person: what goes into its label's provenance, and answers "why this text?"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Neighbor", "Origin", "Source"]


class Source(StrEnum):
    """Who chose a text."""

    MODEL = "model"  # a strategy that reads the model
    COVER = "cover"  # a first batch that covers the pool, before there is a model
    RANDOM = "random"  # a place in the random order, while nothing better is known
    AUDIT = "audit"  # a random draw that measures the model
    PERSON = "person"  # somebody who looked for it
    IMPORT = "import"  # a label that came with a file
    SECOND_LOOK = "second look"  # a label that the model and its neighbours contradict


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A labelled text near one that was picked.

    Attributes
    ----------
    item, label
        The text and its label, by number.
    distance
        Euclidean, in the representation that the strategy measures in.
    divergence
        KL(p(y|neighbour) ‖ p(y|picked)), in nats: how differently the model answers the two.
    guess, probability
        The model's likeliest label of the neighbour, by number, and its probability.
    """

    item: int
    label: int
    distance: float
    divergence: float
    guess: int
    probability: float


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a pick comes from.

    Attributes
    ----------
    source
        Who chose it.
    strategy, score
        By what, in its text form, and the score; the strategy's card says what it means.
    model
        The version of the model that was asked; None before there is one.
    labels, probabilities
        What that model says of the text: its likeliest labels by number, likeliest first.
    neighbors
        The nearest labelled texts, nearest first.
    weight
        What it counts as a check, where checks are drawn by the model's doubt (`active_testing`); None counts as 1.
    """

    source: Source
    strategy: str = ""
    score: float | None = None
    model: int | None = None
    labels: tuple[int, ...] = ()
    probabilities: tuple[float, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    weight: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Write it as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_json(cls, written: Mapping[str, Any] | str) -> Origin:
        """Read what ``as_json`` wrote, or its text.

        Examples
        --------
        >>> origin = Origin(Source.AUDIT, neighbors=(Neighbor(3, 1, 0.25, 0.5, 2, 0.9),))
        >>> Origin.from_json(json.dumps(origin.as_json())) == origin
        True
        """
        body = json.loads(written) if isinstance(written, str) else written
        return cls(
            Source(body["source"]),
            body["strategy"],
            body["score"],
            body["model"],
            tuple(body["labels"]),
            tuple(body["probabilities"]),
            tuple(Neighbor(**neighbor) for neighbor in body["neighbors"]),
            body.get("weight"),  # older projects knew none
        )
