"""What has been labelled so far, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["PoolState"]


@dataclass(frozen=True, slots=True, eq=False)
class PoolState:
    """The labelled part of a pool.

    Attributes
    ----------
    pool_size
        Texts in the pool, labelled and not.
    labeled_indices
        Pool rows that have a label, in the order they were labelled, shape (m,).
    labels
        Their class ids, shape (m,).

    Raises
    ------
    InvalidArray
        Lengths differ, a row is named twice or lies outside the pool, or a value is not a whole number.

    Examples
    --------
    >>> state = PoolState.empty(5).with_labels([3, 0], [1, 0])
    >>> state.labeled_indices, state.unlabeled_indices
    (array([3, 0]), array([1, 2, 4]))
    """

    pool_size: int
    labeled_indices: IndexArray
    labels: IndexArray

    def __post_init__(self) -> None:
        indices = _whole_numbers(self.labeled_indices, "pool rows")
        labels = _whole_numbers(self.labels, "labels")
        if len(indices) != len(labels):
            raise InvalidArray(_unpaired(indices, labels))
        if len(indices) and not (indices.min() >= 0 and indices.max() < self.pool_size):
            raise InvalidArray(
                f"pool rows run from {indices.min()} to {indices.max()}, but the pool has {self.pool_size} texts; "
                f"rows must be 0 to {self.pool_size - 1}"
            )
        if len(labels) and labels.min() < 0:
            raise InvalidArray(f"a label of {labels.min()}; class ids start at 0")
        distinct, counts = np.unique(indices, return_counts=True)
        if len(distinct) != len(indices):
            raise InvalidArray(f"pool row {distinct[counts > 1][0]} is labelled twice; name each row once")
        # Copies of its own, yet writable: torch warns of every read-only array it is handed.
        object.__setattr__(self, "labeled_indices", indices)
        object.__setattr__(self, "labels", labels)

    @classmethod
    def empty(cls, pool_size: int) -> PoolState:
        """Start with nothing labelled."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(pool_size, nothing, nothing)

    def __len__(self) -> int:
        return len(self.labeled_indices)

    @property
    def unlabeled_indices(self) -> IndexArray:
        """Pool rows without a label, ascending."""
        unlabeled = np.ones(self.pool_size, dtype=np.bool_)
        unlabeled[self.labeled_indices] = False
        return np.flatnonzero(unlabeled).astype(np.int64, copy=False)

    def with_labels(self, indices: Sequence[int] | IndexArray, labels: Sequence[int] | IndexArray) -> PoolState:
        """Return the state after these rows got these class ids.

        Raises
        ------
        InvalidInput
            A row is labelled already.
        InvalidArray
            The new rows and labels break an invariant of the state.
        """
        rows, classes = _whole_numbers(indices, "pool rows"), _whole_numbers(labels, "labels")
        if len(rows) != len(classes):
            raise InvalidArray(_unpaired(rows, classes))
        again = np.intersect1d(rows, self.labeled_indices)
        if len(again):
            raise InvalidInput(f"pool row {again[0]} is labelled already; label each row once")
        return PoolState(
            self.pool_size,
            np.concatenate([self.labeled_indices, rows]),
            np.concatenate([self.labels, classes]),
        )


def _unpaired(indices: IndexArray, labels: IndexArray) -> str:
    return f"{len(indices)} pool rows but {len(labels)} labels; each row needs one label"


def _whole_numbers(values: Sequence[int] | npt.NDArray[np.generic], name: str) -> IndexArray:
    """Copy to int64, refusing what would be rounded."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise InvalidArray(f"{name} of shape {array.shape}; expected one dimension")
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise InvalidArray(f"{name} of type {array.dtype}; expected whole numbers")
    return array.astype(np.int64)
