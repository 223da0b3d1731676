"""Keys in bfloat16: half the bytes and, on processors that multiply it natively, twice to four times the speed.

The bound
---------
`nearmiss.arrays.frames` has x̂, ŷ, a, r, E and γ; there, | σ²δ² − ‖x̂ − ŷ‖² | ≤ E among other things. Let x̃ and ỹ be x̂
and ŷ rounded to bfloat16, ξ = ‖x̂ − x̃‖ and η the largest ‖ŷ − ỹ‖, both as measured. Then

    | x̂·ŷ − x̃·ỹ | = | (x̂ − x̃)·ŷ + x̃·(ŷ − ỹ) | ≤ ξ r + (a + ξ) η.

The key is the inner product of (x̃, 1, 1, 1, p₁, p₂, p₃) and (−2ỹ, q₁, q₂, q₃, 1, 1, 1), where p₁ + p₂ + p₃ is
p = a² + μ and q₁ + q₂ + q₃ is q = ‖ŷ‖², each cut into three bfloat16 numbers, which leaves a relative 2⁻²⁴. Products of
two bfloat16 numbers are exact in float32, and they are summed in float32 in any order: d + 6 terms, whose magnitudes
sum to little more than p + q + 2(a + ξ)(r + η), so that the sum T is off by at most γ(2d + 12) times that: twice as
many terms as there are pay for parts of unlike sign. The norms a and r are
computed in float32, which costs γ(d + 3)(a² + r²). Numbers below the normal range may count as zero. Altogether

    | T − μ − σ²δ² | ≤ F(x) = E + 2ξr + 2(a + ξ)η + γ(2d + 12)(p + r² + 2(a + ξ)(r + η)) + 2⁻²³(p + r²)
                               + γ(d + 3)(a² + r²) + 16(d + 6)·tiny·(1 + a + r)².

T comes back rounded to bfloat16, v = T(1 + ε) with |ε| ≤ 2⁻⁸ (Higham 2002, §2.2), and μ = F makes it non-negative: read
as 16-bit integers the v keep their order, and integers are what processors compare fastest. F holds p and p holds F:
with F₀ for p = a² and g for the factor of p, F₀ + 2gF₀ is enough, and 2⁻¹⁰ of it more pays for computing it. Hence

    v/(1 + 2⁻⁸) − 2F ≤ σ²δ²        and        σ²δ² ≤ v/(1 − 2⁻⁸).

What may be near
----------------
Let at least k references of a query have a value of at most u. Then its k-th nearest is within u/(1 − 2⁻⁸), and any
reference is strictly farther unless

    v ≤ (1 + 2⁻⁸) (u/(1 − 2⁻⁸) + 2F),

the reach of u. For u the k-th smallest among the least values of some groups of references serves: it is hardly above
the k-th smallest of all, and found much sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nearmiss.arrays.dense_points import Block, PreparedFrame, Room
from nearmiss.arrays.frames import Rows, gamma
from nearmiss.arrays.narrowing import Candidates
from nearmiss.arrays.products import expect_pair_products, pair_products, row_products

__all__ = ["CoarseFrame", "Near", "coarse_error", "multiplies_bfloat16", "reach", "residuals", "thirds"]

#: References whose least value alone is looked at first, at most; and the fewest such groups for each neighbour sought.
GROUP = 32
GROUPS_PER_NEIGHBOR = 8

#: Candidates beyond k with which a query is better searched in float32.
CROWD = 64

#: Candidates of a query, on an average, with which they are counted before they are listed: a list takes much memory.
CROWDED = 256

UNIT = 2.0**-8
SINGLE_UNIT = 2.0**-24


def multiplies_bfloat16() -> bool:
    """Tell whether this processor has instructions for products of bfloat16 numbers.

    Examples
    --------
    >>> multiplies_bfloat16() in (True, False)
    True
    """
    # The oldest torch we allow cannot say.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """The few references that may be among the k nearest, for those queries of a block that have few, shape (Q,).

    Every other reference is strictly farther from the query than each of its k nearest. ``candidates`` holds float32
    keys and columns, shape (Q, W); a row with fewer than W is filled up with infinite keys.
    """

    queries: Tensor
    candidates: Candidates


@dataclass(frozen=True, slots=True, eq=False)
class CoarseBlock:
    """Some queries in bfloat16, and the same in float32 (``fine``); ``error`` is F, shape (B,)."""

    rounded: Tensor
    error: Tensor
    fine: Block
    frame: CoarseFrame

    def values(self) -> Tensor:
        """Compute v as int16, shape (B, m); overwritten by the next call."""
        references = self.frame.rounded
        out = self.frame.room_of(len(self.rounded), len(references))
        return row_products(self.rounded, references, out=out).view(torch.int16)

    def lower(self, values: Tensor) -> Tensor:
        """Bound σ²δ² from below."""
        return widened(values) / (1 + UNIT) - 2 * self.error[:, None]

    def upper(self, values: Tensor) -> Tensor:
        """Bound σ²δ² from above."""
        return widened(values) / (1 - UNIT)

    def near(self, k: int, at_least: int) -> Near:
        """Find which references may be among the k nearest; the table has ``at_least`` so many columns."""
        values = self.values().numpy()
        n, m = values.shape
        group = max(1, min(GROUP, m // (GROUPS_PER_NEIGHBOR * k)))
        least = values[:, : m // group * group].reshape(n, group, -1).min(axis=1)
        kth = torch.from_numpy(np.partition(least, k - 1, axis=1)[:, k - 1 : k])
        near = values <= reach(kth, self.error).numpy()
        few = np.ones(n, dtype=np.bool_)
        if np.count_nonzero(near) > CROWDED * n:  # else the pairs of all are few enough to be listed
            few = near.sum(axis=1, dtype=np.int32) <= k + CROWD
            near[~few] = False
        query, column = np.divmod(np.flatnonzero(near), m)
        counts = np.bincount(query, minlength=n)
        if counts.max(initial=0) > k + CROWD:
            few = counts <= k + CROWD
            column = column[few[query]]
            counts[~few] = 0
        starts = np.concatenate([[0], np.cumsum(counts)])
        keys = self.frame.pair_products(self.fine.moved, torch.from_numpy(starts), torch.from_numpy(column))
        queries = np.flatnonzero(few)
        counts, starts = counts[queries], starts[queries]
        row = np.repeat(np.arange(len(queries)), counts)
        place = row, np.arange(len(row)) - starts[row]
        shape = len(queries), max(at_least, int(counts.max(initial=0)))
        all_keys, columns = np.full(shape, np.inf, np.float32), np.zeros(shape, np.int64)
        all_keys[place], columns[place] = keys.numpy(), column
        return Near(torch.from_numpy(queries), Candidates(torch.from_numpy(all_keys), torch.from_numpy(columns)))


def reach(least: Tensor, error: Tensor) -> Tensor:
    """Give the reach of values u, shape (B, 1), as the bits of the least bfloat16 numbers that are not below it.

    Examples
    --------
    >>> reach(torch.ones(1, 1, dtype=torch.bfloat16).view(torch.int16), torch.zeros(1)).view(torch.bfloat16)
    tensor([[1.0156]], dtype=torch.bfloat16)
    """
    exact = (1 + UNIT) * (widened(least) / (1 - UNIT) + 2 * error[:, None])
    bits = exact.to(torch.bfloat16).view(torch.int16)
    return bits + (widened(bits) < exact).to(torch.int16)


def widened(values: Tensor) -> Tensor:
    """Read int16 as the bfloat16 numbers whose bits they are, float64."""
    return values.contiguous().view(torch.bfloat16).to(torch.float64)


class CoarseFrame:
    """References in bfloat16, beside the float32 frame they were rounded from, which must hold all its references."""

    def __init__(self, fine: PreparedFrame) -> None:
        if fine.references is None:
            raise ValueError("the float32 frame keeps no references")
        self._fine, self._references = fine, fine.references
        m, width = self._references.shape
        self.row_bytes = 4 * (m + width)  # two bytes a value, and whether it is near
        self.rounded = torch.ones((m, width + 5), dtype=torch.bfloat16)
        self._eta = 0.0
        for piece in fine.pieces:
            given, rounded = self._references[piece, :-1], self.rounded[piece]
            rounded[:, : width - 1] = given
            # The references stand as −2ŷ.
            self._eta = max(self._eta, float(residuals(given, rounded[:, : width - 1]).max()) / 2)
            rounded[:, width - 1 : width + 2] = thirds(self._references[piece, -1].to(torch.float64))
        self._room = Room(torch.bfloat16, self.rounded.device)
        expect_pair_products()

    def room_of(self, n: int, m: int) -> Tensor:
        """Lend memory for products, until the next call."""
        return self._room.of(n, m)

    def block(self, rows: Rows) -> CoarseBlock:
        """Round some queries."""
        fine = self._fine.block(rows)
        given = fine.moved[:, :-1]
        d = given.shape[1]
        rounded = torch.ones((len(given), d + 6), dtype=torch.bfloat16)
        rounded[:, :d] = given
        xi = residuals(given, rounded[:, :d])
        error = coarse_error(fine.offset, fine.error, xi, self._fine.radius, self._eta, d)
        rounded[:, d + 3 :] = thirds(fine.offset + error)
        return CoarseBlock(rounded, error, fine, self)

    def pair_products(self, moved: Tensor, starts: Tensor, columns: Tensor) -> Tensor:
        """Multiply moved queries with some of the float32 references each; `products.pair_products` says how."""
        return pair_products(moved, self._references, starts, columns)


def coarse_error(offset: Tensor, fine: Tensor, xi: Tensor, radius: float, eta: float, d: int) -> Tensor:
    """Compute F from a², E and ξ of each query, all of shape (B,), and from r and η; the module's docstring proves it.

    Examples
    --------
    >>> one = torch.ones(1, dtype=torch.float64)
    >>> coarse_error(one, 1e-6 * one, 1e-3 * one, radius=1.0, eta=1e-3, d=768).item() > 4e-3
    True
    """
    a = offset.sqrt()
    fixed = fine + 2 * xi * radius + 2 * (a + xi) * eta
    fixed += 16 * (d + 6) * torch.finfo(torch.float32).tiny * (1 + a + radius).square()
    fixed += gamma(d + 3, SINGLE_UNIT) * (offset + radius**2)
    per_term = gamma(2 * d + 12, SINGLE_UNIT) + 2 * SINGLE_UNIT
    plain = fixed + per_term * (offset + radius**2 + 2 * (a + xi) * (radius + eta))
    error: Tensor = (1 + 2.0**-10) * (1 + 2 * per_term) * plain
    return error


def residuals(given: Tensor, rounded: Tensor) -> Tensor:
    """Measure ‖given − rounded‖ of each row, not less than it is, float64."""
    d, info = given.shape[1], torch.finfo(torch.float32)
    norms: Tensor = torch.linalg.vector_norm(given - rounded.to(given.dtype), dim=1)
    # Squares below the normal range may have counted as zero.
    residual: Tensor = norms.to(torch.float64) * (1 + gamma(d + 3, SINGLE_UNIT)) + (d * info.tiny) ** 0.5
    return residual


def thirds(values: Tensor) -> Tensor:
    """Cut float64 numbers into three bfloat16 ones that sum to them but for a relative 2⁻²⁴, shape (·, 3)."""
    parts = []
    for _ in range(3):
        part = values.to(torch.bfloat16)
        parts.append(part)
        values = values - part.to(torch.float64)
    return torch.stack(parts, dim=1)
