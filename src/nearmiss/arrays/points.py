"""Two sets of points and the distances between them: fast with a proven bound on the error, or one by one in float64.

The bound
---------
Let u be the unit roundoff of the working precision, γ(j) = ju / (1 − ju), and σ a power of two. The fast route forms
x̂ = fl(σx − c) and ŷ = fl(σy − c) for one fixed vector c (the mean of the references, which keeps the norms small),
a² = ‖x̂‖², and for every pair

    D = fl(‖ŷ‖² − 2 x̂·ŷ)        so that        a² + D ≈ ‖σx − σy‖².

Write r for the largest ‖ŷ‖. Four errors separate the two sides.

1. Centring. Each entry of x̂ and ŷ is off by a relative u, so ‖x̂ − ŷ‖ is off by at most u(a + r) and its square, to
   first order, by 2u(a + r)².
2. The product. Whatever the order of summation, |fl(x̂·ŷ) − x̂·ŷ| ≤ γ(d) a r (Higham 2002, §3.1), doubled: 2γ(d) a r.
3. The norms a² and ‖ŷ‖², accumulated in float64: at most γ(d)(a² + r²).
4. The last addition and the conversion of ‖ŷ‖²: at most 2u(a + r)².

Their sum, second-order terms included, is at most γ(d + 8)(a + r)². A float64 distance δ(x, y) taken by differences
has relative error γ₆₄(d + 4) in its square. Underflow adds no more than 8(d + 4)·tiny·(1 + a + r). Hence, for each
pair,

    | σ²δ² − (a² + D) | ≤ E(x) = [γ(d + 8) + 4γ₆₄(d + 4)] (a + r)² + 8(d + 4)·tiny·(1 + a + r).

Where a is so large that a product might overflow, E is infinite. For sparse points c = 0, and the number of entries of
two rows together takes the place of d. The bound asks for matrix products in IEEE arithmetic: where torch may use
shorter types (``torch.set_float32_matmul_precision``), the fast route runs in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from nearmiss.arrays.duplicates import first_occurrences
from nearmiss.arrays.tensors import BLOCK_BYTES, Matrix, Sparse, as_csr, as_matrix, is_sparse, row_blocks
from nearmiss.errors import InvalidArray

__all__ = ["Frame", "PointSets", "Points", "QueryBlock", "Rows", "point_sets"]

#: Which queries: a range, or their row numbers.
Rows = slice | Tensor

#: Differences taken at once: two passes are made over them, and they should stay near the cores.
DIFFERENCE_BYTES = 8 * 2**20


class QueryBlock(Protocol):
    """Some queries, ready to be compared with the references."""

    @property
    def offset(self) -> Tensor:
        """a², shape (B,), float64."""
        ...

    @property
    def error(self) -> Tensor:
        """E, shape (B,), float64."""
        ...

    def approximate(self, columns: slice) -> Tensor:
        """Compute D for these queries and references, shape (B, columns); overwritten by the next call."""
        ...


class Frame(Protocol):
    """The fast route in one precision: ``pieces`` cut the references, ``row_bytes`` is what one query occupies."""

    scale: float
    pieces: tuple[slice, ...]
    row_bytes: int

    def block(self, rows: Rows) -> QueryBlock:
        """Prepare some queries."""
        ...


class Points(Protocol):
    """Queries and distinct references, dense or sparse."""

    n_queries: int
    n_references: int
    device: torch.device

    @property
    def fast(self) -> Frame:
        """The fast route, in the precision of the points."""
        ...

    @property
    def precise(self) -> Frame:
        """The fast route in float64."""
        ...

    def distances(self, rows: Rows, columns: Tensor) -> Tensor:
        """Compute Euclidean distances by differences in float64: B queries, (B, K) references each."""
        ...

    def repeats(self, rows: Tensor) -> npt.NDArray[np.int64]:
        """Say for each of these queries at which position among them its like first occurs."""
        ...


def _gamma(terms: int, unit: float) -> float:
    product = terms * unit
    return product / (1 - product) if product < 1 else math.inf


def _error_bound(norms: Tensor, radius: float, terms: int, dtype: torch.dtype) -> Tensor:
    """Compute E for queries whose moved norms are given, shape (B,), float64; the module's docstring proves it."""
    info = torch.finfo(dtype)
    relative = _gamma(terms + 8, info.eps / 2) + 4 * _gamma(terms + 4, 2.0**-53)
    reach = norms + radius
    error = relative * reach.square() + 8 * (terms + 4) * info.tiny * (1 + reach)
    return error.where(norms < math.sqrt(info.max) / 1e4, math.inf)


