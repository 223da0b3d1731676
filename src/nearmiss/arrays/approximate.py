"""Approximate nearest neighbours by FAISS's inverted lists, with the recall measured on the caller's own queries."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.arrays.dense_points import largest_magnitude
from nearmiss.arrays.duplicates import first_occurrences
from nearmiss.arrays.neighbors import Neighbors, nearest_neighbors
from nearmiss.arrays.tensors import Matrix, as_matrix, is_sparse, row_blocks
from nearmiss.errors import InvalidArray, InvalidInput, MissingExtra

__all__ = ["ApproximateNeighbors", "approximate_neighbors"]

IndexArray = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

#: Below this many references, in all and per neighbour, lists save nothing that building them does not cost.
FEWEST, FEWEST_PER_NEIGHBOR = 10_000, 100
#: Past this share of the lists, scanning them costs more than the matrix products of the exact search.
DEAREST = 1 / 16
#: Candidates beyond k: FAISS ranks in float32, and what it confuses near the k-th place is ranked again in float64.
SPARE = 6
#: References per list, and iterations, from which k-means learns the cells: more of either gains little recall.
TRAINING_ROWS, TRAINING_ITERATIONS = 32, 5
#: A query farther out than this, where the references span 1, moves inwards: its float32 square would overflow.
FARTHEST = 1e15


@dataclass(frozen=True, slots=True, eq=False)
class ApproximateNeighbors:
    """Near references of each query, nearest first, and how many of the nearest are among them.

    Attributes
    ----------
    indices
        Rows of the references, shape (n, k), int64; among equal distances the lower row comes first.
    distances
        Euclidean distances to them, shape (n, k), float64: exact, whatever was missed.
    recall
        Share of its exact k nearest that a query found, averaged over the queries measured. What is as near as the
        exact k-th counts as found.
    recall_interval
        95 % interval for the average over all queries.
    measured
        Number of queries compared with the exact answer; 0 where the whole answer is exact.
    lists, probes
        Into how many lists the references were divided, and how many each query searched; 1 of 1 is exact.
    """

    indices: IndexArray
    distances: Distances
    recall: float
    recall_interval: tuple[float, float]
    measured: int
    lists: int
    probes: int

    def __str__(self) -> str:
        n, k = self.indices.shape
        if not self.measured:
            return f"the {k} nearest of {n:,} queries are exact"
        low, high = (f"{100 * end:.1f}" for end in self.recall_interval)
        return (
            f"{100 * self.recall:.1f} % of the exact {k} nearest found (95 % interval {low} to {high}), measured on "
            f"{self.measured:,} of {n:,} queries; {self.probes:,} of {self.lists:,} lists searched"
        )


def approximate_neighbors(
    queries: Matrix,
    references: Matrix,
    k: int,
    rng: np.random.Generator,
    *,
    target_recall: float = 0.95,
    sample_size: int = 512,
) -> ApproximateNeighbors:
    """Find k near references of every query, most of them the nearest, and measure how many are.

    k-means divides m references into 4√m lists; a query searches the lists whose centres are nearest to it (Jégou,
    Douze & Schmid: Product quantization for nearest neighbor search, TPAMI 2011, §IV, with whole vectors for codes).
    ``queries`` (n, d) and ``references`` (m, d) are dense: NumPy or CPU tensors. With fewer than k references, all of
    them are returned. The same generator state gives the same answer, whatever the number of threads.

    Parameters
    ----------
    rng
        Draws the start of k-means and the queries that are measured.
    target_recall
        Ever more lists are searched until half of the sample reaches it. The recall reported is that of the other
        half, which the choice has not seen; it may fall short by chance.
    sample_size
        Queries searched exactly as well.

    Notes
    -----
    The search is exact where lists do not pay: below 10,000 references, or 100 per neighbour (of equal ones, k count);
    with no more queries than the sample; where the target takes more than a sixteenth of the lists. Memory: FAISS's
    copy of the references in float32 (it may reserve a third more), 128/√m of them to learn the lists from, and the
    bounded work of the exact search.

    Raises
    ------
    MissingExtra
        FAISS is not installed.
    InvalidInput
        k or sample_size is too small, target_recall is not a share, or there are no references.
    InvalidArray
        Sparse or not on the CPU, NaN or infinity, different widths, or a largest magnitude outside 1e-100 to 1e100.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> references = rng.normal(size=(20_000, 8)).astype(np.float32)
    >>> found = approximate_neighbors(references[:600], references, 5, rng)
    >>> found.indices[:3, 0], found.recall > 0.9, found.measured
    (array([0, 1, 2]), True, 256)
    """
    try:
        import faiss
    except ImportError:
        raise MissingExtra("approximate neighbour search", "ann", "faiss-cpu") from None
    if k < 1:
        raise InvalidInput(f"asked for {k} nearest neighbours; ask for at least 1")
    if not 0 < target_recall <= 1:
        raise InvalidInput(f"target_recall is {target_recall}; pass a share above 0 and at most 1, such as 0.95")
    if sample_size < 2:
        raise InvalidInput(f"sample_size is {sample_size}; measure on at least 2 queries")
    x, y = _checked(queries, "queries"), _checked(references, "references")
    if x.shape[1] != y.shape[1]:
        raise InvalidArray(f"queries have {x.shape[1]} columns and references {y.shape[1]}; pass features of one kind")
    rows = _without_surplus(y, k)
    if len(x) > sample_size and len(rows) >= max(FEWEST, FEWEST_PER_NEIGHBOR * k):
        lists = _Lists(faiss, y, rows, rng)
        drawn = rng.choice(len(x), size=sample_size, replace=False)
        farthest = nearest_neighbors(x[torch.from_numpy(drawn)], y, k).distances[:, -1:]
        half = sample_size // 2
        probes = _least_probes(lists, x[torch.from_numpy(drawn[:half])], farthest[:half], k, target_recall)
        if probes is not None:
            found = lists.search(x, k, probes)
            recall = _recall(found.distances[drawn[half:]], farthest[half:])
            size = sample_size - half
            interval = _wilson(recall, size)
            return ApproximateNeighbors(found.indices, found.distances, recall, interval, size, lists.count, probes)
    exact = nearest_neighbors(x, y, k)
    return ApproximateNeighbors(exact.indices, exact.distances, 1.0, (1.0, 1.0), measured=0, lists=1, probes=1)


def _checked(matrix: Matrix, name: str) -> Tensor:
    if is_sparse(matrix):
        raise InvalidArray(f"{name} are sparse, and FAISS searches dense rows alone; search these exactly")
    if isinstance(matrix, Tensor) and matrix.device.type != "cpu":
        raise InvalidArray(f"{name} are on {matrix.device}, and FAISS is not; search exactly there, or pass .cpu()")
    rows = as_matrix(matrix, name)
    if (largest := largest_magnitude(rows)) and not 1e-100 < largest < 1e100:
        raise InvalidArray(f"{name} reach {largest:.0e}: squares overflow or vanish in float64; scale them to 1")
    return rows


def _without_surplus(references: Tensor, k: int) -> IndexArray:
    """List the rows that can be among the k nearest of anything: of equal references, the first k."""
    likes = first_occurrences(references)
    order = np.argsort(likes, kind="stable")
    surplus = order[k:][likes[order[k:]] == likes[order[:-k]]]
    return np.delete(np.arange(len(likes)), surplus)


class _Lists:
    """The references at these rows, in ``count`` lists by their nearest centre."""

    def __init__(self, faiss: ModuleType, references: Tensor, rows: IndexArray, rng: np.random.Generator) -> None:
        self._faiss, self._references, self._rows = faiss, references, rows
        n, d = len(rows), references.shape[1]
        self.count = int(4 * n**0.5)
        training = rng.choice(n, size=min(n, self.count * TRAINING_ROWS), replace=False)
        # Far from 0, or much larger or smaller than 1, float32 loses what tells points apart; any rough mean will do.
        self._scale = 1 / largest_magnitude(references)
        self._center = (self._at(training[:1000]).to(torch.float64) * self._scale).mean(dim=0)
        self._index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, self.count)
        self._index.cp.seed, self._index.cp.niter = int(rng.integers(2**31 - 1)), TRAINING_ITERATIONS
        self._index.cp.min_points_per_centroid = 1
        blocks = [self._moved(self._at(training[part])) for part in row_blocks(len(training), 16 * d)]
        self._index.train(np.concatenate(blocks))
        for part in row_blocks(n, 16 * d):
            self._index.add(self._moved(self._at(np.arange(part.start, part.stop))))

    def _at(self, positions: IndexArray) -> Tensor:
        return self._references[torch.from_numpy(self._rows[positions])]

    def _moved(self, points: Tensor) -> npt.NDArray[np.float32]:
        moved = (points.to(torch.float64) * self._scale).sub_(self._center).clamp_(-FARTHEST, FARTHEST)
        return moved.to(torch.float32).numpy()

    def search(self, x: Tensor, k: int, probes: int) -> Neighbors:
        """Find k near references of every query in this many lists."""
        wanted = k + SPARE
        found = Neighbors(np.empty((len(x), k), np.int64), np.empty((len(x), k)))
        for part in row_blocks(len(x), 24 * wanted * x.shape[1]):
            near = self._candidates(self._moved(x[part]), wanted, probes)
            near.sort(axis=1)  # by row, so that a stable sort by distance leaves the lower of equals first
            differences = x[part, None].to(torch.float64) - self._at(near)
            distances = torch.linalg.vector_norm(differences, dim=2).numpy()
            order = np.argsort(distances, axis=1, kind="stable")[:, :k]
            found.indices[part] = self._rows[np.take_along_axis(near, order, axis=1)]
            found.distances[part] = np.take_along_axis(distances, order, axis=1)
        return found

    def _candidates(self, points: npt.NDArray[np.float32], wanted: int, probes: int) -> IndexArray:
        """Ask FAISS for near positions, from more lists for the queries whose lists hold too few."""
        effort = self._faiss.SearchParametersIVF(nprobe=min(probes, self.count))
        near: IndexArray = self._index.search(points, wanted, params=effort)[1]
        short = np.flatnonzero(near[:, -1] < 0)
        if len(short):
            near[short] = self._candidates(points[short], wanted, 2 * probes)
        return near


def _least_probes(lists: _Lists, x: Tensor, farthest: Distances, k: int, target: float) -> int | None:
    """Search ever more lists until these queries meet the target; None where the exact search would cost less."""
    probes = 1
    while probes <= lists.count * DEAREST:
        if _recall(lists.search(x, k, probes).distances, farthest) >= target:
            return probes
        probes = max(probes + 1, probes * 3 // 2)
    return None


def _recall(found: Distances, farthest: Distances) -> float:
    """Average the share of found neighbours, shape (s, k), that are as near as the exact k-th, shape (s, 1)."""
    return float((found <= farthest * (1 + 1e-12)).mean())


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % interval (1927); a mean of shares varies no more than one of noughts and ones, often less."""
    z2 = 1.959964**2 / n
    middle, half = share + z2 / 2, (z2 * (share * (1 - share) + z2 / 4)) ** 0.5
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))
