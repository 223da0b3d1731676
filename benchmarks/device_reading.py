"""Texts read per second on one GPU, by a random model of BERT-base's shape, beside the loop everybody writes first."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tests.models.tiny import VOCABULARY, WORDS, tokenizer
from transformers import BertConfig, BertModel

from benchmarks.arrays import Floats
from benchmarks.results import Figure, Item, Note
from benchmarks.sections import Context
from benchmarks.timing import take_turns
from nearmiss.models.encoder import Encoder, load_encoder, load_quietly
from nearmiss.models.inference import Pooling, Reading, pooled
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts

__all__ = ["Shape", "measured", "section"]

FULL, HALF = "Reading on the device in float32, [CLS]", "Reading on the device in bfloat16, [CLS]"
PADDED = "padded to 128, batches of 16, float32"
BATCH, MAX_LENGTH = 16, 128


@dataclass(frozen=True)
class Shape:
    """Of a BERT; BERT-base's unless told otherwise."""

    layers: int = 12
    width: int = 768
    heads: int = 12
    inner: int = 3072


def section(context: Context) -> Iterator[Item]:
    """Short texts, 5 to 30 words of a small vocabulary."""
    yield from measured(Shape(), context.size(20_000, 2000), "cuda", min(context.repeats, 2))


def measured(shape: Shape, n: int, device: str, repeats: int) -> Iterator[Item]:
    """Read n texts in every way, the ways taking turns."""
    with tempfile.TemporaryDirectory() as folder:
        _save(shape, Path(folder))
        encoder = load_encoder(folder, device)
    texts = _texts(n)
    turns = take_turns(_ways(encoder, texts), repeats, warm_up=_ways(encoder, texts.take(range(min(n, 256)))))
    rates = {way: n / statistics.median(seconds) for way, seconds in turns.seconds.items()}
    sizes = {"n": n, "d": shape.width}
    for way in (FULL, HALF):
        yield Figure(way, sizes, rates[way], "texts/s", PADDED, rates[PADDED], raw=turns.seconds)
    for way in (FULL, HALF):
        yield Figure(
            f"{way}: least cosine with the loop", sizes, _least_cosine(turns.results[way], turns.results[PADDED]), ""
        )
    start = time.perf_counter()
    tokens = tokenize(encoder, texts, MAX_LENGTH)
    seconds = time.perf_counter() - start
    yield Note(
        f"A random BERT of {shape.layers} layers and width {shape.width}; {tokens.lengths.mean():.1f} tokens a text, "
        f"whose making takes {seconds:.2f} s of every way's time."
    )


def _ways(encoder: Encoder, texts: Texts) -> Mapping[str, Callable[[], Floats]]:
    readings = {
        FULL: Reading(MAX_LENGTH, "float32"),
        HALF: Reading(MAX_LENGTH, "bfloat16"),
    }

    def ours(reading: Reading) -> Floats:
        return pooled(encoder, texts, reading, [Pooling.CLS])[Pooling.CLS]

    ways: dict[str, Callable[[], Floats]] = {name: partial(ours, reading) for name, reading in readings.items()}
    return ways | {PADDED: lambda: _padded(encoder, texts)}


def _padded(encoder: Encoder, texts: Texts) -> Floats:
    states = []
    with torch.inference_mode():
        for start in range(0, len(texts), BATCH):
            batch = encoder.tokenizer(
                list(texts.first[start : start + BATCH]),
                truncation=True,
                padding="max_length",
                max_length=MAX_LENGTH,
                return_tensors="pt",
            ).to(encoder.device)
            states.append(encoder.model(**batch).last_hidden_state[:, 0])
    return torch.cat(states).cpu().numpy()


def _save(shape: Shape, folder: Path) -> None:
    """Write a random model of this shape and a tokenizer with the few words that the texts are made of."""
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=MAX_LENGTH,
    )
    with load_quietly():
        BertModel(config).save_pretrained(folder)
    words = tokenizer()
    words.model_max_length = MAX_LENGTH
    words.save_pretrained(folder)


def _texts(n: int) -> Texts:
    rng = np.random.default_rng(0)
    words = [word for word in WORDS if not word.startswith("##")]
    return Texts(tuple(" ".join(rng.choice(words, size=size)) for size in rng.integers(5, 31, size=n)))


def _least_cosine(ours: Floats, theirs: Floats) -> float:
    return float(torch.cosine_similarity(torch.from_numpy(ours).double(), torch.from_numpy(theirs).double()).min())
