"""The one protocol behind which every classifier stands.

A classifier turns texts into signals, in one pass, and nothing more::

    classifier.fit(labeled_texts, labels, n_classes=C, rng=rng)
    inference = classifier.infer(texts, {Signal.LOG_PROBS, Signal.FEATURES}, representations=("penultimate",), rng=rng)

Strategies never see a classifier; the loop never sees a tensor's origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import Array, FloatArray, Signal, Signals
from nearmiss.text.corpus import Texts

__all__ = [
    "PENULTIMATE",
    "Classifier",
    "Encoding",
    "FitReport",
    "Inference",
    "LabelFree",
    "Reporting",
    "Validated",
    "WarmStarting",
]

#: The input of the last linear layer: the representation every classifier has. BADGE's gradients are taken there.
PENULTIMATE = "penultimate"


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """Everything one pass over n texts was asked for.

    Attributes
    ----------
    logits
        Scores before the softmax, shape (n, C); None where not asked for.
    log_probs
        Natural-log probabilities over all C classes, shape (n, C); a class never seen in training may have ``-inf``.
    mc_log_probs
        Log-probabilities of S passes with dropout on, shape (S, n, C).
    representations
        Feature arrays by name, each (n, d_name), dense or CSR.
    """

    logits: FloatArray | None = None
    log_probs: FloatArray | None = None
    mc_log_probs: FloatArray | None = None
    representations: Mapping[str, Array] = field(default_factory=dict)

    def signals(self, representation: str = PENULTIMATE) -> Signals:
        """Narrow to what a strategy reads, with one representation as its features."""
        return Signals(
            log_probs=self.log_probs,
            features=self.representations.get(representation),
            mc_log_probs=self.mc_log_probs,
        )


@runtime_checkable
class Classifier(Protocol):
    """A text classifier that is trained from scratch (or from pretrained weights) at every ``fit``."""

    @property
    def representations(self) -> tuple[str, ...]:
        """Names of the feature arrays ``infer`` can give; ``penultimate`` is always among them."""
        ...

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals ``infer`` can give."""
        ...

    def prepare(self, texts: Texts) -> None:
        """Do, once, the work over these texts that no label changes (fill caches). May do nothing."""
        ...

    def fit(self, texts: Texts, labels: npt.NDArray[np.int64], *, n_classes: int, rng: np.random.Generator) -> None:
        """Train on labelled texts, forgetting any earlier fit.

        The result depends on nothing but the arguments and what ``prepare`` was given before (TF-IDF takes its
        vocabulary from there): same texts, labels and generator state, same model.

        Raises
        ------
        InvalidArray
            Lengths differ or a label is outside 0..n_classes-1.
        """
        ...

    def infer(
        self,
        texts: Texts,
        needs: AbstractSet[Signal],
        *,
        representations: Sequence[str] = (PENULTIMATE,),
        rng: np.random.Generator,
    ) -> Inference:
        """Give every requested signal of these texts from one pass.

        ``representations`` counts only when ``Signal.FEATURES`` is among the needs. ``rng`` feeds MC dropout alone.

        Raises
        ------
        UnknownName
            A representation this classifier does not have.
        InvalidInput
            Called before ``fit``, or a signal this classifier cannot give (named, with the mend).
        """
        ...


@runtime_checkable
class LabelFree(Protocol):
    """A classifier that can describe texts before any label is known, for a first batch chosen without labels."""

    def label_free(self, texts: Texts) -> Array:
        """Give the vectors this classifier starts from, shape (n, d), dense or CSR; no ``fit`` is needed or read."""
        ...


@dataclass(frozen=True, slots=True)
class FitReport:
    """How a training went, in what a reader of its results must know.

    Attributes
    ----------
    steps
        Optimiser steps of the training that was kept.
    attempts
        Trainings begun: more than 1 where a model collapsed to one class and was trained again.
    collapsed
        Whether the model that was kept still gives one class to every text it was trained on.
    train_loss
        Mean cross-entropy over the last epoch's batches, in nats.
    validation_loss
        Of the weights that were kept, in nats; None without a validation set.
    """

    steps: int
    attempts: int = 1
    collapsed: bool = False
    train_loss: float = 0.0
    validation_loss: float | None = None


@runtime_checkable
class Reporting(Protocol):
    """A classifier whose training can go wrong, and that says how it went."""

    @property
    def report(self) -> FitReport | None:
        """Of the latest ``fit``; None before it."""
        ...


@runtime_checkable
class Validated(Protocol):
    """A classifier that can keep the weights that did best on labelled texts set aside."""

    def validate_on(self, texts: Texts, labels: npt.NDArray[np.int64]) -> None:
        """Use these texts in every later ``fit``. Their labels cost as much as any: whoever calls this counts them."""
        ...


@runtime_checkable
class WarmStarting(Protocol):
    """A classifier that may go on from its last weights instead of the pretrained ones."""

    @property
    def warm_start(self) -> bool:
        """Whether the next ``fit`` goes on from the last one's weights."""
        ...

    def restart(self) -> None:
        """Forget all training: the next ``fit`` begins at the pretrained weights."""
        ...


@runtime_checkable
class Encoding(Protocol):
    """A classifier whose distances are measured elsewhere than in the input of its last layer."""

    @property
    def encoding(self) -> str:
        """The representation that strategies measure distances in when none is named."""
        ...
