"""The loop for someone who labels: ask for a batch, tell the labels, predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import IndexArray, NeighborExplanation, Signal, Strategy
from nearmiss.acquisition.registry import make_strategy
from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.loop.rounds import step
from nearmiss.loop.signals import FeatureSource, FixedSignals, SurprisalSource, all_needs, default_representation
from nearmiss.loop.state import PoolState
from nearmiss.loop.streams import Streams
from nearmiss.models.base import PENULTIMATE, Classifier, LabelFree
from nearmiss.models.registry import make_classifier
from nearmiss.text.corpus import Texts

__all__ = ["ActiveLearner", "Batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Texts to label next, best first.

    Attributes
    ----------
    indices
        Their rows in the pool, shape (b,).
    texts
        The texts themselves.
    scores
        What each was chosen by, shape (b,); the strategy's card says what it means.
    strategy
        What chose them: the learner's strategy, or the one that stood in for it before the first label.
    explanation
        For CAL, the labelled neighbours behind each pick: positions in ``ActiveLearner.state.labeled_indices``.
    notes
        What must be known of how they were chosen, in sentences for the user.
    """

    indices: IndexArray
    texts: Texts
    scores: npt.NDArray[np.float64]
    strategy: Strategy
    explanation: NeighborExplanation | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.indices)


