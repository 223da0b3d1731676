"""The masked-LM head: the one a checkpoint brings, or one trained in seconds over a frozen encoder.

A sentence encoder is published without the head it was pretrained with. ``train_tied_head`` fits a new one of BERT's
form, logits = E · norm(gelu(W h + b)) + c, where E are the encoder's own word embeddings and stay as they are.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from nearmiss.arrays.tensors import torch_generator
from nearmiss.errors import InvalidInput
from nearmiss.models.encoder import Encoder
from nearmiss.models.inference import Reading, resolve_precision, states_at
from nearmiss.models.tensor_files import read_tensors, write_tensors
from nearmiss.models.tokens import Tokens, tokenize
from nearmiss.text.corpus import Texts

__all__ = [
    "HeadReport",
    "HeadSettings",
    "TiedHead",
    "TrainedHead",
    "drawn_places",
    "log_frequencies",
    "masked",
    "store_head",
    "stored_head",
    "tied_head",
    "train_tied_head",
]

_FORMAT = "nearmiss-mlm-head-1"
_HELD_OUT = 0.1
_EVALUATED_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How a masked-LM head is trained.

    Attributes
    ----------
    n_texts
        Texts drawn for it, a tenth of them held out to measure the loss.
    mask_fraction
        Share of the tokens to predict (BERT: 15 %); of these 80 % are masked, 10 % replaced and 10 % kept.
    epochs, batch_size, learning_rate
        Passes over the predicted tokens, tokens a step, and Adam's first rate, falling linearly to zero.

    Raises
    ------
    InvalidInput
        A number out of its range.
    """

    n_texts: int = 1500
    mask_fraction: float = 0.15
    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if self.n_texts < 2 or self.epochs < 1 or self.batch_size < 1:
            raise InvalidInput(
                f"training a head takes at least 2 texts, 1 epoch and 1 token a step; got n_texts = {self.n_texts}, "
                f"epochs = {self.epochs}, batch_size = {self.batch_size}"
            )
        if not (0 < self.mask_fraction <= 1 and self.learning_rate > 0):
            raise InvalidInput(
                f"mask_fraction = {self.mask_fraction} must be in (0, 1] and learning_rate = {self.learning_rate} "
                "above 0"
            )


@dataclass(frozen=True, slots=True)
class HeadReport:
    """What training a head achieved, in nats per predicted token of the held-out texts.

    Attributes
    ----------
    loss_before, loss_after
        Masked-LM cross-entropy at the start and at the end.
    loss_unigram
        That of the tokens' plain frequencies: a head below it has learnt something from context.
    n_tokens
        Tokens predicted in the held-out texts.
    """

    loss_before: float
    loss_after: float
    loss_unigram: float
    n_tokens: int


