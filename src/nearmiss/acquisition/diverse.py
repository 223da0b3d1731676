"""The diverse mini-batch: the best of any score, thinned out by k-means so that the batch does not repeat itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.acquisition.base import (
    Card,
    Needs,
    PoolView,
    ScoringStrategy,
    Selection,
    Signal,
    explained_by,
    scored_by,
)
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.kmeans import kmeans, nearest_distinct
from nearmiss.arrays.product_points import Rows, as_rows
from nearmiss.arrays.selection import top_indices
from nearmiss.arrays.tensors import required
from nearmiss.errors import InvalidInput

__all__ = ["DiverseBatch"]


_CARD = Card(
    title="Diverse mini-batch",
    paper="Zhdanov: Diverse mini-batch Active Learning. arXiv:1901.05954, 2019, Algorithm 1",
    definition="Of the β·b texts with the highest scores, k-means with b clusters on their features; the text "
    "nearest to each centroid.",
    score="The score of the wrapped strategy, best first.",
    cost="That of the scores, then O(t β b² d) for t iterations of k-means",
    differences=(
        "The paper weighs each text in k-means by its informativeness (one less the margin). Ours does not unless "
        "weighted=True; the weight is then the score less the lowest of the pool, which for the margin is the "
        "paper's as soon as one text of the pool is certain.",
        "Features are scaled to unit length; the paper takes them as they are, as does normalize=False.",
        "The paper leaves open what happens when two centroids share their nearest text; ours joins centroids and "
        "texts in order of distance, each once.",
        "The CAL authors' code has no such wrapper.",
    ),
)


@dataclass(frozen=True, slots=True)
class DiverseBatch:
    """Cluster the best texts of a score and choose the one nearest to each centroid (Zhdanov 2019, Algorithm 1).

    Parameters
    ----------
    strategy
        Whose scores say which texts are worth labelling.
    factor
        Texts that go into the clustering, per text of the batch (β of the paper).
    normalize
        Scale the features to unit length before clustering.
    weighted
        Weigh each text in k-means by how far its score lies above the lowest of the pool.
    iterations
        Most updates of the centroids.

    Raises
    ------
    InvalidInput
        factor is less than 1, or iterations is negative.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> from nearmiss.acquisition.uncertainty import Margin
    >>> log_probs = np.log([[0.5, 0.5], [0.51, 0.49], [0.6, 0.4], [0.61, 0.39], [0.99, 0.01]])
    >>> features = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> view = PoolView(size=5, pool=Signals(log_probs=log_probs, features=features))
    >>> Margin().select(view, 2, np.random.default_rng(0)).indices
    array([0, 1])
    >>> DiverseBatch(Margin(), factor=2).select(view, 2, np.random.default_rng(0)).indices
    array([0, 2])
    """

    strategy: ScoringStrategy
    factor: int = 10
    normalize: bool = True
    weighted: bool = False
    iterations: int = 10

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise InvalidInput(f"the diverse mini-batch has factor={self.factor}; pass 1 or more")
        if self.iterations < 0:
            raise InvalidInput(f"the diverse mini-batch has iterations={self.iterations}; pass 0 or more")

    @property
    def card(self) -> Card:
        """The card of the mini-batch, its title naming the wrapped strategy."""
        inner = self.strategy.card.title
        spoken = inner if inner[:2].isupper() else inner[:1].lower() + inner[1:]  # CAL and BALD keep their capitals
        return replace(_CARD, title=f"{_CARD.title} over {spoken}")

    @property
    def needs(self) -> Needs:
        """What the wrapped strategy needs, and features of the pool."""
        inner = self.strategy.needs
        return Needs(pool=inner.pool | {Signal.FEATURES}, labeled=inner.labeled)

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, the highest score first.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        """
        view.require(n)
        features = as_rows(required(view.pool.features, "pool features", view.size), "pool features")
        scored = scored_by(self.strategy, view)
        scores = scored.values
        candidates = top_indices(scores, min(view.size, self.factor * n), rng)
        if isinstance(features, Tensor):
            vectors: Rows = features[torch.from_numpy(candidates).to(features.device)]
        else:
            vectors = features[candidates]
        if self.normalize:
            vectors = normalize_rows(vectors)
        weights = _informativeness(scores, candidates) if self.weighted else None
        centers = kmeans(vectors, n, rng, iterations=self.iterations, weights=weights).centers
        # Candidates stand in order of score, so sorted positions are the batch in order of score.
        indices = candidates[np.sort(nearest_distinct(vectors, centers).indices)]
        return Selection(indices, scores[indices], explained_by(self.strategy, view, indices), scored.notes)


def _informativeness(
    scores: npt.NDArray[np.float64], candidates: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64] | None:
    """Measure scores from the lowest of the pool; None where all candidates stand at the lowest."""
    above = scores[candidates] - scores.min()
    return above if above.max() > 0 else None
