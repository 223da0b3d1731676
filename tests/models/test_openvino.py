"""OpenVINO reads what torch reads, converts a model once, and refuses by name what it cannot do."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from nearmiss.acquisition.base import Signal
from nearmiss.errors import InvalidInput, MissingExtra, ModelUnavailable
from nearmiss.models import openvino as backend
from nearmiss.models.encoder import load_encoder
from nearmiss.models.frozen import FrozenClassifier
from nearmiss.models.inference import Pooling, Reading, pooled, resolve_precision, token_states
from nearmiss.models.tuned import TunedClassifier
from nearmiss.text.corpus import Texts

pytest.importorskip("openvino")

TORCH = Reading(max_length=32, precision="float32")
OPENVINO = replace(TORCH, backend="openvino")
PAIRS = Texts(("good film", "bad", "the rain"), ("plot", "was good was bad", ""))


@pytest.fixture
def encoder(tiny_bert):
    """A fresh one, which nothing has been converted of."""
    return replace(load_encoder(tiny_bert, "cpu"))


def cosines(one, other):
    one, other = one.astype(np.float64), other.astype(np.float64)
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_every_layer_has_the_states_that_torch_gives(encoders, assorted):
    for encoder in encoders:
        for layer in range(encoder.n_layers + 1):
            expected, found = (
                token_states(encoder, assorted, reading, layer=layer, dtype=torch.float32)
                for reading in (TORCH, OPENVINO)
            )
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("texts", [PAIRS, Texts(("good film",)), Texts(())], ids=["pairs", "one", "none"])
def test_every_pooling_is_that_of_torch(encoder, texts):
    expected, found = (pooled(encoder, texts, reading, list(Pooling)) for reading in (TORCH, OPENVINO))
    for pooling in Pooling:
        np.testing.assert_allclose(found[pooling], expected[pooling], rtol=1e-4, atol=1e-5)


def test_the_embedded_encoder_reads_the_same(assorted):
    encoder = load_encoder("minilm", "cpu")
    expected, found = (
        pooled(encoder, assorted, Reading(precision="float32", backend=name), list(Pooling))
        for name in ("torch", "openvino")
    )
    for pooling in Pooling:
        assert cosines(found[pooling], expected[pooling]).min() > 0.999999


def test_the_same_texts_give_the_same_bits(encoder, assorted):
    first = pooled(encoder, assorted, OPENVINO, [Pooling.MEAN])[Pooling.MEAN]
    pooled(encoder, assorted.take([3, 1]), OPENVINO, [Pooling.MEAN])
    np.testing.assert_array_equal(pooled(encoder, assorted, OPENVINO, [Pooling.MEAN])[Pooling.MEAN], first)


def test_a_text_reads_alone_as_in_company(encoder, assorted):
    together = pooled(encoder, assorted, OPENVINO, [Pooling.MEAN])[Pooling.MEAN]
    for i in range(len(assorted)):
        alone = pooled(encoder, assorted.take([i]), OPENVINO, [Pooling.MEAN])[Pooling.MEAN]
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-5, atol=1e-5)


def test_a_model_is_converted_once_in_float32_for_as_many_threads_as_torch_has(encoder, assorted, monkeypatch):
    made = []
    converted = backend._converted
    monkeypatch.setattr(backend, "_converted", lambda *args: made.append(args) or converted(*args))
    for _ in range(3):
        pooled(encoder, assorted, OPENVINO, [Pooling.MEAN])
    assert made == [(encoder, encoder.n_layers)]
    compiled = backend._compiled(encoder, encoder.n_layers, "f32", torch.get_num_threads())
    assert compiled.get_property("INFERENCE_NUM_THREADS") == torch.get_num_threads()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


def test_converting_reports_to_nobody(encoder, assorted, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("openvino_telemetry.Telemetry.__new__", lambda *_, **__: pytest.fail("telemetry was started"))
    pooled(encoder, assorted, OPENVINO, [Pooling.MEAN])


def test_bfloat16_is_read_where_the_processor_has_it_and_refused_elsewhere(encoder, assorted):
    reading = replace(OPENVINO, precision="bfloat16")
    if resolve_precision("auto", torch.device("cpu")) == "bfloat16":
        exact, half = (pooled(encoder, assorted, each, [Pooling.MEAN])[Pooling.MEAN] for each in (TORCH, reading))
        assert not np.array_equal(exact, half)
        assert cosines(exact, half).min() > 0.999
    else:
        with pytest.raises(InvalidInput, match="bfloat16 only where the processor"):
            pooled(encoder, assorted, reading, [Pooling.MEAN])


def test_another_device_is_refused(encoder):
    elsewhere = replace(encoder, device=torch.device("meta"))
    with pytest.raises(InvalidInput, match="ask for device 'cpu' or backend 'torch'"):
        pooled(elsewhere, Texts(("good",)), OPENVINO, [Pooling.MEAN])


def test_a_model_that_cannot_be_converted_is_named(encoder):
    class Odd(nn.Module):
        config = SimpleNamespace(model_type="odd", hidden_size=32, num_hidden_layers=2)

        def forward(self, **_):
            raise NotImplementedError("no such thing")

    odd = replace(encoder, name="odd", model=Odd())
    with pytest.raises(ModelUnavailable, match=r"cannot convert odd .*backend 'torch'"):
        token_states(odd, Texts(("good",)), replace(OPENVINO, max_length=8))


def test_without_openvino_the_extra_is_named(encoder, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r"needs openvino.*pip install 'nearmiss\[openvino\]'"):
        pooled(encoder, Texts(("good",)), OPENVINO, [Pooling.MEAN])


@pytest.mark.parametrize("kind", [FrozenClassifier, TunedClassifier])
def test_classifiers_pass_the_backend_on(kind, tiny_bert, assorted, tmp_path):
    texts, labels = assorted, np.arange(len(assorted)) % 2
    logits = []
    for name in ("torch", "openvino"):
        options = {"model": tiny_bert, "max_length": 32, "precision": "float32", "device": "cpu", "backend": name}
        classifier = kind(cache_dir=tmp_path, **options)
        classifier.fit(texts, labels, n_classes=2, rng=np.random.default_rng(0))
        logits.append(classifier.infer(texts, {Signal.LOG_PROBS}, rng=np.random.default_rng(0)).logits)
    np.testing.assert_allclose(logits[0], logits[1], atol=0.05)
    assert len(list(tmp_path.iterdir())) == 2  # what each has read is kept apart
