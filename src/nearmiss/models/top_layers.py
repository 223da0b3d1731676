"""The top layers of a BERT-family encoder, run over cached states of the layer below.

The lower layers are never trained, so their output for a text is computed once and cached; what changes with the
labels is the top. Its last layer need not answer for every token either: a classifier reads one vector per text::

    states of the layer below  ->  [full layers]  ->  last layer, by the read-out  ->  one vector per text

With a single query row q, keys and values are never formed per token: ``q·(W_k h) = (W_kᵀ q)·h`` and
``Σ a_t W_v h_t = W_v Σ a_t h_t``, so a text costs about one token's layer and two passes over its cached states.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import torch
from torch import Tensor, nn

from nearmiss.errors import InvalidInput

__all__ = [
    "Dropout",
    "DropoutFunction",
    "PaddedStates",
    "Readout",
    "TopLayers",
    "TransformerLayer",
    "encoder_layers",
    "is_supported",
    "keep_all",
    "take_top_layers",
]

Part = TypeVar("Part", bound=nn.Module)

#: Post-norm encoders built of the same modules in the same order; others differ in more than the names.
SUPPORTED_ARCHITECTURES = ("bert", "camembert", "electra", "roberta", "xlm-roberta")


class Readout(StrEnum):
    """How the last layer becomes one vector per text."""

    #: One query row, the mean of the layer's input tokens.
    MEAN_QUERY = "mean-query"
    #: One query row, the first token.
    CLS = "cls"
    #: The layer on every token, then the mean over tokens.
    MEAN = "mean"


@dataclass(frozen=True, slots=True, eq=False)
class PaddedStates:
    """Token states of B texts, padded to T tokens.

    Attributes
    ----------
    states
        Shape (B, T, d). What stands beyond a text's length is never read, but must be finite.
    lengths
        Number of tokens of each text, at least one, shape (B,), int64.
    """

    states: Tensor
    lengths: Tensor

    @property
    def token_mask(self) -> Tensor:
        """True where a token stands, shape (B, T)."""
        positions = torch.arange(self.states.shape[1], device=self.states.device)
        return positions < self.lengths[:, None]

    def means(self) -> Tensor:
        """Average each text's states over its tokens, shape (B, d).

        Examples
        --------
        >>> states = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [9.0, 9.0]]])
        >>> PaddedStates(states, torch.tensor([2, 1])).means()
        tensor([[2., 3.],
                [5., 6.]])
        """
        weights = self.token_mask.to(self.states.dtype) / self.lengths[:, None]
        return torch.bmm(weights[:, None], self.states)[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Dropout:
    """Inverted dropout whose masks come from a generator, so that no global random state is read or moved.

    Attributes
    ----------
    rate
        Probability of setting an element to zero, in [0, 1).
    generator
        Source of the masks, on the device of the tensors.
    """

    rate: float
    generator: torch.Generator

    def __call__(self, values: Tensor) -> Tensor:
        """Zero a random share of the values and scale the rest up."""
        if self.rate == 0:
            return values
        keep = 1 - self.rate
        # Three times as fast as bernoulli_ with a generator, on a CPU.
        mask = torch.empty_like(values, requires_grad=False).uniform_(generator=self.generator).lt_(keep)
        return values * mask.div_(keep)


def keep_all(values: Tensor) -> Tensor:
    """Drop nothing: the dropout of plain inference."""
    return values


DropoutFunction = Callable[[Tensor], Tensor]


class TransformerLayer(nn.Module):
    """One post-norm transformer layer, with the weights of the Hugging Face layer it was copied from.

    Parameters
    ----------
    layer
        A ``BertLayer`` or one of its twins.
    heads
        Number of attention heads.

    Raises
    ------
    InvalidInput
        The layer is built of other parts.
    """

    def __init__(self, layer: nn.Module, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = _copied_part(layer, "attention.self.query", nn.Linear)
        self.key = _copied_part(layer, "attention.self.key", nn.Linear)
        self.value = _copied_part(layer, "attention.self.value", nn.Linear)
        self.mix = _copied_part(layer, "attention.output.dense", nn.Linear)
        self.mix_norm = _copied_part(layer, "attention.output.LayerNorm", nn.LayerNorm)
        self.expand = _copied_part(layer, "intermediate.dense", nn.Linear)
        self.contract = _copied_part(layer, "output.dense", nn.Linear)
        self.contract_norm = _copied_part(layer, "output.LayerNorm", nn.LayerNorm)
        self.activation: Callable[[Tensor], Tensor] = getattr(
            layer.get_submodule("intermediate"), "intermediate_act_fn", nn.functional.gelu
        )

    @property
    def head_width(self) -> int:
        """Dimensions of one attention head."""
        return self.query.out_features // self.heads

    def forward(self, batch: PaddedStates, dropout: DropoutFunction = keep_all) -> Tensor:
        """Run the layer on every token: what the Hugging Face layer computes, shape (B, T, d)."""
        count, tokens, _ = batch.states.shape
        query, key, value = (
            linear(batch.states).view(count, tokens, self.heads, self.head_width).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.transpose(2, 3)) * self.head_width**-0.5
        weights = dropout(_masked_softmax(scores, batch.token_mask[:, None, None]))
        attended = torch.matmul(weights, value).transpose(1, 2).reshape(count, tokens, -1)
        return self._after_attention(attended, batch.states, dropout)

    def forward_query(self, query_states: Tensor, batch: PaddedStates, dropout: DropoutFunction = keep_all) -> Tensor:
        """Run the layer for one query row per text, which attends to all of the text's tokens.

        Parameters
        ----------
        query_states
            The row of each text, shape (B, d): query, and input of the residual connection.
        batch
            The states attended to.
        dropout
            Applied where the Hugging Face layer applies it in training.

        Returns
        -------
        Tensor
            Shape (B, d). For a row that is one of the text's tokens, equal to that row of ``forward``.
        """
        count = len(query_states)
        # Head-major throughout: (heads, B, ·) times (heads, ·, ·) is one batched product with no copy of the weights.
        query = self.query(query_states).view(count, self.heads, self.head_width).transpose(0, 1)
        key_weights = self.key.weight.view(self.heads, self.head_width, -1)
        projected = torch.bmm(query, key_weights).transpose(0, 1) * self.head_width**-0.5
        # The key bias would add one constant per head to all scores, which the softmax cancels.
        scores = torch.bmm(projected, batch.states.transpose(1, 2))
        weights = dropout(_masked_softmax(scores, batch.token_mask[:, None]))
        context = torch.bmm(weights, batch.states).transpose(0, 1)
        value_weights = self.value.weight.view(self.heads, self.head_width, -1)
        attended = torch.bmm(context, value_weights.transpose(1, 2)).transpose(0, 1)
        # The value bias is weighted as the values are; the weights sum to one unless some were dropped.
        attended = attended + weights.sum(dim=2, keepdim=True) * self.value.bias.view(self.heads, self.head_width)
        return self._after_attention(attended.reshape(count, -1), query_states, dropout)

    def _after_attention(self, attended: Tensor, residual: Tensor, dropout: DropoutFunction) -> Tensor:
        mixed: Tensor = self.mix_norm(dropout(self.mix(attended)) + residual)
        expanded = self.activation(self.expand(mixed))
        output: Tensor = self.contract_norm(dropout(self.contract(expanded)) + mixed)
        return output


class TopLayers(nn.Module):
    """The last layers of an encoder and a read-out: padded token states in, one vector per text out.

    Parameters
    ----------
    layers
        From the lowest to the last.
    readout
        How the last layer becomes one vector per text.
    """

    def __init__(self, layers: list[TransformerLayer], readout: Readout) -> None:
        super().__init__()
        self.lower = nn.ModuleList(layers[:-1])
        self.last = layers[-1]
        self.readout = readout

    @property
    def width(self) -> int:
        """Dimensions of the vector given per text, d."""
        return self.last.contract.out_features

    def forward(self, batch: PaddedStates, dropout: DropoutFunction = keep_all) -> Tensor:
        """Give one vector per text, shape (B, d)."""
        for layer in self.lower:
            batch = PaddedStates(layer(batch, dropout), batch.lengths)
        match self.readout:
            case Readout.MEAN_QUERY:
                return self.last.forward_query(batch.means(), batch, dropout)
            case Readout.CLS:
                return self.last.forward_query(batch.states[:, 0], batch, dropout)
            case Readout.MEAN:
                return PaddedStates(self.last(batch, dropout), batch.lengths).means()

    def mean_output(self, batch: PaddedStates) -> Tensor:
        """Run every layer on every token and give the mean over a text's tokens, shape (B, d), whatever the read-out.

        For the read-out ``mean`` that is what ``forward`` gives.
        """
        for layer in (*self.lower, self.last):
            batch = PaddedStates(layer(batch), batch.lengths)
        return batch.means()


def take_top_layers(model: nn.Module, count: int, readout: Readout) -> TopLayers:
    """Copy the top layers out of an encoder; the encoder keeps its own.

    Parameters
    ----------
    model
        A Hugging Face encoder of the BERT family (bert, roberta, xlm-roberta, electra, camembert).
    count
        How many layers, from 1 to the number the encoder has.
    readout
        How the last layer becomes one vector per text.

    Raises
    ------
    InvalidInput
        The encoder is of another family, or has fewer layers.

    Examples
    --------
    >>> from transformers import BertConfig, BertModel
    >>> config = BertConfig(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    >>> top = take_top_layers(BertModel(config), 1, Readout.CLS)
    >>> top(PaddedStates(torch.ones(3, 5, 8), torch.tensor([5, 2, 1]))).shape
    torch.Size([3, 8])
    """
    layers = encoder_layers(model)
    if not 1 <= count <= len(layers):
        raise InvalidInput(f"asked to tune {count} layers of an encoder that has {len(layers)}; choose 1 or 2")
    heads: int = getattr(getattr(model, "config", None), "num_attention_heads", 1)
    return TopLayers([TransformerLayer(layer, heads) for layer in layers[-count:]], readout)


def encoder_layers(model: nn.Module) -> list[nn.Module]:
    """List an encoder's layers, the lowest first.

    Raises
    ------
    InvalidInput
        The encoder is not of the BERT family.
    """
    if not is_supported(model):
        raise InvalidInput(
            f"cannot tune the top layers of a {_family(model)!r} model, only of {', '.join(SUPPORTED_ARCHITECTURES)}; "
            "use the frozen classifier, which takes any encoder"
        )
    return list(model.get_submodule("encoder.layer").children())


def is_supported(model: nn.Module) -> bool:
    """Say whether this is an encoder whose layers ``TransformerLayer`` can stand for.

    Examples
    --------
    >>> from transformers import BertConfig, BertModel
    >>> is_supported(BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2)))
    True
    """
    return _family(model) in SUPPORTED_ARCHITECTURES and not getattr(model.config, "is_decoder", False)


def _family(model: nn.Module) -> str:
    return str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))


def _copied_part(layer: nn.Module, path: str, kind: type[Part]) -> Part:
    try:
        part = layer.get_submodule(path)
    except AttributeError:
        part = None
    if not isinstance(part, kind):
        raise InvalidInput(
            f"the encoder's layers have no {kind.__name__} at {path!r}, so they cannot be tuned; "
            "use the frozen classifier, which takes any encoder"
        )
    return copy.deepcopy(part).requires_grad_(True)


def _masked_softmax(scores: Tensor, token_mask: Tensor) -> Tensor:
    return torch.softmax(scores.masked_fill(~token_mask, float("-inf")), dim=-1)
