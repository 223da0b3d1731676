"""Dense points: keys by matrix products about the mean of the references, distances by differences."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.arrays.distances import dense_squared_norms
from nearmiss.arrays.duplicates import first_occurrences
from nearmiss.arrays.frames import BoundedBlock, Frame, Rows, error_bound, power_of_two
from nearmiss.arrays.products import row_products
from nearmiss.arrays.tensors import block_bytes, row_blocks

__all__ = ["Block", "DensePoints", "PreparedFrame", "Room", "largest_magnitude"]

#: Moved references of one piece.
PIECE_BYTES = 32 * 2**20

#: Moved references are kept up to this size, and moved anew for every block of queries beyond it.
KEPT_BYTES = 192 * 2**20

#: Differences taken at once: several passes are made over them, and they should stay near the cores.
DIFFERENCE_BYTES = 2**19

#: Accelerators multiply rows of such a multiple of entries several times as fast as others.
DEVICE_ENTRIES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Block(BoundedBlock):
    """Some queries moved as the references are, shape (B, ·), and the frame that multiplies them."""

    moved: Tensor
    frame: PreparedFrame | _PlainFrame

    def keys(self, columns: slice) -> Tensor:
        """Compute D, shape (B, columns); overwritten by the next call."""
        return self.frame.keys(self.moved, columns)


class Room(threading.local):
    """Memory that a thread writes to again and again: fresh memory for each product would cost as much as it does."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._held = torch.empty(0, dtype=dtype, device=device)

    def of(self, n: int, m: int) -> Tensor:
        """Lend a contiguous (n, m) matrix, until this thread's next call."""
        if len(self._held) < n * m:
            self._held = self._held.new_empty(n * m)
        return self._held[: n * m].view(n, m)


class _PresentPiece(threading.local):
    """The piece of the references that a thread has moved last."""

    columns: slice | None = None
    references: Tensor


class GivenRows:
    """Queries and references as they were given; what is prepared of them holds this, and not those who prepare it."""

    def __init__(self, queries: Tensor, references: Tensor, kept: npt.NDArray[np.int64]) -> None:
        self.x, self.y = queries, references
        self.n_queries, self.n_references = len(queries), len(kept)
        self.device = queries.device
        self.kept = None if len(kept) == len(references) else torch.from_numpy(kept).to(self.device)

    @cached_property
    def squares(self) -> Tensor:
        """Squared norms of the references, float64, shape (m,)."""
        return dense_squared_norms(self.y)

    def query_rows(self, rows: Rows) -> Tensor:
        """Give some of the queries."""
        return self.x[rows] if isinstance(rows, slice) else self.x.index_select(0, rows)

    def reference_rows(self, columns: slice) -> Tensor:
        """Give some of the references that take part."""
        return self.y[columns] if self.kept is None else self.y.index_select(0, self.kept[columns])


