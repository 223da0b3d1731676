"""One pass over texts: the right states, in the right order, whatever the company."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.errors import InvalidInput
from nearmiss.models.encoder import load_encoder
from nearmiss.models.inference import (
    Pooling,
    Reading,
    batches,
    hidden_states,
    pooled,
    resolve_precision,
    states_at,
    token_states,
)
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts

EXACT = Reading(max_length=32, precision="float32")


def padded_states(encoder, texts, max_length):
    """What transformers says of all texts padded into one batch: (states of every layer, mask)."""
    first = [text.encode("utf-8", "replace").decode() for text in texts.first]
    inputs = encoder.tokenizer(
        first,
        None if texts.second is None else list(texts.second),
        padding=True,
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
    )
    if encoder.model.config.model_type == "distilbert":
        inputs.pop("token_type_ids", None)
    with torch.no_grad():
        out = encoder.model(**inputs, output_hidden_states=True)
    return out.hidden_states, inputs["attention_mask"].bool()


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return load_encoder(tiny_bert, "cpu")


def test_states_of_every_layer_are_those_of_the_whole_model(encoders, assorted):
    for encoder in encoders:
        expected, mask = padded_states(encoder, assorted, 32)
        for layer in range(encoder.n_layers + 1):
            found = token_states(encoder, assorted, EXACT, layer=layer, dtype=torch.float32)
            assert len(found) == len(assorted)
            for i, states in enumerate(found):
                torch.testing.assert_close(states, expected[layer][i][mask[i]], rtol=1e-4, atol=1e-5)


def test_reading_lower_layers_leaves_the_model_whole(encoder, assorted):
    before = token_states(encoder, assorted, EXACT)
    token_states(encoder, assorted, EXACT, layer=0)
    assert len(encoder.model.encoder.layer) == 2
    assert encoder.model.pooler is not None
    assert all(torch.equal(a, b) for a, b in zip(before, token_states(encoder, assorted, EXACT), strict=True))


def test_pairs_are_read_with_their_segments(encoder):
    texts = Texts(("good film", "bad", "the rain"), ("plot", "was good was bad", ""))
    expected, mask = padded_states(encoder, texts, 32)
    for i, states in enumerate(token_states(encoder, texts, EXACT, dtype=torch.float32)):
        torch.testing.assert_close(states, expected[-1][i][mask[i]], rtol=1e-4, atol=1e-5)


def test_a_text_reads_alone_as_in_company(encoder, assorted):
    together = token_states(encoder, assorted, EXACT, dtype=torch.float32)
    for i in range(len(assorted)):
        alone = token_states(encoder, assorted.take([i]), EXACT, dtype=torch.float32)[0]
        torch.testing.assert_close(alone, together[i], rtol=1e-5, atol=1e-5)


def test_poolings_are_over_real_tokens_only(encoders, assorted):
    for encoder in encoders:
        expected, mask = padded_states(encoder, assorted, 32)
        found = pooled(encoder, assorted, EXACT, list(Pooling))
        for i in range(len(assorted)):
            last, first = expected[-1][i][mask[i]], expected[0][i][mask[i]]
            np.testing.assert_allclose(found[Pooling.MEAN][i], last.mean(0), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found[Pooling.CLS][i], last[0], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found[Pooling.EMBEDDING][i], first.mean(0), rtol=1e-4, atol=1e-5)


def test_a_pooling_is_the_same_whatever_else_is_asked(encoder, assorted):
    together = pooled(encoder, assorted, EXACT, list(Pooling))
    for pooling in Pooling:
        np.testing.assert_array_equal(pooled(encoder, assorted, EXACT, [pooling])[pooling], together[pooling])


def test_bfloat16_is_close_to_float32():
    encoder = load_encoder("minilm", "cpu")
    texts = Texts(("a good film", "the weather in the north", ""))
    exact, half = (
        pooled(encoder, texts, Reading(precision=precision), [Pooling.CLS])[Pooling.CLS]
        for precision in ("float32", "bfloat16")
    )
    assert not np.array_equal(exact, half)
    cosine = (exact * half).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine.min() > 0.9999


def test_single_tokens_are_those_of_the_whole_text(encoder, assorted):
    tokens = tokenize(encoder, assorted, 32)
    chosen = np.random.default_rng(0).random(len(tokens.ids)) < 0.3
    flat = torch.cat(token_states(encoder, assorted, EXACT, dtype=torch.float32))
    places = []
    for found in states_at(encoder, tokens, chosen, EXACT):
        assert torch.equal(found.states, flat[found.places])
        places.extend(found.places)
    assert sorted(places) == np.flatnonzero(chosen).tolist()


def test_batches_stream_within_the_budget(encoder, assorted):
    tokens = tokenize(encoder, assorted, 32)
    for batch in hidden_states(encoder, tokens, Reading(max_length=32, tokens_per_batch=40)):
        assert batch.states.shape[:2] == batch.mask.shape
        assert batch.mask.numel() <= 40
        assert batch.mask.all()  # equal lengths on a CPU: nothing is padded


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 200), st.integers(1, 16))
def test_batches_hold_every_text_once_and_like_lengths_only(lengths, budget, granularity):
    sizes = np.array(lengths, dtype=np.int64)
    groups = batches(sizes, budget, granularity)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    rounded = -(-sizes // granularity) * granularity
    for group in groups:
        assert len(set(rounded[group])) == 1
        assert len(group) == 1 or len(group) * rounded[group[0]] <= budget
    assert [rounded[group[0]] for group in groups] == sorted(rounded[group[0]] for group in groups)


def test_key_names_what_the_result_depends_on():
    cpu = torch.device("cpu")
    reading = Reading(precision="float32")
    key = reading.key("model", cpu, "mean")
    assert Reading(precision="float32", tokens_per_batch=64).key("model", cpu, "mean") == key
    others = [
        reading.key("other", cpu, "mean"),
        reading.key("model", torch.device("cuda"), "mean"),
        reading.key("model", cpu, "cls"),
        Reading(64, "float32").key("model", cpu, "mean"),
        Reading(precision="bfloat16").key("model", cpu, "mean"),
        Reading(precision="float32", backend="openvino").key("model", cpu, "mean"),
    ]
    assert len({key, *others}) == 7
    resolved = resolve_precision("auto", cpu)
    assert Reading().key("model", cpu, "mean") == Reading(precision=resolved).key("model", cpu, "mean")


def test_keys_of_caches_on_disk_stay():
    reading, cpu = Reading(precision="float32"), torch.device("cpu")
    assert reading.key("model", cpu, "pooled mean") == "3eed568e8628a0d38276ed84d515db87"
    assert reading.key("model", cpu, "states of layer 5") == "2f16f6efc3f77e4cf320c56b21b47096"
    # [CLS] was read from the whole last layer once: other bits, another key.
    assert reading.key("model", cpu, "pooled cls") != "e9f514989f4c932bd5e0c54224e11028"


@pytest.mark.parametrize(
    "wrong", [{"max_length": 7}, {"precision": "float16"}, {"tokens_per_batch": 0}, {"backend": "onnx"}]
)
def test_impossible_readings_are_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        Reading(**wrong)


@pytest.mark.parametrize("layer", [-1, 3])
def test_layers_the_model_lacks_are_refused(encoder, layer):
    with pytest.raises(InvalidInput, match="layers 0 to 2"):
        token_states(encoder, Texts(("good",)), EXACT, layer=layer)
