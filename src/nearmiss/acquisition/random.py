"""Random acquisition: the baseline that every other function has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nearmiss.acquisition.base import Card, Needs, PoolView, Selection
from nearmiss.arrays.selection import top_indices

__all__ = ["Random"]


@dataclass(frozen=True)
class Random:
    """Draw uniformly from the pool, without replacement.

    Examples
    --------
    >>> selection = Random().select(PoolView(size=5), 2, np.random.default_rng(0))
    >>> len(set(selection.indices.tolist()))
    2
    """

    card: ClassVar[Card] = Card(
        title="Random",
        paper="the baseline of Margatina et al. 2021, §3.2",
        definition="Every batch of b candidates is equally likely.",
        score="the uniform draw in [0, 1) by which the candidates were put in order",
        cost="O(n log n); no inference",
    )

    @property
    def needs(self) -> Needs:
        """Nothing."""
        return Needs()

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool at random.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        """
        view.require(n)
        draws = rng.random(view.size)
        picks = top_indices(draws, n, rng)
        return Selection(picks, draws[picks])
