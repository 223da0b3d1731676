"""The nearest centre of every row, for centres that move while the rows stay.

With o the mean of float32 rows (else 0) and c' = c − o, the key ‖c'‖² + 2 o·c' − 2 x·c' of a row x and a centre c is
‖x − c‖² − ‖x − o‖²: the least says which centre is nearest. Taken this way fewer digits are lost than with products
of x and c.

Plainly: a matrix product gives all keys, in the precision of the rows.

Where a processor multiplies bfloat16 natively, x − o is rounded to that format once. `nearmiss.arrays.coarse` proves
which centres may be the nearest, given the values that the shorter product gives: mostly that is one, else keys of
these few decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.arrays.coarse import coarse_error, multiplies_bfloat16, reach, residuals, thirds
from nearmiss.arrays.dense_points import Room, largest_magnitude
from nearmiss.arrays.distances import dense_squared_norms
from nearmiss.arrays.frames import error_bound, power_of_two
from nearmiss.arrays.product_points import Rows, inner_products, product_blocks
from nearmiss.arrays.products import expect_pair_products, pair_products, row_products
from nearmiss.arrays.seeding import IndexArray
from nearmiss.arrays.tensors import block_bytes, device_of, row_blocks
from nearmiss.arrays.threads import in_blocks, team

__all__ = ["NearestCenters", "squared_differences"]

#: Centres below which a shorter product gains nothing.
COARSE_FROM_CENTERS = 64

#: Float64 keys that lie no further apart than this part of the longest centre's square count as equal.
ALIKE = 2.0**-46

#: Values of one block in bfloat16.
VALUE_BYTES = 4 * 2**20

#: Differences of pairs taken at once.
PAIR_BYTES = 2**18


class NearestCenters:
    """Says which of some centres is nearest to each of n rows, dense or CSR; the lowest id among equals.

    Of centres as near to a row as rounding can tell, keys in the rows' precision decide, and a processor that rounds in
    another order may decide otherwise.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._origin = _origin(rows)
        self._rounded: _RoundedRows | None = None

    def of(self, centers: Tensor) -> IndexArray:
        """Find the nearest of (k, d) centres, in the precision of the rows, for every row, shape (n,)."""
        placed = _Placed.about(self._origin, centers)
        if self._rounded is None and isinstance(self._rows, Tensor) and _gains_by_rounding(self._rows, len(centers)):
            self._rounded = _RoundedRows(self._rows, self._origin)
        nearest = self._plainly(placed) if self._rounded is None else self._rounded.nearest(placed)
        # Kernels may sum the columns of one product in different orders: keys of equal centres then differ.
        return _first_equals(centers)[nearest]

    def _plainly(self, centers: _Placed) -> IndexArray:
        alike = ALIKE * float(centers.lengths.max())

        def nearest(block: slice) -> IndexArray:
            keys = inner_products(self._rows[block], centers.doubled)
            keys += centers.constants
            if keys.dtype == torch.float64:
                # Sparse rows share no entry with most centres, and are equally far from all of these but for rounding.
                keys = (keys > keys.amin(dim=1, keepdim=True) + alike).to(torch.uint8)
            # NumPy finds where the least is several times as fast as torch.
            on_host = keys.device.type == "cpu"
            nearest: IndexArray = keys.numpy().argmin(axis=1) if on_host else keys.argmin(dim=1).cpu().numpy()
            return nearest

        with team(device_of(self._rows)) as threads:
            blocks = product_blocks(self._rows, len(centers.constants))
            return np.concatenate(list(threads.map(nearest, blocks)))


def _first_equals(centers: Tensor) -> IndexArray:
    """Find for each centre the lowest id of those that equal it, shape (k,)."""
    first: dict[bytes, int] = {}
    # Adding 0 makes one of the two zeros.
    return np.array([first.setdefault(row.tobytes(), i) for i, row in enumerate(centers.cpu().numpy() + 0)])


def _origin(rows: Rows) -> Tensor:
    if isinstance(rows, Tensor) and rows.dtype == torch.float32:
        return rows.mean(dim=0)
    # Float64 has digits to spare, and rows that are sparse and the same ones dense should be treated alike.
    return torch.zeros(rows.shape[1], dtype=torch.float64, device=device_of(rows))


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """Centres about an origin: −2c', ‖c'‖² in float64, and the constants ‖c'‖² + 2 o·c' of their keys."""

    doubled: Tensor
    lengths: Tensor
    constants: Tensor

    @classmethod
    def about(cls, origin: Tensor, centers: Tensor) -> _Placed:
        moved = centers - origin
        lengths = dense_squared_norms(moved)
        constants = lengths + 2 * (moved.to(torch.float64) @ origin.to(torch.float64))
        return cls(moved * -2, lengths, constants.to(centers.dtype))


