"""Which classifier a project trains: chosen by name, or by what fits on this machine."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nearmiss.errors import MissingExtra
from nearmiss.models.base import Classifier
from nearmiss.models.registry import make_classifier
from nearmiss.session.settings import AUTO, Settings
from nearmiss.text.corpus import Texts

__all__ = ["Plan", "choose_plan"]

TFIDF = "tfidf"
#: Cached states may take this share of the free disk, and at most this many bytes.
_DISK_SHARE, _MOST_BYTES = 0.25, 8 * 2**30
#: Beyond this many texts a round over cached states takes longer than a person waits.
_MOST_TUNED = 150_000
_STATE_BYTES = 768  # one token's state of the embedded encoder, bfloat16
_CHARACTERS_PER_TOKEN = 4
_MAX_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Plan:
    """The classifier to train.

    Attributes
    ----------
    name, options
        As ``make_classifier`` takes them.
    reads
        Whether an encoder must have read the texts before it can be trained quickly.
    notes
        Why, where it was not asked for by name.
    """

    name: str
    options: Mapping[str, object] = field(default_factory=dict)
    reads: bool = False
    notes: tuple[str, ...] = ()

    def make(self) -> Classifier:
        """Make the classifier, untrained."""
        return make_classifier(self.name, self.options)


def choose_plan(settings: Settings, texts: Texts, cache: Path) -> Plan:
    """Choose the classifier.

    Parameters
    ----------
    cache
        Where the encoder's output is kept; its disk decides.

    Raises
    ------
    MissingExtra
        A classifier was asked for by name that needs an encoder, and ``nearmiss[transformers]`` is missing.

    Examples
    --------
    >>> choose_plan(Settings(classifier="tfidf"), Texts(("a", "b")), Path(".")).name
    'tfidf'
    """
    encoder = importlib.util.find_spec("transformers") is not None
    if settings.classifier == TFIDF:
        return Plan(TFIDF)
    if not encoder and settings.classifier != AUTO:
        raise MissingExtra(f"the classifier {settings.classifier!r}", "transformers", "transformers")
    if not encoder:
        return Plan(TFIDF, notes=("no encoder is installed: TF-IDF learns more slowly; mend it with nearmiss[web]",))
    name = settings.classifier
    notes: tuple[str, ...] = ()
    if name == AUTO:
        name = "tuned" if _states_fit(texts, cache) else "frozen"
        notes = () if name == "tuned" else ("the texts are many, or the disk is small: the encoder stays frozen",)
    options: dict[str, object] = {"model": settings.encoder}
    if name != "finetuned":
        options["cache_dir"] = str(cache)
    return Plan(name, options, name != "finetuned", notes)


def _states_fit(texts: Texts, cache: Path) -> bool:
    if len(texts) > _MOST_TUNED:
        return False
    halves = (texts.first, texts.second or ())
    tokens = sum(min(_MAX_TOKENS, 2 + len(text) // _CHARACTERS_PER_TOKEN) for half in halves for text in half)
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    return tokens * _STATE_BYTES < min(_MOST_BYTES, _DISK_SHARE * shutil.disk_usage(there).free)
