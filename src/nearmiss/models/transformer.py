"""Any Hugging Face encoder under a classification head, fine-tuned as a whole: the paper's classifier."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nearmiss.acquisition.base import Signal
from nearmiss.arrays.tensors import isolated_torch_seed
from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.models.base import PENULTIMATE, FitReport, Inference
from nearmiss.models.checks import Ability, checked_labels
from nearmiss.models.encoder import EMBEDDED, find_model, resolve_device
from nearmiss.models.finetune import PRESETS, Examples, FinetuneRecipe, finetune
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Pooling, Precision, Reading, resolve_precision
from nearmiss.models.logistic import ClassWeight
from nearmiss.models.model_card import save_classifier
from nearmiss.models.sequence_model import CLS, REPRESENTATIONS, SequenceModel, Spoken, load_sequence_model, read
from nearmiss.models.tokens import Tokens, tokenize
from nearmiss.models.top_training import balanced_weights
from nearmiss.text.corpus import Texts

__all__ = ["FinetunedClassifier"]

_ABILITY = Ability("finetuned", frozenset({Signal.LOG_PROBS, Signal.FEATURES, Signal.MC_LOG_PROBS}), REPRESENTATIONS)


@dataclass(frozen=True, slots=True, eq=False)
class _Labeled:
    """Texts and their class ids, shape (n,)."""

    texts: Texts
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Attempt:
    """A model that was trained, and how that went."""

    sequence: SequenceModel
    report: FitReport


class FinetunedClassifier:
    """Fine-tune every layer of a pretrained transformer, from the pretrained weights again at every ``fit``.

    Parameters
    ----------
    model
        ``"minilm"`` (embedded), a local folder, or a Hugging Face name such as ``bert-base-uncased``.
    preset
        ``"paper"``: learning rate 2e-5, 3 epochs of batches of 16, as Margatina et al. 2021 trained BERT-base.
        ``"small"``: for models of MiniLM's size and for few labels, on a CPU.
    max_length
        Texts are cut after this many tokens.
    epochs, min_steps, batch_size, learning_rate, warmup, weight_decay, max_gradient_norm, evaluations_per_epoch, \
