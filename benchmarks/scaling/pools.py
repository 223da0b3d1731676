"""Pools to measure with: made-up signals of any number of rows, and real texts repeated with edits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from nearmiss.loop.streams import named_generator
from nearmiss.scale.labels import KnownLabels
from nearmiss.text.datasets import load_dataset

SHARD_ROWS, DIMENSIONS, CLASSES = 50_000, 384, 4


def make_signals(folder: Path, rows: int) -> None:
    """Write shards of ids, features (unit length, in clusters) and log-probabilities; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    centers = named_generator("centers").standard_normal((64, DIMENSIONS)).astype(np.float32)
    for number in range(-(-rows // SHARD_ROWS)):
        path = folder / f"part-{number:05d}.parquet"
        if path.exists():
            continue
        n, rng = min(SHARD_ROWS, rows - number * SHARD_ROWS), named_generator("shard", number)
        features = centers[rng.integers(64, size=n)] + rng.standard_normal((n, DIMENSIONS), dtype=np.float32)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        logits = 2 * rng.standard_normal((n, CLASSES))
        log_probs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
        table = pa.table(
            {
                "id": [f"{number}-{row}" for row in range(n)],
                "features": pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), DIMENSIONS),
                "log_probs": pa.FixedSizeListArray.from_arrays(pa.array(log_probs.ravel()), CLASSES),
            }
        )
        part = path.with_suffix(".part")
        parquet.write_table(table, part, row_group_size=16_384, compression="none", use_dictionary=["id"])
        part.rename(path)


def first_shards(whole: Path, part: Path, rows: int) -> Path:
    """Make a pool of the first shards of another, without copying them."""
    part.mkdir(parents=True, exist_ok=True)
    for path in sorted(whole.glob("*.parquet"))[: rows // SHARD_ROWS]:
        if not (part / path.name).exists():
            (part / path.name).hardlink_to(path)
    return part


def some_labels(rows: int, m: int) -> KnownLabels:
    """Label m texts of made-up signals, spread over all shards."""
    rng = named_generator("labels", rows, m)
    chosen = np.sort(rng.choice(rows, m, replace=False))
    ids = tuple(f"{row // SHARD_ROWS}-{row % SHARD_ROWS}" for row in chosen)
    return KnownLabels(ids, rng.integers(0, CLASSES, m), tuple("abcd"))


def make_texts(folder: Path, rows: int, dataset: str, data_dir: Path | None) -> KnownLabels:
    """Write real texts in shards, repeated with edits until there are enough, and label 500 of the first round."""
    pool = load_dataset(dataset, data_dir, seed=0).pool
    texts, rng = pool.texts.first, named_generator("edits")
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(-(-rows // 10_000)):
        path = folder / f"part-{number:05d}.parquet"
        numbers = range(number * 10_000, min(rows, (number + 1) * 10_000))
        written = [_edited(texts[i % len(texts)], i // len(texts), rng) for i in numbers]
        parquet.write_table(pa.table({"id": [str(i) for i in numbers], "text": written}), path, row_group_size=10_000)
    chosen = named_generator("labels").choice(min(rows, len(texts)), 500, replace=False)
    return KnownLabels(tuple(str(i) for i in chosen), pool.gold()[chosen], pool.label_names)


def _edited(text: str, repetition: int, rng: np.random.Generator) -> str:
    """Leave out a word, and put a number in its place, from the second time on."""
    if not repetition:
        return text
    words = text.split() or [""]
    words[int(rng.integers(len(words)))] = str(repetition)
    return " ".join(words)
