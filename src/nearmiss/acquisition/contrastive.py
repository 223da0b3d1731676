"""CAL: candidates that look like labelled examples and get a different answer from the model."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt
from torch import Tensor

from nearmiss.acquisition.base import (
    Array,
    Card,
    FloatArray,
    IndexArray,
    Needs,
    NeighborExplanation,
    PoolView,
    Scored,
    Selection,
    Signal,
    Signals,
)
from nearmiss.acquisition.pairs import Pairs, Reduce, cross_entropies, kl_divergences, rows_of
from nearmiss.arrays.approximate import approximate_neighbors
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.divergence import as_log_probs
from nearmiss.arrays.neighbors import Neighbors, in_order, nearest_neighbors, nearest_sets
from nearmiss.arrays.product_points import as_rows
from nearmiss.arrays.selection import top_indices
from nearmiss.arrays.tensors import (
    Matrix,
    as_labels,
    device_of,
    is_sparse,
    required,
    take_rows,
)
from nearmiss.arrays.threads import team
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["Cal", "CalVariant", "cal_scores"]

Anchor = Literal["pool", "labeled"]
Divergence = Literal["kl", "cross-entropy"]
Order = Literal["contrastive", "opposite"]
Search = Literal["exact", "approximate"]

#: Scores are a function of the view alone, so that whoever asks again gets the same: this seeds the approximate search.
SEARCH_SEED = 20210911


@dataclass(frozen=True, slots=True)
class CalVariant:
    """What the ablation of the paper (§5, Figure 3) varies; the defaults are Algorithm 1.

    Attributes
    ----------
    anchor
        "pool": each candidate is compared with its k nearest labelled examples. "labeled": each labelled example is
        compared with its k nearest candidates, a candidate met several times pools all its divergences, and one never
        met scores 0.
    divergence
        "kl": KL(p(y|neighbour) ‖ p(y|candidate)). "cross-entropy": −log p(gold label of the neighbour|candidate).
    reduce
        How the divergences of one candidate are pooled.
    order
        "contrastive" takes the highest, "opposite" the lowest.

    Raises
    ------
    InvalidInput
        A value that is not among those named.

    Examples
    --------
    >>> CalVariant(reduce="sum")
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidInput: cal has no reduce='sum'; choose one of mean, max, median
    """

    anchor: Anchor = "pool"
    divergence: Divergence = "kl"
    reduce: Reduce = "mean"
    order: Order = "contrastive"

    def __post_init__(self) -> None:
        kinds = {"anchor": Anchor, "divergence": Divergence, "reduce": Reduce, "order": Order}
        for name, known in kinds.items():
            value = getattr(self, name)
            if value not in get_args(known):
                raise InvalidInput(f"cal has no {name}={value!r}; choose one of {', '.join(get_args(known))}")


@dataclass(frozen=True, slots=True)
class Cal:
    """Choose contrastive examples: near a labelled one in Φ, far from it in prediction (Margatina et al. 2021, Alg. 1).

    Parameters
    ----------
    k
        Neighbours per anchor; with fewer examples than that, all of them. The paper never states k; its code uses 10.
    variant
        Which of the paper's ablations to run.
    normalize
        Scale Φ to unit length before the search, as the authors' code does; costs a copy of the features.
    search
        "approximate" finds about 95 % of the nearest labelled examples at a fraction of the cost once they are many
        (`approximate_neighbors`); the selection's notes tell the recall measured. For dense features on the CPU and
        anchor="pool"; needs ``nearmiss[ann]``.

    Raises
    ------
    InvalidInput
        k is below 1, search is unknown, or an approximate one is asked for from labelled anchors.

    Examples
    --------
    Three candidates lie near the one labelled text; the model answers the last one differently (paper, §2.1).

    >>> near = np.array([[0.1, 0.0], [0.0, 0.1], [0.1, 0.1]])
    >>> pool = Signals(features=near, log_probs=np.log([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6]]))
    >>> labeled = Signals(features=np.zeros((1, 2)), log_probs=np.log([[0.8, 0.2]]))
    >>> view = PoolView(size=3, pool=pool, labeled=labeled)
    >>> selection = Cal().select(view, 2, np.random.default_rng(0))
    >>> selection.indices, selection.scores.round(3)
    (array([2, 1]), array([0.335, 0.092]))
    >>> selection.explanation.distances.round(3)
    array([[0.141],
           [0.1  ]])
    """

    k: int = 10
    variant: CalVariant = field(default_factory=CalVariant)
    normalize: bool = False
    search: Search = "exact"

    card: ClassVar[Card] = Card(
        title="CAL: contrastive active learning",
        paper="Margatina, Vernikos, Barrault and Aletras: Active Learning by Acquiring Contrastive Examples. "
        "EMNLP 2021, Algorithm 1; variants: §5, Figure 3",
        definition="s(x_p) = (1/k) Σ_i KL( p(y|x_l^(i)) ‖ p(y|x_p) ) over the k nearest labelled examples x_l^(i) of "
        "x_p, by Euclidean distance in Φ; the b highest are taken.",
        score="the pooled divergence, in nats; with order=opposite its negative, so that higher always means sooner",
        cost="m + n forward passes, then O(nmd) for the exact neighbours and O(nkC) for the divergences",
        differences=(
            "k: the paper gives none; the authors' code uses 10, and so does ours (scikit-activeml uses 5).",
            "Φ: the paper says the [CLS] encoding and plain Euclidean distance. The authors' code takes BERT's pooler "
            "output (dense + tanh over [CLS]), l2-normalised. Ours takes whatever features it is given, as they are; "
            "normalize=true normalises them.",
            "anchor=labeled: the paper averages the divergences of a candidate picked several times. The authors' code "
            "starts from 0 and averages with the running value, so that a first pick is halved. Ours averages. With "
            "order=opposite, candidates never picked score 0 and come first, in a seeded random order.",
            "Mean embedding and mean output (Φ of the ablation) average over padding in the authors' code. Here Φ is "
            "an input; the encoders of this package leave padding out.",
            "k = 10 of fewer than 10 labelled examples: ours uses all there are.",
            "Ties: the authors' code leaves ties and the order of the batch to numpy.argpartition; ours breaks ties by "
            "the seeded generator and orders the batch by score. Equally near neighbours: the lower row first.",
            "A probability of exactly 0 makes KL infinite; ours reads it as the smallest positive float64, so that "
            "scores stay finite.",
            "small-text searches pool and labelled rows together, where a candidate's nearest neighbour is itself.",
            "search=approximate: scores stand on the neighbours that were found, about 95 % of the nearest; the "
            "neighbours that explain the batch are exact.",
        ),
    )

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InvalidInput(f"cal compares with k={self.k} neighbours; ask for at least 1")
        if self.search not in get_args(Search):
            raise InvalidInput(f"cal has no search={self.search!r}; choose one of {', '.join(get_args(Search))}")
        if self.search == "approximate" and self.variant.anchor == "labeled":
            raise InvalidInput("cal searches approximately from the pool alone; leave out anchor=labeled or the search")

    @property
    def needs(self) -> Needs:
        """Log-probabilities and features of the pool and of the labelled set; cross-entropy reads labels instead."""
        both = frozenset({Signal.LOG_PROBS, Signal.FEATURES})
        gold = self.variant.divergence == "cross-entropy"
        return Needs(pool=both, labeled=frozenset({Signal.FEATURES}) if gold else both)

    def scores(self, view: PoolView) -> npt.NDArray[np.float64]:
        """Score every candidate, higher meaning sooner, shape (n,).

        Raises
        ------
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        InvalidInput
            Nothing is labelled yet.
        """
        return self.scored(view).values

    def scored(self, view: PoolView) -> Scored:
        """Score every candidate, shape (n,), and tell the recall of an approximate search.

        Raises
        ------
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        InvalidInput
            Nothing is labelled yet.
        MissingExtra
            The search is approximate and FAISS not installed.
        """
        with self._threads(view):
            pairs = self._pairs(view)
            return Scored(self._pooled(pairs), pairs.notes)

    def select(self, view: PoolView, n: int, rng: np.random.Generator) -> Selection:
        """Choose the n most contrastive candidates, and say which labelled neighbours made them so.

        Raises
        ------
        PoolExhausted
            Fewer than n candidates remain.
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        InvalidInput
            Nothing is labelled yet.
        """
        view.require(n)
        with self._threads(view):
            pairs = self._pairs(view)
            scores = self._pooled(pairs)
            picks = top_indices(scores, n, rng)
            return Selection(picks, scores[picks], self._explained(view, pairs, picks), pairs.notes)

    def _threads(self, view: PoolView) -> AbstractContextManager[object]:
        """Gather one team for all steps; FAISS has threads of its own, which a team would keep from working."""
        return team(device_of(view.pool.features)) if self.search == "exact" else nullcontext()

    def explain(self, view: PoolView, indices: IndexArray) -> NeighborExplanation:
        """Lay out the labelled neighbours of these candidates, in their order, nearest first.

        Raises
        ------
        InvalidArray
            A needed signal is missing, holds NaN, or does not match the others.
        InvalidInput
            Nothing is labelled yet.
        """
        if self.variant.anchor == "labeled":
            return self._pairs(view).explain(indices)
        view = _narrowed(view, indices)
        pool, labeled = self._compared(view)
        return self._laid_out(view, labeled.shape[0], nearest_neighbors(pool, labeled, self.k))

    def _explained(self, view: PoolView, pairs: Pairs, picks: IndexArray) -> NeighborExplanation:
        """Do the same for pairs that are known already."""
        if self.variant.anchor == "labeled":
            return pairs.explain(picks)
        if self.search == "approximate":
            return self.explain(view, picks)
        sets = pairs.examples.reshape(view.size, -1)[picks]
        view = _narrowed(view, picks)
        pool, labeled = self._compared(view)
        return self._laid_out(view, labeled.shape[0], in_order(pool, labeled, sets))

    def _laid_out(self, view: PoolView, m: int, found: Neighbors) -> NeighborExplanation:
        candidates = np.repeat(np.arange(view.size), found.indices.shape[1])
        divergences = self._divergence(view, m)(candidates, found.indices.ravel())
        return NeighborExplanation(found.indices, found.distances, divergences.reshape(found.indices.shape))

    def _compared(self, view: PoolView) -> tuple[Matrix, Matrix]:
        pool, labeled = _features(view)
        return (normalize_rows(pool), normalize_rows(labeled)) if self.normalize else (pool, labeled)

    def _pairs(self, view: PoolView) -> Pairs:
        pool, labeled = self._compared(view)
        divergence = self._divergence(view, labeled.shape[0])
        notes: tuple[str, ...] = ()
        if self.variant.anchor == "pool":
            # Which neighbours, not how near: distances are computed for the few candidates that are explained.
            if self.search == "exact":
                sets = nearest_sets(pool, labeled, self.k)
            else:
                near = approximate_neighbors(pool, labeled, self.k, np.random.default_rng(SEARCH_SEED))
                sets, notes = np.sort(near.indices, axis=1), (f"labelled neighbours: {near}",)
            candidates, examples = np.repeat(np.arange(view.size), sets.shape[1]), sets.ravel()
            distances = np.full(len(examples), np.nan)
        else:
            found = nearest_neighbors(labeled, pool, self.k)
            examples = np.repeat(np.arange(labeled.shape[0]), found.indices.shape[1])
            order = np.lexsort((examples, found.distances.ravel(), found.indices.ravel()))
            candidates, examples = found.indices.ravel()[order], examples[order]
            distances = found.distances.ravel()[order]
        counts = np.bincount(candidates, minlength=view.size)
        return Pairs(counts, candidates, examples, distances, divergence(candidates, examples), notes)

    def _divergence(self, view: PoolView, m: int) -> _DivergenceOfPairs:
        log_q = as_log_probs(required(view.pool.log_probs, "pool log_probs", view.size), "pool log_probs")
        n_classes = log_q.shape[1]
        if self.variant.divergence == "cross-entropy":
            return partial(cross_entropies, _gold_labels(view, m, n_classes), log_q)
        log_p = as_log_probs(required(view.labeled.log_probs, "labeled log_probs", m), "labeled log_probs")
        if log_p.shape[1] != n_classes:
            raise InvalidArray(
                f"pool log_probs cover {n_classes} classes and labeled log_probs {log_p.shape[1]}; "
                "pass predictions of one and the same model"
            )
        return partial(kl_divergences, log_p.to(log_q.device), log_q)

    def _pooled(self, pairs: Pairs) -> npt.NDArray[np.float64]:
        pooled = pairs.pooled(self.variant.reduce)
        return pooled if self.variant.order == "contrastive" else 0.0 - pooled


class _DivergenceOfPairs(Protocol):
    def __call__(self, candidates: IndexArray, examples: IndexArray) -> npt.NDArray[np.float64]: ...


def _features(view: PoolView) -> tuple[Matrix, Matrix]:
    """Return the features of the pool and of the labelled set, checked against each other."""
    given = view.labeled.features
    m = len(view.labels) if given is None or len(view.labels) else given.shape[0]
    pool = as_rows(required(view.pool.features, "pool features", view.size), "pool features")
    labeled = as_rows(required(given, "labeled features", m), "labeled features")
    if labeled.shape[0] == 0:
        raise InvalidInput(
            "cal compares candidates with labelled examples, and there are none; "
            "label a first batch with another strategy, e.g. random or typiclust"
        )
    forms = ["sparse" if is_sparse(part) else "dense" for part in (pool, labeled)]
    widths = pool.shape[1], labeled.shape[1]
    if forms[0] != forms[1] or widths[0] != widths[1]:
        raise InvalidArray(
            f"pool features are {forms[0]} with {widths[0]} columns, labeled features {forms[1]} with {widths[1]}; "
            "pass one and the same representation of both"
        )
    return pool, labeled


def _gold_labels(view: PoolView, m: int, n_classes: int) -> IndexArray:
    if len(view.labels) != m:
        raise InvalidArray(f"there are {len(view.labels)} labels for {m} labelled texts; pass one class id a text")
    return as_labels(view.labels, n_classes, "labels")


def _narrowed(view: PoolView, indices: IndexArray) -> PoolView:
    """Keep these candidates only, and of their signals those that CAL reads."""
    features = required(view.pool.features, "pool features", view.size)
    log_probs = as_log_probs(required(view.pool.log_probs, "pool log_probs", view.size), "pool log_probs")
    return PoolView(
        size=len(indices),
        pool=Signals(features=take_rows(features, indices), log_probs=rows_of(log_probs, indices)),
        labeled=view.labeled,
        labels=view.labels,
    )


def cal_scores(
    pool_features: Array,
    pool_log_probs: FloatArray | Tensor,
    labeled_features: Array,
    labeled_log_probs: FloatArray | Tensor,
    k: int = 10,
) -> npt.NDArray[np.float64]:
    """Score how contrastive each of n candidates is, from arrays alone (Margatina et al. 2021, Algorithm 1, lines 2-6).

    Features are (n, d) and (m, d), dense (NumPy or torch) or CSR; log-probabilities (n, C) and (m, C), natural. Returns
    the mean divergence from the k nearest labelled examples, in nats, shape (n,): label the highest first.

    Raises
    ------
    InvalidArray
        NaN, mismatched lengths or widths, or rows that are not log-probabilities.
    InvalidInput
        k is below 1, or nothing is labelled.

    Examples
    --------
    >>> pool, labeled = np.array([[0.1], [0.2], [0.3]]), np.array([[0.0]])
    >>> pool_log_probs = np.log([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6]])
    >>> cal_scores(pool, pool_log_probs, labeled, np.log([[0.8, 0.2]])).round(3)
    array([0.026, 0.092, 0.335])
    """
    return Cal(k=k).scores(
        PoolView(
            size=pool_features.shape[0],
            pool=Signals(log_probs=pool_log_probs, features=pool_features),
            labeled=Signals(log_probs=labeled_log_probs, features=labeled_features),
        )
    )