class PreparedFrame:
    """References moved to their mean, scaled to a safe magnitude and laid out for products, in one precision."""

    def __init__(self, given: GivenRows, dtype: torch.dtype) -> None:
        self._given = given
        self._dtype = dtype
        on_host = given.device.type == "cpu"
        self._dimension = given.x.shape[1]
        # Where there is room between the entries and the norm, it is filled with zeros.
        self._width = self._dimension + 1 if on_host else -(-(self._dimension + 1) // DEVICE_ENTRIES) * DEVICE_ENTRIES
        row_bytes = self._width * dtype.itemsize
        self.pieces = tuple(row_blocks(given.n_references, row_bytes, block_bytes(given.device, PIECE_BYTES)))
        self.scale = power_of_two(max(largest_magnitude(given.reference_rows(piece)) for piece in self.pieces))
        total = torch.zeros(self._dimension, dtype=torch.float64, device=given.device)
        for piece in self.pieces:
            total += (given.reference_rows(piece) * self.scale).sum(dim=0, dtype=torch.float64)
        self._center = (total / given.n_references).to(dtype)
        self._present = _PresentPiece()
        self.references: Tensor | None = None
        if given.n_references * row_bytes <= _kept_bytes(given.device):
            self.references = self._empty(given.n_references)
            for piece in self.pieces:
                self._prepare(piece, self.references[piece])
        largest = max(float(self._piece(piece)[:, -1].max()) for piece in self.pieces)
        self.radius = largest**0.5 * (1 + torch.finfo(dtype).eps)
        widest = max(piece.stop - piece.start for piece in self.pieces)
        self.row_bytes = (widest + 2 * self._width) * dtype.itemsize
        self._room = Room(dtype, given.device)

    def _empty(self, n: int) -> Tensor:
        matrix = torch.empty((n, self._width), dtype=self._dtype, device=self._given.device)
        matrix[:, self._dimension : -1] = 0
        return matrix

    def _move(self, rows: Tensor, out: Tensor) -> None:
        """Move and scale rows; the last column of ``out``, one more than they have, is left to the caller."""
        given = rows.to(self._dtype)
        torch.sub(given if self.scale == 1 else given * self.scale, self._center, out=out[:, : self._dimension])

    def _prepare(self, columns: slice, out: Tensor) -> Tensor:
        """Write (−2ŷ, ‖ŷ‖²) of some references."""
        self._move(self._given.reference_rows(columns), out)
        out[:, -1] = dense_squared_norms(out[:, :-1])
        out[:, :-1] *= -2
        return out

    def _piece(self, columns: slice) -> Tensor:
        """Return (−2ŷ, ‖ŷ‖²) of some references; all are kept where memory allows, else the thread's last piece."""
        if self.references is not None:
            return self.references[columns]
        if self._present.columns != columns:
            fresh = self._prepare(columns, self._empty(columns.stop - columns.start))
            self._present.columns, self._present.references = columns, fresh
        return self._present.references

    def keys(self, moved: Tensor, columns: slice) -> Tensor:
        """Multiply moved queries and some references."""
        references = self._piece(columns)
        return row_products(moved, references, out=self._room.of(len(moved), len(references)))

    def block(self, rows: Rows) -> Block:
        """Move some queries as the references were moved."""
        given = self._given.query_rows(rows)
        moved = self._empty(len(given))
        self._move(given, moved)
        norms = _norms(moved[:, :-1]).to(torch.float64)
        moved[:, -1] = 1
        error = error_bound(norms, self.radius, self._width - 1, self._dtype)
        return Block(norms.square(), error, moved, self)


class _PlainFrame:
    """Points as they lie in memory, not moved: for few queries or few references, on which a copy of all is lost."""

    scale = 1.0

    def __init__(self, given: GivenRows) -> None:
        self._given = given
        dimension = given.x.shape[1]
        self.pieces = tuple(row_blocks(given.n_references, dimension * given.y.itemsize, PIECE_BYTES))
        self._squares = given.squares.to(given.y.dtype)
        self._radius = float(given.squares.max()) ** 0.5 * (1 + torch.finfo(given.y.dtype).eps)
        # The −2 of the key goes to the fewer.
        self._doubled = given.y * -2 if given.n_references <= given.n_queries else None
        widest = max(piece.stop - piece.start for piece in self.pieces)
        self.row_bytes = (widest + 2 * dimension) * given.y.itemsize
        self._room = Room(given.y.dtype, given.device)

    def keys(self, moved: Tensor, columns: slice) -> Tensor:
        """Multiply queries and some references."""
        references = (self._given.y if self._doubled is None else self._doubled)[columns]
        products = row_products(moved, references, out=self._room.of(len(moved), len(references)))
        return products.add_(self._squares[columns])

    def block(self, rows: Rows) -> Block:
        """Take some queries."""
        queries = self._given.query_rows(rows)
        norms = _norms(queries).to(torch.float64)
        error = error_bound(norms, self._radius, queries.shape[1], queries.dtype)
        return Block(norms.square(), error, queries * -2 if self._doubled is None else queries, self)


def _kept_bytes(device: torch.device) -> int:
    """Say how large moved references may be and still be kept: on a GPU, up to a quarter of what is free."""
    return max(KEPT_BYTES, torch.cuda.mem_get_info(device)[0] // 4) if device.type == "cuda" else KEPT_BYTES


def largest_magnitude(matrix: Tensor) -> float:
    """Return the largest magnitude, 0 of an empty matrix; no temporary of the matrix's size is made.

    Examples
    --------
    >>> largest_magnitude(torch.tensor([[1.0, -3.0]]))
    3.0
    """
    if len(matrix) == 0:
        return 0.0
    least, most = torch.aminmax(matrix)
    return max(-float(least), float(most))


def _norms(matrix: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(matrix, dim=1)
    return norms


class DensePoints:
    """Dense points; ``kept`` are the rows of references that take part."""

    def __init__(self, queries: Tensor, references: Tensor, kept: npt.NDArray[np.int64]) -> None:
        self._given = given = GivenRows(queries, references, kept)
        self.x, self.y, self.device = given.x, given.y, given.device
        self.n_queries, self.n_references = given.n_queries, given.n_references
        self._differences = Room(torch.float64, queries.device)
        self._precise: PreparedFrame | None = None
        self._lock = threading.Lock()

    @property
    def precise(self) -> Frame:
        """The fast route in float64."""
        with self._lock:  # whichever thread asks first
            if self._precise is None:
                self._precise = PreparedFrame(self._given, torch.float64)
            return self._precise

    @cached_property
    def fast(self) -> Frame:
        """The fast route, in the precision of the points."""
        dtype = torch.promote_types(self.x.dtype, self.y.dtype)
        if dtype == torch.float64 or not _multiplies_in_float32():
            return self.precise
        return _PlainFrame(self._given) if self._may_stay() else PreparedFrame(self._given, dtype)

    def _may_stay(self) -> bool:
        """Tell whether a copy would cost more than it saves, and the bounds are hardly wider without it."""
        if min(self.n_queries, self.n_references) >= self.x.shape[1] or self._given.kept is not None:
            return False
        magnitudes = largest_magnitude(self.x), largest_magnitude(self.y)
        if self.x.dtype != self.y.dtype or any(power_of_two(each) != 1 for each in magnitudes):
            return False
        # Norms about the mean are little shorter than norms where the mean itself is short.
        mean = self.y.mean(dim=0)
        return 4 * float(mean @ mean) <= float(self._given.squares.mean())

    def query_rows(self, rows: Rows) -> Tensor:
        """Give some of the queries."""
        return self._given.query_rows(rows)

    def reference_rows(self, columns: slice) -> Tensor:
        """Give some of the references that take part."""
        return self._given.reference_rows(columns)

    def distances(self, rows: Rows, columns: Tensor) -> Tensor:
        """Compute Euclidean distances by differences in float64: B queries, (B, K) references each."""
        n, width = columns.shape
        dimension = self.x.shape[1]
        out = torch.empty((n, width), dtype=torch.float64, device=self.device)
        for part in row_blocks(n, width * dimension * 8, block_bytes(self.device, DIFFERENCE_BYTES)):
            flat = columns[part].flatten()
            kept = flat if self._given.kept is None else self._given.kept[flat]
            # Converted first: a subtraction that mixes precisions is several times as slow.
            references = self._differences.of(len(flat), dimension).copy_(self.y.index_select(0, kept))
            queries = self.query_rows(_part(rows, part)).to(torch.float64)
            difference = references.view(part.stop - part.start, width, dimension).sub_(queries[:, None])
            torch.linalg.vector_norm(difference, dim=-1, out=out[part])
        return out

    def repeats(self, rows: Tensor) -> npt.NDArray[np.int64]:
        """Say for each of these queries at which position among them its like first occurs."""
        return first_occurrences(self.query_rows(rows))


def _multiplies_in_float32() -> bool:
    """Tell whether torch multiplies float32 as it is, not in a shorter type for speed."""
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set by torch's newer switches, which the older one refuses to read
        return False


def _part(rows: Rows, part: slice) -> Rows:
    if isinstance(rows, slice):
        return slice(rows.start + part.start, rows.start + part.stop)
    return rows[part]
