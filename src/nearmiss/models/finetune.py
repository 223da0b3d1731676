"""Train every layer of a transformer on labelled texts: one loop, with its decisions in one frozen value.

The loop is our own and not the Hugging Face Trainer's, because a run must repeat to the bit and leave no trace: the
Trainer seeds the process as a whole, writes checkpoints to disk and pads each batch to the longest text it drew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nearmiss.errors import InvalidInput
from nearmiss.models.inference import model_inputs
from nearmiss.models.schedule import decay_groups, linear_rate
from nearmiss.models.sequence_model import SequenceModel, read
from nearmiss.models.tokens import Tokens

__all__ = ["PRESETS", "Examples", "FinetuneRecipe", "Trained", "batches_of_like_length", "finetune"]

#: Batches whose texts are drawn together and then sorted by length: more save padding, fewer mix the texts better.
_BATCHES_A_DRAW = 8
#: How far chance moves a text's length before sorting, so that a small training set does not fall into the same batches
#: in every epoch.
_JITTER = 0.3


@dataclass(frozen=True, slots=True)
class FinetuneRecipe:
    """How a transformer is fine-tuned.

    Attributes
    ----------
    epochs
        Passes over the labelled texts.
    min_steps
        Optimiser steps at least: with few labels the epochs are repeated until they are done.
    batch_size
        Texts a step.
    learning_rate
        AdamW's highest rate; it rises linearly from 0, then falls linearly to 0.
    warmup
        Share of the steps during which it rises, in [0, 1].
    weight_decay
        AdamW's, on matrices alone: biases and norms are not decayed.
    epsilon
        AdamW's.
    max_gradient_norm
        Longer gradients are scaled down to this.
    evaluations_per_epoch
        How often the loss on the validation set is taken, where there is one.
    stop_loss
        Without a validation set, training ends after an epoch whose mean loss (nats) lies below this; 0 is never.
    freeze_embeddings
        Leave the embedding layer as it was pretrained: half of a small model's parameters, a fifth of its time.

    Raises
    ------
    InvalidInput
        A value outside its range.
    """

    epochs: int = 3
    min_steps: int = 0
    batch_size: int = 16
    learning_rate: float = 2e-5
    warmup: float = 0.1
    weight_decay: float = 0.0
    epsilon: float = 1e-8
    max_gradient_norm: float = 1.0
    evaluations_per_epoch: int = 5
    stop_loss: float = 0.0
    freeze_embeddings: bool = False

    def __post_init__(self) -> None:
        for name, lowest in (("epochs", 1), ("min_steps", 0), ("batch_size", 1), ("evaluations_per_epoch", 1)):
            if getattr(self, name) < lowest:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be at least {lowest}")
        for name in ("learning_rate", "weight_decay", "epsilon", "stop_loss"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be a finite number of at least 0")
        if not 0 <= self.warmup <= 1:
            raise InvalidInput(f"warmup is {self.warmup}; it is a share of the steps, from 0 to 1")
        if not self.max_gradient_norm > 0:
            raise InvalidInput(f"max_gradient_norm is {self.max_gradient_norm}; it must be above 0")

    def steps(self, n_texts: int) -> int:
        """Count the optimiser steps over so many labelled texts: whole epochs, as many as ``min_steps`` asks for.

        Examples
        --------
        >>> FinetuneRecipe(epochs=3, batch_size=16).steps(100), FinetuneRecipe(epochs=3, min_steps=50).steps(100)
        (21, 56)
        """
        per_epoch = self.steps_per_epoch(n_texts)
        return per_epoch * max(self.epochs, -(-self.min_steps // per_epoch))

    def steps_per_epoch(self, n_texts: int) -> int:
        """Count the optimiser steps of one pass."""
        return -(-n_texts // self.batch_size)

    def rate_factor(self, step: int, steps: int) -> float:
        """Give the share of the highest learning rate at a step, counted from 0.

        Examples
        --------
        >>> [round(FinetuneRecipe(warmup=0.2).rate_factor(step, 10), 3) for step in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 0.125]
        """
        return linear_rate(1.0, step, steps, self.warmup)


#: ``paper``: Margatina et al. 2021, A.1, with the epochs, warm-up and clipping of their published code, for BERT-base.
#: ``small``: for encoders of MiniLM's size, which the paper's rate leaves undertrained.
PRESETS: Mapping[str, FinetuneRecipe] = MappingProxyType(
    {
        "paper": FinetuneRecipe(),
        "small": FinetuneRecipe(epochs=3, min_steps=60, learning_rate=1e-4, weight_decay=0.01, freeze_embeddings=True),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Labelled texts, ready for the model.

    Attributes
    ----------
    tokens
        Their token ids.
    labels
        Class ids, shape (n,), int64, on the model's device.
    """

    tokens: Tokens
    labels: Tensor

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training came to.

    Attributes
    ----------
    steps
        Optimiser steps done.
    train_loss
        Mean over the last epoch's batches, in nats.
    validation_loss
        Lowest on the validation set, in nats: the loss of the weights that were kept. None without such a set.
    """

    steps: int
    train_loss: float
    validation_loss: float | None


@dataclass(slots=True)
class _Best:
    """The weights with the lowest validation loss so far, in the host's memory."""

    loss: float = np.inf
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, loss: float, model: nn.Module) -> None:
        if loss < self.loss:
            self.loss = loss
            trained = (name for name, parameter in model.named_parameters() if parameter.requires_grad)
            self.weights = {name: model.get_parameter(name).detach().to("cpu", copy=True) for name in trained}


