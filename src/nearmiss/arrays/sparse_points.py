"""Sparse points (CSR): keys by sparse products; nothing is ever made dense but keys and distances."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from nearmiss.arrays.duplicates import first_occurrences
from nearmiss.arrays.frames import BoundedBlock, Frame, QueryBlock, Rows, error_bound
from nearmiss.arrays.tensors import Sparse, row_blocks

__all__ = ["SparsePoints"]

#: References of one piece.
PIECE_ROWS = 2**17


@dataclass(frozen=True, slots=True, eq=False)
class _Block(BoundedBlock):
    rows: Sparse
    frame: _SparseFrame

    def keys(self, columns: slice) -> Tensor:
        products = torch.from_numpy((self.rows @ self.frame.piece(columns)).toarray())
        return torch.add(self.frame.squares[columns], products, alpha=-2.0)


class _SparseFrame:
    """Sparse references, transposed piece by piece; float64 only."""

    scale = 1.0

    def __init__(self, queries: Sparse, references: Sparse) -> None:
        # The rows themselves, and not whoever keeps this: a cycle would keep both until garbage is collected.
        self._x, self._y = queries, references
        n = references.shape[0]
        # A sparse product with every entry filled takes 12 bytes an entry beside the dense block's 8.
        self.pieces = tuple(row_blocks(n, 1, PIECE_ROWS))
        self.row_bytes = 20 * min(n, PIECE_ROWS)
        self.squares = torch.from_numpy(_squares(references))
        self._radius = float(self.squares.max()) ** 0.5 * (1 + 2.0**-20)
        self._terms = int(np.diff(queries.indptr).max(initial=0) + np.diff(references.indptr).max(initial=0))
        self._last: tuple[slice, Sparse] | None = None

    def piece(self, columns: slice) -> Sparse:
        """Return transposed references; the last piece asked for is kept."""
        last = self._last  # read once: other threads ask for pieces too
        if last is None or last[0] != columns:
            last = self._last = columns, sparse.csr_array(self._y[columns].T)
        return last[1]

    def block(self, rows: Rows) -> QueryBlock:
        picked = _picked(self._x, rows)
        squares = torch.from_numpy(_squares(picked))
        error = error_bound(squares.sqrt(), self._radius, self._terms, torch.float64)
        return _Block(squares, error, picked, self)


def _squares(csr: Sparse) -> npt.NDArray[np.float64]:
    squares: npt.NDArray[np.float64] = np.asarray(csr.multiply(csr).sum(axis=1), dtype=np.float64).ravel()
    return squares


def _picked(matrix: Sparse, rows: Rows) -> Sparse:
    picked: Sparse = matrix[rows if isinstance(rows, slice) else rows.numpy()]
    return picked


class SparsePoints:
    """CSR points; ``kept`` are the rows of references that take part."""

    def __init__(self, queries: Sparse, references: Sparse, kept: npt.NDArray[np.int64]) -> None:
        self.x = queries
        self.y = references if len(kept) == references.shape[0] else references[kept]
        self.n_queries, self.n_references = queries.shape[0], len(kept)
        self.device = torch.device("cpu")

    @cached_property
    def precise(self) -> Frame:
        """The fast route in float64."""
        return _SparseFrame(self.x, self.y)

    @property
    def fast(self) -> Frame:
        """The fast route: float64 as well."""
        return self.precise

    def query_rows(self, rows: Rows) -> Sparse:
        """Give some of the queries."""
        return _picked(self.x, rows)

    def distances(self, rows: Rows, columns: Tensor) -> Tensor:
        """Compute Euclidean distances by differences in float64: B queries, (B, K) references each."""
        x = self.query_rows(rows)
        out = np.empty(columns.shape)
        entries = (x.nnz // max(1, x.shape[0]) + self.y.nnz // self.n_references + 1) * 16
        for part in row_blocks(len(columns), columns.shape[1] * entries):
            picked = columns[part].numpy()
            queries = np.repeat(np.arange(part.start, part.stop), picked.shape[1])
            out[part] = _squares(x[queries] - self.y[picked.ravel()]).reshape(picked.shape)
        return torch.from_numpy(np.sqrt(out))

    def repeats(self, rows: Tensor) -> npt.NDArray[np.int64]:
        """Say for each of these queries at which position among them its like first occurs."""
        return first_occurrences(self.query_rows(rows))
