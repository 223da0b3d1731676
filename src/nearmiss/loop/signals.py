"""Signals that no label changes: computed once for the whole pool, then cut to the rows a round needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse
from torch import Tensor, from_numpy

from nearmiss.acquisition.base import Array, FloatArray, IndexArray, Signal, Signals, Strategy
from nearmiss.acquisition.gradient import Badge
from nearmiss.errors import InvalidInput
from nearmiss.models.base import PENULTIMATE, Classifier, Encoding
from nearmiss.text.corpus import Texts

__all__ = ["FeatureSource", "FixedSignals", "SurprisalSource", "all_needs", "default_representation", "rows_of"]

#: Features that no label changes (TF-IDF, a pretrained encoder), of n texts: (n, d). Called once, with the whole pool.
FeatureSource = Callable[[Texts], Array]
#: Masked-LM surprisal vectors of n texts, (n, l). Called once, with the whole pool.
SurprisalSource = Callable[[Texts, np.random.Generator], FloatArray | Tensor]


def all_needs(strategy: Strategy) -> frozenset[Signal]:
    """Join what a strategy reads of the pool and of the labelled set."""
    return frozenset(strategy.needs.pool | strategy.needs.labeled)


def default_representation(strategy: Strategy, classifier: Classifier) -> str:
    """Name the representation a strategy measures distances in when the user names none.

    It is the classifier's own choice, and ``penultimate`` where it makes none. BADGE's gradients are those of the last
    layer's weights, so it always reads that layer's input.
    """
    if isinstance(classifier, Encoding) and not isinstance(strategy, Badge):
        return classifier.encoding
    return PENULTIMATE


class FixedSignals:
    """The pool's fixed signals, each computed when first needed and then kept.

    Parameters
    ----------
    pool
        All texts, labelled or not.
    features, surprisal
        Where they come from; None where there is no such source.
    surprisal_rng
        Draws the tokens whose surprisal is taken.

    Examples
    --------
    >>> lengths = lambda texts: np.array([[float(len(text))] for text in texts.first])
    >>> FixedSignals(Texts(("ab", "abc")), features=lengths).signals(frozenset({Signal.FEATURES})).features.tolist()
    [[2.0], [3.0]]
    """

    def __init__(
        self,
        pool: Texts,
        features: FeatureSource | None = None,
        surprisal: SurprisalSource | None = None,
        surprisal_rng: np.random.Generator | None = None,
    ) -> None:
        self._pool = pool
        self._feature_source = features
        self._surprisal_source = surprisal
        self._surprisal_rng = surprisal_rng or np.random.default_rng(0)
        self._features: Array | None = None
        self._surprisal: FloatArray | Tensor | None = None

    def require(self, strategy: Strategy) -> None:
        """Refuse a strategy that reads what no model gives and no source here supplies.

        Raises
        ------
        InvalidInput
            There are no surprisal vectors to be had.
        """
        if Signal.SURPRISAL in all_needs(strategy) and self._surprisal_source is None:
            raise InvalidInput(
                f"{strategy.card.title} reads surprisal vectors, and there is no source of them; "
                "hand in a masked language model's (surprisal=)"
            )

    def missing(self, strategy: Strategy) -> frozenset[Signal]:
        """Name what the strategy needs and only a trained model can say."""
        supplied = {Signal.SURPRISAL} if self._feature_source is None else {Signal.SURPRISAL, Signal.FEATURES}
        return all_needs(strategy) - supplied

    def signals(self, wanted: frozenset[Signal]) -> Signals:
        """Give those of the wanted signals that are fixed, of the whole pool."""
        if Signal.FEATURES in wanted and self._features is None and self._feature_source is not None:
            self._features = self._feature_source(self._pool)
        if Signal.SURPRISAL in wanted and self._surprisal is None and self._surprisal_source is not None:
            self._surprisal = self._surprisal_source(self._pool, self._surprisal_rng)
        return Signals(
            features=self._features if Signal.FEATURES in wanted else None,
            surprisal=self._surprisal if Signal.SURPRISAL in wanted else None,
        )


def rows_of(fixed: Signals, rows: IndexArray, wanted: frozenset[Signal]) -> Signals:
    """Cut fixed signals to some rows of the pool, leaving out what is not wanted."""
    features, surprisal = fixed.features, fixed.surprisal
    return Signals(
        features=None if features is None or Signal.FEATURES not in wanted else _any_rows(features, rows),
        surprisal=None if surprisal is None or Signal.SURPRISAL not in wanted else _dense_rows(surprisal, rows),
    )


def _any_rows(array: Array, rows: IndexArray) -> Array:
    return array[rows] if isinstance(array, sparse.csr_array) else _dense_rows(array, rows)


def _dense_rows(array: FloatArray | Tensor, rows: IndexArray) -> FloatArray | Tensor:
    return array[from_numpy(rows).to(array.device)] if isinstance(array, Tensor) else array[rows]
