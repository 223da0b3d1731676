"""The steps of an adaptation: each follows from the weights before it, the seed and its number alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nearmiss.arrays.tensors import isolated_torch_seed
from nearmiss.models.adaptable import load_adaptable
from nearmiss.models.adaptation_card import AdaptationReport
from nearmiss.models.adaptation_folder import AdaptationFolder
from nearmiss.models.adaptation_settings import AdaptationSettings
from nearmiss.models.encoder import Encoder, find_model
from nearmiss.models.inference import Reading, resolve_precision
from nearmiss.models.masking import MaskedBatch, MaskedBatches, Purpose, evaluation_batches, stream, summed_loss
from nearmiss.models.mlm_head import HeadSettings, log_frequencies, train_tied_head
from nearmiss.models.schedule import decay_groups
from nearmiss.models.tokens import Tokens
from nearmiss.text.corpus import Texts

__all__ = ["AdaptationProgress", "Ground", "Training"]

#: The held-out texts are masked this often, each time elsewhere.
_PASSES = 4
_LARGEST_GRADIENT = 1.0
_BETAS = (0.9, 0.98)  # RoBERTa's and TAPT's
_EPSILON = 1e-6
#: The loss shown is a mean over about this many steps.
_SMOOTHED_STEPS = 20


@dataclass(frozen=True, slots=True)
class AdaptationProgress:
    """How far an adaptation is.

    Attributes
    ----------
    step, total
        Steps done, and steps in all.
    loss
        Mean loss over the last steps, in nats per predicted token; NaN before the first.
    seconds
        Spent so far, before an interruption included.
    resumed_at
        The step at which this process took over; 0 where it began.
    """

    step: int
    total: int
    loss: float
    seconds: float
    resumed_at: int


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What an adaptation works with: all of it follows from its arguments.

    Attributes
    ----------
    encoder
        The base, not to be touched.
    training, held_out
        Texts to train on and to measure on.
    texts
        Those of ``training``.
    settings
        How to train.
    seed
        Decides the order, the masks and the dropout.
    """

    encoder: Encoder
    training: Tokens
    held_out: Tokens
    texts: Texts
    settings: AdaptationSettings
    seed: int

    @property
    def half(self) -> bool:
        """Whether to compute in bfloat16."""
        return resolve_precision(self.settings.precision, self.encoder.device) == "bfloat16"

    def batches(self) -> MaskedBatches:
        """Give the batches to train on."""
        settings = self.settings
        return MaskedBatches(
            self.encoder,
            self.training,
            tokens_per_batch=settings.tokens_per_batch,
            mask_fraction=settings.mask_fraction,
            seed=self.seed,
        )

    def evaluation(self) -> list[MaskedBatch]:
        """Give the batches to measure on, each time the same."""
        settings = self.settings
        return evaluation_batches(
            self.encoder,
            self.held_out,
            tokens_per_batch=settings.tokens_per_batch,
            mask_fraction=settings.mask_fraction,
            passes=_PASSES,
            seed=self.seed,
        )


