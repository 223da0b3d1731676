"""Surprisal vectors of the pool for ALPS: from a masked language model once, then from disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from nearmiss.acquisition.base import FloatArray
from nearmiss.errors import MissingHead, ModelUnavailable
from nearmiss.experiment.events import EventListener, Preparing, ignore
from nearmiss.experiment.journal import write_atomically
from nearmiss.experiment.spec import ExperimentSpec, MaskedLMChoice
from nearmiss.loop.signals import SurprisalSource
from nearmiss.loop.streams import named_generator
from nearmiss.models.adaptation import AdaptationProgress, AdaptationSettings, adapt
from nearmiss.models.encoder import find_model, resolve_device
from nearmiss.models.inference import resolve_precision
from nearmiss.models.masked_lm import MaskedLanguageModel
from nearmiss.models.mlm_head import HeadReport, HeadSettings
from nearmiss.models.store import default_cache_dir
from nearmiss.text.corpus import Texts

__all__ = ["ReadyModel", "SurprisalCache", "load_masked_lm", "surprisal_source"]


#: No device and no cache folder named: the defaults of the models.
_ANYWHERE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class ReadyModel:
    """A masked language model, and what a reader must know of how it came by its head; empty for nothing."""

    model: MaskedLanguageModel
    note: str = ""


class SurprisalCache:
    """A file of vectors for a masked language model and a pool.

    The tokens whose surprisal is taken are drawn once per dataset, and all seeds share them: the pass over the pool
    costs more than everything else ALPS does, and seeds still differ in their initial sets and cluster starts.

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

    def source(self) -> SurprisalSource:
        """Give a reader of the vectors that ``fill`` wrote.

        Raises
        ------
        ModelUnavailable
            When it is called: there are none.
        """

        def read(texts: Texts, _: np.random.Generator) -> FloatArray:
            path = self._path("vectors.npy")
            if not path.exists():
                raise ModelUnavailable(f"no surprisal vectors at {path}; run the experiment again to compute them")
            vectors: FloatArray = np.load(path)
            return vectors

        return read

    def fill(self, tell: EventListener) -> None:
        """Compute the vectors if they are not there yet.

        Raises
        ------
        ModelUnavailable
            The model cannot be loaded, or lacks its head and none may be trained.
        MissingExtra
            transformers is not installed.
        """
        path = self._path("vectors.npy")
        if path.exists():
            return
        choice, options = self._spec.masked_lm, self._spec.classifier.options
        place: dict[str, Any] = {key: options[key] for key in ("device", "cache_dir") if key in options}
        rng = named_generator(self._spec.dataset, "surprisal")
        ready = load_masked_lm(choice, self._texts, rng, place, tell)
        self._directory.mkdir(parents=True, exist_ok=True)
        if ready.note:
            write_atomically(self._path("head.json"), json.dumps({"notes": [ready.note]}).encode())
        tell(Preparing("measuring surprisal of the pool"))
        buffer = BytesIO()
        np.save(buffer, ready.model.surprisal(self._texts, rng))
        write_atomically(path, buffer.getvalue())

    def _path(self, name: str) -> Path:
        choice = self._spec.masked_lm
        model = find_model(choice.model).fingerprint  # a folder's name stays when the model in it is replaced
        told = "\n".join((repr(choice), model, self._spec.dataset, *self._texts.digests))
        key = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return self._directory / f"{key}-{name}"


def load_masked_lm(
    choice: MaskedLMChoice,
    texts: Texts,
    rng: np.random.Generator,
    place: Mapping[str, Any] = _ANYWHERE,
    tell: EventListener = ignore,
) -> ReadyModel:
    """Load a masked language model, or make one of an encoder by training on these texts, as the choice has it.

    Raises
    ------
    ModelUnavailable
        The model cannot be loaded, or lacks its head and none may be trained.
    """
    if choice.adapt:
        return _adapted(choice, texts, rng, place, tell)
    tell(Preparing(f"loading the masked language model {choice.model}"))
    try:
        device = place.get("device", "auto")
        return ReadyModel(MaskedLanguageModel.load(choice.model, max_length=choice.max_length, device=device))
    except MissingHead:
        if not choice.train_head:
            raise
    tell(Preparing(f"training a masked-LM head on {min(choice.texts, len(texts)):,} texts of the pool"))
    model = MaskedLanguageModel.train_head(
        texts,
        rng,
        name=choice.model,
        settings=HeadSettings(n_texts=choice.texts, epochs=choice.epochs),
        max_length=choice.max_length,
        **place,
    )
    note = "" if model.training is None else _head_note(choice, min(choice.texts, len(texts)), model.training)
    return ReadyModel(model, note)


def _adapted(
    choice: MaskedLMChoice, texts: Texts, rng: np.random.Generator, place: Mapping[str, Any], tell: EventListener
) -> ReadyModel:
    """Adapt the encoder to the pool, or go on with it, or find it done; kept in the cache."""
    settings = AdaptationSettings(epochs=choice.epochs, max_length=choice.max_length)
    chosen = texts.take(np.sort(rng.permutation(len(texts))[: choice.texts]))
    device = str(resolve_device(place.get("device", "auto")))
    precision = resolve_precision(settings.precision, torch.device(device))
    ground = (settings, device, precision, torch.get_num_threads(), rng.bit_generator.state)
    told = "\n".join((repr(ground), find_model(choice.model).fingerprint, *chosen.digests))
    key = blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    folder = Path(place.get("cache_dir") or default_cache_dir()).expanduser() / "adapted" / key

    def progress(now: AdaptationProgress) -> None:
        tell(Preparing(f"adapting {choice.model} to {len(chosen):,} texts of the pool", now.step / now.total))

    report = adapt(chosen, folder, rng, name=choice.model, settings=settings, device=device, on_progress=progress)
    model = MaskedLanguageModel.load(str(folder), max_length=choice.max_length, device=device)
    note = (
        f"ALPS: {choice.model} was adapted to {len(chosen):,} texts of the pool in {report.steps:,} steps; on held-out "
        f"texts it reaches {report.loss_after:.2f} nats per masked token, word frequencies alone "
        f"{report.loss_unigram:.2f}."
    )
    return ReadyModel(model, note)


def surprisal_source(choice: MaskedLMChoice) -> SurprisalSource:
    """Give a source that loads the model, and trains its head if need be, when it is first asked."""

    def measure(texts: Texts, rng: np.random.Generator) -> FloatArray:
        return load_masked_lm(choice, texts, rng).model.surprisal(texts, rng)

    return measure


def _head_note(choice: MaskedLMChoice, n_texts: int, report: HeadReport) -> str:
    return (
        f"ALPS: {choice.model} has no masked-LM head, so one was trained on {n_texts:,} texts of the pool with the "
        f"encoder frozen; on held-out texts it reaches {report.loss_after:.2f} nats per masked token, word frequencies "
        f"alone {report.loss_unigram:.2f}."
    )
