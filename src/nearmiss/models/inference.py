"""Read texts with a pretrained encoder: batches of like length, one pass, results in the order of the input.

Texts share a batch only when they have the same length in tokens (CPU) or the same length rounded up to a multiple of
32 (CUDA, where small batches are dear). So nothing is padded on a CPU, and a text's company hardly touches its states:
not at all in native bfloat16 as far as we have seen, and by float32's last digit where the products of a small batch
are summed in another order. Padding would change the third digit in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nearmiss.arrays.coarse import multiplies_bfloat16
from nearmiss.errors import InvalidInput
from nearmiss.models.encoder import Encoder
from nearmiss.models.lower_layers import LowerLayers, products_in_bfloat16
from nearmiss.models.openvino import ConvertedLayers
from nearmiss.models.tokens import Tokens, tokenize
from nearmiss.models.top_layers import PaddedStates, Readout, is_supported, take_top_layers
from nearmiss.text.corpus import Texts

__all__ = [
    "Backend",
    "Pooling",
    "Precision",
    "Reading",
    "StateBatch",
    "TokenStates",
    "batches",
    "batches_on",
    "hidden_states",
    "mean_over_tokens",
    "model_inputs",
    "pooled",
    "resolve_precision",
    "states_at",
    "token_states",
]

Precision = Literal["auto", "float32", "bfloat16"]
Backend = Literal["torch", "openvino"]
_Resolved = Literal["float32", "bfloat16"]

#: Lengths are rounded up to a multiple of this before texts are grouped; 1 means no padding at all.
GRANULARITY = {"cpu": 1, "cuda": 32}

#: Tokens of one batch unless the caller says otherwise: a core's caches hold few, and an accelerator needs many.
TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 32_768}


class Pooling(StrEnum):
    """How the states of a text's tokens become one vector; padding never takes part."""

    MEAN = "mean"  #: mean of the last layer's states, [CLS] and [SEP] included, as sentence-transformers takes it
    CLS = "cls"  #: the last layer's state of the first token
    EMBEDDING = "mean-embedding"  #: mean of the input embedding layer (the paper's "mean embedding", §5)


#: Part of every cache key, by what is kept of a pass; raised whenever the same settings come to mean other numbers.
_NUMERICS = {f"pooled {Pooling.CLS}": "2"}


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
        Upper limit of tokens in one batch; changes the speed, not the result. None is 32,768 on a CUDA device, else
        2,048.
    backend
        ``"torch"``; or ``"openvino"``: faster on CPUs, the same to rounding, and an extra of its own to install.

    Raises
    ------
    InvalidInput
        A length, budget, precision or backend that cannot be.
    """

    max_length: int = 128
    precision: Precision = "auto"
    tokens_per_batch: int | None = None
    backend: Backend = "torch"

    def __post_init__(self) -> None:
        if self.max_length < 8:
            raise InvalidInput(f"max_length is {self.max_length} tokens; it must be at least 8")
        if self.tokens_per_batch is not None and self.tokens_per_batch < 1:
            raise InvalidInput(f"tokens_per_batch is {self.tokens_per_batch}; it must be at least 1")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InvalidInput(f"precision {self.precision!r} is none of 'auto', 'float32', 'bfloat16'")
        if self.backend not in ("torch", "openvino"):
            raise InvalidInput(f"backend {self.backend!r} is neither 'torch' nor 'openvino'")

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
        numerics = _NUMERICS.get(kind, "1")
        parts = [numerics, encoder_fingerprint, device.type, precision, str(self.max_length), kind]
        if self.backend != "torch":  # a key of torch's is what it was before there was a choice
            parts.append(self.backend)
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


def resolve_precision(precision: Precision, device: torch.device) -> _Resolved:
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
    return "bfloat16" if device.type == "cpu" and multiplies_bfloat16() else "float32"


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


def batches_on(
    device: torch.device, lengths: npt.NDArray[np.int64], tokens_per_batch: int | None = None
) -> list[npt.NDArray[np.int64]]:
    """Group texts as `batches` does, of a size that suits the device unless one is given.

    Examples
    --------
    >>> len(batches_on(torch.device("cpu"), np.full(100, 128)))
    7
    """
    budget = tokens_per_batch or TOKENS_PER_BATCH.get(device.type, 2048)
    return batches(lengths, budget, GRANULARITY.get(device.type, 32))


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
    states_of = _reader(encoder, depth, reading)
    for positions in batches_on(encoder.device, tokens.lengths, reading.tokens_per_batch):
        inputs = model_inputs(encoder, tokens, positions)
        yield StateBatch(positions, states_of(inputs), inputs["attention_mask"].bool())


def _reader(encoder: Encoder, depth: int, reading: Reading) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Give what turns a batch's inputs into its states after a layer."""
    precision = resolve_precision(reading.precision, encoder.device)
    if reading.backend == "openvino":
        return ConvertedLayers(encoder, depth, precision)
    layers = _in_precision(LowerLayers(encoder.model, depth), precision)

    def read(inputs: Mapping[str, Tensor]) -> Tensor:
        with _arithmetic(encoder.device, precision):
            states: Tensor = layers(**inputs)
        return states

    return read


def _in_precision(module: nn.Module, precision: _Resolved) -> nn.Module:
    return products_in_bfloat16(module) if precision == "bfloat16" else module


@contextmanager
def _arithmetic(device: torch.device, precision: _Resolved) -> Iterator[None]:
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        yield


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
    """Give one vector per text for each pooling asked for, each from a pass of its own.

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
    for pooling, vectors in found.items():
        pooler = _pooler(encoder, reading, pooling)
        for batch in hidden_states(encoder, tokens, reading, layer=pooler.layer):
            vectors[batch.positions] = pooler.pool(batch).float().cpu().numpy()
    return found


@dataclass(frozen=True, slots=True)
class _Pooler:
    layer: int | None
    pool: Callable[[StateBatch], Tensor]


def _pooler(encoder: Encoder, reading: Reading, pooling: Pooling) -> _Pooler:
    """Decide whose states are read, and how they become one vector per text."""
    if pooling != Pooling.CLS:
        return _Pooler(0 if pooling == Pooling.EMBEDDING else None, lambda b: mean_over_tokens(b.states, b.mask))
    if not is_supported(encoder.model):
        return _Pooler(None, lambda b: b.states[:, 0])
    # Nobody reads the last layer's other tokens: it answers for the first alone, at a fraction of a layer's cost.
    precision = resolve_precision(reading.precision, encoder.device)
    last = _in_precision(take_top_layers(encoder.model, 1, Readout.CLS), precision)

    def first_token(batch: StateBatch) -> Tensor:
        with _arithmetic(encoder.device, precision):
            state: Tensor = last(PaddedStates(batch.states, batch.mask.sum(dim=1)))
        return state

    return _Pooler(encoder.n_layers - 1, first_token)


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