def _gains_by_rounding(rows: Tensor, n_centers: int) -> bool:
    if rows.device.type != "cpu" or rows.dtype != torch.float32:
        return False
    # Where squares might leave the range of float32, bounds say nothing.
    return n_centers >= COARSE_FROM_CENTERS and multiplies_bfloat16() and power_of_two(largest_magnitude(rows)) == 1


class _RoundedRows:
    """Float32 rows about their mean, rounded to bfloat16, with room for the six columns that complete a product.

    Names are those of `nearmiss.arrays.coarse`: ``offset`` is a², ``xi`` is ξ.
    """

    def __init__(self, rows: Tensor, origin: Tensor) -> None:
        n, d = rows.shape
        self._rows, self._origin = rows, origin
        self._rounded = torch.ones((n, d + 6), dtype=torch.bfloat16)
        self._offset = torch.empty(n, dtype=torch.float64)
        self._xi = torch.empty(n, dtype=torch.float64)
        in_blocks(self._round, rows)
        self._room = Room(torch.bfloat16, rows.device)
        expect_pair_products()

    def _round(self, block: slice) -> None:
        moved = self._rows[block] - self._origin
        self._rounded[block, : moved.shape[1]] = moved
        self._xi[block] = residuals(moved, self._rounded[block, : moved.shape[1]])
        self._offset[block] = torch.linalg.vector_norm(moved, dim=1).to(torch.float64).square()

    def nearest(self, centers: _Placed) -> IndexArray:
        """Find the nearest centre of every row."""
        k, d = centers.doubled.shape
        references = torch.ones((k, d + 6), dtype=torch.bfloat16)
        references[:, :d] = centers.doubled
        references[:, d : d + 3] = thirds(centers.lengths)
        radius = float(centers.lengths.max()) ** 0.5 * (1 + torch.finfo(torch.float32).eps)
        eta = float(residuals(centers.doubled, references[:, :d]).max()) / 2
        fine = error_bound(self._offset.sqrt(), radius, d, torch.float32)
        error = coarse_error(self._offset, fine, self._xi, radius, eta, d)

        def nearest(block: slice) -> IndexArray:
            self._rounded[block, d + 3 :] = thirds(self._offset[block] + error[block])
            values = row_products(self._rounded[block], references, out=self._room.of(block.stop - block.start, k))
            return self._decided(self._rows[block], values.view(torch.int16).numpy(), error[block], centers)

        with team(self._rows.device) as threads:
            return np.concatenate(list(threads.map(nearest, row_blocks(len(self._rows), k * 2, VALUE_BYTES))))

    def _decided(self, rows: Tensor, values: npt.NDArray[np.int16], error: Tensor, centers: _Placed) -> IndexArray:
        """Take the least value of each row, or compare the keys of all centres that may be as near."""
        clusters: IndexArray = values.argmin(axis=1)
        least = torch.from_numpy(np.take_along_axis(values, clusters[:, None], axis=1))
        near = values <= reach(least, error).numpy()
        counts = near.sum(axis=1, dtype=np.int32)
        doubtful = np.flatnonzero(counts != 1)
        if len(doubtful):
            near[counts == 1] = False
            counts[counts == 1] = 0
            starts = np.concatenate([[0], np.cumsum(counts)])
            center = np.flatnonzero(near) % values.shape[1]
            products = pair_products(rows, centers.doubled, torch.from_numpy(starts), torch.from_numpy(center)).numpy()
            keys = products + centers.constants.numpy()[center]
            best = np.repeat(np.minimum.reduceat(keys, starts[doubtful]), counts[doubtful])
            nearest = np.flatnonzero(keys == best)
            # Centres come in order of their ids, and the first of the least is taken.
            clusters[doubtful] = center[nearest[np.searchsorted(nearest, starts[doubtful])]]
        return clusters


def squared_differences(rows: Tensor, left: IndexArray, others: Tensor, right: IndexArray) -> npt.NDArray[np.float64]:
    """Compute ‖rows[left] − others[right]‖² of each pair, shape (P,), by differences in the precision of the rows.

    Examples
    --------
    >>> squared_differences(torch.eye(2), np.array([0, 1]), torch.zeros(1, 2), np.array([0, 0]))
    array([1., 1.])
    """
    squared = np.empty(len(left))
    for part in row_blocks(len(left), rows.shape[1] * rows.element_size(), block_bytes(rows.device, PAIR_BYTES)):
        picked = [torch.from_numpy(each[part]).to(rows.device) for each in (left, right)]
        difference = rows.index_select(0, picked[0]).sub_(others.index_select(0, picked[1]))
        squared[part] = torch.linalg.vecdot(difference, difference).cpu().numpy()
    return squared