def finetune(
    sequence: SequenceModel,
    train: Examples,
    recipe: FinetuneRecipe,
    rng: np.random.Generator,
    *,
    validation: Examples | None = None,
    class_weights: Tensor | None = None,
    half: bool = False,
) -> Trained:
    """Train a sequence-classification model in place.

    Dropout draws from torch's global generator: call this within ``isolated_torch_seed``.

    Parameters
    ----------
    sequence
        The model; left in evaluation mode, its parameters frozen.
    train
        Labelled texts.
    recipe
        How to train.
    rng
        Decides the batches.
    validation
        With it, the weights with the lowest loss on it are kept; without, the last ones.
    class_weights
        Weight of each class in the loss, shape (C,); None weighs all texts the same.
    half
        Whether matrix products run in bfloat16; weights and sums stay in float32.
    """
    model, encoder = sequence.model, sequence.encoder
    device = encoder.device
    if recipe.freeze_embeddings:
        encoder.model.get_input_embeddings().requires_grad_(False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = decay_groups(trained, recipe.weight_decay)
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, eps=recipe.epsilon, fused=True)
    steps, per_epoch = recipe.steps(len(train)), recipe.steps_per_epoch(len(train))
    # With many short epochs the set is looked at as often as in the epochs that were asked for.
    looks = recipe.epochs * recipe.evaluations_per_epoch
    best, losses, step = _Best(), np.zeros(per_epoch), 0
    model.train()
    while step < steps:
        for place, positions in enumerate(batches_of_like_length(train.tokens.lengths, recipe.batch_size, rng)):
            inputs = model_inputs(encoder, train.tokens, positions)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                logits = model(**inputs).logits
            labels = train.labels[torch.from_numpy(positions).to(device)]
            loss = cross_entropy(logits.float(), labels, weight=class_weights)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(model.parameters(), recipe.max_gradient_norm)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * recipe.rate_factor(step, steps)
            optimizer.step()
            losses[place] = float(loss.detach())
            step += 1
            if validation is not None and step * looks // steps > (step - 1) * looks // steps:
                best.offer(_mean_loss(sequence, validation, half), model)
        if validation is None and losses.mean() < recipe.stop_loss:
            break
    for name, weight in best.weights.items():
        model.get_parameter(name).data.copy_(weight)
    model.train(False).requires_grad_(False)
    return Trained(step, float(losses.mean()), best.loss if validation is not None else None)


def batches_of_like_length(
    lengths: npt.NDArray[np.int64], batch_size: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Go through all texts once, in random batches whose texts are of about the same length.

    A few batches' worth of texts is drawn at a time, sorted by length (moved a little by chance) and cut; the batches
    of the whole pass then come in random order.

    Parameters
    ----------
    lengths
        Tokens of each text, shape (n,).
    batch_size
        Texts a batch; one batch may be smaller.
    rng
        Decides everything that is random here.

    Examples
    --------
    >>> lengths = np.array([3, 40, 4, 41, 5, 42])
    >>> drawn = list(batches_of_like_length(lengths, 3, np.random.default_rng(0)))
    >>> sorted(sorted(lengths[batch].tolist()) for batch in drawn)
    [[3, 4, 5], [40, 41, 42]]
    """
    order = rng.permutation(len(lengths))
    moved = lengths[order] * (1 + _JITTER * rng.random(len(order)))
    drawn = batch_size * _BATCHES_A_DRAW
    cut: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(order), drawn):
        ranked = order[start : start + drawn][np.argsort(moved[start : start + drawn], kind="stable")]
        cut.extend(ranked[i : i + batch_size] for i in range(0, len(ranked), batch_size))
    for place in rng.permutation(len(cut)):
        yield cut[place]


def _mean_loss(sequence: SequenceModel, examples: Examples, half: bool) -> float:
    sequence.model.train(False)
    logits = read(sequence, examples.tokens, half=half).logits
    sequence.model.train()
    return float(cross_entropy(logits.double(), examples.labels.cpu()))
