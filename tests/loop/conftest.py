"""Small real parts: a nearest-centroid classifier on letter counts, and a corpus it can learn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from nearmiss.acquisition.base import Needs, PoolView, Selection, Signal
from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.models.base import PENULTIMATE, Inference
from nearmiss.text.corpus import Corpus, Texts

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letter_counts(texts):
    return np.array([[text.count(letter) for letter in LETTERS] for text in texts.first], dtype=np.float64)


@dataclass
class CentroidClassifier:
    """Nearest centroid over letter counts; keeps a diary of what it was asked, for tests to read."""

    fits: list[int] = field(default_factory=list)
    asked: list[tuple[frozenset[Signal], int]] = field(default_factory=list)
    representations: tuple[str, ...] = (PENULTIMATE, "halved")
    gives: frozenset[Signal] = frozenset({Signal.LOG_PROBS, Signal.FEATURES})
    centroids: np.ndarray | None = None

    def prepare(self, texts):
        pass

    def fit(self, texts, labels, *, n_classes, rng):
        self.fits.append(len(texts))
        counts = letter_counts(texts) + 1e-3 * rng.standard_normal((len(texts), 26))  # the rng must matter
        self.centroids = np.full((n_classes, 26), np.inf)
        for c in np.unique(labels):
            self.centroids[c] = counts[labels == c].mean(axis=0)

    def infer(self, texts, needs, *, representations=(PENULTIMATE,), rng):
        if self.centroids is None:
            raise InvalidInput("infer before fit")
        for name in representations:
            if name not in self.representations:
                raise UnknownName.among("representation", name, self.representations)
        self.asked.append((frozenset(needs), len(texts)))
        counts = letter_counts(texts)
        distances = np.full((len(texts), len(self.centroids)), np.inf)
        for c in np.flatnonzero(np.isfinite(self.centroids).all(axis=1)):
            distances[:, c] = np.square(counts - self.centroids[c]).sum(axis=1)
        logits = distances.min(axis=1, keepdims=True) - distances
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        scale = {PENULTIMATE: 1.0, "halved": 0.5}
        return Inference(
            log_probs=log_probs if Signal.LOG_PROBS in needs else None,
            representations={r: counts * scale[r] for r in representations} if Signal.FEATURES in needs else {},
        )


@dataclass(frozen=True)
class Recorder:
    """Chooses at random and keeps the views it was shown."""

    needs: Needs = field(default_factory=Needs)
    views: list[PoolView] = field(default_factory=list, compare=False)

    class card:  # noqa: N801
        title = "Recorder"

    def select(self, view, n, rng):
        view.require(n)
        self.views.append(view)
        return Selection(rng.choice(view.size, size=n, replace=False), np.zeros(n))


def make_corpus(n, seed, name="letters", n_classes=3):
    """Words in which each class prefers letters of its own."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % n_classes)
    weights = np.ones((n_classes, 26))
    for c in range(n_classes):
        weights[c, 5 * c : 5 * c + 5] = 4
    words = ["".join(rng.choice(list(LETTERS), size=12, p=weights[c] / weights[c].sum())) for c in labels]
    return Corpus(Texts(tuple(words)), labels, tuple(f"class {c}" for c in range(n_classes)), name)


@pytest.fixture
def classifier():
    return CentroidClassifier()


@pytest.fixture
def recorder():
    return Recorder


@pytest.fixture
def pool():
    return make_corpus(80, seed=1)


@pytest.fixture
def test_corpus():
    return make_corpus(40, seed=2, name="test")
