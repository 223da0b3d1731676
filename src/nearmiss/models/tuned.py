"""The classifier whose features adapt to the labels at a cost of seconds: top layers trained over cached states."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.acquisition.base import Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.tensors import torch_generator
from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.models.base import PENULTIMATE, Inference
from nearmiss.models.checks import Ability, checked_labels
from nearmiss.models.encoder import EMBEDDED, Encoder, load_encoder
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Backend, Pooling, Precision, Reading, batches, token_states
from nearmiss.models.logistic import ClassWeight
from nearmiss.models.sequence_model import MEAN_EMBEDDING, MEAN_OUTPUT
from nearmiss.models.store import ArrayStore, RaggedRows, default_cache_dir
from nearmiss.models.top_layers import (
    Dropout,
    DropoutFunction,
    PaddedStates,
    Readout,
    encoder_layers,
    keep_all,
    take_top_layers,
)
from nearmiss.models.top_training import Outputs, Recipe, TunedNetwork, balanced_weights, gather, train
from nearmiss.text.corpus import Texts

__all__ = ["INPUT_CLS", "INPUT_MEAN", "TunedClassifier"]

#: Mean of the cached states that the tuned layers read: does not adapt to the labels.
INPUT_MEAN = "input-mean"
#: The cached state of the first token: does not adapt to the labels.
INPUT_CLS = "input-cls"

_ABILITY = Ability(
    "tuned",
    frozenset({Signal.LOG_PROBS, Signal.FEATURES, Signal.MC_LOG_PROBS}),
    (PENULTIMATE, MEAN_OUTPUT, INPUT_MEAN, INPUT_CLS, MEAN_EMBEDDING),
)
_SHARD = 512  # texts encoded and stored at a time: bounds the memory of prepare, and the work an interruption loses
_TOKENS_PER_BATCH = 4096
_LENGTHS_ALIKE = 8  # texts whose lengths round up to the same multiple of this share a batch


class TunedClassifier:
    """Train the top layers of a pretrained encoder, and a linear head, over cached states of the layer below.

    The lower layers stay as they are, so their output for each text is computed once, kept on disk in bfloat16 and
    memory-mapped. Every ``fit`` starts from the pretrained weights of the top layers again.

    Parameters
    ----------
    model
        ``"minilm"`` (embedded), a local folder, or a Hugging Face name; of the BERT family.
    layers
        How many layers to train, 1 or 2. Two are slower by an order of magnitude: the lower runs on every token.
    readout
        How the last layer becomes one vector per text: ``"mean-query"`` (one query row, the mean of the layer's input
        tokens), ``"cls"`` (one query row, the first token) or ``"mean"`` (the layer on every token, then the mean).
    max_length
        Texts are cut after this many tokens.
    steps, batch_size, learning_rate, head_learning_rate, weight_decay, warmup, dropout
        See ``Recipe``.
    class_weight
        ``"balanced"`` weighs all classes the same, however often they were labelled; ``"none"`` all texts the same.
    mc_samples
        Passes for ``Signal.MC_LOG_PROBS``. Dropout acts in the tuned layers and before the head alone, never in the
        cached ones: the samples vary less than with dropout through the whole encoder, and cost a fraction.
    cache_dir
        Where states are kept; None is NEARMISS_CACHE_DIR, else ``~/.cache/nearmiss``.
    device
        ``"auto"`` (CUDA where there is one) or any name torch knows.
    precision
        Of the encoder's one pass, see ``Reading``; training is in float32.
    backend
        What runs that pass: ``"torch"``, or ``"openvino"``, which is faster on CPUs and an extra of its own.

    Raises
    ------
    InvalidInput
        An option outside its range; an encoder of another family (on first use).
    ModelUnavailable
        The encoder cannot be loaded (on first use).

    Notes
    -----
    Results are the same to the bit for the same arguments, generator state and number of threads. Representations:
    ``penultimate`` (the read-out vector) and ``mean-output`` (the tuned layers on every token, then the mean) adapt to
    the labels; ``input-mean``, ``input-cls`` (the tuned layers' input) and ``mean-embedding`` do not.

    Examples
    --------
    >>> import tempfile
    >>> texts = Texts(("a lovely film", "a dreadful film", "lovely acting", "dreadful acting"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier = TunedClassifier(steps=20, cache_dir=folder, device="cpu")
    ...     classifier.fit(texts, np.array([1, 0, 1, 0]), n_classes=2, rng=np.random.default_rng(0))
    ...     seen = classifier.infer(
    ...         Texts(("lovely music", "dreadful music")), {Signal.LOG_PROBS}, rng=np.random.default_rng(0)
    ...     )
    >>> seen.log_probs.argmax(axis=1)
    array([1, 0])
    """

    def __init__(
        self,
        *,
        model: str = EMBEDDED,
        layers: int = 1,
        readout: Literal["mean-query", "cls", "mean"] = "mean-query",
        max_length: int = 128,
        steps: int = 120,
        batch_size: int = 32,
        learning_rate: float = 3e-4,
        head_learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        dropout: float = 0.3,
        class_weight: ClassWeight = "none",
        mc_samples: int = 10,
        cache_dir: str | Path | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        backend: Backend = "torch",
    ) -> None:
        if readout not in tuple(Readout):
            raise UnknownName.among("read-out", readout, map(str, Readout))
        if layers not in (1, 2):
            raise InvalidInput(f"layers is {layers}; train 1 or 2")
        if class_weight not in ("none", "balanced"):
            raise InvalidInput(f"class_weight {class_weight!r} is neither 'none' nor 'balanced'")
        if mc_samples < 1:
            raise InvalidInput(f"mc_samples is {mc_samples}; take at least 1")
        self._model = model
        self._layers = layers
        self._readout = Readout(readout)
        self._reading = Reading(max_length, precision, backend=backend)
        self._recipe = Recipe(steps, batch_size, learning_rate, head_learning_rate, weight_decay, warmup, dropout)
        self._balanced = class_weight == "balanced"
        self._mc_samples = mc_samples
        self._directory = default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser()
        self._device = device
        self._vectors = FrozenVectors(model, self._reading, device=device, cache_dir=cache_dir)
        self._network: TunedNetwork | None = None

    @property
    def representations(self) -> tuple[str, ...]:
        """``penultimate`` and ``mean-output`` adapt to the labels, the others do not."""
        return _ABILITY.representations

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals ``infer`` can give."""
        return _ABILITY.signals

    def prepare(self, texts: Texts) -> None:
        """Compute the states below the tuned layers for texts that have none stored yet.

        They go to disk a few hundred texts at a time: memory stays flat, and an interrupted call goes on where it was.

        Raises
        ------
        InvalidInput
            The encoder is of another family, or reads fewer than ``max_length`` tokens.
        ModelUnavailable
            The encoder cannot be found or loaded.
        NearmissError
            The cache cannot be written.
        """

        def compute(positions: npt.NDArray[np.int64]) -> list[Tensor]:
            return token_states(self._encoder, texts.take(positions), self._reading, layer=self._cached_layer)

        self._store.fill(texts.digests, compute, shard_size=_SHARD)

    def fit(self, texts: Texts, labels: npt.NDArray[np.int64], *, n_classes: int, rng: np.random.Generator) -> None:
        """Train from the pretrained weights, forgetting any earlier fit.

        One labelled text, or one class, is enough: the classifier then gives that class.

        Raises
        ------
        InvalidArray
            No texts, lengths that differ, or a label outside 0..n_classes-1.
        InvalidInput, ModelUnavailable, NearmissError
            As ``prepare``.
        """
        labels = checked_labels(texts, labels, n_classes)
        rows = self._rows(texts)
        device = self._encoder.device
        network = TunedNetwork(take_top_layers(self._encoder.model, self._layers, self._readout), n_classes).to(device)
        targets = torch.from_numpy(labels).to(device)
        weights = balanced_weights(targets, n_classes) if self._balanced else None
        train(network, rows, targets, self._recipe, torch_generator(rng, device), weights)
        self._network = network.requires_grad_(False)

    def infer(
        self,
        texts: Texts,
        needs: AbstractSet[Signal],
        *,
        representations: Sequence[str] = (PENULTIMATE,),
        rng: np.random.Generator,
    ) -> Inference:
        """Give every requested signal from one pass over the cached states.

        Raises
        ------
        UnknownName
            A representation this classifier does not have.
        InvalidInput
            Called before ``fit``, or a signal this classifier cannot give.
        """
        if self._network is None:
            raise InvalidInput("infer was called before fit; fit the classifier on labelled texts first")
        _ABILITY.check(needs, representations)
        rows = self._rows(texts)
        network, device = self._network, self._encoder.device
        n_classes, width = network.head.weight.shape
        asked = representations if Signal.FEATURES in needs else ()
        logits = torch.empty(len(rows), n_classes)
        features = {name: torch.empty(len(rows), width) for name in asked}
        samples: Tensor | None = None
        dropout: DropoutFunction = keep_all
        if Signal.MC_LOG_PROBS in needs:
            samples = torch.empty(self._mc_samples, len(rows), n_classes)
            dropout = Dropout(self._recipe.dropout, torch_generator(rng, device))
        with torch.inference_mode():
            for positions in batches(rows.lengths, _TOKENS_PER_BATCH, _LENGTHS_ALIKE):
                batch = gather(rows, positions, device)
                outputs = network(batch)
                logits[positions] = outputs.logits.cpu()
                for name, values in features.items():
                    if name != MEAN_EMBEDDING:
                        values[positions] = _representation(name, network, outputs, batch).cpu()
                for sample in samples if samples is not None else ():
                    sample[positions] = network(batch, dropout).logits.log_softmax(dim=1).cpu()
        if MEAN_EMBEDDING in features and len(rows):
            features[MEAN_EMBEDDING] = torch.from_numpy(self._vectors.of(texts, Pooling.EMBEDDING))
        return Inference(
            logits=logits.numpy(),
            log_probs=logits.double().log_softmax(dim=1).numpy(),
            mc_log_probs=None if samples is None else samples.numpy(),
            representations={name: values.numpy() for name, values in features.items()},
        )

    def label_free(self, texts: Texts) -> npt.NDArray[np.float32]:
        """Give the pretrained encoder's mean over each text's tokens, scaled to norm 1, shape (n, d).

        It comes from the cached states through the untrained top layers: the encoder reads no text twice.

        Raises
        ------
        InvalidInput, ModelUnavailable, NearmissError
            As ``prepare``.
        """
        rows = self._rows(texts)
        top = take_top_layers(self._encoder.model, self._layers, Readout.MEAN).to(self._encoder.device)
        vectors = torch.empty(len(rows), top.width)
        with torch.inference_mode():
            for positions in batches(rows.lengths, _TOKENS_PER_BATCH, _LENGTHS_ALIKE):
                vectors[positions] = top(gather(rows, positions, self._encoder.device)).cpu()
        unit: npt.NDArray[np.float32] = normalize_rows(vectors.numpy())
        return unit

    @cached_property
    def _encoder(self) -> Encoder:
        return load_encoder(self._model, self._device)

    @property
    def _cached_layer(self) -> int:
        return len(encoder_layers(self._encoder.model)) - self._layers

    @cached_property
    def _store(self) -> ArrayStore:
        kind = f"states of layer {self._cached_layer}"
        return ArrayStore(self._directory, self._reading.key(self._encoder.fingerprint, self._encoder.device, kind))

    def _rows(self, texts: Texts) -> RaggedRows:
        self.prepare(texts)
        return self._store.rows(texts.digests)


def _representation(name: str, network: TunedNetwork, outputs: Outputs, batch: PaddedStates) -> Tensor:
    if name == MEAN_OUTPUT:
        return network.top.mean_output(batch)
    if name == INPUT_MEAN:
        return batch.means()
    if name == INPUT_CLS:
        return batch.states[:, 0]
    return outputs.readout
