"""A transformer with a classification head: loading one, and reading everything it says in one pass."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nearmiss.errors import ModelUnavailable, UnknownName
from nearmiss.models.base import PENULTIMATE
from nearmiss.models.encoder import EMBEDDED, Encoder, ModelFiles, damage_named, find_model, load_quietly
from nearmiss.models.inference import Pooling, batches_on, mean_over_tokens, model_inputs
from nearmiss.models.lower_layers import products_in_bfloat16
from nearmiss.models.tokens import Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["CLS", "REPRESENTATIONS", "SequenceModel", "Spoken", "load_sequence_model", "read"]

#: The last layer's state of the first token: the paper's Φ.
CLS = str(Pooling.CLS)
#: What the last linear layer reads; in BERT that is the pooler's output, the Φ of the paper's published code.
POOLER = "pooler"
#: Mean of the last layer's states over the text's tokens.
MEAN_OUTPUT = "mean-output"
#: Mean of the embedding layer's output over the text's tokens.
MEAN_EMBEDDING = str(Pooling.EMBEDDING)
REPRESENTATIONS = (PENULTIMATE, POOLER, CLS, MEAN_OUTPUT, MEAN_EMBEDDING)
_FROM_STATES = frozenset({CLS, MEAN_OUTPUT, MEAN_EMBEDDING})


@dataclass(frozen=True, slots=True, eq=False)
class SequenceModel:
    """A model that classifies texts.

    Attributes
    ----------
    model
        Takes ids, gives ``logits``.
    encoder
        Its body, with the tokenizer and the device.
    head
        Its last linear layer.
    """

    model: PreTrainedModel
    encoder: Encoder
    head: nn.Linear


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What the model said of n texts, on the host.

    Attributes
    ----------
    logits
        Shape (n, C), float32.
    representations
        By name, each (n, d), float32.
    """

    logits: Tensor
    representations: Mapping[str, Tensor]


def load_sequence_model(name: str, n_classes: int, device: torch.device, seed: int = 0) -> SequenceModel:
    """Load pretrained weights under a classification head, which is drawn at random where the checkpoint has none.

    Parameters
    ----------
    name
        ``"minilm"``, a local folder, or a Hugging Face name.
    n_classes
        C.
    seed
        Decides what is drawn.

    Raises
    ------
    ModelUnavailable
        The model cannot be found or read, lacks weights, or is no encoder that transformers can put a head on.
    MissingExtra
        transformers is not installed.

    Examples
    --------
    >>> load_sequence_model("minilm", 3, torch.device("cpu")).head.out_features
    3
    """
    files = find_model(name)
    tokenizer = _tokenizer(files)
    from transformers import AutoModelForSequenceClassification

    with load_quietly(seed), damage_named(files):
        model, report = AutoModelForSequenceClassification.from_pretrained(
            files.directory,
            num_labels=n_classes,
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
        )
    body = f"{model.base_model_prefix}."
    absent = sorted(key for key in report["missing_keys"] if key.startswith(body) and ".pooler." not in key)
    if absent:
        raise ModelUnavailable(
            f"{name}: the weights in {files.directory} lack {len(absent)} tensors ({', '.join(absent[:3])}); "
            "fetch the checkpoint again"
        )
    encoder = Encoder(name, model.base_model, tokenizer, files.fingerprint, device)
    return SequenceModel(model.to(device).train(False), encoder, _last_linear(model, n_classes, name))


@torch.no_grad()
def read(
    sequence: SequenceModel,
    tokens: Tokens,
    representations: Collection[str] = (),
    *,
    half: bool = False,
    tokens_per_batch: int | None = None,
) -> Spoken:
    """Give logits and every representation asked for from one pass, in the order of the texts.

    Batches hold texts of like length, and only one batch of states is in memory. Padding takes no part in any mean.

    Parameters
    ----------
    representations
        Of ``REPRESENTATIONS``.
    half
        Whether matrix products run in bfloat16.
    tokens_per_batch
        Upper limit of tokens in one batch, as in ``Reading``; changes the speed, and of the result no more than
        rounding.

    Raises
    ------
    UnknownName
        A representation of another name.
    """
    for name in representations:
        if name not in REPRESENTATIONS:
            raise UnknownName.among("representation", name, REPRESENTATIONS)
    device = sequence.encoder.device
    logits = torch.empty(len(tokens), sequence.head.out_features)
    found: dict[str, Tensor] = {}
    needs_states = bool(_FROM_STATES.intersection(representations))
    model = products_in_bfloat16(sequence.model) if half else sequence.model
    for positions in batches_on(device, tokens.lengths, tokens_per_batch):
        inputs = model_inputs(sequence.encoder, tokens, positions)
        with _input_of(sequence.head) as seen, torch.autocast(device.type, torch.bfloat16, enabled=half):
            outputs = model(**inputs, output_hidden_states=needs_states)
        rows = torch.from_numpy(positions)
        logits[rows] = outputs.logits.float().cpu()
        for name in representations:
            if name in (PENULTIMATE, POOLER):
                vectors = seen[-1].float()
            else:
                vectors = _pooled(name, outputs.hidden_states, inputs["attention_mask"])
            if name not in found:
                found[name] = torch.empty(len(tokens), vectors.shape[1])
            found[name][rows] = vectors.cpu()
    width = int(sequence.model.config.hidden_size)
    return Spoken(logits, {name: found.get(name, torch.empty(0, width)) for name in representations})


def _pooled(name: str, states: tuple[Tensor, ...], mask: Tensor) -> Tensor:
    if name == CLS:
        return states[-1][:, 0].float()
    return mean_over_tokens(states[-1] if name == MEAN_OUTPUT else states[0], mask)


@contextmanager
def _input_of(head: nn.Linear) -> Iterator[list[Tensor]]:
    """Collect what the head is handed, or a view of it: views share the table of hooks."""
    seen: list[Tensor] = []

    def collect(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen.append(arguments[0])

    handle = head.register_forward_pre_hook(collect)
    try:
        yield seen
    finally:
        handle.remove()


def _last_linear(model: PreTrainedModel, n_classes: int, name: str) -> nn.Linear:
    """Find the layer that gives the logits; it stands outside the body whatever the architecture calls it."""
    inside = set(model.base_model.modules())
    found = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and module not in inside and module.out_features == n_classes
    ]
    if not found:
        raise ModelUnavailable(
            f"{name} ({model.config.model_type}) has no linear layer over its {n_classes} classes; use a model of the "
            f"BERT family, or {EMBEDDED!r}"
        )
    return found[-1]


@lru_cache(maxsize=4)
def _tokenizer(files: ModelFiles) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with load_quietly(), damage_named(files):
        tokenizer = AutoTokenizer.from_pretrained(files.directory, local_files_only=True)
    if tokenizer.pad_token is None or tokenizer.num_special_tokens_to_add() == 0:
        raise ModelUnavailable(
            f"{files.name} is not an encoder with [CLS] and padding tokens; use a model of the BERT family, or "
            f"{EMBEDDED!r}"
        )
    return tokenizer
