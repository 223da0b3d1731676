"""What every classifier refuses at its edge, in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import Signal
from nearmiss.arrays.tensors import as_labels
from nearmiss.errors import InvalidArray, InvalidInput, UnknownName
from nearmiss.text.corpus import Texts

__all__ = ["Ability", "checked_labels"]

_MENDS = {
    Signal.MC_LOG_PROBS: "it has no dropout to sample; use a classifier that has, such as 'tuned'",
    Signal.SURPRISAL: "it comes from a masked language model (nearmiss.models.masked_lm), not from a classifier",
}


@dataclass(frozen=True, slots=True)
class Ability:
    """What a classifier can be asked for.

    Attributes
    ----------
    classifier
        Its registered name, for messages.
    signals
        The signals it can give.
    representations
        Names of its feature arrays.
    """

    classifier: str
    signals: frozenset[Signal]
    representations: tuple[str, ...]

    def check(self, needs: AbstractSet[Signal], representations: Sequence[str]) -> None:
        """Refuse a request that cannot be met.

        Raises
        ------
        InvalidInput
            A signal the classifier cannot give; says which classifier can.
        UnknownName
            A representation it does not have.

        Examples
        --------
        >>> Ability("tfidf", frozenset({Signal.LOG_PROBS}), ("penultimate",)).check({Signal.MC_LOG_PROBS}, ())
        Traceback (most recent call last):
        ...
        nearmiss.errors.InvalidInput: the classifier 'tfidf' gives no mc_log_probs: it has no dropout to sample; use \
a classifier that has, such as 'tuned'
        """
        for signal in sorted(needs - self.signals):
            raise InvalidInput(f"the classifier {self.classifier!r} gives no {signal}: {_MENDS[signal]}")
        if Signal.FEATURES in needs:
            for name in representations:
                if name not in self.representations:
                    raise UnknownName.among(f"representation of {self.classifier!r}", name, self.representations)


def checked_labels(texts: Texts, labels: npt.NDArray[np.int64], n_classes: int) -> npt.NDArray[np.int64]:
    """Return the labels of a training set that can be trained on.

    Raises
    ------
    InvalidArray
        No texts, lengths that differ, or a label outside 0..n_classes-1.

    Examples
    --------
    >>> checked_labels(Texts(("good film", "bad film")), np.array([1]), 2)
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidArray: 2 texts but labels of shape (1,); pass one class id per text
    """
    if labels.shape != (len(texts),):
        raise InvalidArray(f"{len(texts)} texts but labels of shape {labels.shape}; pass one class id per text")
    if not len(texts):
        raise InvalidArray("no labelled texts to train on; label at least one")
    return as_labels(labels, n_classes, "labels")
