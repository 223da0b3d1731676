"""The frozen encoder: its vectors, their cache, and the regression over them."""

from functools import partial

import numpy as np
import pytest

from nearmiss.acquisition.base import Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.tensors import row_blocks
from nearmiss.errors import InvalidInput, ModelUnavailable
from nearmiss.models import frozen
from nearmiss.models.encoder import load_encoder
from nearmiss.models.frozen import FrozenClassifier, FrozenVectors
from nearmiss.models.inference import Pooling, Reading, pooled
from nearmiss.models.store import ArrayStore
from nearmiss.text.corpus import Texts

BOTH = frozenset({Signal.LOG_PROBS, Signal.FEATURES})


def rng():
    return np.random.default_rng(0)


def test_paraphrases_are_closer_than_strangers(tmp_path):
    texts = Texts(("How do I reset my PIN?", "I forgot my pin, can I change it?", "The river froze in January."))
    vectors = FrozenVectors(cache_dir=tmp_path).of(texts, Pooling.MEAN)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


def test_vectors_are_those_of_the_encoder_and_the_cache_gives_the_same_bits(tiny_bert, assorted, tmp_path):
    reading = Reading(32, "float32")
    computed = FrozenVectors(tiny_bert, reading, cache_dir=tmp_path).of(assorted, Pooling.CLS)
    expected = pooled(load_encoder(tiny_bert), assorted, reading, [Pooling.CLS])[Pooling.CLS]
    np.testing.assert_array_equal(computed, expected)
    np.testing.assert_array_equal(FrozenVectors(tiny_bert, reading, cache_dir=tmp_path).of(assorted, "cls"), computed)


def test_cached_vectors_are_read_not_computed(tiny_bert, assorted, tmp_path):
    vectors = FrozenVectors(tiny_bert, Reading(32), cache_dir=tmp_path)
    first = vectors.of(assorted, Pooling.MEAN)
    shards = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    order = rng().permutation(len(assorted))
    np.testing.assert_array_equal(vectors.of(assorted.take(order), Pooling.MEAN), first[order])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == shards


@pytest.mark.parametrize("block_bytes", [1, 1000, 10**9])
def test_vectors_scaled_some_rows_at_a_time_are_those_scaled_together(
    tiny_bert, assorted, tmp_path, monkeypatch, block_bytes
):
    monkeypatch.setattr(frozen, "row_blocks", partial(row_blocks, block_bytes=block_bytes))
    vectors = FrozenVectors(tiny_bert, Reading(32), cache_dir=tmp_path)
    expected = normalize_rows(vectors.of(assorted, Pooling.MEAN))
    np.testing.assert_array_equal(vectors.units(assorted, Pooling.MEAN), expected)


def test_preparing_reads_nothing_back(tiny_bert, assorted, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ArrayStore, "dense", None)
        FrozenClassifier(model=tiny_bert, max_length=32, cache_dir=tmp_path).prepare(assorted)
    monkeypatch.setattr(ArrayStore, "add", None)  # whatever is computed again would be added
    assert len(FrozenVectors(tiny_bert, Reading(32), cache_dir=tmp_path).of(assorted, Pooling.MEAN)) == len(assorted)


def test_no_texts_give_no_rows(tiny_bert, tmp_path):
    classifier = FrozenClassifier(model=tiny_bert, max_length=32, cache_dir=tmp_path)
    classifier.fit(Texts(("good", "bad")), np.array([1, 0]), n_classes=2, rng=rng())
    found = classifier.infer(Texts(()), BOTH, rng=rng())
    assert found.log_probs.shape == (0, 2)
    assert found.representations["penultimate"].shape == (0, 32)


@pytest.mark.parametrize("pooling", ["mean", "cls", "mean-embedding"])
def test_penultimate_is_the_pooling_scaled_to_norm_one(tiny_bert, assorted, tmp_path, pooling):
    classifier = FrozenClassifier(model=tiny_bert, pooling=pooling, max_length=32, cache_dir=tmp_path)
    classifier.fit(assorted.take([0, 1]), np.array([1, 0]), n_classes=2, rng=rng())
    found = classifier.infer(assorted, BOTH, representations=("penultimate", pooling), rng=rng()).representations
    raw = found[pooling]
    np.testing.assert_allclose(found["penultimate"], raw / np.linalg.norm(raw, axis=1, keepdims=True), rtol=1e-5)


def test_unnormalised_is_the_raw_vector(tiny_bert, assorted, tmp_path):
    classifier = FrozenClassifier(model=tiny_bert, normalize=False, max_length=32, cache_dir=tmp_path)
    classifier.fit(assorted.take([0, 1]), np.array([1, 0]), n_classes=2, rng=rng())
    found = classifier.infer(assorted, BOTH, representations=classifier.representations, rng=rng()).representations
    np.testing.assert_array_equal(found["penultimate"], found["mean"])


def test_learns_from_a_few_labels(tmp_path):
    texts = Texts(("a wonderful film", "a terrible film", "great acting", "awful, boring acting"))
    classifier = FrozenClassifier(cache_dir=tmp_path)
    classifier.fit(texts, np.array([1, 0, 1, 0]), n_classes=2, rng=rng())
    found = classifier.infer(Texts(("superb music", "dreadful music")), BOTH, rng=rng())
    assert found.log_probs.argmax(axis=1).tolist() == [1, 0]


def test_only_what_was_asked_for_is_given(tiny_bert, assorted, tmp_path):
    classifier = FrozenClassifier(model=tiny_bert, max_length=32, cache_dir=tmp_path)
    classifier.fit(assorted.take([0, 1]), np.array([1, 0]), n_classes=2, rng=rng())
    only_probs = classifier.infer(assorted, {Signal.LOG_PROBS}, representations=("cls",), rng=rng())
    assert only_probs.representations == {}
    only_features = classifier.infer(assorted, {Signal.FEATURES}, representations=("cls",), rng=rng())
    assert (only_features.log_probs, list(only_features.representations)) == (None, ["cls"])


def test_unknown_pooling_is_refused():
    with pytest.raises(InvalidInput, match="'max' is none of 'mean', 'cls', 'mean-embedding'"):
        FrozenClassifier(pooling="max")


def test_unknown_model_is_refused_on_first_use(tmp_path):
    with pytest.raises(ModelUnavailable, match="nobody/nothing"):
        FrozenClassifier(model="nobody/nothing", cache_dir=tmp_path).prepare(Texts(("good",)))
