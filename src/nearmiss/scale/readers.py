"""Models that read a pool: what they are called, what they say of texts, and how they get ready in a process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nearmiss.acquisition.base import Signals
from nearmiss.arrays.distances import normalize_rows
from nearmiss.errors import InvalidInput
from nearmiss.models.base import PENULTIMATE
from nearmiss.models.encoder import EMBEDDED, find_model, load_encoder, resolve_device
from nearmiss.models.inference import Pooling, Reading, pooled, resolve_precision
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts

__all__ = ["FrozenReader", "SavedModelReader", "TextReader"]


class TextReader(Protocol):
    """Turns texts into signals."""

    @property
    def key(self) -> str:
        """What the signals depend on besides the texts, as a hash."""
        ...

    def start(self) -> Callable[[Texts], Signals]:
        """Load the model, and give what reads texts with it.

        Raises
        ------
        ModelUnavailable
            It cannot be found or loaded.
        """
        ...


@dataclass(frozen=True, slots=True)
class FrozenReader:
    """A frozen encoder: the mean over a text's tokens, scaled to norm 1. Labels change nothing of it.

    Attributes
    ----------
    model
        ``"minilm"`` (embedded), a folder, or a Hugging Face name; it must be there on every machine that reads.
    reading
        Length, precision and backend.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """

    model: str = EMBEDDED
    reading: Reading = field(default_factory=Reading)
    device: str = "auto"

    @property
    def key(self) -> str:
        """What the vectors depend on besides the texts."""
        return self.reading.key(find_model(self.model).fingerprint, resolve_device(self.device), "shard, mean, norm 1")

    def start(self) -> Callable[[Texts], Signals]:
        """Load the encoder; errors as `TextReader.start`."""
        encoder = load_encoder(self.model, self.device)

        def read(texts: Texts) -> Signals:
            return Signals(features=normalize_rows(pooled(encoder, texts, self.reading, [Pooling.MEAN])[Pooling.MEAN]))

        return read


@dataclass(frozen=True, slots=True)
class SavedModelReader:
    """A classifier that was saved (``nearmiss train --out``): its log-probabilities, and the input of its last layer.

    Attributes
    ----------
    folder
        A Hugging Face folder with a sequence classification head.
    reading, device
        As for `FrozenReader`.
    """

    folder: str
    reading: Reading = field(default_factory=Reading)
    device: str = "auto"

    @property
    def key(self) -> str:
        """What the signals depend on besides the texts."""
        return self.reading.key(find_model(self.folder).fingerprint, resolve_device(self.device), "shard, classified")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of its classes, by class id.

        Raises
        ------
        InvalidInput
            The folder is no classifier.
        """
        path = Path(find_model(self.folder).directory, "config.json")
        named = json.loads(path.read_text(encoding="utf-8")).get("id2label") or {}
        if len(named) < 2:
            raise InvalidInput(f"{self.folder}: its config.json names no labels; pass a classifier, or frozen")
        return tuple(str(named[key]) for key in sorted(named, key=int))

    def start(self) -> Callable[[Texts], Signals]:
        """Load the classifier; errors as `TextReader.start`."""
        from nearmiss.models.sequence_model import load_sequence_model
        from nearmiss.models.sequence_model import read as read_sequence

        device = resolve_device(self.device)
        sequence = load_sequence_model(self.folder, len(self.label_names), device)
        half = resolve_precision(self.reading.precision, device) == "bfloat16"

        def read(texts: Texts) -> Signals:
            tokens = tokenize(sequence.encoder, texts, self.reading.max_length)
            said = read_sequence(
                sequence, tokens, (PENULTIMATE,), half=half, tokens_per_batch=self.reading.tokens_per_batch
            )
            return Signals(
                log_probs=said.logits.double().log_softmax(dim=1).float().numpy(),
                features=said.representations[PENULTIMATE].numpy(),
            )

        return read
