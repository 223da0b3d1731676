"""Surprisal vectors by a masked language model, the representation ALPS clusters.

Yuan, Lin and Boyd-Graber (EMNLP 2020), "Cold-start Active Learning through Self-supervised Language Modeling",
arXiv 2010.09535. The input is left unmasked; at a random 15 % of a text's tokens the cross-entropy of the
model's prediction against the token itself is taken, 0 stands everywhere else, and the vector is scaled to norm 1.

One point differs from the authors' code: they draw every token with probability 0.15, which leaves a short text
without any in one case of several, and all such texts with the same vector of zeros. Here exactly 15 % are drawn
(rounded), at least one.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from nearmiss.arrays.distances import normalize_rows
from nearmiss.errors import MissingHead, ModelUnavailable
from nearmiss.models.encoder import (
    EMBEDDED,
    Encoder,
    ModelFiles,
    damage_named,
    find_model,
    load_encoder,
    load_quietly,
    resolve_device,
)
from nearmiss.models.inference import Precision, Reading, resolve_precision, states_at
from nearmiss.models.mlm_head import (
    HeadReport,
    HeadSettings,
    drawn_places,
    store_head,
    stored_head,
    tied_head,
    train_tied_head,
)
from nearmiss.models.store import default_cache_dir
from nearmiss.models.tokens import Tokens, tokenize
from nearmiss.text.corpus import Texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["MaskedLanguageModel", "own_head"]

#: Of a text's tokens, the share whose surprisal is taken.
_FRACTION = 0.15
#: Rows of logits in memory at once; each is as long as the vocabulary.
_PROJECTED_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """An encoder and the head its checkpoint brought."""

    encoder: Encoder
    head: nn.Module


class MaskedLanguageModel:
    """An encoder with a masked-LM head. Make one with ``load`` or ``train_head``.

    Parameters
    ----------
    encoder
        What reads the texts.
    head
        Maps states (n, d) to logits over the vocabulary (n, V).
    reading
        Length, which is also the length of a surprisal vector, and precision.
    training
        How training the head went; None for a head that came with the checkpoint.
    """

    def __init__(
        self, encoder: Encoder, head: nn.Module, *, reading: Reading, training: HeadReport | None = None
    ) -> None:
        self.encoder = encoder
        self.training = training
        self._head = head
        self._reading = reading

    @classmethod
    def load(
        cls,
        name: str,
        *,
        max_length: int = 128,
        precision: Precision = "auto",
        device: str = "auto",
    ) -> Self:
        """Load a checkpoint that has a masked-LM head, such as ``bert-base-uncased``.

        Raises
        ------
        ModelUnavailable
            The checkpoint cannot be found.
        MissingHead
            It has no head: transformers would make a random one up, and the surprisal would mean nothing. Names the
            mend.

        Examples
        --------
        >>> try:
        ...     MaskedLanguageModel.load("minilm")
        ... except MissingHead as error:
        ...     print(str(error)[:37])
        minilm has no masked-LM head (its che
        """
        reading = Reading(max_length, precision)
        loaded = _load_with_head(find_model(name), resolve_device(device))
        return cls(loaded.encoder, loaded.head, reading=reading)

    @classmethod
    def train_head(
        cls,
        texts: Texts,
        rng: np.random.Generator,
        *,
        name: str = EMBEDDED,
        settings: HeadSettings | None = None,
        max_length: int = 128,
        precision: Precision = "auto",
        device: str = "auto",
        cache_dir: str | Path | None = None,
    ) -> Self:
        """Train a masked-LM head briefly on these texts, the encoder frozen, or take it from the cache.

        Parameters
        ----------
        texts
            The pool; no label is read.
        rng
            Chooses texts, masks and order. Exactly one number is drawn, whether the head is cached or not.
        settings
            How long to train, and on how much.
        max_length
            Texts are cut after this many tokens, for the training and for ``surprisal``.
        cache_dir
            Where trained heads are kept; None is NEARMISS_CACHE_DIR, else ``~/.cache/nearmiss``.

        Raises
        ------
        ModelUnavailable
            The encoder cannot be found, or has no [MASK] token.
        InvalidInput
            The texts hold too few words to mask.
        """
        settings, reading = settings or HeadSettings(), Reading(max_length, precision)
        directory = default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser()
        encoder = load_encoder(name, device)
        if encoder.tokenizer.mask_token_id is None:
            raise ModelUnavailable(f"{name} has no [MASK] token to train a masked-LM head with; use a BERT model")
        seed = int(rng.integers(2**63))
        key = _head_key(encoder, texts, settings, reading, seed)
        path = directory / "heads" / f"{key}.safetensors"
        trained = stored_head(path, key, tied_head(encoder, reading))
        if trained is None:
            trained = train_tied_head(encoder, texts, np.random.default_rng(seed), settings, reading)
            store_head(path, key, trained)
        return cls(encoder, trained.head, reading=reading, training=trained.report)

    def surprisal(self, texts: Texts, rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Give one surprisal vector per text, shape (n, max_length), float32.

        Rows have norm 1; a text without words is a row of zeros. Exactly one number is drawn from ``rng``; which tokens
        of a text are taken depends on it and on the text alone.

        Raises
        ------
        InvalidInput
            ``max_length`` exceeds what the model can read.
        """
        seed = int(rng.integers(2**63))
        tokens = tokenize(self.encoder, texts, self._reading.max_length)
        chosen = np.zeros(len(tokens.ids), dtype=np.bool_)
        for text, digest in enumerate(texts.digests):
            own = np.random.default_rng([seed, int(digest, 16)])
            chosen[drawn_places(tokens, text, _FRACTION, own)] = True
        text_of = np.repeat(np.arange(len(tokens)), tokens.lengths)
        position = np.arange(len(tokens.ids)) - tokens.offsets[text_of]
        vectors = np.zeros((len(tokens), self._reading.max_length), dtype=np.float32)
        vectors[text_of, position] = self._losses(tokens, chosen)
        unit: npt.NDArray[np.float32] = normalize_rows(vectors)
        return unit

    def _losses(self, tokens: Tokens, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """Cross-entropy of the prediction at each chosen token, shape (T,), 0 elsewhere."""
        losses = np.zeros(len(tokens.ids), dtype=np.float32)
        half = resolve_precision(self._reading.precision, self.encoder.device) == "bfloat16"
        for batch in states_at(self.encoder, tokens, chosen, self._reading):
            for start in range(0, len(batch.places), _PROJECTED_AT_ONCE):
                places = batch.places[start : start + _PROJECTED_AT_ONCE]
                states = batch.states[start : start + _PROJECTED_AT_ONCE]
                targets = torch.from_numpy(tokens.ids[places].astype(np.int64)).to(self.encoder.device)
                with torch.no_grad(), torch.autocast(self.encoder.device.type, torch.bfloat16, enabled=half):
                    logits = self._head(states)
                losses[places] = functional.cross_entropy(logits.float(), targets, reduction="none").cpu().numpy()
        return losses


def _head_key(encoder: Encoder, texts: Texts, settings: HeadSettings, reading: Reading, seed: int) -> str:
    # Training adds floats in an order that depends on the threads; a head must not outlive the setting it came from.
    kind = f"masked-LM head {_digest_of(texts)} {settings} {seed} threads={torch.get_num_threads()}"
    return reading.key(encoder.fingerprint, encoder.device, kind)


def _digest_of(texts: Texts) -> str:
    return blake2b("".join(texts.digests).encode(), digest_size=16).hexdigest()


def _load_with_head(files: ModelFiles, device: torch.device) -> _Loaded:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    with load_quietly(), damage_named(files):
        model, report = AutoModelForMaskedLM.from_pretrained(
            files.directory, use_safetensors=True, output_loading_info=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(files.directory, local_files_only=True)
    missing = sorted(report["missing_keys"])
    if missing:
        raise MissingHead(
            f"{files.name} has no masked-LM head (its checkpoint lacks {missing[0]} and {len(missing) - 1} more "
            "tensors); train one briefly on your own texts with MaskedLanguageModel.train_head, or use a checkpoint "
            "that has one, such as bert-base-uncased"
        )
    model = model.eval().requires_grad_(False).to(device=device, dtype=torch.float32)
    encoder = Encoder(files.name, model.base_model, tokenizer, files.fingerprint, device)
    return _Loaded(encoder, own_head(model, files))


def own_head(model: PreTrainedModel, files: ModelFiles) -> nn.Module:
    """Find the module that maps states to logits, to run it on a few positions only."""
    for name in ("cls", "lm_head"):  # BERT; RoBERTa, XLM-R, CamemBERT, MPNet
        head = getattr(model, name, None)
        if isinstance(head, nn.Module):
            return head
    names = ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector")  # DistilBERT
    parts = [getattr(model, name, None) for name in names]
    modules = [part for part in parts if isinstance(part, nn.Module)]
    if len(modules) == len(names):
        return nn.Sequential(*modules)
    raise ModelUnavailable(
        f"{files.name} is a {model.config.model_type} model, whose masked-LM head nearmiss does not know; use a BERT, "
        "RoBERTa, DistilBERT or MPNet checkpoint"
    )
