"""Choices by where the texts lie, not by what the model predicts: BERTKM, ALPS, k-centre greedy, TypiClust."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from nearmiss.acquisition.base import Card, IndexArray, Needs, PoolView, Selection, Signal
from nearmiss.arrays.covering import farthest_first
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.kmeans import kmeans, kmeans_centers, nearest_distinct
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.arrays.product_points import ProductPoints, Rows, as_rows
from nearmiss.arrays.tensors import Sparse, as_csr, device_of, required
from nearmiss.arrays.threads import team
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["Alps", "BertKM", "KCenterGreedy", "TypiClust"]

#: Clusters up to this size are left for last by TypiClust, as its authors' code leaves them out.
SMALL_CLUSTER = 5

#: Added to mean distances by TypiClust, so that a text among its own duplicates has a finite typicality.
DISTANCE_OFFSET = 1e-5

_COLLISION_RULE = (
    "Two centroids can share their nearest text. The CAL authors' code keeps one of them and fills the batch with "
    "random texts, drawn with replacement, so that a batch may fall short. Ours joins centroids and texts in order of "
    "distance, each once: the batch is always full, and no text in it is random."
)
_ONE_START = (
    "The CAL authors' code runs scikit-learn's KMeans with its defaults (several starts in the versions of the time, "
    "up to 300 iterations); ours takes one k-means++ start and 10 iterations, the t = 10 of the paper's cost table."
)


def _check_iterations(name: str, iterations: int) -> None:
    if iterations < 0:
        raise InvalidInput(f"{name} has iterations={iterations}; pass 0 or more")


@dataclass(frozen=True, slots=True)
class _NearestToCentroids:
    """k-means with b clusters on the unit-length rows of one signal, and the text nearest to each centroid."""

    iterations: int = 10
    reads: ClassVar[Signal]

    def __post_init__(self) -> None:
        _check_iterations(type(self).__name__.lower(), self.iterations)

    @property
    def needs(self) -> Needs:
        """The vectors that are clustered, of the pool."""
        return Needs(pool=frozenset({self.reads}))

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, the ones nearest to their centroids first.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            The vectors are missing, hold NaN, or do not match the pool.
        """
        view.require(n)
        name = f"pool {self.reads}"
        given = required(getattr(view.pool, self.reads), name, view.size)
        with team(device_of(given)):
            vectors = normalize_rows(as_rows(given, name))
            centers = kmeans_centers(vectors, n, rng, iterations=self.iterations)
            near = nearest_distinct(vectors, centers)
        order = np.lexsort((near.indices, near.distances))
        return Selection(near.indices[order], -near.distances[order])


@dataclass(frozen=True, slots=True)
class BertKM(_NearestToCentroids):
    """Cluster the unit-length features into b clusters and choose the text nearest to each centroid.

    Parameters
    ----------
    iterations
        Most updates of the centroids.

    Raises
    ------
    InvalidInput
        iterations is negative.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> pool = Signals(features=np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [1.0, -0.1], [-0.1, 1.0]]))
    >>> sorted(BertKM().select(PoolView(size=6, pool=pool), 2, np.random.default_rng(0)).indices.tolist())
    [0, 2]
    """

    reads: ClassVar[Signal] = Signal.FEATURES

    card: ClassVar[Card] = Card(
        title="BERTKM: k-means over encodings",
        paper="Yuan, Lin, Boyd-Graber: Cold-start Active Learning through Self-supervised Language Modeling. EMNLP "
        "2020; as a baseline in Margatina et al. 2021, §3.2",
        definition="k-means with b clusters on the l2-normalised encodings of the pool; the text nearest to each "
        "centroid.",
        score="Minus the Euclidean distance of the text to its centroid, best first.",
        cost="O(t n d b) for t iterations of k-means",
        differences=(_COLLISION_RULE, _ONE_START),
    )

    def points(self, view: PoolView) -> ProductPoints:
        """Give what is clustered, one text a row.

        Raises
        ------
        InvalidArray
            As ``select``.
        """
        features = required(view.pool.features, "pool features", view.size)
        return ProductPoints(normalize_rows(as_rows(features, "pool features")))


