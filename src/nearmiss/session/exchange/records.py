"""What travels between a project and other tools: texts with everything people said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["AnswerKind", "ExchangedAnswer", "ExchangedItem", "ExchangedSuggestion"]


class AnswerKind(StrEnum):
    """What a person can say of a text."""

    LABEL = "label"
    SKIP = "skip"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class ExchangedAnswer:
    """One person's answer.

    Attributes
    ----------
    annotator
        Who; as the other tool names them.
    kind, label
        What they said; the label's name is None unless the kind is ``label``.
    at
        When, ISO 8601 in UTC; None where it is not known.
    seconds
        How long the text was looked at; None where it is not known.
    note
        What they wrote beside it.
    """

    annotator: str
    kind: AnswerKind
    label: str | None = None
    at: str | None = None
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ExchangedSuggestion:
    """What a model says of a text.

    Attributes
    ----------
    label, probability
        Its likeliest label.
    agent
        Which model.
    """

    label: str
    probability: float | None = None
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ExchangedItem:
    """A text and what is known of it.

    Attributes
    ----------
    ref
        Its name outside the project; None where it has none.
    text, pair
        The text, and its partner in tasks over pairs.
    meta
        Its other columns, as text.
    label
        The label that holds; None while there is none.
    answers
        What each person said.
    suggestion
        What the model says.
    provenance
        How the label was come by, flat: ``source``, ``strategy``, ``model_version``, ``score``, ``guideline_version``,
        ``annotator``, ``labeled_at``, ``seconds``, ``suggestion_visible``, ``neighbors``, ``note`` ...
    """

    ref: str | None
    text: str
    pair: str | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    answers: tuple[ExchangedAnswer, ...] = ()
    suggestion: ExchangedSuggestion | None = None
    provenance: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
