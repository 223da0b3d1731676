"""Surprisal vectors of the pool for ALPS: from a masked language model once, then from disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from nearmiss.acquisition.base import FloatArray
from nearmiss.errors import ModelUnavailable
from nearmiss.experiment.events import EventListener, Preparing, ignore
from nearmiss.experiment.journal import write_atomically
from nearmiss.experiment.spec import ExperimentSpec, MaskedLMChoice
from nearmiss.loop.signals import SurprisalSource
from nearmiss.loop.streams import Streams, named_generator
from nearmiss.models.masked_lm import MaskedLanguageModel
from nearmiss.models.mlm_head import HeadReport, HeadSettings
from nearmiss.text.corpus import Texts

__all__ = ["SurprisalCache", "load_masked_lm", "surprisal_source"]


class SurprisalCache:
    """One file of vectors per seed, for a masked language model and a pool.

    The tokens whose surprisal is taken are drawn at random, by dataset and seed; all strategies of a seed see the same.

    Parameters
    ----------
    directory
        Where files are kept.
    spec
        Names the model and the dataset.
    texts
        The pool.
    """

    def __init__(self, directory: Path, spec: ExperimentSpec, texts: Texts) -> None:
        self._directory = directory
        self._spec = spec
        self._texts = texts

    def notes(self) -> tuple[str, ...]:
        """Say how the model came by its head, if that was here."""
        path = self._path("head.json")
        return tuple(json.loads(path.read_text())["notes"]) if path.exists() else ()

    def source(self, seed: int) -> SurprisalSource:
        """Give a reader of the vectors that ``fill`` wrote.

        Raises
        ------
        ModelUnavailable
            When it is called: there are none.
        """
        path = self._path(f"{seed}.npy")

        def read(texts: Texts, _: np.random.Generator) -> FloatArray:
            if not path.exists():
                raise ModelUnavailable(f"no surprisal vectors at {path}; run the experiment again to compute them")
            vectors: FloatArray = np.load(path)
            return vectors

        return read

    def fill(self, seeds: Sequence[int], tell: EventListener) -> None:
        """Compute the vectors of these seeds that are not there yet.

        Raises
        ------
        ModelUnavailable
            The model cannot be loaded, or lacks its head and none may be trained.
        MissingExtra
            transformers is not installed.
        """
        missing = [seed for seed in seeds if not self._path(f"{seed}.npy").exists()]
        if not missing:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        choice, options = self._spec.masked_lm, self._spec.classifier.options
        place: dict[str, Any] = {key: options[key] for key in ("device", "cache_dir") if key in options}
        rng = named_generator(self._spec.dataset, "masked-LM head")
        model = load_masked_lm(choice, self._texts, rng, place, tell)
        if model.training is not None:
            notes = [_head_note(choice, min(choice.texts, len(self._texts)), model.training)]
            write_atomically(self._path("head.json"), json.dumps({"notes": notes}).encode())
        for position, seed in enumerate(missing):
            tell(Preparing("measuring surprisal of the pool", position / len(missing)))
            rng = Streams(self._spec.dataset, "", seed).shared("surprisal")
            buffer = BytesIO()
            np.save(buffer, np.asarray(model.surprisal(self._texts, rng)))
            write_atomically(self._path(f"{seed}.npy"), buffer.getvalue())

    def _path(self, name: str) -> Path:
        told = "\n".join((repr(self._spec.masked_lm), self._spec.dataset, *self._texts.digests))
        key = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return self._directory / f"{key}-{name}"


def load_masked_lm(
    choice: MaskedLMChoice,
    texts: Texts,
    rng: np.random.Generator,
    place: Mapping[str, Any] | None = None,
    tell: EventListener = ignore,
) -> MaskedLanguageModel:
    """Load a masked language model, or train a head on these texts where it lacks one and the choice allows.

    Raises
    ------
    ModelUnavailable
        The model cannot be loaded, or lacks its head and none may be trained.
    """
    tell(Preparing(f"loading the masked language model {choice.model}"))
    try:
        return MaskedLanguageModel.load(choice.model, max_length=choice.max_length, **place or {})
    except ModelUnavailable:
        if not choice.train_head:
            raise
    tell(Preparing(f"training a masked-LM head on {min(choice.texts, len(texts)):,} texts of the pool"))
    return MaskedLanguageModel.train_head(
        texts,
        rng,
        name=choice.model,
        settings=HeadSettings(n_texts=choice.texts, epochs=choice.epochs, max_length=choice.max_length),
        max_length=choice.max_length,
        **place or {},
    )


def surprisal_source(choice: MaskedLMChoice) -> SurprisalSource:
    """Give a source that loads the model, and trains its head if need be, when it is first asked."""

    def measure(texts: Texts, rng: np.random.Generator) -> FloatArray:
        head_rng, token_rng = rng.spawn(2)
        return load_masked_lm(choice, texts, head_rng).surprisal(texts, token_rng)

    return measure


def _head_note(choice: MaskedLMChoice, n_texts: int, report: HeadReport) -> str:
    return (
        f"ALPS: {choice.model} has no masked-LM head, so one was trained on {n_texts:,} texts of the pool with the "
        f"encoder frozen; on held-out texts it reaches {report.loss_after:.2f} nats per masked token, word frequencies "
        f"alone {report.loss_unigram:.2f}."
    )