@dataclass(frozen=True, slots=True)
class Alps(_NearestToCentroids):
    """Cluster the surprisal vectors into b clusters and choose the text nearest to each centroid.

    Parameters
    ----------
    iterations
        Most updates of the centroids.

    Raises
    ------
    InvalidInput
        iterations is negative.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> pool = Signals(surprisal=np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, -0.1]]))
    >>> sorted(Alps().select(PoolView(size=4, pool=pool), 2, np.random.default_rng(0)).indices.tolist())
    [0, 2]
    """

    reads: ClassVar[Signal] = Signal.SURPRISAL
    card: ClassVar[Card] = Card(
        title="ALPS: active learning by processing surprisal",
        paper="Yuan, Lin, Boyd-Graber: Cold-start Active Learning through Self-supervised Language Modeling. EMNLP "
        "2020, Algorithm 1",
        definition="The surprisal embedding of x holds the masked-LM cross-entropy of a random 15 % of its tokens (the "
        "input left unmasked) and 0 elsewhere, l2-normalised; k-means with b clusters, the text nearest to each "
        "centroid.",
        score="Minus the Euclidean distance of the text to its centroid, best first.",
        cost="One pass of a masked language model over the pool, once; then O(t n l b) for t iterations of k-means on "
        "vectors as long as the longest text may be, l",
        differences=(
            _COLLISION_RULE,
            _ONE_START,
            "The authors' code draws every token with probability 0.15, which leaves some short texts a vector of "
            "zeros; ours draws exactly 15 % of a text's tokens (rounded), at least one. Special tokens such as [CLS] "
            "and [SEP] neither count nor are drawn.",
            "In experiments ours draws the tokens once per dataset, and all seeds share the vectors: seeds differ in "
            "their initial sets and in the starts of k-means.",
            "Texts are cut after the masked language model's max_length (64 tokens in an experiment, unless its "
            "specification says otherwise); tokens beyond it have no part in the vector.",
        ),
    )


def _features_of(view: PoolView) -> tuple[Rows, Rows | None]:
    """Check the features of the pool and, where anything is labelled, those of the labelled set."""
    pool = as_rows(required(view.pool.features, "pool features", view.size), "pool features")
    given = view.labeled.features
    if len(view.labels) > 0:
        given = required(given, "labeled features", len(view.labels))
    if given is None or given.shape[0] == 0:
        return pool, None
    labeled = as_rows(given, "labeled features")
    if labeled.shape[1] != pool.shape[1] or isinstance(labeled, Tensor) != isinstance(pool, Tensor):
        raise InvalidArray(
            f"pool features have shape {tuple(pool.shape)}, labeled features {tuple(labeled.shape)}; take both from "
            "one model, and pass both dense or both CSR"
        )
    return pool, labeled