class TiedHead(nn.Module):
    """A masked-LM head of BERT's form whose output matrix is the encoder's word embeddings.

    Parameters
    ----------
    embeddings
        Word embeddings E, shape (V, e); shared, never trained.
    hidden_size
        Width of the states it reads.
    """

    embeddings: Tensor

    def __init__(self, embeddings: Tensor, hidden_size: int) -> None:
        super().__init__()
        # Started at the identity, not at random: the states then point to their own words from the first step.
        self.weight = nn.Parameter(torch.eye(embeddings.shape[1], hidden_size))
        self.bias = nn.Parameter(torch.zeros(embeddings.shape[1]))
        self.norm_weight = nn.Parameter(torch.ones(embeddings.shape[1]))
        self.norm_bias = nn.Parameter(torch.zeros(embeddings.shape[1]))
        self.token_bias = nn.Parameter(torch.zeros(embeddings.shape[0]))
        self.register_buffer("embeddings", embeddings.detach(), persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """Give logits over the vocabulary, shape (n, V), of states of shape (n, d)."""
        hidden = functional.gelu(functional.linear(states, self.weight, self.bias))
        hidden = functional.layer_norm(hidden.float(), self.norm_bias.shape, self.norm_weight, self.norm_bias)
        return functional.linear(hidden.to(self.embeddings.dtype), self.embeddings).float() + self.token_bias


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHead:
    """A head and how well it does."""

    head: TiedHead
    report: HeadReport


@dataclass(frozen=True, slots=True, eq=False)
class _Examples:
    states: Tensor  # (k, d)
    targets: Tensor  # (k,)


def tied_head(encoder: Encoder, reading: Reading) -> TiedHead:
    """Make an untrained head for this encoder; its product with the embeddings runs in the reading's precision."""
    embeddings = encoder.model.get_input_embeddings().get_parameter("weight")
    half = resolve_precision(reading.precision, encoder.device) == "bfloat16"
    head = TiedHead(embeddings.to(torch.bfloat16 if half else torch.float32), encoder.hidden_size)
    return head.to(encoder.device)


def train_tied_head(
    encoder: Encoder, texts: Texts, rng: np.random.Generator, settings: HeadSettings, reading: Reading
) -> TrainedHead:
    """Train a masked-LM head on these texts with the encoder frozen; deterministic in ``rng``.

    Every text is masked and encoded once; the epochs run over the states of the predicted tokens alone.

    Raises
    ------
    InvalidInput
        The texts hold too few words to mask.
    """
    chosen = texts.take(np.sort(rng.permutation(len(texts))[: settings.n_texts]))
    tokens = tokenize(encoder, chosen, reading.max_length)
    predicted = np.zeros(len(tokens.ids), dtype=np.bool_)
    for text in range(len(tokens)):
        predicted[drawn_places(tokens, text, settings.mask_fraction, rng)] = True
    texts_held_out = np.zeros(len(chosen), dtype=np.bool_)
    texts_held_out[rng.permutation(len(chosen))[: max(1, round(_HELD_OUT * len(chosen)))]] = True
    held_out = np.repeat(texts_held_out, tokens.lengths)
    if not (predicted & held_out).any() or not (predicted & ~held_out).any():
        raise InvalidInput(f"too few words in {len(chosen)} texts to train a masked-LM head; give it more texts")

    found = list(states_at(encoder, masked(encoder, tokens, predicted, rng), predicted, reading))
    places, states = np.concatenate([f.places for f in found]), torch.cat([f.states for f in found]).float()
    targets = torch.from_numpy(tokens.ids[places].astype(np.int64)).to(encoder.device)
    testing = torch.from_numpy(held_out[places]).to(encoder.device)
    train, test = _Examples(states[~testing], targets[~testing]), _Examples(states[testing], targets[testing])

    head = tied_head(encoder, reading)
    frequencies = log_frequencies(tokens.ids[~tokens.special & ~held_out], len(head.token_bias))
    with torch.no_grad():
        head.token_bias.copy_(frequencies)
    before = _loss(head, test)
    _descend(head, train, settings, torch_generator(rng))
    unigram = -float(frequencies[test.targets.cpu()].double().mean())
    return TrainedHead(head.requires_grad_(False), HeadReport(before, _loss(head, test), unigram, len(test.targets)))


def store_head(path: Path, key: str, trained: TrainedHead) -> None:
    """Keep a trained head on disk, with its report.

    Raises
    ------
    NearmissError
        The disk is full or the folder cannot be written.
    """
    report = {name: repr(value) for name, value in asdict(trained.report).items()}
    state = {name: tensor.cpu() for name, tensor in trained.head.state_dict().items()}
    write_tensors(path, state, {"format": _FORMAT, "key": key, **report})


def stored_head(path: Path, key: str, blank: TiedHead) -> TrainedHead | None:
    """Fill an untrained head from disk; None when no whole file of this key is there."""
    stored = read_tensors(path, {"format": _FORMAT, "key": key})
    if stored is None:
        return None
    blank.load_state_dict(dict(stored.tensors))
    told = stored.metadata
    report = HeadReport(
        loss_before=float(told["loss_before"]),
        loss_after=float(told["loss_after"]),
        loss_unigram=float(told["loss_unigram"]),
        n_tokens=int(told["n_tokens"]),
    )
    return TrainedHead(blank.requires_grad_(False), report)


def drawn_places(tokens: Tokens, text: int, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw a share of a text's own tokens ([CLS] and the like excepted), at least one; as positions in ``Tokens.ids``.

    Examples
    --------
    >>> special = np.array([True, False, False, False, True])
    >>> tokens = Tokens(np.zeros(5, np.int32), np.zeros(5, np.int8), special, np.array([0, 5]))
    >>> drawn_places(tokens, 0, 0.67, np.random.default_rng(0))
    array([2, 3])
    """
    start, stop = tokens.offsets[text], tokens.offsets[text + 1]
    candidates: npt.NDArray[np.int64] = start + np.flatnonzero(~tokens.special[start:stop])
    if not len(candidates):
        return candidates
    return np.sort(rng.choice(candidates, max(1, round(fraction * len(candidates))), replace=False))


def masked(encoder: Encoder, tokens: Tokens, predicted: npt.NDArray[np.bool_], rng: np.random.Generator) -> Tokens:
    """Corrupt the predicted tokens as BERT does: 80 % masked, 10 % replaced by a random word, 10 % kept."""
    draw = rng.random(len(tokens.ids))
    random_ids = rng.integers(0, len(encoder.tokenizer), len(tokens.ids))
    ids = np.where(predicted & (draw < 0.8), encoder.tokenizer.mask_token_id, tokens.ids)
    ids = np.where(predicted & (draw >= 0.9), random_ids, ids)
    return replace(tokens, ids=ids.astype(np.int32))


def log_frequencies(ids: npt.NDArray[np.int32], size: int) -> Tensor:
    """Give each vocabulary entry's smoothed log share of these ids, shape (size,)."""
    counts = np.bincount(ids, minlength=size) + 0.1  # a token never met is rare, not impossible
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def _descend(head: TiedHead, train: _Examples, settings: HeadSettings, generator: torch.Generator) -> None:
    n_steps = settings.epochs * -(-len(train.targets) // settings.batch_size)
    optimizer = torch.optim.Adam(head.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
    for _ in range(settings.epochs):
        order = torch.randperm(len(train.targets), generator=generator).to(train.targets.device)
        for start in range(0, len(order), settings.batch_size):
            batch = order[start : start + settings.batch_size]
            optimizer.zero_grad()
            loss = functional.cross_entropy(head(train.states[batch]), train.targets[batch])
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()


@torch.no_grad()
def _loss(head: TiedHead, examples: _Examples) -> float:
    total = 0.0
    for start in range(0, len(examples.targets), _EVALUATED_AT_ONCE):
        rows = slice(start, start + _EVALUATED_AT_ONCE)
        total += float(functional.cross_entropy(head(examples.states[rows]), examples.targets[rows], reduction="sum"))
    return total / len(examples.targets)
