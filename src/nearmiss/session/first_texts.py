"""The first texts of a project, and of a label nobody has given: what is asked while a model knows little.

Two labels a class are soonest found by covering the pool; only then is it worth asking what a model is unsure of
(benchmarks/COLD_START.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nearmiss.acquisition.base import Array, FloatArray, IndexArray
from nearmiss.errors import ModelUnavailable
from nearmiss.loop.streams import named_generator
from nearmiss.models.base import Classifier, LabelFree
from nearmiss.session.clues import Sought, sought_labels, unseen
from nearmiss.session.ground import Ground
from nearmiss.session.origins import Origin, Source
from nearmiss.session.project import Project
from nearmiss.session.queue import QueueEntry
from nearmiss.session.ranking import COVER, cover
from nearmiss.session.seeds import mixed, seek
from nearmiss.session.settings import ALPS, AUTO, NAMES, Settings
from nearmiss.text.corpus import Texts

__all__ = ["NAMES_AFTER", "covering_notes", "first_texts", "still_covers", "what_covers", "with_first_texts"]

#: Labels a class after which the model chooses.
_ENOUGH = 2
#: Every so-manieth pick looks for labels that no text has.
_EVERY = 3
#: Labels without which a name is not looked for unless that was asked for: names say less than the first texts do.
NAMES_AFTER = 50
_METHODS = {AUTO: COVER, NAMES: COVER, "k-means": "bertkm"}
#: Texts are cut after so many tokens for ALPS, as in experiments.
_MAX_LENGTH = 64


def first_texts(
    project: Project, texts: Texts, classifier: LabelFree, ground: Ground, n: int
) -> tuple[QueueEntry, ...]:
    """Choose n texts that cover the pool, every second one near the seeds of a label as far as there are any.

    Where the setting asks for ALPS and the encoder has no masked-LM head (any more), TypiClust covers instead; the
    picks say so.
    """
    settings = project.settings.read()
    method = _METHODS.get(settings.cover, settings.cover)
    rng = named_generator(project.seed, "cover", len(texts), len(ground.rows))
    vectors = _remembered(classifier)
    wanted = unseen(_sought(project, names=settings.cover == NAMES), ground)
    found = seek(wanted, texts, vectors, ground, origin=Origin(Source.COVER), n=n // 2)
    surprisal: Callable[[IndexArray], FloatArray] | None = None
    if method == ALPS:
        surprisal = _surprisal(settings.encoder, texts, project.seed)
        method = COVER if surprisal is None else ALPS
    return cover(vectors(texts), ground, n, rng, method=method, found=found, surprisal=surprisal)


def with_first_texts(
    project: Project,
    texts: Texts,
    classifier: Classifier,
    ground: Ground,
    ranked: Sequence[QueueEntry],
    explain: Callable[[Sequence[QueueEntry]], Sequence[QueueEntry]],
) -> tuple[QueueEntry, ...]:
    """Put among a model's picks the texts that tell it what it knows nothing of.

    While there are fewer than two labels a class, a batch that covers the pool goes first; later, every third pick of a
    batch looks for labels that no text to learn from has, by their seeds or, from 50 labels on and where nothing
    else was asked for, by their names.

    Parameters
    ----------
    ranked
        The model's picks, best first.
    explain
        Adds to entries what the model says of them.
    """
    if not isinstance(classifier, LabelFree):
        return tuple(ranked)
    settings = project.settings.read()
    if still_covers(settings, ground):
        return mixed(explain(first_texts(project, texts, classifier, ground, settings.batch)), ranked, every=1)
    by_default = settings.strategy == AUTO and settings.cover == AUTO and len(ground.rows) >= NAMES_AFTER
    sought = unseen(_sought(project, names=by_default or settings.cover == NAMES), ground)
    origin, n = Origin(Source.MODEL), max(1, settings.batch // _EVERY)
    found = seek(sought, texts, _remembered(classifier), ground, origin=origin, n=n)
    return mixed(explain(found), ranked, every=_EVERY)


def still_covers(settings: Settings, ground: Ground) -> bool:
    """Say whether there are so few labels that covering the pool still beats asking the model."""
    by_default = settings.strategy == AUTO and _METHODS.get(settings.cover, settings.cover) == COVER
    return by_default and len(ground.rows) < _ENOUGH * len(ground.labels)


def covering_notes(settings: Settings, ground: Ground) -> tuple[str, ...]:
    """Tell of a model that it does not choose yet."""
    if not still_covers(settings, ground):
        return ()
    return (f"fewer than {_ENOUGH} labels a class: the next texts cover the pool, whatever the model is unsure of",)


def what_covers(project: Project, settings: Settings) -> str:
    """Name all that a first batch depends on beside the texts and their vectors; another name, another batch."""
    sought = _sought(project, names=settings.cover == NAMES)
    return repr((settings.cover, settings.batch, len(project.labels.menu()), sought))


def _sought(project: Project, *, names: bool) -> tuple[Sought, ...]:
    return sought_labels(project.labels.menu(), names=names)


def _remembered(classifier: LabelFree) -> Callable[[Texts], Array]:
    """Give the vectors of texts, those of the same texts once: reading a pool's from disk takes a while."""
    known: dict[int, tuple[Texts, Array]] = {}

    def vectors(texts: Texts) -> Array:
        if id(texts) not in known:
            known[id(texts)] = (texts, classifier.label_free(texts))
        return known[id(texts)][1]

    return vectors


def _surprisal(encoder: str, texts: Texts, seed: int) -> Callable[[IndexArray], FloatArray] | None:
    try:
        from nearmiss.models.masked_lm import MaskedLanguageModel

        model = MaskedLanguageModel.load(encoder, max_length=_MAX_LENGTH)
    except (ModelUnavailable, ImportError):
        return None

    def measure(rows: IndexArray) -> FloatArray:
        measured: FloatArray = model.surprisal(texts.take(rows), named_generator(seed, "surprisal", len(texts)))
        return np.asarray(measured)

    return measure