def _power_of_two(largest: float) -> float:
    """Return the power of two that brings a magnitude into [0.5, 1), kept within float32's exact range of scales."""
    return 2.0 ** -min(max(math.frexp(largest)[1], -120), 120) if largest > 0 else 1.0


def _float64_scale(largest: float) -> float:
    """Return 1, or the power of two without which float64 squares would overflow or vanish."""
    if largest == 0 or 1e-100 < largest < 1e100:
        return 1.0
    return 2.0 ** -min(max(math.frexp(largest)[1], -1000), 1000)


@dataclass(frozen=True, slots=True, eq=False)
class _DenseBlock:
    moved: Tensor
    offset: Tensor
    error: Tensor
    frame: _DenseFrame

    def approximate(self, columns: slice) -> Tensor:
        references = self.frame.piece(columns)
        shape = (len(self.moved), len(references))
        out = self.frame.buffer[: shape[0] * shape[1]].view(shape)
        return torch.addmm(self.frame.squares[columns], self.moved, references.T, alpha=-2.0, out=out)


class _DenseFrame:
    """References moved to their mean and scaled to magnitude 1, in one precision."""

    def __init__(self, owner: _DensePoints, dtype: torch.dtype) -> None:
        self._owner = owner
        self._dtype = dtype
        dimension, itemsize = owner.x.shape[1], dtype.itemsize
        self.pieces = tuple(row_blocks(owner.n_references, dimension * itemsize))
        self.scale = _power_of_two(max(_largest(owner.reference_rows(piece)) for piece in self.pieces))
        total = torch.zeros(dimension, dtype=torch.float64, device=owner.device)
        for piece in self.pieces:
            total += (owner.reference_rows(piece) * self.scale).sum(dim=0, dtype=torch.float64)
        self._center = (total / owner.n_references).to(dtype)
        self._cache: tuple[slice, Tensor] | None = None
        norms = torch.cat([_norms(self.piece(piece)) for piece in self.pieces])
        self._radius = float(norms.max())
        self.squares = norms.square().to(dtype)
        self._widest = max(piece.stop - piece.start for piece in self.pieces)
        self.row_bytes = (self._widest + 2 * dimension) * itemsize

    @cached_property
    def buffer(self) -> Tensor:
        """Where products are written: fresh memory for each would cost as much as the product."""
        rows = max(1, BLOCK_BYTES // self.row_bytes)
        return torch.empty(rows * self._widest, dtype=self._dtype, device=self._owner.device)

    def _move(self, rows: Tensor) -> Tensor:
        return (rows.to(self._dtype) * self.scale).sub_(self._center)

    def piece(self, columns: slice) -> Tensor:
        """Return moved references; the last piece asked for is kept."""
        if self._cache is None or self._cache[0] != columns:
            self._cache = columns, self._move(self._owner.reference_rows(columns))
        return self._cache[1]

    def block(self, rows: Rows) -> QueryBlock:
        moved = self._move(self._owner.x[rows])
        norms = _norms(moved)
        error = _error_bound(norms, self._radius, moved.shape[1], self._dtype)
        return _DenseBlock(moved, norms.square(), error, self)


def _largest(matrix: Tensor) -> float:
    """Return the largest magnitude; no temporary of the matrix's size is made."""
    if len(matrix) == 0:
        return 0.0
    return float(torch.linalg.vector_norm(matrix, ord=torch.inf, dim=1).max())


def _norms(matrix: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(matrix, dim=1, dtype=torch.float64)
    return norms


class _DensePoints:
    """Dense points; ``kept`` are the rows of references that take part."""

    def __init__(self, queries: Tensor, references: Tensor, kept: npt.NDArray[np.int64]) -> None:
        self.x, self.y = queries, references
        self.n_queries, self.n_references = len(queries), len(kept)
        self.device = queries.device
        self._space: tuple[Tensor, Tensor] | None = None
        self._kept = None if len(kept) == len(references) else torch.from_numpy(kept).to(self.device)

    @cached_property
    def precise(self) -> Frame:
        return _DenseFrame(self, torch.float64)

    @cached_property
    def fast(self) -> Frame:
        dtype = torch.promote_types(self.x.dtype, self.y.dtype)
        if dtype == torch.float64 or torch.get_float32_matmul_precision() != "highest":
            return self.precise
        return _DenseFrame(self, dtype)

    def reference_rows(self, columns: slice) -> Tensor:
        return self.y[columns] if self._kept is None else self.y.index_select(0, self._kept[columns])

    def distances(self, rows: Rows, columns: Tensor) -> Tensor:
        x = self.x[rows]
        n, width = columns.shape
        dimension = x.shape[1]
        out = torch.empty((n, width), dtype=torch.float64, device=self.device)
        parts = list(row_blocks(n, width * dimension * 8, DIFFERENCE_BYTES))
        picked, differences = self._room(max((part.stop - part.start for part in parts), default=0) * width)
        for part in parts:
            flat = columns[part].flatten()
            kept = flat if self._kept is None else self._kept[flat]
            references = torch.index_select(self.y, 0, kept, out=picked[: len(flat)])
            shape = (part.stop - part.start, width, dimension)
            difference = differences[: len(flat)].view(shape)
            torch.sub(x[part, None].to(torch.float64), references.view(shape), out=difference)
            torch.linalg.vector_norm(difference, dim=-1, out=out[part])
        return out

    def _room(self, pairs: int) -> tuple[Tensor, Tensor]:
        """Give space for this many references and differences, kept from call to call: fresh pages cost more."""
        if self._space is None or len(self._space[0]) < pairs:
            shape = (pairs, self.y.shape[1])
            differences = torch.empty(shape, dtype=torch.float64, device=self.device)
            self._space = torch.empty(shape, dtype=self.y.dtype, device=self.device), differences
        return self._space

    def repeats(self, rows: Tensor) -> npt.NDArray[np.int64]:
        return first_occurrences(self.x[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _SparseBlock:
    rows: Sparse
    offset: Tensor
    error: Tensor
    frame: _SparseFrame

    def approximate(self, columns: slice) -> Tensor:
        products = torch.from_numpy((self.rows @ self.frame.piece(columns)).toarray())
        return torch.add(self.frame.squares[columns], products, alpha=-2.0)


class _SparseFrame:
    """Sparse references, transposed piece by piece; float64 only."""

    scale = 1.0

    def __init__(self, owner: _SparsePoints) -> None:
        self._owner = owner
        # A sparse product with every entry filled takes 12 bytes an entry beside the dense block's 8.
        self.pieces = tuple(row_blocks(owner.n_references, 1, 2**17))
        self.row_bytes = 20 * min(owner.n_references, 2**17)
        self.squares = torch.from_numpy(_sparse_squares(owner.y))
        self._radius = float(self.squares.max()) ** 0.5 * (1 + 2.0**-20)
        self._terms = int(np.diff(owner.x.indptr).max(initial=0) + np.diff(owner.y.indptr).max(initial=0))
        self._cache: tuple[slice, Sparse] | None = None

    def piece(self, columns: slice) -> Sparse:
        """Return transposed references; the last piece asked for is kept."""
        if self._cache is None or self._cache[0] != columns:
            self._cache = columns, sparse.csr_array(self._owner.y[columns].T)
        return self._cache[1]

    def block(self, rows: Rows) -> QueryBlock:
        picked = self._owner.query_rows(rows)
        squares = torch.from_numpy(_sparse_squares(picked))
        error = _error_bound(squares.sqrt(), self._radius, self._terms, torch.float64)
        return _SparseBlock(picked, squares, error, self)


def _sparse_squares(csr: Sparse) -> npt.NDArray[np.float64]:
    squares: npt.NDArray[np.float64] = np.asarray(csr.multiply(csr).sum(axis=1), dtype=np.float64).ravel()
    return squares


class _SparsePoints:
    """CSR points; ``kept`` are the rows of references that take part. Nothing is ever made dense but distances."""

    def __init__(self, queries: Sparse, references: Sparse, kept: npt.NDArray[np.int64]) -> None:
        self.x = queries
        self.y = references if len(kept) == references.shape[0] else references[kept]
        self.n_queries, self.n_references = queries.shape[0], len(kept)
        self.device = torch.device("cpu")

    @cached_property
    def precise(self) -> Frame:
        return _SparseFrame(self)

    @property
    def fast(self) -> Frame:
        return self.precise

    def query_rows(self, rows: Rows) -> Sparse:
        picked: Sparse = self.x[rows if isinstance(rows, slice) else rows.numpy()]
        return picked

    def distances(self, rows: Rows, columns: Tensor) -> Tensor:
        x = self.query_rows(rows)
        out = np.empty(columns.shape)
        entries = (x.nnz // max(1, x.shape[0]) + self.y.nnz // self.n_references + 1) * 16
        for part in row_blocks(len(columns), columns.shape[1] * entries):
            picked = columns[part].numpy()
            queries = np.repeat(np.arange(part.start, part.stop), picked.shape[1])
            out[part] = _sparse_squares(x[queries] - self.y[picked.ravel()]).reshape(picked.shape)
        return torch.from_numpy(np.sqrt(out))

    def repeats(self, rows: Tensor) -> npt.NDArray[np.int64]:
        return first_occurrences(self.query_rows(rows))


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


def point_sets(queries: Matrix, references: Matrix) -> PointSets:
    """Bring queries and references to one kind, one device and a safe scale, and find repeated references.

    Raises
    ------
    InvalidArray
        NaN or infinity, different widths, or one sparse and the other dense.
    """
    if is_sparse(queries) or is_sparse(references):
        return _sparse_sets(as_csr(queries, "queries"), as_csr(references, "references"))
    x, y = as_matrix(queries, "queries"), as_matrix(references, "references")
    _refuse_widths(x.shape[1], y.shape[1])
    y = y.to(x.device)
    scale = 1.0
    if torch.float64 in (x.dtype, y.dtype):
        scale = _float64_scale(max(_largest(x), _largest(y)))
    if scale != 1.0:
        x, y = x.to(torch.float64) * scale, y.to(torch.float64) * scale
    occurrences = first_occurrences(y)
    return PointSets(_DensePoints(x, y, _firsts(occurrences)), occurrences, scale)


def _sparse_sets(x: Sparse, y: Sparse) -> PointSets:
    _refuse_widths(x.shape[1], y.shape[1])
    scale = _float64_scale(max(np.abs(part.data).max(initial=0.0) for part in (x, y)))
    if scale != 1.0:
        x, y = x * scale, y * scale
    occurrences = first_occurrences(y)
    return PointSets(_SparsePoints(x, y, _firsts(occurrences)), occurrences, scale)


def _firsts(occurrences: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.flatnonzero(occurrences == np.arange(len(occurrences)))


def _refuse_widths(left: int, right: int) -> None:
    if left != right:
        raise InvalidArray(
            f"queries have {left} columns and references {right}; pass features of one and the same kind"
        )
