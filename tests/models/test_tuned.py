"""The tuned classifier: what it caches, what it trains, and that nothing but its arguments decides the result."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizerFast, DistilBertConfig, DistilBertModel

from nearmiss.acquisition.base import Signal
from nearmiss.errors import InvalidArray, InvalidInput, UnknownName
from nearmiss.models.base import Classifier
from nearmiss.models.store import ArrayStore
from nearmiss.models.tuned import TunedClassifier
from nearmiss.text.corpus import Texts

GOOD = ("lovely", "charming", "delightful", "wonderful", "superb")
BAD = ("dreadful", "dull", "awful", "boring", "terrible")
THINGS = ("film", "story", "music", "ending", "cast", "plot", "dialogue", "picture")
ALL_SIGNALS = frozenset({Signal.LOG_PROBS, Signal.FEATURES, Signal.MC_LOG_PROBS})


def reviews(things=THINGS):
    """Every pair of an adjective and a thing: (texts, labels), 1 for praise."""
    rows = [(f"a {word} {thing}", int(word in GOOD)) for thing in things for word in (*GOOD, *BAD)]
    return Texts(tuple(text for text, _ in rows)), np.array([label for _, label in rows])


TEXTS, LABELS = reviews(THINGS[:4])
UNSEEN, UNSEEN_LABELS = reviews(THINGS[4:])


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One folder of states of the embedded encoder for all tests that do not look at the folder itself."""
    return tmp_path_factory.mktemp("states")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Save a small random BERT with two layers, and a tokenizer that knows every word of the reviews."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", *GOOD, *BAD, *THINGS]
    vocabulary = folder / "words.txt"
    vocabulary.write_text("\n".join(words))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=40,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    BertTokenizerFast(vocab_file=str(vocabulary), model_max_length=40).save_pretrained(folder)
    return str(folder)


def rng(seed=0):
    return np.random.default_rng(seed)


def fitted(texts=TEXTS, labels=LABELS, n_classes=2, seed=0, **options):
    classifier = TunedClassifier(**{"steps": 15, "device": "cpu", **options})
    classifier.fit(texts, labels, n_classes=n_classes, rng=rng(seed))
    return classifier


def everything(classifier, texts=UNSEEN, seed=0):
    return classifier.infer(texts, ALL_SIGNALS, representations=classifier.representations, rng=rng(seed))


def assert_same_bits(one, other):
    assert np.array_equal(one.logits, other.logits)
    assert np.array_equal(one.log_probs, other.log_probs)
    assert np.array_equal(one.mc_log_probs, other.mc_log_probs)
    assert one.representations.keys() == other.representations.keys()
    for name, values in one.representations.items():
        assert np.array_equal(values, other.representations[name])


# Learning


def test_learns_what_separates_the_texts(cache):
    classifier = fitted(cache_dir=cache, steps=60)
    assert isinstance(classifier, Classifier)
    predicted = everything(classifier).log_probs.argmax(axis=1)
    assert (predicted == UNSEEN_LABELS).mean() > 0.9


@pytest.mark.parametrize("options", [{"readout": "cls"}, {"readout": "mean"}, {"layers": 2}], ids=str)
def test_every_form_learns(tiny, tmp_path, options):
    classifier = fitted(model=tiny, cache_dir=tmp_path, steps=80, learning_rate=3e-3, **options)
    predicted = everything(classifier, TEXTS).log_probs.argmax(axis=1)
    assert (predicted == LABELS).mean() > 0.9


def test_tuned_features_separate_the_classes_better_than_their_input(cache):
    seen = everything(fitted(cache_dir=cache, steps=60)).representations

    def separation(features):
        difference = features[UNSEEN_LABELS == 1].mean(axis=0) - features[UNSEEN_LABELS == 0].mean(axis=0)
        return np.linalg.norm(difference) / np.linalg.norm(features.std(axis=0))

    assert separation(seen["penultimate"]) > 2 * separation(seen["input-mean"])
    assert separation(seen["penultimate"]) > 2 * separation(seen["input-cls"])


def test_predictions_do_not_collapse_on_few_labels(cache):
    for seed in range(8):
        chosen = rng(seed).permutation(len(TEXTS))[:10]
        if len(set(LABELS[chosen])) < 2:
            continue
        classifier = fitted(TEXTS.take(chosen), LABELS[chosen], seed=seed, cache_dir=cache, steps=40)
        assert set(everything(classifier).log_probs.argmax(axis=1)) == {0, 1}


def test_balanced_weights_help_the_rare_class(cache):
    rare = np.flatnonzero(LABELS == 1)[:2]
    chosen = np.concatenate([rare, np.flatnonzero(LABELS == 0)])

    def confidence_in_rare(class_weight):
        classifier = fitted(TEXTS.take(chosen), LABELS[chosen], cache_dir=cache, class_weight=class_weight)
        return everything(classifier).log_probs[:, 1].mean()

    assert confidence_in_rare("balanced") > confidence_in_rare("none")


# Small and odd training sets


def test_one_label_is_enough(cache):
    classifier = fitted(TEXTS.take([0]), np.array([1]), n_classes=3, cache_dir=cache)
    seen = everything(classifier)
    assert seen.log_probs.shape == (len(UNSEEN), 3)
    assert np.isfinite(seen.log_probs).all()
    assert (seen.log_probs.argmax(axis=1) == 1).all()


def test_one_class_is_enough(cache):
    texts = TEXTS.take(np.flatnonzero(LABELS == 1))
    classifier = fitted(texts, np.ones(len(texts), dtype=np.int64), cache_dir=cache)
    assert (everything(classifier).log_probs.argmax(axis=1) == 1).all()


def test_fewer_labels_than_a_batch_and_repeated_texts(cache):
    texts, labels = TEXTS.take([0, 5, 0, 5, 1]), LABELS[[0, 5, 0, 5, 1]]
    assert np.isfinite(everything(fitted(texts, labels, cache_dir=cache)).log_probs).all()


def test_empty_and_blank_texts(cache):
    seen = everything(fitted(cache_dir=cache), Texts(("", "   ", "\n")))
    assert np.isfinite(seen.log_probs).all()


def test_no_texts_give_empty_arrays(cache):
    seen = everything(fitted(cache_dir=cache), Texts(()))
    assert seen.log_probs.shape == (0, 2)
    assert seen.mc_log_probs.shape == (10, 0, 2)
    assert seen.representations["penultimate"].shape == (0, 384)


def test_pairs_are_read_as_pairs(cache):
    pairs = Texts(("a film", "a film"), ("a lovely cast", "a dull cast"))
    classifier = fitted(pairs, np.array([1, 0]), cache_dir=cache, steps=40)
    assert everything(classifier, pairs).log_probs.argmax(axis=1).tolist() == [1, 0]


# Signals


def test_signals_belong_together(cache):
    classifier = fitted(cache_dir=cache)
    seen = everything(classifier)
    assert seen.logits.shape == seen.log_probs.shape == (len(UNSEEN), 2)
    assert np.allclose(np.exp(seen.log_probs).sum(axis=1), 1)
    assert np.allclose(np.diff(seen.logits, axis=1), np.diff(seen.log_probs, axis=1), atol=1e-5)
    head = classifier.head_weights
    assert np.allclose(seen.representations["penultimate"] @ head.T, seen.logits - seen.logits[:1] + (
        seen.representations["penultimate"][:1] @ head.T), atol=1e-4)
