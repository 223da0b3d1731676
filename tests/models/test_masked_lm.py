"""Surprisal vectors against their definition, heads that are missing, and heads that are trained."""

import numpy as np
import pytest
import torch
from tests.models.tiny import save_masked_distilbert, save_masked_roberta, tokenizer
from transformers import AutoModelForMaskedLM

from nearmiss.errors import InvalidInput, MissingHead
from nearmiss.models.encoder import load_encoder
from nearmiss.models.inference import Reading
from nearmiss.models.masked_lm import MaskedLanguageModel
from nearmiss.models.mlm_head import HeadSettings, drawn_places, train_tied_head
from nearmiss.models.tokens import Tokens
from nearmiss.text.corpus import Texts

QUICK = HeadSettings(n_texts=80, epochs=4, batch_size=32)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def grammar():
    """A hundred sentences with a word order to learn: article, quality, thing, verb."""
    draw = rng(5)
    return Texts(
        tuple(
            f"the {draw.choice(['good', 'bad', 'fine'])} {draw.choice(['film', 'plot', 'actor'])} was of the north"
            for _ in range(100)
        )
    )


def load(folder):
    return MaskedLanguageModel.load(folder, max_length=32, precision="float32")


def all_losses(folder, texts):
    """The definition, slowly: each text through the whole model unmasked, the cross-entropy of each token."""
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    for text in texts.first:
        inputs = tokenizer()(text, truncation=True, max_length=32, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            logits = model(**inputs).logits[0]
        yield torch.nn.functional.cross_entropy(logits, inputs["input_ids"][0], reduction="none").numpy()


@pytest.mark.parametrize("save", [None, save_masked_distilbert, save_masked_roberta])
def test_vectors_are_cross_entropies_at_fifteen_per_cent_of_the_tokens(tiny_masked_bert, tmp_path, assorted, save):
    folder = tiny_masked_bert if save is None else save(tmp_path / "model")
    texts = assorted.take([i for i, text in enumerate(assorted.first) if "\ud800" not in text])
    vectors = load(folder).surprisal(texts, rng())
    assert vectors.shape == (len(texts), 32)
    for vector, losses in zip(vectors, all_losses(folder, texts), strict=True):
        words = len(losses) - 2  # without [CLS] and [SEP]
        chosen = np.flatnonzero(vector)
        assert len(chosen) == (max(1, round(0.15 * words)) if words else 0)
        assert all(0 < place < len(losses) - 1 for place in chosen)
        if len(chosen):
            expected = losses[chosen] / np.linalg.norm(losses[chosen])
            np.testing.assert_allclose(vector[chosen], expected, rtol=1e-3, atol=1e-5)


def test_vectors_depend_on_generator_and_text_not_on_order(tiny_masked_bert, assorted):
    model = load(tiny_masked_bert)
    vectors = model.surprisal(assorted, rng(1))
    order = rng().permutation(len(assorted))
    np.testing.assert_allclose(model.surprisal(assorted.take(order), rng(1)), vectors[order], atol=1e-4)
    assert not np.array_equal(model.surprisal(assorted, rng(2)) > 0, vectors > 0)


def test_the_same_generator_gives_the_same_bits_and_one_number_is_drawn(tiny_masked_bert, assorted):
    model, one, other, plain = load(tiny_masked_bert), rng(1), rng(1), rng(1)
    np.testing.assert_array_equal(model.surprisal(assorted, one), model.surprisal(assorted, other))
    plain.integers(2**63)
    assert one.random() == plain.random()


def test_no_texts_give_no_rows(tiny_masked_bert):
    assert load(tiny_masked_bert).surprisal(Texts(()), rng()).shape == (0, 32)


@pytest.mark.parametrize("headless", ["minilm", "tiny"])
def test_a_checkpoint_without_a_head_is_refused_with_the_mend(headless, tiny_bert):
    with pytest.raises(MissingHead, match=r"no masked-LM head.*train_head.*bert-base-uncased"):
        load(tiny_bert if headless == "tiny" else headless)


def test_training_a_head_lowers_the_loss_below_plain_frequencies(tiny_bert, grammar, tmp_path):
    settings = HeadSettings(n_texts=100, epochs=10, batch_size=16, learning_rate=1e-2)
    model = MaskedLanguageModel.train_head(
        grammar, rng(), name=tiny_bert, settings=settings, max_length=32, cache_dir=tmp_path
    )
    assert model.training.loss_after < 0.8 * model.training.loss_before
    assert model.training.loss_after < model.training.loss_unigram
    assert model.training.n_tokens >= 10
    vectors = model.surprisal(grammar, rng())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_a_trained_head_is_kept_and_taken_up_again(tiny_bert, grammar, tmp_path):
    def trained(generator):
        return MaskedLanguageModel.train_head(
            grammar, generator, name=tiny_bert, settings=QUICK, max_length=32, cache_dir=tmp_path
        )

    one, other = rng(1), rng(1)
    first = trained(one)
    (head,) = (tmp_path / "heads").iterdir()
    stamp = head.stat().st_mtime_ns
    second = trained(other)
    assert head.stat().st_mtime_ns == stamp
    assert second.training == first.training
    assert one.random() == other.random()
    np.testing.assert_array_equal(first.surprisal(grammar, rng()), second.surprisal(grammar, rng()))
    head.write_bytes(b"damaged")
    assert trained(rng(1)).training == first.training
    trained(rng(2))
    assert len(list((tmp_path / "heads").iterdir())) == 2


def test_training_is_deterministic_and_leaves_encoder_and_global_state_alone(tiny_bert, grammar):
    encoder, reading = load_encoder(tiny_bert, "cpu"), Reading(32)
    state = torch.get_rng_state()
    before = {name: tensor.clone() for name, tensor in encoder.model.state_dict().items()}
    one, other = (train_tied_head(encoder, grammar, rng(3), QUICK, reading) for _ in range(2))
    for (_, a), (_, b) in zip(one.head.state_dict().items(), other.head.state_dict().items(), strict=True):
        assert torch.equal(a, b)
    assert one.report == other.report
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.model.state_dict().items())


def test_too_few_words_to_train_on_are_refused(tiny_bert, tmp_path):
    for texts in (Texts(("", "")), Texts(("good film",))):
        with pytest.raises(InvalidInput, match="too few words"):
            MaskedLanguageModel.train_head(texts, rng(), name=tiny_bert, max_length=32, cache_dir=tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"n_texts": 1}, {"epochs": 0}, {"batch_size": 0}, {"mask_fraction": 0.0}, {"learning_rate": 0.0}]
)
def test_impossible_head_settings_are_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        HeadSettings(**wrong)


@pytest.mark.parametrize("words", [1, 3, 10, 20, 100])
def test_places_are_distinct_words_of_the_text(words):
    special = np.array([True, True] + [True] + [False] * words + [True])
    tokens = Tokens(
        np.zeros(len(special), np.int32), np.zeros(len(special), np.int8), special, np.array([0, 2, words + 4])
    )
    places = drawn_places(tokens, 1, 0.15, rng())
    assert len(places) == len(set(places)) == max(1, round(0.15 * words))
    assert not special[places].any()
    assert len(drawn_places(tokens, 0, 0.15, rng())) == 0
