"""Representations that no label changes, for strategies that look at texts through other eyes than the classifier's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nearmiss.acquisition.base import Array
from nearmiss.errors import UnknownName
from nearmiss.experiment.spec import ClassifierChoice, Option
from nearmiss.loop.signals import FeatureSource
from nearmiss.models.base import Classifier
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Pooling, Reading
from nearmiss.models.tfidf import TfidfSpace
from nearmiss.text.corpus import Texts

__all__ = ["TFIDF", "feature_source_names", "resolve_features"]

TFIDF = "tfidf"
#: Pooled vectors of the pretrained encoder, as it was before any label (the paper's "BERT-pr", §5).
_PRETRAINED = {"pretrained-mean": "mean", "pretrained-cls": "cls"}


def feature_source_names() -> tuple[str, ...]:
    """List the representations that any classifier's strategies can use, beside the classifier's own.

    Examples
    --------
    >>> feature_source_names()
    ('pretrained-cls', 'pretrained-mean', 'tfidf')
    """
    return tuple(sorted((TFIDF, *_PRETRAINED)))


def resolve_features(name: str, classifier: Classifier, choice: ClassifierChoice) -> str | FeatureSource:
    """Find a representation: the classifier's own of that name first, then a fixed one.

    Raises
    ------
    UnknownName
        There is neither.
    """
    if name in classifier.representations:
        return name
    if name == TFIDF:
        return _tfidf
    if name in _PRETRAINED:
        return _Pretrained(choice.options, _PRETRAINED[name])
    raise UnknownName.among("representation", name, (*classifier.representations, *feature_source_names()))


def _tfidf(texts: Texts) -> Array:
    return TfidfSpace(texts).rows(texts)


class _Pretrained:
    """Pooled vectors, scaled to norm 1, of the encoder that the classifier's options name; kept on disk."""

    def __init__(self, options: Mapping[str, Option], pooling: str) -> None:
        reading: dict[str, Any] = {
            key: options[key] for key in ("max_length", "precision", "backend") if key in options
        }
        place: dict[str, Any] = {key: options[key] for key in ("model", "device", "cache_dir") if key in options}
        self._vectors = FrozenVectors(reading=Reading(**reading), **place)
        self._pooling = Pooling(pooling)

    def __call__(self, texts: Texts) -> Array:
        return self._vectors.units(texts, self._pooling)
