"""A frozen pretrained encoder and logistic regression: each text is encoded once, and a round costs milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from nearmiss.acquisition.base import Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.tensors import row_blocks
from nearmiss.errors import InvalidInput
from nearmiss.models.base import PENULTIMATE, Inference
from nearmiss.models.checks import Ability, checked_labels
from nearmiss.models.encoder import EMBEDDED, find_model, load_encoder, resolve_device
from nearmiss.models.inference import Backend, Pooling, Precision, Reading, pooled
from nearmiss.models.logistic import ClassWeight, LogisticHead, LogisticSettings, log_softmax_rows
from nearmiss.models.store import ArrayStore, default_cache_dir
from nearmiss.text.corpus import Texts

__all__ = ["FrozenClassifier", "FrozenVectors"]

FloatMatrix = npt.NDArray[np.floating]

_ABILITY = Ability("frozen", frozenset({Signal.LOG_PROBS, Signal.FEATURES}), (PENULTIMATE, *Pooling))


class FrozenVectors:
    """Pooled vectors of texts by a pretrained encoder, computed once per text and kept on disk.

    The encoder itself is loaded when the first text is met that no earlier run has read.

    Parameters
    ----------
    model
        ``"minilm"``, a local folder, or a Hugging Face name.
    reading
        Length, precision and backend.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``.
    cache_dir
        Where vectors are kept; None is ``NEARMISS_CACHE_DIR`` or ``~/.cache/nearmiss``.

    Examples
    --------
    >>> import tempfile
    >>> texts = Texts(("a good film", "a fine movie", "rain in the north"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vectors = FrozenVectors(cache_dir=folder).units(texts, Pooling.MEAN)
    >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
    True
    """

    def __init__(
        self,
        model: str = EMBEDDED,
        reading: Reading | None = None,
        *,
        device: str = "auto",
        cache_dir: str | Path | None = None,
    ) -> None:
        self._model = model
        self._reading = reading or Reading()
        self._device = device
        self._directory = default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser()
        self._stores: dict[Pooling, ArrayStore] = {}

    def fill(self, texts: Texts, pooling: Pooling) -> None:
        """Encode the texts that no run has read yet, about a thousand at a time, each lot on disk before the next.

        Raises
        ------
        ModelUnavailable
            The encoder cannot be found or loaded.
        NearmissError
            The cache cannot be written.
        """

        def compute(positions: npt.NDArray[np.int64]) -> Sequence[torch.Tensor]:
            encoder = load_encoder(self._model, self._device)
            vectors = pooled(encoder, texts.take(positions), self._reading, [pooling])[pooling]
            return torch.from_numpy(vectors).unsqueeze(1).unbind()

        self._store(pooling).fill(texts.digests, compute)

    def of(self, texts: Texts, pooling: Pooling) -> npt.NDArray[np.float32]:
        """Give one vector per text, shape (n, d), float32, not normalised.

        Raises
        ------
        ModelUnavailable, NearmissError
            As ``fill``.
        """
        if not len(texts):
            return np.empty((0, load_encoder(self._model, self._device).hidden_size), dtype=np.float32)
        self.fill(texts, pooling)
        return self._store(pooling).dense(texts.digests)

    def units(self, texts: Texts, pooling: Pooling) -> npt.NDArray[np.float32]:
        """Give the vectors scaled to norm 1, shape (n, d); a vector of zeros stays one.

        Raises
        ------
        ModelUnavailable, NearmissError
            As ``fill``.
        """
        vectors = self.of(texts, pooling)
        # In place, some rows at a time (copied twice, once in float64): a pool's vectors are never held twice.
        for rows in row_blocks(len(vectors), 3 * vectors.itemsize * vectors.shape[1]):
            vectors[rows] = normalize_rows(vectors[rows])
        return vectors

    def _store(self, pooling: Pooling) -> ArrayStore:
        if pooling not in self._stores:
            files, device = find_model(self._model), resolve_device(self._device)
            key = self._reading.key(files.fingerprint, device, f"pooled {pooling}")
            self._stores[pooling] = ArrayStore(self._directory, key)
        return self._stores[pooling]


class FrozenClassifier:
    """Logistic regression over the vectors of a frozen pretrained encoder.

    Parameters
    ----------
    model
        ``"minilm"`` (embedded), a local folder, or a Hugging Face name.
    pooling
        How token states become the vector that is classified.
    normalize
        Whether that vector is scaled to norm 1.
    max_length
        Texts are cut after this many tokens.
    precision
        ``"float32"``, ``"bfloat16"`` or ``"auto"`` (bfloat16 where the processor multiplies it natively).
    backend
        What runs the encoder: ``"torch"``, or ``"openvino"``, which is faster on CPUs and an extra of its own.
    C, class_weight
        Of the regression: see ``LogisticSettings``.
    device, cache_dir
        Where the encoder runs, and where its vectors are kept.

    Examples
    --------
    >>> import tempfile
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier = FrozenClassifier(cache_dir=folder)
    ...     classifier.fit(Texts(("a good film", "a bad film")), np.array([1, 0]), n_classes=2, rng=rng)
    ...     inference = classifier.infer(Texts(("great!",)), {Signal.LOG_PROBS, Signal.FEATURES}, rng=rng)
    >>> int(inference.log_probs.argmax()), inference.representations["penultimate"].shape
    (1, (1, 384))
    """

    def __init__(
        self,
        *,
        model: str = EMBEDDED,
        pooling: Literal["mean", "cls", "mean-embedding"] = "mean",
        normalize: bool = True,
        max_length: int = 128,
        precision: Precision = "auto",
        backend: Backend = "torch",
        C: float = 10.0,
        class_weight: ClassWeight = "none",
        device: str = "auto",
        cache_dir: str | Path | None = None,
    ) -> None:
        try:
            self._pooling = Pooling(pooling)
        except ValueError as error:
            raise InvalidInput(f"pooling {pooling!r} is none of {', '.join(map(repr, map(str, Pooling)))}") from error
        self._normalize = normalize
        self._logistic = LogisticSettings(C, class_weight)
        reading = Reading(max_length, precision, backend=backend)
        self._vectors = FrozenVectors(model, reading, device=device, cache_dir=cache_dir)
        self._head: LogisticHead | None = None

    @property
    def representations(self) -> tuple[str, ...]:
        """``penultimate`` (what the regression reads), and the raw ``mean``, ``cls`` and ``mean-embedding``."""
        return _ABILITY.representations

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals ``infer`` can give."""
        return _ABILITY.signals

    def prepare(self, texts: Texts) -> None:
        """Encode these texts and keep the vectors on disk; memory stays flat however many they are.

        Raises
        ------
        ModelUnavailable
            The encoder cannot be found or loaded.
        NearmissError
            The cache cannot be written.
        """
        self._vectors.fill(texts, self._pooling)

    def fit(self, texts: Texts, labels: npt.NDArray[np.int64], *, n_classes: int, rng: np.random.Generator) -> None:
        """Train the regression on labelled texts; deterministic, ``rng`` is not read.

        Raises
        ------
        InvalidArray
            No texts, lengths that differ, or a label outside 0..n_classes-1.
        ModelUnavailable
            The encoder cannot be found or loaded.
        """
        labels = checked_labels(texts, labels, n_classes)
        self._head = LogisticHead.train(self._penultimate(texts), labels, n_classes, self._logistic)

    def infer(
        self,
        texts: Texts,
        needs: AbstractSet[Signal],
        *,
        representations: Sequence[str] = (PENULTIMATE,),
        rng: np.random.Generator,
    ) -> Inference:
        """Give log-probabilities and pooled vectors.

        Raises
        ------
        UnknownName
            A representation this classifier does not have.
        InvalidInput
            Called before ``fit``, or a signal this classifier cannot give.
        """
        if self._head is None:
            raise InvalidInput("infer was called before fit; fit the classifier on labelled texts first")
        _ABILITY.check(needs, representations)
        asked = representations if Signal.FEATURES in needs else ()
        features = {name: self._representation(texts, name) for name in asked}
        if Signal.LOG_PROBS not in needs:
            return Inference(representations=features)
        read = features[PENULTIMATE] if PENULTIMATE in features else self._penultimate(texts)
        logits = self._head.logits(read)
        return Inference(logits=logits, log_probs=log_softmax_rows(logits), representations=features)

    def label_free(self, texts: Texts) -> FloatMatrix:
        """Give what the regression reads, shape (n, d), which no label changes.

        Raises
        ------
        ModelUnavailable
            The encoder cannot be found or loaded.
        """
        return self._penultimate(texts)

    def _representation(self, texts: Texts, name: str) -> FloatMatrix:
        return self._penultimate(texts) if name == PENULTIMATE else self._vectors.of(texts, Pooling(name))

    def _penultimate(self, texts: Texts) -> FloatMatrix:
        read = self._vectors.units if self._normalize else self._vectors.of
        return read(texts, self._pooling)
