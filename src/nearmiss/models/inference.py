"""Read texts with a pretrained encoder: batches of like length, one pass, results in the order of the input.

Texts share a batch only when they have the same length in tokens (CPU) or the same length rounded up to a multiple of
32 (CUDA, where small batches are dear). So nothing is padded on a CPU, and a text's company hardly touches its states:
not at all in native bfloat16 as far as we have seen, and by float32's last digit where the products of a small batch
are summed in another order. Padding would change the third digit in bfloat16.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearmiss.errors import InvalidInput
from nearmiss.models.encoder import Encoder
from nearmiss.models.tokens import Tokens, tokenize
from nearmiss.text.corpus import Texts

__all__ = [
    "GRANULARITY",
    "Pooling",
    "Precision",
    "Reading",
    "StateBatch",
    "TokenStates",
    "batches",
    "hidden_states",
    "mean_over_tokens",
    "model_inputs",
    "pooled",
    "resolve_precision",
    "states_at",
    "token_states",
]

Precision = Literal["auto", "float32", "bfloat16"]

#: Raised whenever the same settings come to mean other numbers: it is part of every cache key.
_NUMERICS = "1"
#: Lengths are rounded up to a multiple of this before texts are grouped; 1 means no padding at all.
GRANULARITY = {"cpu": 1, "cuda": 32}
#: Where BERT's relatives keep their list of layers. In all of these the states between two layers are what the upper
#: one reads, with no final norm after the last, so a model cut short gives exactly the states at the cut.
_LAYERS = {
    "bert": ("encoder", "layer"),
    "roberta": ("encoder", "layer"),
    "xlm-roberta": ("encoder", "layer"),
    "camembert": ("encoder", "layer"),
    "electra": ("encoder", "layer"),
    "mpnet": ("encoder", "layer"),
    "distilbert": ("transformer", "layer"),
}


class Pooling(StrEnum):
    """How the states of a text's tokens become one vector; padding never takes part."""

    MEAN = "mean"  #: mean of the last layer's states, [CLS] and [SEP] included, as sentence-transformers takes it
    CLS = "cls"  #: the last layer's state of the first token
    EMBEDDING = "mean-embedding"  #: mean of the input embedding layer (the paper's "mean embedding", §5)


@dataclass(frozen=True, slots=True)
class Reading:
    """How an encoder reads texts.

    Attributes
    ----------
    max_length
        Texts are cut after this many tokens, special tokens included; of a pair the longer half loses first.
    precision
        ``"float32"``; ``"bfloat16"`` (autocast); or ``"auto"``: bfloat16 where the processor multiplies it natively.
    tokens_per_batch
        Upper limit of tokens in one batch; changes the speed, not the result.

    Raises
    ------
    InvalidInput
        A length, budget or precision that cannot be.
    """

    max_length: int = 128
    precision: Precision = "auto"
    tokens_per_batch: int = 2048

    def __post_init__(self) -> None:
        if self.max_length < 8:
            raise InvalidInput(f"max_length is {self.max_length} tokens; it must be at least 8")
        if self.tokens_per_batch < 1:
            raise InvalidInput(f"tokens_per_batch is {self.tokens_per_batch}; it must be at least 1")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InvalidInput(f"precision {self.precision!r} is none of 'auto', 'float32', 'bfloat16'")

    def key(self, encoder_fingerprint: str, device: torch.device, kind: str) -> str:
        """Name everything that the results depend on, as one hash: the key of a cache.

        Parameters
        ----------
        encoder_fingerprint
            Of the model that reads; known without loading it (``find_model``).
        device
            Where it reads; ``"auto"`` precision depends on it.
        kind
            What is kept of the pass, such as ``"mean"`` or ``"layer 5"``.
        """
        precision = resolve_precision(self.precision, device)
        parts = (_NUMERICS, encoder_fingerprint, device.type, precision, str(self.max_length), kind)
        return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class StateBatch:
    """States of the tokens of a few texts, on the encoder's device.

    Attributes
    ----------
    positions
        Which texts these are, shape (b,).
    states
        One vector per token, shape (b, t, d), float32 or bfloat16.
    mask
        Which tokens are real, shape (b, t).
    """

    positions: npt.NDArray[np.int64]
    states: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TokenStates:
    """States of single tokens.

    Attributes
    ----------
    places
        Which tokens, as positions in ``Tokens.ids``, shape (k,).
    states
        One vector each, shape (k, d), on the encoder's device.
    """

    places: npt.NDArray[np.int64]
    states: Tensor


