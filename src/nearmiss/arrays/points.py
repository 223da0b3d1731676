"""Two sets of points, brought to one kind, one device and a safe scale, ready to be searched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from nearmiss.arrays.dense_points import DensePoints, largest_magnitude
from nearmiss.arrays.duplicates import first_occurrences
from nearmiss.arrays.frames import Points
from nearmiss.arrays.sparse_points import SparsePoints
from nearmiss.arrays.tensors import Matrix, Sparse, as_csr, as_matrix, is_sparse
from nearmiss.errors import InvalidArray

__all__ = ["PointSets", "point_sets"]


@dataclass(frozen=True, slots=True, eq=False)
class PointSets:
    """Points ready to be searched.

    Attributes
    ----------
    points
        The queries, and the references without repeats.
    occurrences
        For each reference given, the first one equal to it, shape (m,).
    scale
        What the points were multiplied by: 1, unless float64 squares would have overflowed or vanished.
    """

    points: Points
    occurrences: npt.NDArray[np.int64]
    scale: float


def point_sets(queries: Matrix, references: Matrix, distinct: bool = True) -> PointSets:
    """Bring queries and references to one kind, one device and a safe scale, and find repeated references.

    With ``distinct=False`` repeats are not looked for, and each reference counts as one of its own.

    Raises
    ------
    InvalidArray
        NaN or infinity, different widths, or one sparse and the other dense.
    """
    if is_sparse(queries) or is_sparse(references):
        return _sparse_sets(as_csr(queries, "queries"), as_csr(references, "references"), distinct)
    x, y = as_matrix(queries, "queries"), as_matrix(references, "references")
    _refuse_widths(x.shape[1], y.shape[1])
    y = y.to(x.device)
    scale = 1.0
    if torch.float64 in (x.dtype, y.dtype):
        scale = _float64_scale(max(largest_magnitude(x), largest_magnitude(y)))
    if scale != 1.0:
        x, y = x.to(torch.float64) * scale, y.to(torch.float64) * scale
    occurrences = first_occurrences(y) if distinct else np.arange(len(y))
    return PointSets(DensePoints(x, y, _firsts(occurrences)), occurrences, scale)


def _sparse_sets(x: Sparse, y: Sparse, distinct: bool) -> PointSets:
    _refuse_widths(x.shape[1], y.shape[1])
    scale = _float64_scale(max(np.abs(part.data).max(initial=0.0) for part in (x, y)))
    if scale != 1.0:
        x, y = x * scale, y * scale
    occurrences = first_occurrences(y) if distinct else np.arange(y.shape[0])
    return PointSets(SparsePoints(x, y, _firsts(occurrences)), occurrences, scale)


def _float64_scale(largest: float) -> float:
    """Return 1, or the power of two without which float64 squares would overflow or vanish."""
    if largest == 0 or 1e-100 < largest < 1e100:
        return 1.0
    exponent = math.frexp(largest)[1]
    # A huge one is brought only to where its square still fits: the squares of smaller ones must not vanish beside it.
    return 2.0 ** (480 - exponent) if exponent > 0 else 2.0 ** -max(exponent, -1000)


def _firsts(occurrences: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.flatnonzero(occurrences == np.arange(len(occurrences)))


def _refuse_widths(left: int, right: int) -> None:
    if left != right:
        raise InvalidArray(
            f"queries have {left} columns and references {right}; pass features of one and the same kind"
        )
