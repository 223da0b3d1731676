"""Texts read per second by the embedded encoder, beside plain loops over the same model."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.arrays import Floats
from benchmarks.machine import installed
from benchmarks.memory import peak_of
from benchmarks.results import Figure, Item, Mark, Note
from benchmarks.sections import Context
from benchmarks.texts import Source, distinct_texts
from benchmarks.timing import Ways, take_turns
from nearmiss.models.encoder import find_model, load_encoder, load_quietly
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Backend, Pooling, Precision, Reading, pooled
from nearmiss.text.corpus import Texts

if TYPE_CHECKING:
    from transformers import BatchEncoding

__all__ = ["prepare", "section"]

OURS, OURS_FULL = "Reading short texts, [CLS]", "Reading short texts in float32, [CLS]"
CONVERTED = "Reading short texts with OpenVINO, [CLS]"
PADDED = "padded to 128, batches of 16, float32"
DYNAMIC = "padded to the longest, batches of 16, float32"
BATCH, MAX_LENGTH = 16, 128


def section(context: Context) -> Iterator[Item]:
    """MiniLM over short texts."""
    n = context.size(2048, 128)
    texts = distinct_texts(context.source.corpora()[0], n).texts
    plain = _PlainModel()
    turns = take_turns(_ways(plain, texts), context.repeats, warm_up=_ways(plain, texts.take(range(32))))
    rates = {way: n / statistics.median(seconds) for way, seconds in turns.seconds.items()}
    sizes = {"n": n, "d": 384}
    for peer, low in ((PADDED, 15.0), (DYNAMIC, 4.0)):
        mark = Mark("ratio", low=low)
        yield Figure(OURS, sizes, rates[OURS], "texts/s", peer, rates[peer], (mark,), raw=turns.seconds)
    yield Figure(OURS_FULL, sizes, rates[OURS_FULL], "texts/s", DYNAMIC, rates[DYNAMIC])
    cosine = _least_cosine(turns.results[OURS], turns.results[DYNAMIC])
    yield Figure("[CLS], least cosine with float32", sizes, cosine, "", marks=(Mark("ours", low=0.9999),))
    if CONVERTED in rates:
        yield Figure(CONVERTED, sizes, rates[CONVERTED], "texts/s", OURS, rates[OURS])
        cosine = _least_cosine(turns.results[CONVERTED], turns.results[DYNAMIC])
        yield Figure(f"{CONVERTED}: least cosine with float32", sizes, cosine, "")
    yield Note(
        f"{context.source.name}, {plain.mean_tokens(texts):.1f} tokens a text; every way starts from plain texts."
    )
    yield from _memory(context)


def prepare(name: str, data_dir: str | None, n: int) -> Callable[[], object]:
    """Make n texts for a cache that knows none of them; for ``peak_of``."""
    texts = distinct_texts(Source(name, data_dir).corpora()[0], n).texts
    folder = tempfile.TemporaryDirectory()
    vectors = FrozenVectors(device="cpu", cache_dir=folder.name)

    def read() -> Floats:
        with folder:
            return vectors.of(texts, Pooling.MEAN)

    return read


def _memory(context: Context) -> Iterator[Item]:
    few, many = context.size(5000, 500), context.size(20_000, 1000)
    given = {"name": context.source.name, "data_dir": context.source.data_dir}
    peaks = {n: peak_of(prepare, given | {"n": n}, given | {"n": 64}).peak / 2**20 for n in (few, many)}
    mark = Mark("ratio", high=1.1)
    what = "Encoding to an empty cache: peak memory"
    yield Figure(what, {"n": many, "d": 384}, peaks[many], "MiB", f"the same, n = {few:,}", peaks[few], (mark,))


def _ways(plain: _PlainModel, texts: Texts) -> Ways:
    def ours(precision: Precision, backend: Backend = "torch") -> Floats:
        reading = Reading(MAX_LENGTH, precision, backend=backend)
        return pooled(load_encoder(device="cpu"), texts, reading, [Pooling.CLS])[Pooling.CLS]

    converted = {CONVERTED: lambda: ours("auto", "openvino")} if installed("openvino") else {}
    return converted | {
        OURS: lambda: ours("auto"),
        OURS_FULL: lambda: ours("float32"),
        DYNAMIC: lambda: plain.read(texts, padding=True),
        PADDED: lambda: plain.read(texts, padding="max_length"),
    }


class _PlainModel:
    """The loop everybody writes first: batches in the order of the texts."""

    def __init__(self) -> None:
        from transformers import AutoModel, AutoTokenizer

        directory = find_model().directory
        with load_quietly():
            self.tokenizer = AutoTokenizer.from_pretrained(directory)
            self.model = AutoModel.from_pretrained(directory).eval()

    def read(self, texts: Texts, padding: bool | str) -> Floats:
        """Give the [CLS] states."""
        states = []
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                batch = self._tokens(list(texts.first[start : start + BATCH]), padding)
                states.append(self.model(**batch).last_hidden_state[:, 0])
        return torch.cat(states).numpy()

    def mean_tokens(self, texts: Texts) -> float:
        """Average the tokens of a text, special ones included."""
        return float(np.mean([len(ids) for ids in self.tokenizer(list(texts.first), truncation=True)["input_ids"]]))

    def _tokens(self, texts: list[str], padding: bool | str) -> BatchEncoding:
        return self.tokenizer(texts, truncation=True, padding=padding, max_length=MAX_LENGTH, return_tensors="pt")


def _least_cosine(ours: Floats, theirs: Floats) -> float:
    return float(torch.cosine_similarity(torch.from_numpy(ours).double(), torch.from_numpy(theirs).double()).min())
