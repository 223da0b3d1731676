"""Choices that look at where the texts lie, not at what the model predicts: BERTKM, ALPS, k-centre greedy, TypiClust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from nearmiss.acquisition.base import Array, Card, IndexArray, Needs, PoolView, Selection, Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.kmeans import kmeans, nearest_distinct
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.arrays.seeding import ProductPoints, Rows, as_rows, product_blocks
from nearmiss.arrays.tensors import required
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["Alps", "BertKM", "KCenterGreedy", "TypiClust"]

Float64Array = npt.NDArray[np.float64]

_COLLISION_RULE = (
    "Two centroids can share their nearest text. The CAL authors' code keeps one of them and fills the batch with random "
    "texts, drawn with replacement, so that a batch may fall short. Ours joins centroids and texts in order of distance, "
    "each once: the batch is always full, and no text in it is random."
)
_ONE_START = (
    "The CAL authors' code runs scikit-learn's KMeans with its defaults (several starts in the versions of the time, up "
    "to 300 iterations); ours takes one k-means++ start and 10 iterations, the t = 10 of the paper's cost table."
)


def _nearest_to_centroids(vectors: Array, n: int, iterations: int, rng: np.random.Generator) -> Selection:
    centers = kmeans(vectors, n, rng, iterations=iterations).centers
    near = nearest_distinct(vectors, centers)
    order = np.lexsort((near.indices, near.distances))
    return Selection(near.indices[order], -near.distances[order])


def _check_iterations(name: str, iterations: int) -> None:
    if iterations < 0:
        raise InvalidInput(f"{name} has iterations={iterations}; pass 0 or more")


@dataclass(frozen=True, slots=True)
class BertKM:
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

    iterations: int = 10

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

    def __post_init__(self) -> None:
        _check_iterations("bertkm", self.iterations)

    @property
    def needs(self) -> Needs:
        """Features of the pool."""
        return Needs(pool=frozenset({Signal.FEATURES}))

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, the ones nearest to their centroids first.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            Features are missing, hold NaN, or do not match the pool.
        """
        view.require(n)
        features = required(view.pool.features, "pool features", view.size)
        return _nearest_to_centroids(normalize_rows(as_rows(features, "pool features")), n, self.iterations, rng)


@dataclass(frozen=True, slots=True)
class Alps:
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

    iterations: int = 10

    card: ClassVar[Card] = Card(
        title="ALPS: active learning by processing surprisal",
        paper="Yuan, Lin, Boyd-Graber: Cold-start Active Learning through Self-supervised Language Modeling. EMNLP "
        "2020, Algorithm 1",
        definition="The surprisal embedding of x holds the masked-LM cross-entropy of a random 15 % of its tokens (the "
        "input left unmasked) and 0 elsewhere, l2-normalised; k-means with b clusters, the text nearest to each "
        "centroid.",
        score="Minus the Euclidean distance of the text to its centroid, best first.",
        cost="One pass of a masked language model over the pool, once; then O(t n l b) for t iterations of k-means on "
        "vectors as long as the longest text, l",
        differences=(_COLLISION_RULE, _ONE_START),
    )

    def __post_init__(self) -> None:
        _check_iterations("alps", self.iterations)

    @property
    def needs(self) -> Needs:
        """Surprisal vectors of the pool."""
        return Needs(pool=frozenset({Signal.SURPRISAL}))

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, the ones nearest to their centroids first.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            Surprisal vectors are missing, hold NaN, or do not match the pool.
        """
        view.require(n)
        surprisal = required(view.pool.surprisal, "pool surprisal", view.size)
        return _nearest_to_centroids(normalize_rows(as_rows(surprisal, "pool surprisal")), n, self.iterations, rng)


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
            f"pool features have shape {tuple(pool.shape)}, labeled features {tuple(labeled.shape)}; take both from one "
            "model, and pass both dense or both CSR"
        )
    return pool, labeled


@dataclass(frozen=True, slots=True)
class KCenterGreedy:
    """Choose, again and again, the text farthest from everything labelled or chosen (Sener & Savarese 2018, Algorithm 1).

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
        definition="Pick argmax_x min_q ‖Φ(x) − Φ(q)‖ over the pool, q running over the labelled texts and those picked "
        "so far; repeat b times.",
        score="Euclidean distance to the nearest labelled or picked text at the time of the pick, which never rises. With "
        "nothing labelled the first pick has no such text; its score is the distance of the text farthest from it.",
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
            return _farthest_first(points, closest, n, rng)
        start = int(nearest_neighbors(_mean_row(pool), pool, 1).indices[0, 0])
        closest = points.to_row(start)
        score = np.sqrt(closest.max(keepdims=True))
        closest[start] = -np.inf
        if n == 1:
            return Selection(np.array([start], dtype=np.int64), score)
        rest = _farthest_first(points, closest, n - 1, rng)
        return Selection(np.append(np.int64(start), rest.indices), np.append(score, rest.scores))


def _mean_row(rows: Rows) -> Rows:
    if isinstance(rows, Tensor):
        return rows.mean(dim=0, keepdim=True, dtype=torch.float64).to(rows.dtype)
    return sparse.csr_array(np.asarray(rows.mean(axis=0)).reshape(1, -1))


def _farthest_first(points: ProductPoints, closest: Float64Array, n: int, rng: np.random.Generator) -> Selection:
    """Pick n rows, each the farthest from all before; ``closest`` (squared, overwritten) is -inf for rows not on offer.

    Works in blocks: of the farthest rows, those that stay above every row outside the block as picks are made are the
    very rows one-at-a-time picking would take, and only distances within the block are needed to see that.
    """
    priority = rng.permutation(points.size)
    indices: list[int] = []
    squared: list[float] = []
    while len(indices) < n:
        missing = n - len(indices)
        if closest.max() <= 0:
            # Everything left repeats something labelled or picked: the order of the generator decides.
            order = np.lexsort((priority, -closest))[:missing]
            return _as_selection([*indices, *order.tolist()], [*squared, *([0.0] * missing)])
        bar, candidates = _leaders(closest, priority)
        between = points.among(candidates)
        now = closest[candidates]
        block: list[int] = []
        while len(block) < missing:
            best = int(np.lexsort((priority[candidates], -now))[0])
            if block and now[best] <= bar:
                break
            block.append(best)
            squared.append(float(now[best]))
            now = np.minimum(now, between[best])
            now[best] = -np.inf
        picked = candidates[block]
        indices.extend(picked.tolist())
        closest = np.minimum(closest, points.to_nearest(picked))
        closest[picked] = -np.inf
    return _as_selection(indices, squared)


def _as_selection(indices: list[int], squared: list[float]) -> Selection:
    return Selection(np.array(indices, dtype=np.int64), np.sqrt(np.array(squared)))


def _leaders(closest: Float64Array, priority: IndexArray) -> tuple[float, IndexArray]:
    """Return a bar that no row outside the block exceeds, and the block: all rows above the bar and the farthest row."""
    ...
