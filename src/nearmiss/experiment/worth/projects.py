"""A labelling project, simulated label by label: picks and random checks, a new model after every batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray, PoolView, Signals
from nearmiss.acquisition.registry import make_strategy
from nearmiss.analysis.active_testing import acceptance, draw_weighted
from nearmiss.models.logistic import LogisticHead, LogisticSettings, log_softmax_rows

__all__ = ["Bench", "Plan", "Track", "label_project"]

#: A model is due after so many labels, and after more once there are more: (labels, from then on every so many).
_BATCHES = ((0, 10), (300, 20), (1000, 50))
#: Texts that cover the pool before a model chooses: so many, or two a class up to so many.
_FIRST, _MOST_FIRST = 10, 200
_HEAD = LogisticSettings()


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A dataset to draw projects from.

    Attributes
    ----------
    name, n_classes
        Its name, and C.
    features, labels
        Of all texts that projects are drawn from, shape (n, d) and (n,).
    test_features, test_labels
        Of texts that belong to no project, on which models are measured.
    """

    name: str
    n_classes: int
    features: npt.NDArray[np.float32]
    labels: IndexArray
    test_features: npt.NDArray[np.float32]
    test_labels: IndexArray

    def accuracy(self, head: LogisticHead) -> float:
        """Measure a model on the test texts."""
        return float((head.logits(self.test_features).argmax(axis=1) == self.test_labels).mean())