stop_loss, freeze_embeddings
        See ``FinetuneRecipe``; None takes the preset's.
    class_weight
        ``"balanced"`` weighs all classes the same, however often they were labelled; ``"none"`` all texts the same.
    warm_start
        Go on from the last ``fit``'s weights instead of the pretrained ones.
    retries
        How often a training that ends in one class for every text is begun again with other random numbers.
    mc_samples
        Passes for ``Signal.MC_LOG_PROBS``, with dropout on in every layer.
    tokens_per_batch
        Upper limit of tokens in one batch of inference, as in ``Reading``; changes speed, memory and Monte Carlo draws,
        and of the other results no more than rounding.
    device
        ``"auto"`` (CUDA where there is one) or any name torch knows.
    precision
        Of matrix products in training and inference: see ``Reading``. Weights, sums and losses stay in float32.
    cache_dir
        Where ``label_free`` keeps the pretrained vectors; None is NEARMISS_CACHE_DIR, else ``~/.cache/nearmiss``.

    Raises
    ------
    InvalidInput
        An option outside its range.
    ModelUnavailable
        The model cannot be loaded (on first use).

    Notes
    -----
    On a CPU, results are the same to the bit for the same arguments, generator state and number of threads; attention's
    backward pass on CUDA promises no such thing. Representations:
    ``cls`` (the last layer's first token, the paper's Φ, in which distances are measured), ``penultimate`` or
    ``pooler`` (what the last linear layer reads, the Φ of the paper's code), ``mean-output`` and ``mean-embedding``
    (padding left out).

    Examples
    --------
    >>> texts = Texts(("a lovely film", "a dreadful film", "lovely acting", "dreadful acting"))
    >>> classifier = FinetunedClassifier(min_steps=12, device="cpu")
    >>> classifier.fit(texts, np.array([1, 0, 1, 0]), n_classes=2, rng=np.random.default_rng(0))
    >>> seen = classifier.infer(
    ...     Texts(("lovely music", "dreadful music")), {Signal.LOG_PROBS}, rng=np.random.default_rng(0)
    ... )
    >>> seen.log_probs.argmax(axis=1), classifier.report.steps
    (array([1, 0]), 12)
    """

    def __init__(
        self,
        *,
        model: str = EMBEDDED,
        preset: Literal["small", "paper"] = "small",
        max_length: int = 128,
        epochs: int | None = None,
        min_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        warmup: float | None = None,
        weight_decay: float | None = None,
        max_gradient_norm: float | None = None,
        evaluations_per_epoch: int | None = None,
        stop_loss: float | None = None,
        freeze_embeddings: bool | None = None,
        class_weight: ClassWeight = "none",
        warm_start: bool = False,
        retries: int = 2,
        mc_samples: int = 10,
        tokens_per_batch: int | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        cache_dir: str | Path | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise UnknownName.among("preset", preset, PRESETS)
        if class_weight not in ("none", "balanced"):
            raise InvalidInput(f"class_weight {class_weight!r} is neither 'none' nor 'balanced'")
        if retries < 0 or mc_samples < 1:
            raise InvalidInput(f"retries is {retries} and mc_samples {mc_samples}; take at least 0 and 1")
        given: dict[str, Any] = {
            "epochs": epochs,
            "min_steps": min_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "warmup": warmup,
            "weight_decay": weight_decay,
            "max_gradient_norm": max_gradient_norm,
            "evaluations_per_epoch": evaluations_per_epoch,
            "stop_loss": stop_loss,
            "freeze_embeddings": freeze_embeddings,
        }
        self._recipe = replace(PRESETS[preset], **{name: value for name, value in given.items() if value is not None})
        self._name = model
        self._reading = Reading(max_length, precision, tokens_per_batch)
        self._balanced = class_weight == "balanced"
        self._warm_start = warm_start
        self._retries = retries
        self._mc_samples = mc_samples
        self._device_name = device
        self._vectors = FrozenVectors(model, Reading(max_length, precision), device=device, cache_dir=cache_dir)
        self._validation: _Labeled | None = None
        self._trained: SequenceModel | None = None
        self._labels_seen = 0
        self._report: FitReport | None = None

    @property
    def representations(self) -> tuple[str, ...]:
        """``penultimate``, ``pooler``, ``cls``, ``mean-output``, ``mean-embedding``: all adapt to the labels."""
        return _ABILITY.representations

    @property
    def gives(self) -> frozenset[Signal]:
        """The signals ``infer`` can give."""
        return _ABILITY.signals

    @property
    def encoding(self) -> str:
        """The paper's Φ: the last layer's state of [CLS]."""
        return CLS

    @property
    def recipe(self) -> FinetuneRecipe:
        """How it is trained."""
        return self._recipe

    @property
    def report(self) -> FitReport | None:
        """How the latest training went; None before it."""
        return self._report

    @property
    def warm_start(self) -> bool:
        """Whether the next ``fit`` goes on from the last one's weights."""
        return self._warm_start

    def restart(self) -> None:
        """Forget all training: the next ``fit`` begins at the pretrained weights."""
        self._trained = None
        self._report = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def validate_on(self, texts: Texts, labels: npt.NDArray[np.int64]) -> None:
        """Keep, in every later ``fit``, the weights with the lowest loss on these texts.

        Raises
        ------
        InvalidArray
            Lengths differ.
        """
        self._validation = _Labeled(texts, labels) if len(texts) else None

    def prepare(self, texts: Texts) -> None:
        """Find the model, so that what cannot be had is refused before any training; no work is label-free here.

        Raises
        ------
        ModelUnavailable
            The model cannot be found.
        """
        find_model(self._name)

    def fit(self, texts: Texts, labels: npt.NDArray[np.int64], *, n_classes: int, rng: np.random.Generator) -> None:
        """Train on labelled texts; begin again, and say so in ``report``, where the model gives one class to all.

        Raises
        ------
        InvalidArray
            No texts, lengths that differ, or a label outside 0..n_classes-1.
        InvalidInput
            ``max_length`` exceeds what the model can read.
        ModelUnavailable
            The model cannot be found or loaded.
        """
        train = _Labeled(texts, checked_labels(texts, labels, n_classes))
        validation = self._validation
        if validation is not None:
            validation = _Labeled(validation.texts, checked_labels(validation.texts, validation.labels, n_classes))
        kept: _Attempt | None = None
        start = self._trained if self._warm_start else None
        if start is None:
            self.restart()  # the last model's memory is free before the next one takes any
        for attempt in range(1, 2 + self._retries):
            begun, start = start, None  # what has collapsed is no place to go on from
            ended = self._attempt(begun, train, validation, n_classes, rng)
            if kept is None or not ended.report.collapsed or _loss(ended) < _loss(kept):
                kept = ended
            self._trained, self._report = kept.sequence, replace(kept.report, attempts=attempt)
            if not ended.report.collapsed:
                break
        self._labels_seen = len(texts)

    def infer(
        self,
        texts: Texts,
        needs: AbstractSet[Signal],
        *,
        representations: Sequence[str] = (PENULTIMATE,),
        rng: np.random.Generator,
    ) -> Inference:
        """Give logits and every representation asked for from one pass; Monte Carlo samples take one more each.

        Raises
        ------
        UnknownName
            A representation this classifier does not have.
        InvalidInput
            Called before ``fit``, or a signal this classifier cannot give.
        """
        trained = self._fitted("infer")
        _ABILITY.check(needs, representations)
        tokens = tokenize(trained.encoder, texts, self._reading.max_length)
        asked = representations if Signal.FEATURES in needs else ()
        spoken = self._read(trained, tokens, asked)
        samples: npt.NDArray[np.float32] | None = None
        if Signal.MC_LOG_PROBS in needs:
            samples = np.empty((self._mc_samples, *spoken.logits.shape), dtype=np.float32)
            with isolated_torch_seed(int(rng.integers(2**63))):
                trained.model.train()
                for sample in samples:
                    sample[:] = self._read(trained, tokens, ()).logits.log_softmax(dim=1).numpy()
                trained.model.train(False)
        return Inference(
            logits=spoken.logits.numpy(),
            log_probs=spoken.logits.double().log_softmax(dim=1).numpy(),
            mc_log_probs=samples,
            representations={name: vectors.numpy() for name, vectors in spoken.representations.items()},
        )

    def label_free(self, texts: Texts) -> npt.NDArray[np.float32]:
        """Give the pretrained encoder's mean over each text's tokens, scaled to norm 1, shape (n, d), kept on disk.

        Raises
        ------
        ModelUnavailable
            The encoder cannot be found or loaded.
        """
        return self._vectors.units(texts, Pooling.MEAN)

    def save(self, directory: str | Path, label_names: Sequence[str], *, remark: str = "") -> Path:
        """Write the trained model as a Hugging Face folder: safetensors, tokenizer, label names and a model card.

        ``transformers.pipeline("text-classification", folder)`` loads it. The folder appears whole or not at all.

        Parameters
        ----------
        directory
            A folder that does not exist, or is empty.
        label_names
            The C class names, in the order of their ids.
        remark
            A paragraph for the model card: where the labels came from.

        Raises
        ------
        InvalidInput
            Called before ``fit``, the names do not fit the classes, or the folder holds something.
        NearmissError
            The folder cannot be written.
        """
        trained = self._fitted("save")
        facts = {
            "base model": self._name,
            "labelled texts": str(self._labels_seen),
            "validation texts": str(len(self._validation.texts) if self._validation else 0),
            "texts cut after": f"{self._reading.max_length} tokens",
            "recipe": str(self._recipe),
            "training": str(self._report),
        }
        return save_classifier(trained, Path(directory), label_names, facts, remark, self._reading.max_length)

    @cached_property
    def _device(self) -> torch.device:
        return resolve_device(self._device_name)

    @property
    def _half(self) -> bool:
        return resolve_precision(self._reading.precision, self._device) == "bfloat16"

    def _fitted(self, what: str) -> SequenceModel:
        if self._trained is None:
            raise InvalidInput(f"{what} was called before fit; fit the classifier on labelled texts first")
        return self._trained

    def _read(self, trained: SequenceModel, tokens: Tokens, representations: Sequence[str]) -> Spoken:
        return read(trained, tokens, representations, half=self._half, tokens_per_batch=self._reading.tokens_per_batch)

    def _attempt(
        self,
        begun: SequenceModel | None,
        labeled: _Labeled,
        validation: _Labeled | None,
        n_classes: int,
        rng: np.random.Generator,
    ) -> _Attempt:
        head_seed, dropout_seed = (int(seed) for seed in rng.integers(2**63, size=2))
        if begun is None or begun.head.out_features != n_classes:
            begun = load_sequence_model(self._name, n_classes, self._device, head_seed)
        begun.model.requires_grad_(True)
        train = self._examples(begun, labeled)
        with isolated_torch_seed(dropout_seed):
            trained = finetune(
                begun,
                train,
                self._recipe,
                rng,
                validation=None if validation is None else self._examples(begun, validation),
                class_weights=balanced_weights(train.labels, n_classes) if self._balanced else None,
                half=self._half,
            )
        collapsed = len(np.unique(labeled.labels)) > 1 and _one_class(self._read(begun, train.tokens, ()).logits)
        report = FitReport(
            steps=trained.steps,
            collapsed=collapsed,
            train_loss=trained.train_loss,
            validation_loss=trained.validation_loss,
        )
        return _Attempt(begun, report)

    def _examples(self, sequence: SequenceModel, labeled: _Labeled) -> Examples:
        tokens = tokenize(sequence.encoder, labeled.texts, self._reading.max_length)
        return Examples(tokens, torch.from_numpy(labeled.labels).to(self._device))


def _loss(attempt: _Attempt) -> float:
    """Give the training loss; one that ran off into NaN is the worst there can be."""
    return float(np.nan_to_num(attempt.report.train_loss, nan=np.inf))


def _one_class(logits: Tensor) -> bool:
    return len(np.unique(logits.argmax(dim=1).numpy())) == 1
