"""How an encoder is adapted: the choices, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearmiss.errors import InvalidInput
from nearmiss.models.inference import Precision, Reading
from nearmiss.models.schedule import linear_rate

__all__ = ["AdaptationSettings"]


@dataclass(frozen=True, slots=True)
class AdaptationSettings:
    """How an encoder is adapted.

    Attributes
    ----------
    epochs
        Passes over the texts.
    min_steps
        Optimiser steps at least: few or short texts are gone over more often.
    steps
        Optimiser steps in all, whatever the two above say; None leaves it to them.
    max_length
        Texts are cut after this many tokens.
    tokens_per_batch
        Upper limit of tokens in a step, padding included.
    learning_rate
        AdamW's highest; it rises linearly from 0, then falls linearly to 0. For MiniLM; BERT-base takes 1e-4.
    warmup
        Share of the steps during which it rises, in [0, 1].
    weight_decay
        AdamW's, on matrices alone.
    dropout
        Probability of dropping wherever the model does, in [0, 1); 0 trains without.
    mask_fraction
        Share of the tokens to predict, drawn anew at every step; of these 80 % are masked, 10 % replaced, 10 % kept.
    held_out
        Share of the texts never trained on, to measure the loss on (at most 500 texts).
    precision
        ``"float32"``; ``"bfloat16"`` (autocast); or ``"auto"``: bfloat16 where the processor multiplies it natively.

    Raises
    ------
    InvalidInput
        A number out of its range.
    """

    epochs: int = 3
    min_steps: int = 300
    steps: int | None = None
    max_length: int = 128
    tokens_per_batch: int = 1024
    learning_rate: float = 5e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    dropout: float = 0.0
    mask_fraction: float = 0.15
    held_out: float = 0.1
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        Reading(self.max_length, self.precision, self.tokens_per_batch)  # refuses what cannot be read with
        for name in ("epochs", "min_steps", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(f"{name} is {value}; it must be at least 1")
        if not 0 < self.learning_rate < 1:
            raise InvalidInput(f"learning_rate is {self.learning_rate}; it must be above 0 and below 1")
        if not 0 <= self.weight_decay < np.inf:
            raise InvalidInput(f"weight_decay is {self.weight_decay}; it must be a finite number of at least 0")
        if not 0 <= self.warmup <= 1:
            raise InvalidInput(f"warmup is {self.warmup}; it is a share of the steps, from 0 to 1")
        if not 0 <= self.dropout < 1:
            raise InvalidInput(f"dropout is {self.dropout}; it must be at least 0 and below 1")
        for name in ("mask_fraction", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it is a share, above 0 and below 1")

    def total_steps(self, per_epoch: int) -> int:
        """Give the number of optimiser steps, where a pass over the texts takes so many."""
        return self.steps or max(self.epochs * per_epoch, self.min_steps)

    def rate_at(self, step: int, total: int) -> float:
        """Give the learning rate of a step, counted from 0.

        Examples
        --------
        >>> settings = AdaptationSettings(learning_rate=0.5, warmup=0.2)
        >>> [settings.rate_at(step, 10) for step in (0, 1, 2, 9)]
        [0.25, 0.5, 0.5, 0.0625]
        """
        return linear_rate(self.learning_rate, step, total, self.warmup)
