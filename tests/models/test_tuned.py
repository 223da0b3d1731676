"""The tuned classifier: what it caches, what it trains, and that nothing but its arguments decides the result."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel, PreTrainedTokenizerFast

from nearmiss.acquisition.base import Signal
from nearmiss.arrays.distances import normalize_rows
from nearmiss.errors import InvalidArray, InvalidInput, UnknownName
from nearmiss.models.base import Classifier
from nearmiss.models.frozen import FrozenVectors
from nearmiss.models.inference import Pooling, Reading
from nearmiss.models.store import ArrayStore
from nearmiss.models.tuned import TunedClassifier
from nearmiss.text.corpus import Texts

GOOD = ("lovely", "charming", "delightful", "wonderful", "superb")
BAD = ("dreadful", "dull", "awful", "boring", "terrible")
THINGS = ("film", "story", "music", "ending", "cast", "plot", "dialogue", "picture")
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", *GOOD, *BAD, *THINGS)
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


def save_tokenizer(folder):
    """Save a tokenizer that knows every word of the reviews."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=140,
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Save a small random BERT with three layers."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=140,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    save_tokenizer(folder)
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


@pytest.mark.parametrize("layers", [1, 2])
def test_before_any_label_texts_are_as_the_whole_encoder_sees_them(tiny, tmp_path, layers):
    classifier = TunedClassifier(model=tiny, layers=layers, precision="float32", cache_dir=tmp_path, device="cpu")
    frozen = FrozenVectors(tiny, Reading(precision="float32"), device="cpu", cache_dir=tmp_path)
    expected = normalize_rows(frozen.of(TEXTS, Pooling.MEAN))
    np.testing.assert_allclose(classifier.label_free(TEXTS), expected, atol=0.01)  # the cached states are bfloat16


def test_learns_what_separates_the_texts(cache):
    classifier = fitted(cache_dir=cache, steps=60)
    assert isinstance(classifier, Classifier)
    predicted = everything(classifier).log_probs.argmax(axis=1)
    assert (predicted == UNSEEN_LABELS).mean() > 0.9


@pytest.mark.parametrize("options", [{"readout": "cls"}, {"readout": "mean"}, {"layers": 2}], ids=str)
def test_every_form_learns(cache, options):
    classifier = fitted(cache_dir=cache, steps=40, **options)
    predicted = everything(classifier).log_probs.argmax(axis=1)
    assert (predicted == UNSEEN_LABELS).mean() > 0.9


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


def test_log_probs_alone_cost_no_features_and_no_randomness(cache):
    generator = rng()
    seen = fitted(cache_dir=cache).infer(UNSEEN, {Signal.LOG_PROBS}, rng=generator)
    assert seen.representations == {}
    assert seen.mc_log_probs is None
    assert generator.bit_generator.state == rng().bit_generator.state


def test_mc_samples_vary_about_the_plain_prediction(cache):
    seen = everything(fitted(cache_dir=cache, mc_samples=200, steps=30))
    samples = np.exp(seen.mc_log_probs)
    assert samples.shape == (200, len(UNSEEN), 2)
    assert np.allclose(samples.sum(axis=2), 1, atol=1e-5)
    assert samples.std(axis=0).max() > 0.02
    assert np.abs(samples.mean(axis=0) - np.exp(seen.log_probs)).mean() < 0.05


def test_mc_samples_without_dropout_are_the_plain_prediction(cache):
    seen = everything(fitted(cache_dir=cache, dropout=0.0, mc_samples=2))
    assert np.allclose(seen.mc_log_probs, seen.log_probs, atol=1e-5)


def test_mc_samples_follow_their_generator(cache):
    classifier = fitted(cache_dir=cache)
    one, other = everything(classifier, seed=1), everything(classifier, seed=2)
    assert not np.allclose(one.mc_log_probs, other.mc_log_probs)
    assert np.array_equal(one.log_probs, other.log_probs)


def test_input_features_do_not_depend_on_the_labels(cache):
    one, other = (everything(fitted(labels=labels, cache_dir=cache)) for labels in (LABELS, 1 - LABELS))
    assert np.array_equal(one.representations["input-mean"], other.representations["input-mean"])
    assert np.array_equal(one.representations["input-cls"], other.representations["input-cls"])
    assert not np.allclose(one.representations["penultimate"], other.representations["penultimate"])


def test_order_of_texts_does_not_matter(cache):
    classifier = fitted(cache_dir=cache)
    texts = Texts(("fine", "a much longer text about nothing at all, really", *UNSEEN.first))
    backwards = everything(classifier, texts.take(range(len(texts) - 1, -1, -1)))
    forwards = everything(classifier, texts)
    assert np.allclose(forwards.logits, backwards.logits[::-1], atol=1e-4)


# Determinism


@pytest.mark.parametrize("layers", [1, 2])
def test_refitting_gives_the_same_bits(tiny, tmp_path, layers):
    classifier = fitted(model=tiny, cache_dir=tmp_path, layers=layers)
    first = everything(classifier)
    classifier.fit(UNSEEN, UNSEEN_LABELS, n_classes=2, rng=rng(5))
    assert not np.array_equal(everything(classifier).logits, first.logits)
    classifier.fit(TEXTS, LABELS, n_classes=2, rng=rng())
    assert_same_bits(everything(classifier), first)