@dataclass(frozen=True, slots=True)
class KCenterGreedy:
    """Choose, again and again, the text farthest from everything labelled or chosen (Sener & Savarese 2018).

    With nothing labelled, the first text is the one nearest to the mean of the pool.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> view = PoolView(3, Signals(features=np.array([[1.0], [9.0], [5.0]])), Signals(features=np.array([[0.0]])))
    >>> KCenterGreedy().select(view, 3, np.random.default_rng(0)).indices
    array([1, 2, 0])
    """

    card: ClassVar[Card] = Card(
        title="k-centre greedy (core-set)",
        paper="Sener, Savarese: Active Learning for Convolutional Neural Networks: A Core-Set Approach. ICLR 2018, "
        "Algorithm 1",
        definition="Pick argmax_x min_q ‖Φ(x) − Φ(q)‖ over the pool, q running over the labelled texts and those "
        "picked so far; repeat b times.",
        score="Euclidean distance to the nearest labelled or picked text at the time of the pick, which never rises. "
        "With nothing labelled the first pick has no such text; its score is the distance of the text farthest from "
        "it.",
        cost="O(n m d) for the distances to the labelled texts, then O(n d b)",
        differences=(
            "The paper's full method refines the greedy answer with a mixed integer programme that tolerates outliers; "
            "ours, as most comparisons, is the greedy part alone, which is within a factor 2 of the best radius.",
            "The paper starts from a labelled set. With none, ours starts at the text nearest to the mean of the pool; "
            "the ALPS code, which the CAL authors use, starts at a random text.",
            "Among equally far texts the order is drawn from the generator.",
        ),
    )

    @property
    def needs(self) -> Needs:
        """Features of the pool and of the labelled set."""
        return Needs(pool=frozenset({Signal.FEATURES}), labeled=frozenset({Signal.FEATURES}))

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, the farthest first.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            Features are missing, hold NaN, or do not match.
        """
        view.require(n)
        pool, labeled = _features_of(view)
        points = ProductPoints(pool)
        if labeled is not None:
            closest = np.square(nearest_neighbors(pool, labeled, 1).distances[:, 0])
            picks = farthest_first(points, closest, n, rng)
            return Selection(picks.indices, np.sqrt(picks.squared_distances))
        start = nearest_neighbors(_mean_row(pool), pool, 1).indices[0]
        closest = points.to_row(int(start[0]))
        radius = closest.max(keepdims=True)
        closest[start] = -np.inf
        picks = farthest_first(points, closest, n - 1, rng)
        return Selection(np.append(start, picks.indices), np.sqrt(np.append(radius, picks.squared_distances)))


def _mean_row(rows: Rows) -> Rows:
    if isinstance(rows, Tensor):
        return rows.mean(dim=0, keepdim=True, dtype=torch.float64).to(rows.dtype)
    return sparse.csr_array(np.asarray(rows.mean(axis=0)).reshape(1, -1))


@dataclass(frozen=True, slots=True)
class TypiClust:
    """Choose the most typical text of each of the largest clusters that hold no label (Hacohen et al. 2022).

    Made for the first batches: it needs no labels and no trained model.

    Parameters
    ----------
    max_clusters
        Most clusters to form; with more labelled and wanted than that, clusters are visited again.
    neighbors
        How many nearest neighbours within the cluster make a text typical (K of the paper).
    iterations
        Most updates of the centroids.

    Raises
    ------
    InvalidInput
        max_clusters or neighbors is less than 1, or iterations is negative.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> pool = Signals(features=np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [1.0, -0.1], [-0.1, 1.0]]))
    >>> sorted(TypiClust().select(PoolView(size=6, pool=pool), 2, np.random.default_rng(0)).indices.tolist())
    [0, 2]
    """

    max_clusters: int = 500
    neighbors: int = 20
    iterations: int = 10

    card: ClassVar[Card] = Card(
        title="TypiClust: typical clustering",
        paper="Hacohen, Dekel, Weinshall: Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets. "
        "ICML 2022, Algorithm 1",
        definition="k-means of pool and labelled texts together into min(m + b, 500) clusters; from the largest "
        "clusters without a label, the text of highest typicality, 1 / (mean distance to its K = 20 nearest "
        "neighbours within the cluster).",
        score="The typicality. The order is that of the picks: clusters with the fewest labels first, the largest "
        "first among them, so that a part of the batch is a good batch too; the scores need not fall.",
        cost="O(t (n + m) d (m + b)) for t iterations of k-means, then O(s² d) for each cluster of s texts visited",
        differences=(
            "The authors' code leaves clusters of 5 texts or fewer out; ours leaves them for last, so that every batch "
            "up to the whole pool can be filled.",
            "The authors' code clusters with scikit-learn's KMeans up to 50 clusters and mini-batch k-means above; "
            "ours always takes one k-means++ start and 10 iterations over all texts.",
            "In a cluster visited more than once, the authors' code measures typicality among the texts not yet "
            "labelled, over at most half of them as neighbours; ours once, among all texts of the cluster.",
            "1e-5 is added to the mean distance, as in the authors' code. The features, which the paper takes from a "
            "self-supervised image model, are here those of the text model, scaled to unit length.",
        ),
    )

    def __post_init__(self) -> None:
        _check_iterations("typiclust", self.iterations)
        for name, value in (("max_clusters", self.max_clusters), ("neighbors", self.neighbors)):
            if value < 1:
                raise InvalidInput(f"typiclust has {name}={value}; pass 1 or more")

    @property
    def needs(self) -> Needs:
        """Features of the pool and, once anything is labelled, of the labelled set."""
        return Needs(pool=frozenset({Signal.FEATURES}), labeled=frozenset({Signal.FEATURES}))

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, from the largest uncovered clusters first.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            Features are missing, hold NaN, or do not match.
        """
        view.require(n)
        pool, labeled = _features_of(view)
        rows = normalize_rows(pool if labeled is None else _stacked(pool, labeled))
        n_labeled = int(rows.shape[0]) - view.size
        n_clusters = min(n_labeled + n, self.max_clusters, int(rows.shape[0]))
        clusters = kmeans(rows, n_clusters, rng, iterations=self.iterations).assignments
        sizes = np.bincount(clusters, minlength=n_clusters)
        covered = np.bincount(clusters[view.size :], minlength=n_clusters)
        order = np.argsort(clusters, kind="stable")
        members = np.split(order, np.cumsum(sizes)[:-1])
        agenda = [(bool(sizes[c] <= SMALL_CLUSTER), int(covered[c]), -int(sizes[c]), c) for c in range(n_clusters)]
        heapq.heapify(agenda)
        open_texts: dict[int, Iterator[_Typical]] = {}
        picks: list[_Typical] = []
        while len(picks) < n:
            small, labels, size, cluster = heapq.heappop(agenda)
            if cluster not in open_texts:
                open_texts[cluster] = _most_typical(rows, members[cluster], view.size, self.neighbors)
            pick = next(open_texts[cluster], None)
            if pick is not None:
                picks.append(pick)
                heapq.heappush(agenda, (small, labels + 1, size, cluster))
        return Selection(
            np.array([pick.index for pick in picks], dtype=np.int64), np.array([pick.typicality for pick in picks])
        )


