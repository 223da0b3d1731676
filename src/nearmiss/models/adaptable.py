"""A transformer with a masked-LM head, as task-adaptive pretraining takes it up and puts it down again."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nearmiss.errors import ModelUnavailable
from nearmiss.models.encoder import Encoder, ModelFiles, damage_named, load_quietly
from nearmiss.models.masked_lm import own_head
from nearmiss.models.mlm_head import TiedHead

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["AdaptableModel", "load_adaptable"]

#: Where BERT, RoBERTa with its relatives, and DistilBERT keep the head's dense layer, its norm and its output layer.
_HEAD_PARTS = (
    ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder"),
    ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder"),
    ("vocab_transform", "vocab_layer_norm", "vocab_projector"),
)


@dataclass(frozen=True, slots=True, eq=False)
class AdaptableModel:
    """A masked language model of its own, shared with nobody, all of it to be trained.

    Attributes
    ----------
    whole
        Transformer and head; the head's output matrix is the word embeddings.
    head
        The part of it that maps states (k, d) to logits over the vocabulary (k, V).
    headless
        Whether the checkpoint brought no head: then it is at its random start, and ``give_head`` must fill it.
    """

    whole: PreTrainedModel
    head: nn.Module
    headless: bool

    @property
    def transformer(self) -> nn.Module:
        """The part below the head."""
        model: nn.Module = self.whole.base_model
        return model

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Give every parameter once, by name, in a fixed order."""
        return dict(self.whole.named_parameters())

    def set_dropout(self, probability: float) -> None:
        """Drop with this probability wherever the model drops; what is saved keeps the checkpoint's own."""
        for module in self.whole.modules():
            if isinstance(module, nn.Dropout):
                module.p = probability

    @torch.no_grad()
    def give_head(self, head: TiedHead) -> None:
        """Fill the head's tensors from one trained over the same embeddings."""
        dense, norm, output = (self.whole.get_submodule(name) for name in _parts_of(self.whole))
        for module, weight, bias in ((dense, head.weight, head.bias), (norm, head.norm_weight, head.norm_bias)):
            module.get_parameter("weight").copy_(weight)
            module.get_parameter("bias").copy_(bias)
        output.get_parameter("bias").copy_(head.token_bias)

    def save(self, folder: Path, base: Encoder) -> None:
        """Write a Hugging Face folder: configuration, safetensors weights, tokenizer.

        Masked language models have no pooler. Where the base has one, its tensors are written too, unchanged: whoever
        loads the folder as an encoder finds them again, though they were fitted to the states of the base.
        """
        pooler = getattr(base.model, "pooler", None)
        body = self.transformer
        if isinstance(pooler, nn.Module):
            body.pooler = copy.deepcopy(pooler)
        try:
            with load_quietly():
                self.whole.save_pretrained(folder)
                base.tokenizer.save_pretrained(folder)
        finally:
            if isinstance(pooler, nn.Module):
                body.register_module("pooler", None)


def load_adaptable(files: ModelFiles, base: Encoder) -> AdaptableModel:
    """Load a checkpoint for training, in float32, with the head it brings or with an empty one of its kind's form.

    Raises
    ------
    ModelUnavailable
        The files are damaged, or the model's kind has no masked-LM head that nearmiss knows.
    """
    from transformers import AutoModelForMaskedLM

    with load_quietly(), damage_named(files):
        model, report = AutoModelForMaskedLM.from_pretrained(
            files.directory, use_safetensors=True, output_loading_info=True, local_files_only=True
        )
    head = own_head(model, files)
    headless = bool(report["missing_keys"])
    output: Tensor | None = getattr(model.get_output_embeddings(), "weight", None)
    if (headless and not _parts_of(model)) or output is not model.get_input_embeddings().weight:
        raise ModelUnavailable(
            f"{files.name} is a {model.config.model_type} model whose masked-LM head is missing or not tied to its "
            "word embeddings; adapt a BERT, RoBERTa, DistilBERT or MPNet checkpoint"
        )
    model = model.requires_grad_(True).to(device=base.device, dtype=torch.float32)
    return AdaptableModel(model, head, headless)


def _parts_of(model: nn.Module) -> tuple[str, ...]:
    modules = {name for name, _ in model.named_modules()}
    return next((parts for parts in _HEAD_PARTS if modules.issuperset(parts)), ())
