"""BADGE: texts whose loss gradients would be large and point in different directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from nearmiss.acquisition.base import Card, Needs, PoolView, Selection, Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.divergence import as_log_probs
from nearmiss.arrays.product_points import ProductPoints, as_rows
from nearmiss.arrays.seeding import kmeans_plus_plus, kmeans_plus_plus_sequential
from nearmiss.arrays.tensors import required
from nearmiss.errors import InvalidInput

__all__ = ["Badge"]

Method = Literal["blocked", "sequential"]
First = Literal["uniform", "largest"]


@dataclass(frozen=True, slots=True)
class Badge:
    """Choose by k-means++ seeding over hallucinated gradients (Ash et al. 2020, Algorithm 1).

    The gradient embedding g = (p − onehot(argmax p)) ⊗ h of the last layer, with h its input, is never formed: only
    its two factors are.

    Parameters
    ----------
    normalize
        Scale every gradient embedding to length 1, as the CAL authors ran it; this discards how uncertain a text is.
    method
        "blocked" and "sequential" have the same law; the first is several times faster, the second follows the
        textbook draw by draw.
    first
        "uniform" draws the first text, as k-means++ is defined; "largest" takes the longest gradient, as the BADGE
        authors' code does.

    Raises
    ------
    InvalidInput
        No such method or first.

    Examples
    --------
    >>> from nearmiss.acquisition.base import Signals
    >>> sure, unsure = np.log([0.999, 0.001]), np.log([0.6, 0.4])
    >>> pool = Signals(log_probs=np.stack([sure, sure, unsure]), features=np.eye(3))
    >>> Badge(first="largest").select(PoolView(size=3, pool=pool), 1, np.random.default_rng(0)).indices
    array([2])
    """

    normalize: bool = False
    method: Method = "blocked"
    first: First = "uniform"

    card: ClassVar[Card] = Card(
        title="BADGE: batch active learning by diverse gradient embeddings",
        paper="Ash, Zhang, Krishnamurthy, Langford, Agarwal: Deep Batch Active Learning by Diverse, Uncertain Gradient "
        "Lower Bounds. ICLR 2020, Algorithm 1",
        definition="g_x = (p(y|x) − onehot(argmax p(y|x))) ⊗ h(x), the gradient of the loss in the last layer if the "
        "predicted label were true; the batch is a k-means++ seeding of the g_x.",
        score="Squared distance of g to the nearest text picked before it, at the time of the pick; of the first text, "
        "its squared length. The order is that of the picks, and the scores need not fall.",
        cost="O(n (d + C) b) time and O(n (d + C)) memory: the n × Cd matrix of the definition is never formed",
        differences=(
            "The CAL authors' code scales the gradient embeddings to unit length, which removes the magnitude that "
            "carries the uncertainty; the BADGE paper and its code do not. Ours does not; normalize=True does.",
            "The first text is drawn uniformly in k-means++ and in the CAL authors' code (taken from ALPS); the BADGE "
            "authors' code takes the longest gradient. Ours draws; first='largest' takes the longest.",
            "By default ours draws candidates in blocks and rejects some: the same distribution over batches as one "
            "centre at a time, from a different random stream. method='sequential' is one centre at a time.",
            "Where all remaining distances are 0 (duplicates, a fully confident model) ours draws uniformly among the "
            "texts not yet picked; the published codes fail there, or pick a text twice.",
            "small-text's BADGE leaves out the one-hot term, and so ranks texts differently.",
        ),
    )

    def __post_init__(self) -> None:
        for name, value, known in (("method", self.method, Method), ("first", self.first, First)):
            if value not in get_args(known):
                raise InvalidInput(f"badge has no {name}={value!r}; choose one of {', '.join(get_args(known))}")

    @property
    def needs(self) -> Needs:
        """Log-probabilities and the last layer's input, of the pool."""
        return Needs(pool=frozenset({Signal.LOG_PROBS, Signal.FEATURES}))

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose n distinct rows of the pool, in the order in which they were drawn.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            Log-probabilities or features are missing, hold NaN, or do not match the pool.
        """
        view.require(n)
        points = self.points(view)
        first = int(np.argmax(points.squared_norms)) if self.first == "largest" else None
        seeding = kmeans_plus_plus if self.method == "blocked" else kmeans_plus_plus_sequential
        picked = seeding(points, n, rng, first)
        scores = picked.squared_distances.copy()
        scores[0] = points.squared_norms[picked.indices[0]]
        return Selection(picked.indices, scores)

    def points(self, view: PoolView) -> ProductPoints:
        """Give the gradient embeddings of the pool, one a row, in factors.

        Raises
        ------
        InvalidArray
            As ``select``.
        """
        log_probs = required(view.pool.log_probs, "pool log_probs", view.size)
        inputs = as_rows(required(view.pool.features, "pool features", view.size), "pool features")
        residuals = _residuals(as_log_probs(log_probs, "pool log_probs"))
        residuals = residuals.to(inputs) if isinstance(inputs, Tensor) else residuals.cpu()
        if self.normalize:
            return ProductPoints(normalize_rows(inputs), normalize_rows(residuals))
        return ProductPoints(inputs, residuals)


def _residuals(log_probs: Tensor) -> Tensor:
    """Compute a = p − onehot(argmax p) in float64, shape (n, C); the lowest class among equals counts as the top."""
    exact = log_probs.to(torch.float64)
    top = exact.argmax(dim=1, keepdim=True)
    # p − 1 of a confident prediction keeps its digits only when taken as expm1.
    return exact.exp().scatter_(1, top, torch.expm1(exact.gather(1, top)))
