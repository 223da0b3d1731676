"""Surprisal vectors of the pool for ALPS: from a masked language model once, then from disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np

from nearmiss.acquisition.base import FloatArray
from nearmiss.errors import ModelUnavailable
from nearmiss.experiment.events import EventListener, Preparing
from nearmiss.experiment.journal import write_atomically
from nearmiss.experiment.spec import ExperimentSpec
from nearmiss.loop.rounds import SurprisalSource
from nearmiss.loop.streams import Streams, named_generator
from nearmiss.models.masked_lm import MaskedLanguageModel
from nearmiss.text.corpus import Texts

__all__ = ["SurprisalCache"]


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
        model = self._model(tell)
        for position, seed in enumerate(missing):
            tell(Preparing("measuring surprisal of the pool", position / len(missing)))
            rng = Streams(self._spec.dataset, "", seed).shared("surprisal")
            buffer = BytesIO()
            np.save(buffer, np.asarray(model.surprisal(self._texts, rng)))
            write_atomically(self._path(f"{seed}.npy"), buffer.getvalue())
