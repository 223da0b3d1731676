"""Train the top layers of an encoder, and a linear head, on cached states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nearmiss.errors import InvalidInput
from nearmiss.models.schedule import decay_groups, linear_rate
from nearmiss.models.store import RaggedRows
from nearmiss.models.top_layers import Dropout, DropoutFunction, PaddedStates, TopLayers, keep_all

__all__ = ["Outputs", "Recipe", "TunedNetwork", "balanced_weights", "gather", "train"]

#: Texts whose read-out vectors are computed at once for the head's first weights.
_TEXTS_AT_ONCE = 64
_LARGEST_GRADIENT = 1.0
#: Vectors this near to their mean, relative to its squared norm, differ by rounding alone.
_ROUNDING = 1e-8
#: The first head's logits grow with the number of classes: the more there are, the more it takes to stand out.
_FIRST_CONFIDENCE = 2.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the layers and the head are trained.

    Attributes
    ----------
    steps
        Optimiser steps, at least 1.
    batch_size
        Labelled texts a step; all of them where there are fewer.
    learning_rate, head_learning_rate
        Highest rates of the layers and of the head; both rise linearly from 0, then fall linearly to 0.
    weight_decay
        AdamW's, on the layers' matrices alone.
    warmup
        Share of the steps during which the rates rise, in [0, 1].
    dropout
        Probability of dropping, within the layers and before the head, in [0, 1).

    Raises
    ------
    InvalidInput
        A value outside its range.
    """

    steps: int
    batch_size: int
    learning_rate: float
    head_learning_rate: float
    weight_decay: float
    warmup: float
    dropout: float

    def __post_init__(self) -> None:
        for name, lowest in (("steps", 1), ("batch_size", 1)):
            if getattr(self, name) < lowest:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be at least {lowest}")
        for name in ("learning_rate", "head_learning_rate", "weight_decay"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise InvalidInput(f"{name} is {value}; it must be a finite number of at least 0")
        if not 0 <= self.warmup <= 1:
            raise InvalidInput(f"warmup is {self.warmup}; it is a share of the steps, from 0 to 1")
        if not 0 <= self.dropout < 1:
            raise InvalidInput(f"dropout is {self.dropout}; it must be at least 0 and below 1")

    def rate_factor(self, step: int) -> float:
        """Give the share of the highest learning rate at a step, counted from 0.

        Examples
        --------
        >>> recipe = Recipe(10, 32, 2e-4, 1e-3, 0.01, 0.2, 0.1)
        >>> [round(recipe.rate_factor(step), 3) for step in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 0.125]
        """
        return linear_rate(1.0, step, self.steps, self.warmup)


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the network says of B texts.

    Attributes
    ----------
    readout
        The vector the head sees, before dropout, shape (B, d).
    logits
        Shape (B, C).
    """

    readout: Tensor
    logits: Tensor


class TunedNetwork(nn.Module):
    """Top layers and a linear head.

    Parameters
    ----------
    top
        The layers, from their pretrained weights.
    n_classes
        C. The head says nothing (all logits 0) until it is started or trained.
    """

    def __init__(self, top: TopLayers, n_classes: int) -> None:
        super().__init__()
        self.top = top
        # On "meta" nothing is drawn: the usual random start would move the global generator.
        self.head = nn.Linear(top.width, n_classes, device="meta").to_empty(device="cpu")
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: PaddedStates, dropout: DropoutFunction = keep_all) -> Outputs:
        """Read texts out and classify them."""
        readout = self.top(batch, dropout)
        return Outputs(readout, self.head(dropout(readout)))

    @torch.no_grad()
    def start_head(self, rows: RaggedRows, labels: Tensor) -> None:
        """Point each class's weights at the mean of its labelled texts, seen from the mean of all.

        Such a classifier needs no training, so that the layers receive sensible gradients from the first step; it is
        worth about a point of accuracy over a random start. A class without a labelled text keeps weights of 0.
        """
        blocks = [np.arange(s, min(s + _TEXTS_AT_ONCE, len(rows))) for s in range(0, len(rows), _TEXTS_AT_ONCE)]
        vectors = torch.cat([self.top(gather(rows, block, labels.device)) for block in blocks])
        center = vectors.mean(dim=0)
        spread = (vectors - center).square().sum(dim=1).mean()
        if spread <= _ROUNDING * center.square().sum():  # a single text, or copies of one
            return
        classes = np.unique(labels.numpy(force=True)).tolist()
        scale = _FIRST_CONFIDENCE * (1 + np.log(len(classes))) / spread
        for label in classes:
            self.head.weight[label] = (vectors[labels == label].mean(dim=0) - center) * scale
            self.head.bias[label] = -(self.head.weight[label] @ center)


def gather(rows: RaggedRows, positions: npt.NDArray[np.int64], device: torch.device) -> PaddedStates:
    """Copy these texts' states into one padded float32 batch on the device.

    Examples
    --------
    >>> batch = gather(RaggedRows((torch.ones(2, 3), torch.ones(1, 3))), np.array([1, 0]), torch.device("cpu"))
    >>> batch.states.shape, batch.lengths
    (torch.Size([2, 2, 3]), tensor([1, 2]))
    """
    chosen = [rows[int(position)] for position in positions]
    padded = nn.utils.rnn.pad_sequence(chosen, batch_first=True)
    lengths = torch.tensor([len(row) for row in chosen], device=device)
    return PaddedStates(padded.to(device).float(), lengths)


def balanced_weights(labels: Tensor, n_classes: int) -> Tensor:
    """Weigh each class by the inverse of its share of the labels, so that all weigh the same; an absent one by 0.

    Examples
    --------
    >>> balanced_weights(torch.tensor([0, 0, 0, 2]), 3)
    tensor([0.6667, 0.0000, 2.0000])
    """
    counts = torch.bincount(labels, minlength=n_classes).float()
    present = int((counts > 0).sum())
    return torch.where(counts > 0, len(labels) / (present * counts.clamp(min=1)), 0.0)


def train(
    network: TunedNetwork,
    rows: RaggedRows,
    labels: Tensor,
    recipe: Recipe,
    generator: torch.Generator,
    class_weights: Tensor | None = None,
) -> None:
    """Train the network in place; neither reads nor moves any global random state.

    Parameters
    ----------
    network
        With pretrained layers; its head is started from the class means.
    rows
        States of the m labelled texts. Copied into memory once.
    labels
        Class ids, shape (m,), int64, on the network's device.
    recipe
        How to train.
    generator
        Source of batch order and dropout, on the network's device.
    class_weights
        Weight of each class in the loss, shape (C,); None weighs all texts the same.
    """
    device = labels.device
    rows = RaggedRows(tuple(row.to(device, copy=True) for row in rows.rows))
    network.start_head(rows, labels)
    optimizer = _optimizer(network, recipe)
    highest = [group["lr"] for group in optimizer.param_groups]
    dropout = Dropout(recipe.dropout, generator)
    order = _BatchOrder(len(rows), recipe.batch_size, generator)
    for step in range(recipe.steps):
        positions = order.next()
        outputs = network(gather(rows, positions.numpy(force=True), device), dropout)
        loss = cross_entropy(outputs.logits, labels[positions], weight=class_weights)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
        for group, rate in zip(optimizer.param_groups, highest, strict=True):
            group["lr"] = rate * recipe.rate_factor(step)
        optimizer.step()


class _BatchOrder:
    """Go through all texts in random order, then again in another; batches straddle the seams, so all are full."""

    def __init__(self, count: int, batch_size: int, generator: torch.Generator) -> None:
        self._count = count
        self._batch_size = min(batch_size, count)
        self._generator = generator
        self._waiting = torch.empty(0, dtype=torch.int64, device=generator.device)

    def next(self) -> Tensor:
        if len(self._waiting) < self._batch_size:
            again = torch.randperm(self._count, generator=self._generator, device=self._generator.device)
            self._waiting = torch.cat([self._waiting, again])
        taken, self._waiting = self._waiting[: self._batch_size], self._waiting[self._batch_size :]
        return taken


def _optimizer(network: TunedNetwork, recipe: Recipe) -> torch.optim.AdamW:
    groups = [
        *(
            {**group, "lr": recipe.learning_rate}
            for group in decay_groups(network.top.parameters(), recipe.weight_decay)
        ),
        {"params": list(network.head.parameters()), "lr": recipe.head_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)
