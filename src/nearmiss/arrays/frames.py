"""What a search asks of points: keys that order references quickly, with proven bounds, and distances in float64.

The bound
---------
Let u be the unit roundoff of the working precision, γ(j) = ju / (1 − ju), and σ a power of two. The fast route forms
x̂ = fl(σx − c) and ŷ = fl(σy − c) for one fixed vector c (the mean of the references, which keeps the norms small),
a² = ‖x̂‖², and for every pair, as the inner product of (x̂, 1) and (−2ŷ, ‖ŷ‖²), the key

    D = fl(‖ŷ‖² − 2 x̂·ŷ)        so that        a² + D ≈ ‖σx − σy‖².

Write r for the largest ‖ŷ‖. Three errors separate the two sides.

1. Centring. Each entry of x̂ and ŷ is off by a relative u, so ‖x̂ − ŷ‖ is off by at most u(a + r) and its square, to
   first order, by 2u(a + r)².
2. The product of d + 1 terms. Whatever the order of summation, it is off by at most γ(d + 1) times the sum of their
   magnitudes (Higham 2002, §3.1), which is at most 2ar + r²; doubling ŷ is exact.
3. The norms: a² is off by at most γ(d + 3)a², by way of its root; ‖ŷ‖², accumulated in float64 and rounded, by u r².

To first order in u the three sum to (d + 5)a² + (2d + 6)ar + (d + 4)r², which is at most (d + 5)(a + r)²; the rest up
to d + 8, and a factor 1 + 2γ(d + 8), pay for the second order and for a being computed in the working precision. Where
that is float64 itself, ‖ŷ‖² is off by γ(d + 3)r², and r² is charged once more (s = 1; else s = 0). A float64 distance
δ(x, y) taken by differences has relative error γ₆₄(d + 4) in its square. Underflow adds no more than
8(d + 4)·tiny·(1 + a + r). Hence, for each pair,

    | σ²δ² − (a² + D) | ≤ E(x) = [γ(d + 8) + 4γ₆₄(d + 4)] (1 + 2γ(d + 8)) [(a + r)² + s r²]
                                 + 8(d + 4)·tiny·(1 + a + r).

Points may also be taken as they lie, c = 0 and σ = 1, with ‖y‖² added after the product of d terms: the first error
falls away, and what is left is less.

Where a is so large that a product might overflow, E is infinite. For sparse points c = 0, and the number of entries of
two rows together takes the place of d. The bound asks for matrix products in IEEE arithmetic: where torch may use
shorter types (``torch.set_float32_matmul_precision``), the fast route runs in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["ALL", "BoundedBlock", "Frame", "Points", "QueryBlock", "Rows", "error_bound", "gamma", "power_of_two"]

#: Which queries: a range, or their row numbers.
Rows = slice | Tensor

ALL = slice(None)


class QueryBlock(Protocol):
    """Some queries, ready to be compared with the references."""

    def keys(self, columns: slice) -> Tensor:
        """Compute a key for these queries and references, shape (B, columns); overwritten by the next call.

        A larger key never has a smaller bound.
        """
        ...

    def lower(self, keys: Tensor, queries: Rows = ALL) -> Tensor:
        """Bound σ²δ² from below, given keys of all queries of the block or of some, shape (B, ·); float64.

        NaN says nothing.
        """
        ...

    def upper(self, keys: Tensor, queries: Rows = ALL) -> Tensor:
        """Bound σ²δ² from above, given keys of all queries of the block or of some, shape (B, ·); float64.

        NaN says nothing.
        """
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


@dataclass(frozen=True, slots=True, eq=False)
class BoundedBlock:
    """What blocks of keys D have in common: a² (``offset``) and E (``error``), shape (B,), float64."""

    offset: Tensor
    error: Tensor

    def lower(self, keys: Tensor, queries: Rows = ALL) -> Tensor:
        """Bound σ²δ² from below."""
        return keys + (self.offset - self.error)[queries, None]

    def upper(self, keys: Tensor, queries: Rows = ALL) -> Tensor:
        """Bound σ²δ² from above."""
        return keys + (self.offset + self.error)[queries, None]


def gamma(terms: int, unit: float) -> float:
    """Compute γ(terms) for a unit roundoff (Higham 2002, §3.1); infinite where it is undefined."""
    product = terms * unit
    return product / (1 - product) if product < 1 else math.inf


def error_bound(norms: Tensor, radius: float, terms: int, dtype: torch.dtype) -> Tensor:
    """Compute E for queries whose moved norms are given, shape (B,), float64; the module's docstring proves it."""
    info = torch.finfo(dtype)
    rounding = gamma(terms + 8, info.eps / 2)
    relative = (rounding + 4 * gamma(terms + 4, 2.0**-53)) * (1 + 2 * rounding)
    reach = norms + radius
    again = radius**2 if dtype == torch.float64 else 0.0
    error = relative * (reach.square() + again) + 8 * (terms + 4) * info.tiny * (1 + reach)
    return error.where(norms < math.sqrt(info.max) / 1e4, math.inf)


def power_of_two(largest: float) -> float:
    """Return 1 for magnitudes whose squares are far from the ends of float32, else what brings them into [0.5, 1).

    A power of two, kept within float32's exact range of scales.
    """
    if largest == 0 or 2.0**-30 <= largest <= 2.0**30:
        return 1.0
    return 2.0 ** -min(max(math.frexp(largest)[1], -120), 120)