class Training:
    """The training itself, begun or taken up where its last state was saved.

    Parameters
    ----------
    ground
        What to train, on what and how.
    folder
        Where states are saved.

    Attributes
    ----------
    model
        What is being trained.
    """

    def __init__(self, ground: Ground, folder: AdaptationFolder) -> None:
        self._ground = ground
        self._folder = folder
        self._batches = ground.batches()
        settings = ground.settings
        self._total = settings.total_steps(self._batches.per_epoch)
        self._seconds = 0.0
        self._step = 0
        self.model = load_adaptable(find_model(ground.encoder.name), ground.encoder)
        self.model.set_dropout(settings.dropout)
        self._parameters = self.model.named_parameters()
        groups = decay_groups(self._parameters.values(), settings.weight_decay)
        self._optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=_BETAS, eps=_EPSILON, fused=True)
        if not self._restored():
            began = time.perf_counter()
            self._start_head()
            self._loss_before = self._held_out_loss()
            self._seconds = time.perf_counter() - began
            self._save()
        self._resumed_at = self._step

    def run(self, save_seconds: float, on_progress: Callable[[AdaptationProgress], None] | None) -> None:
        """Make all the steps that remain."""
        began = saved = time.perf_counter()
        spent, shown = self._seconds, float("nan")
        while self._step < self._total:
            loss = self._learn()
            shown = loss if np.isnan(shown) else shown + (loss - shown) / _SMOOTHED_STEPS
            now = time.perf_counter()
            self._seconds = spent + now - began
            if on_progress is not None:
                on_progress(AdaptationProgress(self._step, self._total, shown, self._seconds, self._resumed_at))
            if now - saved >= save_seconds and self._step < self._total:
                self._save()
                saved = time.perf_counter()

    def report(self) -> AdaptationReport:
        """Measure what has been achieved."""
        ground = self._ground
        began = time.perf_counter()
        after = self._held_out_loss()
        training = ground.training
        weights = ground.encoder.model.get_input_embeddings().get_parameter("weight")
        frequencies = log_frequencies(training.ids[~training.special], len(weights))
        targets = torch.cat([batch.targets for batch in ground.evaluation()]).cpu()
        return AdaptationReport(
            loss_before=self._loss_before,
            loss_after=after,
            loss_unigram=-float(frequencies[targets].double().mean()),
            n_texts=len(training),
            n_held_out=len(ground.held_out),
            n_tokens=len(training.ids),
            n_predicted=len(targets),
            steps=self._total,
            seconds=self._seconds + time.perf_counter() - began,
        )

    def _learn(self) -> float:
        """Make one step; everything random about it follows from the seed and its number."""
        ground = self._ground
        batch = self._batches.batch(self._step)
        self.model.whole.train()
        dropout_seed = int(stream(ground.seed, Purpose.DROPOUT, self._step).integers(2**63))
        with isolated_torch_seed(dropout_seed):
            summed = summed_loss(self.model.transformer, self.model.head, batch, half=ground.half)
        loss = summed / len(batch.targets)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._parameters.values(), _LARGEST_GRADIENT)
        for group in self._optimizer.param_groups:
            group["lr"] = ground.settings.rate_at(self._step, self._total)
        self._optimizer.step()
        self._step += 1
        return float(loss.detach())

    def _start_head(self) -> None:
        if self.model.headless:
            ground, settings = self._ground, self._ground.settings
            reading = Reading(settings.max_length, settings.precision)
            head_settings = HeadSettings(mask_fraction=settings.mask_fraction)
            rng = stream(ground.seed, Purpose.HEAD)
            self.model.give_head(train_tied_head(ground.encoder, ground.texts, rng, head_settings, reading).head)

    @torch.no_grad()
    def _held_out_loss(self) -> float:
        self.model.whole.train(False)
        total, count = 0.0, 0
        for batch in self._ground.evaluation():
            total += float(summed_loss(self.model.transformer, self.model.head, batch, half=self._ground.half))
            count += len(batch.targets)
        return total / count

    def _save(self) -> None:
        tensors = {f"weight {name}": parameter.detach().cpu() for name, parameter in self._parameters.items()}
        for name, moment, value in self._moments():
            tensors[f"{moment} {name}"] = value.cpu()
        facts = {"step": str(self._step), "loss_before": repr(self._loss_before), "seconds": repr(self._seconds)}
        self._folder.save_state(tensors, facts)

    def _moments(self) -> Iterator[tuple[str, str, Tensor]]:
        for name, parameter in self._parameters.items():
            kept = self._optimizer.state.get(parameter, {})
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in kept:
                    yield name, moment, kept[moment]

    @torch.no_grad()
    def _restored(self) -> bool:
        state = self._folder.state()
        if state is None:
            return False
        self._step = int(state.metadata["step"])
        self._loss_before = float(state.metadata["loss_before"])
        self._seconds = float(state.metadata["seconds"])
        for name, parameter in self._parameters.items():
            parameter.copy_(state.tensors[f"weight {name}"])
            if f"exp_avg {name}" in state.tensors:
                self._optimizer.state[parameter] = {
                    "step": torch.tensor(float(self._step), device=parameter.device),
                    "exp_avg": torch.empty_like(parameter).copy_(state.tensors[f"exp_avg {name}"]),
                    "exp_avg_sq": torch.empty_like(parameter).copy_(state.tensors[f"exp_avg_sq {name}"]),
                }
        return True
