"""The neighbourhood of the labelled texts: any strategy, looking only where texts of every class were found before.

A strategy that looks at the whole pool seldom meets a class that one text in a hundred has. Around the texts of that
class there are more of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import Card, IndexArray, Needs, PoolView, Selection, Signal, Strategy
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.arrays.product_points import ProductPoints, Rows, as_rows
from nearmiss.arrays.seeding import kmeans_plus_plus
from nearmiss.arrays.tensors import required, take_rows
from nearmiss.errors import InvalidInput

__all__ = ["AnchoredPool"]

_CARD = Card(
    title="Anchored pool",
    paper="Lesci & Vlachos: AnchorAL: Computationally Efficient Active Learning for Large and Imbalanced Datasets. "
    "NAACL 2024; with anchors=0, size=0 Coleman et al.: Similarity Search for Efficient Active Learning and Search of "
    "Rare Concepts (SEALS). AAAI 2022",
    definition="Of every class the same number of labelled texts are anchors, chosen far apart by k-means++; the "
    "texts nearest to each anchor make a small pool, of which those stay that lie nearest to their anchors on "
    "average. The wrapped strategy chooses among them.",
    score="That of the wrapped strategy.",
    cost="O(a n d) for a anchors, then the wrapped strategy on at most `size` texts",
    differences=(
        "Distances are cosines of the features that the strategy is given; the authors search an index of "
        "sentence embeddings. The search here is exact.",
        "Where the neighbourhoods hold fewer texts than the batch, they are widened; the papers leave it open.",
        "The CAL authors' code has no such wrapper.",
    ),
)


@dataclass(frozen=True, slots=True)
class AnchoredPool:
    """Let a strategy choose among the texts near labelled ones, as many of every class (Lesci & Vlachos 2024).

    Parameters
    ----------
    strategy
        Chooses among them.
    anchors
        Labelled texts of each class whose neighbourhood is looked at; 0 for all.
    neighbors
        Texts in the neighbourhood of each.
    size
        Texts that are looked at, at most; 0 for all of the neighbourhoods.

    Raises
    ------
    InvalidInput
        A number is negative, or neighbors is 0.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> from nearmiss.acquisition.random import Random
    >>> pool = np.array([[1.0, 0.1], [0.9, 0.2], [0.1, 1.0], [-1.0, 0.0], [-1.0, -0.1]])
    >>> labeled = Signals(features=np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> view = PoolView(5, Signals(features=pool), labeled, np.array([0, 1]))
    >>> near = AnchoredPool(Random(), neighbors=2).select(view, 3, np.random.default_rng(0))
    >>> sorted(near.indices.tolist())
    [0, 1, 2]
    """

    strategy: Strategy
    anchors: int = 10
    neighbors: int = 50
    size: int = 1_000

    def __post_init__(self) -> None:
        if self.anchors < 0 or self.neighbors < 1 or self.size < 0:
            raise InvalidInput(
                f"the anchored pool has anchors={self.anchors}, neighbors={self.neighbors}, size={self.size}; pass 0 "
                "or more, and at least one neighbour"
            )

    @property
    def card(self) -> Card:
        """The card of the wrapper, its title naming the wrapped strategy."""
        return replace(_CARD, title=f"{_CARD.title} for {self.strategy.card.title}")

    @property
    def needs(self) -> Needs:
        """What the wrapped strategy needs, and features of the pool and of the labelled set."""
        inner = self.strategy.needs
        return Needs(pool=inner.pool | {Signal.FEATURES}, labeled=inner.labeled | {Signal.FEATURES})

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool near labelled texts; of the whole pool while nothing is labelled.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        """
        view.require(n)
        pool = as_rows(required(view.pool.features, "pool features", view.size), "pool features")
        if not len(view.labels):
            return self.strategy.select(view, n, rng)
        labeled = as_rows(required(view.labeled.features, "labeled features", len(view.labels)), "labeled features")
        units = normalize_rows(labeled)
        anchors = as_rows(take_rows(units, self._anchors(units, view.labels, rng)), "anchors")
        rows = self._near(anchors, normalize_rows(pool), view.size, n)
        chosen = self.strategy.select(view.narrowed(rows), n, rng)
        told = f"{len(rows)} of {view.size} texts, near {anchors.shape[0]} labelled ones, were looked at"
        return Selection(rows[chosen.indices], chosen.scores, chosen.explanation, (*chosen.notes, told))

    def _anchors(self, labeled: Rows, labels: IndexArray, rng: np.random.Generator) -> IndexArray:
        """Choose labelled rows of every class, spread over it."""
        chosen: list[IndexArray] = []
        for c in np.unique(labels):
            rows = np.flatnonzero(labels == c)
            if self.anchors and len(rows) > self.anchors:
                spread = kmeans_plus_plus(ProductPoints(take_rows(labeled, rows)), self.anchors, rng)
                rows = rows[spread.indices]
            chosen.append(rows)
        return np.concatenate(chosen)

    def _near(self, anchors: Rows, pool: Rows, size: int, n: int) -> IndexArray:
        """Give the rows of the small pool, in the order of the large one; at least n."""
        neighbors = min(self.neighbors, size)
        while True:
            found = nearest_neighbors(anchors, pool, neighbors)
            rows, similarity = _mean_similarity(found.indices, found.distances)
            if len(rows) >= n or neighbors == size:
                break
            neighbors = min(2 * neighbors, size)
        most = max(n, self.size) if self.size else len(rows)
        nearest = np.lexsort((rows, -similarity))[:most]
        return np.sort(rows[nearest])


def _mean_similarity(
    indices: IndexArray, distances: npt.NDArray[np.float64]
) -> tuple[IndexArray, npt.NDArray[np.float64]]:
    """Give the rows that were found, and the mean cosine to the anchors that found them."""
    rows, place = np.unique(indices, return_inverse=True)
    cosines = 1 - distances.ravel() ** 2 / 2
    return rows, np.bincount(place.ravel(), weights=cosines) / np.bincount(place.ravel())
