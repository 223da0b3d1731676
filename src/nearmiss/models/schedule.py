"""What every training loop here does alike: the course of the learning rate, and which parameters decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

__all__ = ["decay_groups", "linear_rate"]


def linear_rate(peak: float, step: int, steps: int, warmup: float) -> float:
    """Give the learning rate of a step: it rises linearly from 0 to its peak, then falls linearly to 0.

    Parameters
    ----------
    peak
        The highest rate; 1 gives shares of it.
    step, steps
        Which step, counted from 0, and how many there are.
    warmup
        Share of the steps during which the rate rises, in [0, 1].

    Examples
    --------
    >>> [linear_rate(0.5, step, 10, warmup=0.2) for step in (0, 1, 2, 9)]
    [0.25, 0.5, 0.5, 0.0625]
    """
    rising = warmup * steps
    if step < rising:
        return peak * min(1.0, (step + 1) / rising)
    return peak * (steps - step) / (steps - rising)


def decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Sort parameters as torch's optimisers take them: matrices decay, biases and norms do not."""
    trained = list(parameters)
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
