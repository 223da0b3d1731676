"""The batches of masked-LM training, each addressed by its step: any of them can be made without those before it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nearmiss.models.encoder import Encoder
from nearmiss.models.inference import model_inputs
from nearmiss.models.mlm_head import drawn_places, masked
from nearmiss.models.tokens import Tokens

__all__ = [
    "MaskedBatch",
    "MaskedBatches",
    "Purpose",
    "evaluation_batches",
    "like_length_batches",
    "stream",
    "summed_loss",
]


class Purpose(IntEnum):
    """What a random draw is for: part of its address."""

    HELD_OUT = 0
    HEAD = 1
    ORDER = 2
    MASK = 3
    DROPOUT = 4
    EVALUATION = 5


@dataclass(frozen=True, slots=True, eq=False)
class MaskedBatch:
    """A few texts with some tokens hidden, on the encoder's device.

    Attributes
    ----------
    inputs
        What the transformer takes, padded, each of shape (b, t).
    chosen
        Which tokens are to be predicted, shape (b, t).
    targets
        What stood there, shape (k,), in the order of ``chosen`` read row by row.
    """

    inputs: dict[str, Tensor]
    chosen: Tensor
    targets: Tensor


class MaskedBatches:
    """The masked batches of endlessly many epochs over some texts, in a seeded order, with new masks every time.

    Parameters
    ----------
    encoder
        Its tokenizer knows [MASK]; the batches lie on its device.
    tokens
        The texts.
    tokens_per_batch
        Upper limit of a batch's tokens, padding included; a longer text travels alone.
    mask_fraction
        Share of each text's own tokens to predict, at least one; of these 80 % are masked, 10 % replaced, 10 % kept.
    seed
        With the step, decides everything about a batch.
    """

    def __init__(
        self, encoder: Encoder, tokens: Tokens, *, tokens_per_batch: int, mask_fraction: float, seed: int
    ) -> None:
        self._encoder = encoder
        self._tokens = tokens
        self._tokens_per_batch = tokens_per_batch
        self._mask_fraction = mask_fraction
        self._seed = seed
        self._epoch = 0
        self._order = self._shuffled(0)

    @property
    def per_epoch(self) -> int:
        """Number of batches in which every text occurs once; the same in every epoch."""
        return len(self._order)

    def batch(self, step: int) -> MaskedBatch:
        """Give the batch of a step, counted from 0."""
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        positions = self._order[place]
        return _masked_batch(
            self._encoder, self._tokens, positions, self._mask_fraction, stream(self._seed, Purpose.MASK, step)
        )

    def _shuffled(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        rng = stream(self._seed, Purpose.ORDER, epoch)
        found = like_length_batches(self._tokens.lengths, self._tokens_per_batch, rng)
        return [found[int(i)] for i in rng.permutation(len(found))]


def stream(seed: int, purpose: Purpose, *address: int) -> np.random.Generator:
    """Give the generator of one draw; no draw depends on how many were made before it.

    Examples
    --------
    >>> int(stream(7, Purpose.MASK, 3).integers(100)) == int(stream(7, Purpose.MASK, 3).integers(100))
    True
    """
    return np.random.default_rng([seed, purpose, *address])


def like_length_batches(
    lengths: npt.NDArray[np.int64], tokens_per_batch: int, rng: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Group texts of like length, shortest first, each group as full as the budget allows; equals in random order.

    How many groups there are follows from the lengths alone.

    Parameters
    ----------
    lengths
        Tokens of each text, shape (n,).
    tokens_per_batch
        Upper limit of a group's tokens when padded to its longest; a longer text travels alone.

    Returns
    -------
    Positions of the texts of each group; together every text once.

    Examples
    --------
    >>> groups = like_length_batches(np.array([3, 9, 2, 4]), 8, np.random.default_rng(0))
    >>> [group.tolist() for group in groups]
    [[2, 0], [3], [1]]
    """
    order = rng.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    cuts, start = [], 0
    for place, length in enumerate(lengths[order].tolist()):
        if place > start and (place - start + 1) * length > tokens_per_batch:
            cuts.append(place)
            start = place
    return [group for group in np.split(order, cuts) if len(group)]


def summed_loss(model: nn.Module, head: nn.Module, batch: MaskedBatch, *, half: bool) -> Tensor:
    """Sum the cross-entropy over the tokens to be predicted, in nats; only these meet the vocabulary.

    Parameters
    ----------
    model
        The transformer without its head.
    head
        Maps states (k, d) to logits over the vocabulary (k, V).
    half
        Compute in bfloat16 where torch knows it to be safe.
    """
    with torch.autocast(batch.chosen.device.type, torch.bfloat16, enabled=half):
        states = model(**batch.inputs).last_hidden_state
        logits = head(states[batch.chosen])
    return cross_entropy(logits.float(), batch.targets, reduction="sum")


def evaluation_batches(
    encoder: Encoder, tokens: Tokens, *, tokens_per_batch: int, mask_fraction: float, passes: int, seed: int
) -> list[MaskedBatch]:
    """Mask held-out texts several times over, always in the same way, so that losses compare."""
    return [
        _masked_batch(encoder, tokens, positions, mask_fraction, rng)
        for rng in (stream(seed, Purpose.EVALUATION, each) for each in range(passes))
        for positions in like_length_batches(tokens.lengths, tokens_per_batch, rng)
    ]


def _masked_batch(
    encoder: Encoder,
    tokens: Tokens,
    positions: npt.NDArray[np.int64],
    mask_fraction: float,
    rng: np.random.Generator,
) -> MaskedBatch:
    batch = tokens.take(positions)
    predicted = np.zeros(len(batch.ids), dtype=np.bool_)
    for text in range(len(batch)):
        predicted[drawn_places(batch, text, mask_fraction, rng)] = True
    inputs = model_inputs(encoder, masked(encoder, batch, predicted, rng), np.arange(len(batch)))
    # The flat order of the tokens is that of the padded matrix read row by row.
    chosen = np.zeros((len(batch), int(batch.lengths.max())), dtype=np.bool_)
    chosen[np.arange(chosen.shape[1]) < batch.lengths[:, None]] = predicted
    targets = torch.from_numpy(batch.ids[predicted].astype(np.int64))
    return MaskedBatch(inputs, torch.from_numpy(chosen).to(encoder.device), targets.to(encoder.device))