def resolve_precision(precision: Precision, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Decide what ``"auto"`` means on this device.

    Examples
    --------
    >>> resolve_precision("float32", torch.device("cpu"))
    'float32'
    """
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # The oldest torch we allow cannot say.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    native = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return "bfloat16" if device.type == "cpu" and native else "float32"


def batches(
    lengths: npt.NDArray[np.int64], tokens_per_batch: int = 2048, granularity: int = 1
) -> list[npt.NDArray[np.int64]]:
    """Group texts of like length, shortest first, within a budget of tokens.

    Parameters
    ----------
    lengths
        Tokens of each text, shape (n,).
    tokens_per_batch
        Upper limit of a batch's size, padding included; a longer text travels alone.
    granularity
        Texts share a batch only when their lengths round up to the same multiple of this.

    Returns
    -------
    Positions of the texts of each batch; together every text once.

    Examples
    --------
    >>> [b.tolist() for b in batches(np.array([3, 9, 3, 3, 4]), tokens_per_batch=8)]
    [[0, 2], [3], [4], [1]]
    """
    rounded = -(-lengths // granularity) * granularity
    order = np.argsort(rounded, kind="stable")
    groups: list[npt.NDArray[np.int64]] = []
    for group in np.split(order, np.flatnonzero(np.diff(rounded[order])) + 1):
        if len(group):
            size = max(1, tokens_per_batch // max(1, int(rounded[group[0]])))
            groups.extend(group[start : start + size] for start in range(0, len(group), size))
    return groups


def hidden_states(
    encoder: Encoder, tokens: Tokens, reading: Reading, *, layer: int | None = None
) -> Iterator[StateBatch]:
    """Stream the states of all tokens after one layer, batch by batch; only one batch is in memory.

    Parameters
    ----------
    layer
        0 is the input embedding layer, L the output of the L-th transformer layer; None is the last. Layers above are
        not computed (for BERT's relatives; other architectures compute all and drop them).

    Raises
    ------
    InvalidInput
        The model has no such layer.
    """
    depth = encoder.n_layers if layer is None else layer
    if not 0 <= depth <= encoder.n_layers:
        raise InvalidInput(f"layer {depth} asked of {encoder.name}, which has layers 0 to {encoder.n_layers}")
    model = _lower_layers(encoder.model, depth)
    autocast = resolve_precision(reading.precision, encoder.device) == "bfloat16"
    granularity = GRANULARITY.get(encoder.device.type, 32)
    for positions in batches(tokens.lengths, reading.tokens_per_batch, granularity):
        inputs = model_inputs(encoder, tokens, positions)
        with torch.no_grad(), torch.autocast(encoder.device.type, torch.bfloat16, enabled=autocast):
            if model is not None:
                states = model(**inputs).last_hidden_state
            else:
                states = encoder.model(**inputs, output_hidden_states=True).hidden_states[depth]
        yield StateBatch(positions, states, inputs["attention_mask"].bool())


def states_at(
    encoder: Encoder, tokens: Tokens, chosen: npt.NDArray[np.bool_], reading: Reading
) -> Iterator[TokenStates]:
    """Stream the last layer's states of some tokens only.

    Parameters
    ----------
    chosen
        Which tokens, shape (T,), counted through all texts.
    """
    for batch in hidden_states(encoder, tokens, reading):
        columns = np.arange(batch.states.shape[1])
        real = columns < tokens.lengths[batch.positions][:, None]
        places = np.where(real, tokens.offsets[batch.positions][:, None] + columns, 0)
        wanted = real & chosen[places]
        yield TokenStates(places[wanted], batch.states[torch.from_numpy(wanted).to(encoder.device)])


def token_states(
    encoder: Encoder, texts: Texts, reading: Reading, *, layer: int | None = None, dtype: torch.dtype = torch.bfloat16
) -> list[Tensor]:
    """Give the states of each text's tokens after one layer, unpadded, in the order of the texts.

    Returns
    -------
    n tensors of shape (t_i, d) on the CPU: what an ``ArrayStore`` takes.

    Examples
    --------
    >>> from nearmiss.models.encoder import load_encoder
    >>> states = token_states(load_encoder("minilm", "cpu"), Texts(("good film", "bad")), Reading(), layer=5)
    >>> [tuple(state.shape) for state in states]
    [(4, 384), (3, 384)]
    """
    tokens = tokenize(encoder, texts, reading.max_length)
    lengths = tokens.lengths
    found: list[Tensor] = [torch.empty(0)] * len(tokens)
    for batch in hidden_states(encoder, tokens, reading, layer=layer):
        states = batch.states.to(device="cpu", dtype=dtype)
        for row, position in enumerate(batch.positions):
            found[position] = states[row, : lengths[position]]
    return found


def pooled(
    encoder: Encoder, texts: Texts, reading: Reading, poolings: Collection[Pooling]
) -> dict[Pooling, npt.NDArray[np.float32]]:
    """Give one vector per text for each pooling asked for; mean and [CLS] come from one pass.

    Returns
    -------
    Arrays of shape (n, d), float32, by pooling.

    Examples
    --------
    >>> from nearmiss.models.encoder import load_encoder
    >>> vectors = pooled(load_encoder("minilm", "cpu"), Texts(("good film", "bad")), Reading(), [Pooling.MEAN])
    >>> vectors[Pooling.MEAN].shape
    (2, 384)
    """
    tokens = tokenize(encoder, texts, reading.max_length)
    found = {pooling: np.empty((len(tokens), encoder.hidden_size), dtype=np.float32) for pooling in poolings}
    for layer, members in ((None, {Pooling.MEAN, Pooling.CLS}), (0, {Pooling.EMBEDDING})):
        asked = [pooling for pooling in found if pooling in members]
        if not asked:
            continue
        for batch in hidden_states(encoder, tokens, reading, layer=layer):
            for pooling in asked:
                found[pooling][batch.positions] = _pool(batch, pooling).cpu().numpy()
    return found


def _pool(batch: StateBatch, pooling: Pooling) -> Tensor:
    if pooling is Pooling.CLS:
        return batch.states[:, 0].float()
    return mean_over_tokens(batch.states, batch.mask)


def mean_over_tokens(states: Tensor, mask: Tensor) -> Tensor:
    """Average states (b, t, d) over each text's real tokens, shape (b, d), float32; padding takes no part.

    Examples
    --------
    >>> mean_over_tokens(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]]))
    tensor([[2.]])
    """
    weights = mask.float().unsqueeze(-1)
    return (states.float() * weights).sum(dim=1) / weights.sum(dim=1)


def model_inputs(encoder: Encoder, tokens: Tokens, positions: npt.NDArray[np.int64]) -> dict[str, Tensor]:
    """Give these texts as a transformer takes them, padded to the longest, on the encoder's device."""
    starts, lengths = tokens.offsets[positions], tokens.lengths[positions]
    columns = np.arange(lengths.max())
    mask = columns < lengths[:, None]
    flat = np.where(mask, starts[:, None] + columns, starts[:, None])
    inputs = {
        "input_ids": np.where(mask, tokens.ids[flat], encoder.tokenizer.pad_token_id),
        "attention_mask": mask,
    }
    if "token_type_ids" in encoder.tokenizer.model_input_names:
        inputs["token_type_ids"] = np.where(mask, tokens.segments[flat], 0)
    return {name: torch.from_numpy(value.astype(np.int64)).to(encoder.device) for name, value in inputs.items()}


def _lower_layers(model: nn.Module, depth: int) -> nn.Module | None:
    """Give a view of the model that ends after ``depth`` layers and shares its weights; None where none can be made."""
    stack, name = _LAYERS.get(str(getattr(model.config, "model_type", "")), ("", ""))
    if not stack:
        return None
    body = model.get_submodule(stack)
    layers = list(body.get_submodule(name).children())
    cut = _sharing(body, {name: nn.ModuleList(layers[:depth])})
    view = _sharing(model, {stack: cut})
    if "pooler" in model._modules:
        view.register_module("pooler", None)
    return view


def _sharing(module: nn.Module, replaced: dict[str, nn.Module]) -> nn.Module:
    view = copy.copy(module)
    # A shallow copy shares the table of children itself: replacing one would change the original too.
    view.__dict__["_modules"] = {**module._modules, **replaced}
    return view
