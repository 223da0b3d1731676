"""TF-IDF and logistic regression: the classifier that needs no pretrained model, and is ready in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from nearmiss.acquisition.base import Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.errors import InvalidInput
from nearmiss.models.base import PENULTIMATE, Inference
from nearmiss.models.checks import Ability, checked_labels
from nearmiss.models.logistic import ClassWeight, LogisticHead, LogisticSettings, log_softmax_rows
from nearmiss.text.corpus import Texts

__all__ = ["TfidfClassifier", "TfidfSpace", "WordSettings"]

_ABILITY = Ability("tfidf", frozenset({Signal.LOG_PROBS, Signal.FEATURES}), (PENULTIMATE,))


@dataclass(frozen=True, slots=True)
class WordSettings:
    """What counts as a term.

    Attributes
    ----------
    ngram_max
        Longest run of words that is a term of its own.
    min_count
        Terms in fewer texts than this are dropped.
    sublinear
        Whether a term that occurs f times counts 1 + ln f instead of f.

    Raises
    ------
    InvalidInput
        A number is below 1.
    """

    ngram_max: int = 1
    min_count: int = 1
    sublinear: bool = True

    def __post_init__(self) -> None:
        for name in ("ngram_max", "min_count"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be at least 1")


class TfidfSpace:
    """The TF-IDF vectors of texts, by the vocabulary and document frequencies of the texts it is built from.

    Words are runs of two or more letters or digits, in lower case. A text without a known word is a row of zeros.
    Of a pair, each half has columns of its own (same vocabulary, same weights). Rows have norm 1.

    Examples
    --------
    >>> texts = Texts(("a good film", "a bad film", "!"))
    >>> TfidfSpace(texts).rows(texts).toarray().round(2)
    array([[0.  , 0.61, 0.8 ],
           [0.8 , 0.61, 0.  ],
           [0.  , 0.  , 0.  ]])
    """

    def __init__(self, texts: Texts, words: WordSettings | None = None) -> None:
        words = words or WordSettings()
        halves = (*texts.first, *(texts.second or ()))
        # More texts than there are would be refused; a count no term can reach leaves an empty vocabulary all the same.
        self._vectorizer = TfidfVectorizer(
            ngram_range=(1, words.ngram_max),
            min_df=min(words.min_count, max(1, len(halves))),
            sublinear_tf=words.sublinear,
        )
        try:
            self._vectorizer.fit(halves)
        except ValueError:  # not one word in all the texts: one column that stays zero
            self._vectorizer = None

    def rows(self, texts: Texts) -> sparse.csr_array:
        """Give one row per text, shape (n, d), float64; twice as many columns for pairs."""
        first = self._half(texts.first)
        if texts.second is None:
            return first
        both: sparse.csr_array = sparse.csr_array(sparse.hstack([first, self._half(texts.second)], format="csr"))
        scaled: sparse.csr_array = normalize_rows(both)
        return scaled

    def _half(self, texts: tuple[str, ...]) -> sparse.csr_array:
        if self._vectorizer is None or not texts:
            columns = 1 if self._vectorizer is None else len(self._vectorizer.vocabulary_)
            return sparse.csr_array((len(texts), columns), dtype=np.float64)
        return sparse.csr_array(self._vectorizer.transform(texts))


class TfidfClassifier:
    """Logistic regression over TF-IDF vectors.

    The first ``prepare`` fixes vocabulary and document frequencies by the texts it is given, usually the pool: no label
    is needed for that. Later calls, such as one for the test set, only compute vectors ahead. Without ``prepare`` each
    ``fit`` learns them from the labelled texts.

    Parameters
    ----------
    C
        Inverse strength of the regression's l2 penalty.
    class_weight
        ``"balanced"`` weighs every class alike however often it was labelled.
    ngram_max, min_count, sublinear
        What counts as a term: see ``WordSettings``.

    Examples
    --------
    >>> classifier = TfidfClassifier()
    >>> rng = np.random.default_rng(0)
    >>> classifier.fit(Texts(("good film", "bad film")), np.array([1, 0]), n_classes=2, rng=rng)
    >>> inference = classifier.infer(Texts(("good plot",)), {Signal.LOG_PROBS}, rng=rng)
    >>> int(inference.log_probs.argmax())
    1
    """

    def __init__(
        self,
        *,
        C: float = 10.0,
        class_weight: ClassWeight = "none",
        ngram_max: int = 1,
        min_count: int = 1,
        sublinear: bool = True,
    ) -> None:
        self._logistic = LogisticSettings(C, class_weight)
        self._words = WordSettings(ngram_max, min_count, sublinear)
        self._pool_space: TfidfSpace | None = None
        self._space: TfidfSpace | None = None
        self._head: LogisticHead | None = None
        self._ready: list[sparse.csr_array] = []
        self._places: dict[str, tuple[int, int]] = {}

    @property
    def representations(self) -> tuple[str, ...]:
        """``penultimate``: the TF-IDF vectors, CSR, rows of norm 1."""
        return _ABILITY.representations

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals ``infer`` can give."""
        return _ABILITY.signals

    def prepare(self, texts: Texts) -> None:
        """Learn the vocabulary (first call) and compute these texts' vectors ahead."""
        if not len(texts):
            return
        if self._pool_space is None:
            self._pool_space = TfidfSpace(texts, self._words)
        if all(digest in self._places for digest in texts.digests):
            return  # a session prepares all of its texts before each training: that must not pile up
        block = len(self._ready)
        self._ready.append(self._pool_space.rows(texts))
        for row, digest in enumerate(texts.digests):
            self._places.setdefault(digest, (block, row))

    def fit(self, texts: Texts, labels: npt.NDArray[np.int64], *, n_classes: int, rng: np.random.Generator) -> None:
        """Train on labelled texts; deterministic, ``rng`` is not read.

        Raises
        ------
        InvalidArray
            No texts, lengths that differ, or a label outside 0..n_classes-1.
        """
        labels = checked_labels(texts, labels, n_classes)
        self._space = self._pool_space or TfidfSpace(texts, self._words)
        self._head = LogisticHead.train(self._rows(self._space, texts), labels, n_classes, self._logistic)

    def infer(
        self,
        texts: Texts,
        needs: AbstractSet[Signal],
        *,
        representations: Sequence[str] = (PENULTIMATE,),
        rng: np.random.Generator,
    ) -> Inference:
        """Give log-probabilities and TF-IDF vectors.

        Raises
        ------
        UnknownName
            A representation other than ``penultimate``.
        InvalidInput
            Called before ``fit``, or a signal this classifier cannot give.
        """
        if self._head is None or self._space is None:
            raise InvalidInput("infer was called before fit; fit the classifier on labelled texts first")
        _ABILITY.check(needs, representations)
        rows = self._rows(self._space, texts)
        logits = self._head.logits(rows)
        return Inference(
            logits=logits if Signal.LOG_PROBS in needs else None,
            log_probs=log_softmax_rows(logits) if Signal.LOG_PROBS in needs else None,
            representations=dict.fromkeys(representations, rows) if Signal.FEATURES in needs else {},
        )

    def label_free(self, texts: Texts) -> sparse.csr_array:
        """Give the TF-IDF vectors, shape (n, d), CSR; without ``prepare``, by the vocabulary of these texts."""
        return self._rows(self._pool_space or TfidfSpace(texts, self._words), texts)

    def _rows(self, space: TfidfSpace, texts: Texts) -> sparse.csr_array:
        if space is not self._pool_space or not self._places:
            return space.rows(texts)
        places = [self._places.get(digest) for digest in texts.digests]
        blocks = {place[0] if place is not None else -1 for place in places}
        if len(blocks) != 1 or -1 in blocks:
            return space.rows(texts)
        return self._ready[blocks.pop()][[place[1] for place in places if place is not None]]
