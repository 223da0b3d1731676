"""The smallest keys of each query: few candidates out of many references, then the order among these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nearmiss.arrays.frames import Frame, QueryBlock

__all__ = ["Candidates", "Kept", "boundary", "candidates"]

#: Before the n smallest of a row are sought, references are compared in groups of this many.
GROUP = 8


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Some references of each query and their keys, in order of the keys, both of shape (B, n)."""

    columns: Tensor
    keys: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Keys of some references for each query: those of the n smallest keys among them, or the n nearest themselves.

    ``columns``, of shape (B, W) as the keys, says which references these are; None where they are all there are.
    """

    keys: Tensor
    columns: Tensor | None

    def of(self, rows: Tensor) -> Candidates:
        """Keep some rows."""
        columns = None if self.columns is None else self.columns.index_select(0, rows)
        return Candidates(self.keys.index_select(0, rows), columns)

    def smallest(self, n: int) -> Kept:
        """Keep the n smallest of each row, in order."""
        keys, places = self.keys.topk(min(n, self.keys.shape[1]), dim=1, largest=False, sorted=True)
        return Kept(places if self.columns is None else self.columns.gather(1, places), keys)

    def up_to(self, cut: Tensor, decided: Tensor, k: int) -> Tensor:
        """Give the references whose keys are at most the cut, for the rows where that is known to be k of them."""
        within = _nonzero(((self.keys <= cut[:, None]) & decided[:, None]).flatten())
        if self.columns is not None:
            return self.columns.flatten()[within].view(-1, k)
        return (within % self.keys.shape[1]).view(-1, k)


def candidates(block: QueryBlock, frame: Frame, n: int) -> Candidates:
    """Narrow the references of each query down to few, the n of smallest key among them."""
    if len(frame.pieces) == 1:
        return _narrowed(block.keys(frame.pieces[0]), n)
    found = []
    for piece in frame.pieces:
        kept = _narrowed(block.keys(piece), n).smallest(n)
        found.append(Kept(kept.columns + piece.start, kept.keys))
    return Candidates(torch.cat([f.keys for f in found], dim=1), torch.cat([f.columns for f in found], dim=1))


def _narrowed(keys: Tensor, n: int) -> Candidates:
    """Narrow by way of the smallest of each group: the n smallest lie in n groups at most, found in the same way."""
    if keys.shape[1] < 2 * GROUP * n:
        return Candidates(keys, None)
    width = keys.shape[1] // GROUP
    least = keys[:, : width * GROUP].reshape(-1, GROUP, width).amin(dim=1)
    groups = _narrowed(least, n).smallest(n).columns
    steps = torch.arange(GROUP, device=keys.device) * width
    rest = torch.arange(width * GROUP, keys.shape[1], device=keys.device).expand(len(keys), -1)
    columns = torch.cat([(groups[:, :, None] + steps).flatten(1), rest], dim=1)
    return Candidates(keys.gather(1, columns), columns)


def boundary(keys: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Give the k-th and the (k + 1)-th smallest of each row, each of shape (B, 1).

    On a CPU NumPy partitions a row several times as fast as torch finds its smallest.

    Examples
    --------
    >>> boundary(torch.tensor([[5, 1, 9, 3]], dtype=torch.int16), 2)
    (tensor([[3]], dtype=torch.int16), tensor([[5]], dtype=torch.int16))
    """
    if keys.device.type != "cpu":
        smallest = keys.topk(k + 1, dim=1, largest=False, sorted=True).values
        return smallest[:, k - 1 : k], smallest[:, k:]
    parted = torch.from_numpy(np.partition(keys.numpy(), k, axis=1))
    return parted[:, :k].amax(dim=1, keepdim=True), parted[:, k : k + 1]


def _nonzero(flat: Tensor) -> Tensor:
    if flat.device.type != "cpu":
        return torch.nonzero(flat).flatten()
    return torch.from_numpy(np.flatnonzero(flat.numpy()))