@dataclass(frozen=True, slots=True)
class Plan:
    """How a project is carried out.

    Attributes
    ----------
    texts
        Size of its pool.
    labels
        How many are given in all.
    check_share
        How many of them are random checks.
    strategy
        What picks the others, in its text form.
    weighted
        Whether checks are drawn the likelier, the less sure the model is of them (`active_testing`).
    """

    texts: int
    labels: int
    check_share: float
    strategy: str = "diverse-margin"
    weighted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What happened in a project.

    Attributes
    ----------
    rows
        The pool: rows of the dataset, shape (texts,).
    truth
        Their class ids, shape (texts,).
    n_classes
        C.
    order, checks
        The texts that were labelled, by their place in the pool, and whether each was a random check, shape (labels,).
    weights
        What each counts, were it a check, shape (labels,); 1 unless checks are weighted.
    at
        After how many labels each model was new, shape (models,).
    guesses
        The class ids that each gives to the pool, shape (models, texts).
    tested
        Their accuracies on the test texts, shape (models,).
    """

    rows: IndexArray
    truth: IndexArray
    n_classes: int
    order: IndexArray
    checks: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]
    at: IndexArray
    guesses: npt.NDArray[np.int16]
    tested: npt.NDArray[np.float64]

    @property
    def is_weighted(self) -> bool:
        """Whether checks count differently."""
        return bool((self.weights[self.checks] != 1).any())

    def picks(self, model: int) -> int:
        """Count the labels that a model learned from."""
        return int((~self.checks[: self.at[model]]).sum())

    def check_rows(self, model: int) -> IndexArray:
        """Give the random checks that were there when a model was new."""
        known = int(self.at[model])
        return self.order[:known][self.checks[:known]]

    def guessed(self, model: int) -> npt.NDArray[np.float64]:
        """Say of each label that a model could learn from whether the one of its time had guessed it; NaN for none."""
        known = int(self.at[model])
        place = np.searchsorted(self.at, np.arange(known), side="right") - 1
        rows = self.order[:known]
        return np.where(place < 0, np.nan, self.guesses[np.maximum(place, 0), rows] == self.truth[rows])


def label_project(bench: Bench, plan: Plan, rng: np.random.Generator) -> Track:
    """Carry out a project on a random pool of a dataset.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 2, 300)
    >>> features = (rng.normal(size=(300, 2)) + 3 * labels[:, None]).astype(np.float32)
    >>> bench = Bench("blobs", 2, features[:200], labels[:200], features[200:], labels[200:])
    >>> track = label_project(bench, Plan(texts=150, labels=60, check_share=0.2), rng)
    >>> len(track.order), bool(track.tested[-1] > 0.9)
    (60, True)
    """
    rows = rng.choice(len(bench.labels), plan.texts, replace=False)
    labeling = _Labeling(bench.features[rows], bench.labels[rows], bench.n_classes, plan, rng)
    at: list[int] = []
    guesses, tested = [], []
    while len(labeling.order) < plan.labels:
        labeling.label(as_check=bool(rng.random() < plan.check_share))
        if labeling.is_model_due(at[-1] if at else 0):
            head = labeling.train()
            at.append(len(labeling.order))
            guesses.append(labeling.guesses)
            tested.append(bench.accuracy(head))
    return Track(
        rows,
        labeling.truth,
        bench.n_classes,
        np.array(labeling.order),
        np.array(labeling.checks),
        np.array(labeling.weights),
        np.array(at, dtype=np.int64),
        np.array(guesses, dtype=np.int16).reshape(len(at), plan.texts),
        np.array(tested),
    )


class _Labeling:
    """A project in the middle of it."""

    def __init__(
        self,
        features: npt.NDArray[np.float32],
        truth: IndexArray,
        n_classes: int,
        plan: Plan,
        rng: np.random.Generator,
    ) -> None:
        strategy = make_strategy(plan.strategy)
        self.truth = truth
        self.order: list[int] = []
        self.checks: list[bool] = []
        self.weights: list[float] = []
        self._weighted = plan.weighted
        self._accepts: npt.NDArray[np.float64] | None = None
        self.guesses = np.empty(0, dtype=np.int16)
        self._features, self._n_classes, self._strategy, self._rng = features, n_classes, strategy, rng
        self._draws = iter(rng.permutation(len(truth)).tolist())
        self._closed = np.zeros(len(truth), dtype=np.bool_)
        nothing = PoolView(len(truth), Signals(features=features), Signals(features=features[:0]))
        first = min(max(_FIRST, 2 * n_classes), _MOST_FIRST, len(truth))
        self._first = first
        self._queue = iter(make_strategy("typiclust").select(nothing, first, rng).indices.tolist())

    @property
    def _learned(self) -> IndexArray:
        picked = [row for row, is_check in zip(self.order, self.checks, strict=True) if not is_check]
        return np.array(picked, dtype=np.int64)

    def label(self, *, as_check: bool) -> None:
        """Label the next pick, or the next random draw."""
        row = None if as_check else next((row for row in self._queue if not self._closed[row]), None)
        weight = 1.0
        if row is None:  # a check, or the queue has run out; then a random draw serves as a pick
            row, weight = self._draw(as_check=as_check)
        self.order.append(row)
        self.checks.append(as_check)
        self.weights.append(weight)
        self._closed[row] = True

    def _draw(self, *, as_check: bool) -> tuple[int, float]:
        """Draw a text at random, and say what it counts as a check."""
        if not as_check or self._accepts is None:
            return next(row for row in self._draws if not self._closed[row]), 1.0
        open_rows = np.flatnonzero(~self._closed)
        drawn = draw_weighted(self._accepts[open_rows], 1, self._rng)
        return int(open_rows[drawn.places[0]]), float(drawn.weights[0])

    def is_model_due(self, last: int) -> bool:
        """Say whether enough is new since the last model."""
        given = len(self.order)
        batch = max(every for labels, every in _BATCHES if given >= labels)
        picked = given - sum(self.checks)
        if given - last < batch or picked < _FIRST:
            return False
        return len(np.unique(self.truth[self._learned])) > 1

    def train(self) -> LogisticHead:
        """Train on the picks, and queue what the strategy picks next once the pool is covered."""
        learned = self._learned
        head = LogisticHead.train(self._features[learned], self.truth[learned], self._n_classes, _HEAD)
        log_probs = log_softmax_rows(head.logits(self._features))
        self.guesses = log_probs.argmax(axis=1).astype(np.int16)
        if self._weighted:
            self._accepts = acceptance(np.exp(log_probs))
        open_rows = np.flatnonzero(~self._closed)
        if len(learned) >= self._first and len(open_rows):
            view = PoolView(
                len(open_rows),
                Signals(log_probs=log_probs[open_rows], features=self._features[open_rows]),
                Signals(log_probs=log_probs[learned], features=self._features[learned]),
                self.truth[learned],
            )
            n = min(3 * max(every for labels, every in _BATCHES if len(self.order) >= labels), len(open_rows))
            self._queue = iter(open_rows[self._strategy.select(view, n, self._rng).indices].tolist())
        return head