class ActiveLearner:
    """Choose what to label, learn from the answers.

    Nothing is trained until something needs a trained model. The same labels told in the same order, and the same
    seed, give the same batches and the same model; asking twice without telling gives the same batch twice.

    Before the first label there is no model to ask. Distances are then measured in ``features`` when that is a source,
    else in what the classifier sees before any label (its pretrained encoder, its TF-IDF). A strategy that needs no
    more than that (TypiClust, k-centre, BERTKM, ALPS) starts at once; for the others TypiClust chooses a first batch
    that covers the pool, or chance does where the classifier has nothing to measure in.

    Parameters
    ----------
    texts
        The pool.
    label_names
        The class names.
    classifier
        A classifier, which is then this learner's alone, or the name of one. The default is ready in milliseconds and
        needs no model; ``tuned`` learns more from as few labels.
    strategy
        A strategy or its text form (``cal:k=5``).
    seed
        Of every random choice.
    features
        What distances are measured in: a representation of the classifier by name, or a source of fixed features; None
        leaves it to the classifier.
    surprisal
        A source of surprisal vectors, for ALPS.

    Raises
    ------
    InvalidInput
        There are fewer than two distinct class names.
    UnknownName
        No classifier or strategy of that name.

    Examples
    --------
    >>> pool = ["good film", "bad film", "good acting", "bad acting", "awful", "lovely"]
    >>> learner = ActiveLearner(pool, ["negative", "positive"], strategy="entropy")
    >>> learner.tell([0, 1], ["positive", "negative"])
    >>> batch = learner.ask(2)
    >>> len(batch), set(batch.indices.tolist()) & {0, 1}
    (2, set())
    >>> learner.predict(["a good one"])
    ('positive',)
    """

    def __init__(
        self,
        texts: Texts | Sequence[str],
        label_names: Sequence[str],
        *,
        classifier: Classifier | str = "tfidf",
        strategy: Strategy | str = "margin",
        seed: int = 0,
        features: str | FeatureSource | None = None,
        surprisal: SurprisalSource | None = None,
    ) -> None:
        self.texts = _as_texts(texts)
        self.label_names = tuple(label_names)
        if len(self.label_names) < 2 or len(set(self.label_names)) != len(self.label_names):
            raise InvalidInput(f"label names {list(self.label_names)}: expected at least two, all different")
        self.classifier = make_classifier(classifier, {}) if isinstance(classifier, str) else classifier
        self.strategy = make_strategy(strategy) if isinstance(strategy, str) else strategy
        self._streams = Streams("pool", self.strategy.card.title, seed)
        if features is None:
            features = default_representation(self.strategy, self.classifier)
        self._representation = features if isinstance(features, str) else PENULTIMATE
        source = None if isinstance(features, str) else features
        self._fixed = FixedSignals(self.texts, source, surprisal, self._streams.shared("surprisal"))
        self._fixed.require(self.strategy)
        if source is None and isinstance(self.classifier, LabelFree):
            source = self.classifier.label_free
        self._before_labels = FixedSignals(self.texts, source, surprisal, self._streams.shared("surprisal"))
        self._cold_start = "random" if source is None else "typiclust"
        self._state = PoolState.empty(len(self.texts))
        self._trained_on = 0

    @property
    def state(self) -> PoolState:
        """Everything labelled so far."""
        return self._state

    def ask(self, n: int) -> Batch:
        """Choose the next n texts to label.

        Raises
        ------
        PoolExhausted
            Fewer than n texts are unlabelled.
        InvalidInput
            n is less than one, or the strategy needs a signal that cannot be had.
        """
        strategy, fixed = self.strategy, self._fixed
        if not len(self._state):
            fixed = self._before_labels
            if fixed.missing(strategy):
                strategy = make_strategy(self._cold_start)
        elif fixed.missing(strategy):
            self._train()
        acquisition = step(
            self.texts,
            self._state,
            self.classifier,
            strategy,
            n,
            inference_rng=self._streams.own("inference", len(self._state)),
            selection_rng=self._streams.own("selection", len(self._state)),
            representation=self._representation,
            fixed=fixed.signals(all_needs(strategy)),
        )
        rows, selection = acquisition.pool_indices, acquisition.selection
        return Batch(rows, self.texts.take(rows), selection.scores, strategy, selection.explanation, selection.notes)

    def tell(self, indices: Sequence[int] | IndexArray, labels: Sequence[str | int] | IndexArray) -> None:
        """Label pool rows, by class names or ids. All of them are taken or none.

        Raises
        ------
        UnknownName
            A name that is not among the label names; says which are near.
        InvalidInput
            An id outside the classes, a row outside the pool or labelled already, or lengths that differ.
        """
        self._state = self._state.with_labels(indices, [self._class_id(label) for label in labels])

    def predict(self, texts: Texts | Sequence[str]) -> tuple[str, ...]:
        """Name the likeliest class of each text.

        Raises
        ------
        InvalidInput
            Nothing has been labelled.
        """
        return tuple(self.label_names[c] for c in self.predict_proba(texts).argmax(axis=1))

    def predict_proba(self, texts: Texts | Sequence[str]) -> npt.NDArray[np.float64]:
        """Give class probabilities, shape (n, C), columns in the order of the label names.

        Raises
        ------
        InvalidInput
            Nothing has been labelled.
        """
        if not len(self._state):
            raise InvalidInput("nothing is labelled yet, so there is no model; ask() for a batch and tell() its labels")
        self._train()
        inference = self.classifier.infer(
            _as_texts(texts), {Signal.LOG_PROBS}, rng=self._streams.shared("prediction", len(self._state))
        )
        if inference.log_probs is None:
            raise InvalidInput("the classifier gave no log-probabilities when asked for them")
        return np.exp(inference.log_probs.astype(np.float64))

    def _train(self) -> None:
        if self._trained_on == len(self._state):
            return
        if not self._trained_on:
            self.classifier.prepare(self.texts)
        self.classifier.fit(
            self.texts.take(self._state.labeled_indices),
            self._state.labels,
            n_classes=len(self.label_names),
            rng=self._streams.shared("fit", len(self._state)),
        )
        self._trained_on = len(self._state)

    def _class_id(self, label: str | int | np.integer) -> int:
        if isinstance(label, str):
            if label not in self.label_names:
                raise UnknownName.among("label", label, self.label_names)
            return self.label_names.index(label)
        whole = isinstance(label, int | np.integer) and not isinstance(label, bool)
        if not whole or not 0 <= label < len(self.label_names):
            raise InvalidInput(f"label {label!r}; ids run from 0 to {len(self.label_names) - 1}, or give the name")
        return int(label)


def _as_texts(texts: Texts | Sequence[str]) -> Texts:
    if isinstance(texts, Texts):
        return texts
    if isinstance(texts, str):
        raise InvalidInput("one text was given where a list of texts is expected; put it in a list")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidInput(f"text {position} is {text!r}, which is no text; leave it out or make it one")
    return Texts(tuple(texts))
