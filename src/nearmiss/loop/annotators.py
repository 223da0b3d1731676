"""Who answers when the loop asks for labels."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from nearmiss.acquisition.base import IndexArray

__all__ = ["Annotator", "Oracle"]


@runtime_checkable
class Annotator(Protocol):
    """Anyone who can name the class of a pool row."""

    def annotate(self, indices: IndexArray) -> IndexArray:
        """Return the class id of each pool row, shape (b,), in the order asked."""
        ...


class Oracle:
    """The simulated annotator: it knows every label of the pool and answers at once.

    Parameters
    ----------
    labels
        Class ids of the whole pool, shape (pool_size,).

    Examples
    --------
    >>> Oracle(np.array([0, 1, 1])).annotate(np.array([2, 0]))
    array([1, 0])
    """

    def __init__(self, labels: IndexArray) -> None:
        self._labels = np.asarray(labels, dtype=np.int64)

    def annotate(self, indices: IndexArray) -> IndexArray:
        """Look the labels up."""
        return self._labels[indices]