def test_another_seed_gives_another_model(cache):
    assert not np.array_equal(
        everything(fitted(cache_dir=cache, seed=0)).logits, everything(fitted(cache_dir=cache, seed=1)).logits
    )


def test_global_random_state_is_neither_read_nor_moved(cache):
    first = everything(fitted(cache_dir=cache))
    with torch.random.fork_rng():
        torch.manual_seed(99)
        before = torch.random.get_rng_state()
        again = everything(fitted(cache_dir=cache))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert_same_bits(first, again)


# The cache


def test_cached_and_fresh_states_give_the_same_bits(cache, tmp_path):
    classifier = fitted(cache_dir=cache)
    everything(classifier)
    assert_same_bits(everything(fitted(cache_dir=cache)), everything(fitted(cache_dir=tmp_path)))


def test_states_are_computed_once(tiny, tmp_path, monkeypatch):
    TunedClassifier(model=tiny, cache_dir=tmp_path, device="cpu").prepare(TEXTS)
    files = sorted(path.name for path in tmp_path.rglob("*.safetensors"))
    monkeypatch.setattr(ArrayStore, "add", None)  # whatever is computed again would be added
    fitted(model=tiny, cache_dir=tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.safetensors")) == files


def test_a_half_filled_store_is_filled_to_the_same_bits(tiny, tmp_path):
    long = Texts(
        tuple(
            f"a {word} {thing}" + " a film" * (i % 7)
            for i, (word, thing) in enumerate(
                (word, thing) for _ in range(9) for word in (*GOOD, *BAD) for thing in THINGS
            )
        )
    )
    whole = TunedClassifier(model=tiny, cache_dir=tmp_path / "whole", device="cpu")
    whole.prepare(long)
    interrupted = TunedClassifier(model=tiny, cache_dir=tmp_path / "half", device="cpu")
    interrupted.prepare(long.take(range(512)))
    interrupted.prepare(long)
    for classifier in (whole, interrupted):
        classifier.fit(long.take(range(40)), np.arange(40) % 2, n_classes=2, rng=rng())
    assert_same_bits(everything(whole, long), everything(interrupted, long))


def test_one_and_two_layers_keep_their_states_apart(tiny, tmp_path):
    for layers in (1, 2):
        TunedClassifier(model=tiny, cache_dir=tmp_path, layers=layers, device="cpu").prepare(TEXTS)
    assert len(list(tmp_path.iterdir())) == 2


def test_read_outs_share_their_states(tiny, tmp_path):
    for readout in ("mean-query", "cls", "mean"):
        TunedClassifier(model=tiny, cache_dir=tmp_path, readout=readout, device="cpu").prepare(TEXTS)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


# Refusals


@pytest.mark.parametrize(
    "options, message",
    [
        ({"readout": "mean-querry"}, "did you mean 'mean-query'"),
        ({"layers": 3}, "layers is 3; train 1 or 2"),
        ({"layers": 0}, "layers is 0"),
        ({"class_weight": "equal"}, "neither 'none' nor 'balanced'"),
        ({"mc_samples": 0}, "mc_samples is 0"),
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"warmup": 1.5}, "warmup is 1.5"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        TunedClassifier(**options)


def test_bad_labels_are_refused(cache):
    classifier = TunedClassifier(cache_dir=cache, device="cpu")
    for texts, labels in ((TEXTS, LABELS[:-1]), (TEXTS, LABELS + 1), (Texts(()), np.empty(0, dtype=np.int64))):
        with pytest.raises(InvalidArray):
            classifier.fit(texts, labels, n_classes=2, rng=rng())


def test_inference_before_training_is_refused(cache):
    with pytest.raises(InvalidInput, match="infer was called before fit"):
        everything(TunedClassifier(cache_dir=cache, device="cpu"))


def test_unknown_representations_and_signals_are_refused(cache):
    classifier = fitted(cache_dir=cache)
    with pytest.raises(UnknownName, match="did you mean 'input-mean'"):
        classifier.infer(UNSEEN, {Signal.FEATURES}, representations=("input_mean",), rng=rng())
    with pytest.raises(InvalidInput, match="surprisal"):
        classifier.infer(UNSEEN, {Signal.SURPRISAL}, rng=rng())


def test_another_architecture_is_refused_with_the_mend(tmp_path):
    folder = tmp_path / "distilbert"
    config = DistilBertConfig(vocab_size=40, dim=8, n_layers=2, n_heads=2, hidden_dim=8)
    DistilBertModel(config).save_pretrained(folder)
    save_tokenizer(folder)
    with pytest.raises(InvalidInput, match=r"'distilbert'.*use the frozen classifier"):
        TunedClassifier(model=str(folder), cache_dir=tmp_path / "cache", device="cpu").prepare(TEXTS)