@dataclass(frozen=True, slots=True)
class _Typical:
    index: int
    typicality: float


def _stacked(pool: Rows, labeled: Rows) -> Rows:
    if isinstance(pool, Tensor) and isinstance(labeled, Tensor):
        return torch.cat([pool, labeled.to(pool)])
    stacked: Sparse = sparse.vstack([as_csr(pool, "pool features"), as_csr(labeled, "labeled features")], format="csr")
    return stacked


def _most_typical(rows: Rows, members: IndexArray, pool_size: int, neighbors: int) -> Iterator[_Typical]:
    """Go through the pool texts of a cluster, the most typical first, the lowest row first among equals."""
    if not len(members):  # fewer distinct texts than clusters leave some empty
        return
    own = rows[torch.from_numpy(members).to(rows.device)] if isinstance(rows, Tensor) else rows[members]
    k = min(neighbors, len(members) - 1)
    if k == 0:
        typicality = np.zeros(len(members))
    else:
        # The nearest of all is the text itself, or a duplicate as near.
        distances = nearest_neighbors(own, own, k + 1).distances[:, 1:]
        typicality = 1 / (distances.mean(axis=1) + DISTANCE_OFFSET)
    for position in np.lexsort((members, -typicality)):
        if members[position] < pool_size:
            yield _Typical(int(members[position]), float(typicality[position]))
