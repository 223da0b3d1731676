"""A batch out of a sharded pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray

__all__ = ["Chosen"]


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A batch.

    Attributes
    ----------
    rows
        Of the pool, best first, shape (b,).
    scores
        As the strategy's card says, shape (b,).
    notes
        What must be known of how it was chosen.
    """

    rows: IndexArray
    scores: npt.NDArray[np.float64]
    notes: tuple[str, ...] = ()
