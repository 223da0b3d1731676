"""What every registered classifier must do, whichever it is.

The three that need an encoder are run on a small random BERT: the contract is about shapes, bits and refusals, not
worth.
"""

import numpy as np
import pytest
import torch
from scipy import sparse
from tests.models.tiny import save_bert

from nearmiss.acquisition.base import Signal
from nearmiss.errors import InvalidArray, InvalidInput, UnknownName
from nearmiss.models.base import PENULTIMATE, Classifier, LabelFree
from nearmiss.models.registry import classifier_names, make_classifier
from nearmiss.text.corpus import Texts

C = 3
SAMPLING = {"finetuned", "tuned"}  # have dropout to sample; the others must refuse
_DRAW = np.random.default_rng(11)
_WORDS = (("good", "fine", "film"), ("bad", "rain", "north"), ("plot", "actor", "was"))
LABELS = np.arange(36) % C
TEXTS = Texts(tuple(" ".join(_DRAW.choice(_WORDS[label], size=4)) for label in LABELS))
PAIRS = Texts(TEXTS.first, TEXTS.first[::-1])
ODD = Texts(("", "   ", "🙂🎬", "?!", "word " * 3000, "good film", "a\x00b", "lone \ud800 surrogate", "電影很好"))


@pytest.fixture(autouse=True, scope="module")
def _one_thread_for_tiny_models():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(params=classifier_names())
def name(request):
    return request.param


@pytest.fixture
def make(name, encoder_folder, cache):
    options = {
        "finetuned": {
            "model": encoder_folder,
            "max_length": 32,
            "cache_dir": cache,
            "learning_rate": 3e-3,
            "min_steps": 50,
            "freeze_embeddings": False,
            "mc_samples": 4,
        },
        "tfidf": {},
        "frozen": {"model": encoder_folder, "max_length": 32, "cache_dir": cache},
        "tuned": {"model": encoder_folder, "max_length": 32, "cache_dir": cache, "steps": 12, "mc_samples": 4},
    }[name]
    return lambda: make_classifier(name, options)


def rng(seed=0):
    return np.random.default_rng(seed)


def fitted(make, texts=TEXTS, labels=LABELS, n_classes=C, seed=0):
    classifier = make()
    classifier.fit(texts, labels, n_classes=n_classes, rng=rng(seed))
    return classifier


def everything(classifier, texts=TEXTS):
    needs = {Signal.LOG_PROBS, Signal.FEATURES}
    return classifier.infer(texts, needs, representations=classifier.representations, rng=rng())


def dense(features):
    return features.toarray() if sparse.issparse(features) else np.asarray(features)


def assert_same_bits(one, other):
    np.testing.assert_array_equal(one.log_probs, other.log_probs)
    assert one.representations.keys() == other.representations.keys()
    for name, features in one.representations.items():
        np.testing.assert_array_equal(dense(features), dense(other.representations[name]))


def assert_sound(inference, n, n_classes=C):
    assert inference.log_probs.shape == (n, n_classes)
    assert not np.isnan(inference.log_probs).any()
    np.testing.assert_allclose(np.exp(inference.log_probs).sum(axis=1), 1, rtol=1e-6)
    for features in inference.representations.values():
        assert features.shape[0] == n
        assert np.isfinite(dense(features)).all()


def test_stands_behind_the_protocol(make):
    classifier = make()
    assert isinstance(classifier, Classifier)
    assert PENULTIMATE in classifier.representations


def test_says_which_signals_it_gives(make):
    classifier = fitted(make)
    seen = classifier.infer(TEXTS, classifier.gives, rng=rng()).signals()
    assert all((getattr(seen, signal) is not None) == (signal in classifier.gives) for signal in Signal)


def test_describes_texts_before_any_label_and_alike_after(make):
    classifier = make()
    assert isinstance(classifier, LabelFree)
    classifier.prepare(TEXTS)
    before = dense(classifier.label_free(TEXTS))
    assert before.shape[0] == len(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(before, axis=1), 1, rtol=1e-5)
    classifier.fit(TEXTS.take(range(9)), LABELS[:9], n_classes=C, rng=rng())
    np.testing.assert_array_equal(dense(classifier.label_free(TEXTS)), before)
    np.testing.assert_array_equal(dense(make().label_free(TEXTS)), before)
    assert make().label_free(Texts(())).shape[0] == 0


def test_gives_normalised_log_probabilities_and_every_representation(make):
    classifier = fitted(make)
    inference = everything(classifier)
    assert_sound(inference, len(TEXTS))
    assert set(inference.representations) == set(classifier.representations)
    if inference.logits is not None:
        finite = inference.logits - np.logaddexp.reduce(inference.logits, axis=1, keepdims=True)
        np.testing.assert_allclose(finite, inference.log_probs, atol=1e-5)


def test_learns_its_own_training_set(make, name):
    predicted = everything(fitted(make)).log_probs.argmax(axis=1)
    assert (predicted == LABELS).mean() > (0.5 if name == "tuned" else 0.95)  # a dozen steps of a random encoder


def test_gives_nothing_that_was_not_asked_for(make):
    inference = fitted(make).infer(TEXTS, {Signal.LOG_PROBS}, rng=rng())
    assert inference.log_probs is not None
    assert (inference.mc_log_probs, dict(inference.representations)) == (None, {})


def test_same_arguments_and_generator_give_the_same_bits(make):
    assert_same_bits(everything(fitted(make)), everything(fitted(make)))


def test_a_refit_forgets_the_earlier_fit(make):
    classifier = fitted(make, TEXTS.take(range(9)), LABELS[:9], seed=5)
    everything(classifier)
    classifier.fit(TEXTS, LABELS, n_classes=C, rng=rng())
    assert_same_bits(everything(classifier), everything(fitted(make)))


def test_preparing_twice_is_preparing_once(make):
    prepared, twice = make(), make()
    prepared.prepare(TEXTS)
    twice.prepare(TEXTS)
    twice.prepare(TEXTS)
    for classifier in (prepared, twice):
        classifier.fit(TEXTS.take(range(12)), LABELS[:12], n_classes=C, rng=rng())
    assert_same_bits(everything(prepared), everything(twice))


def test_inputs_are_left_as_they_were(make):
    labels = LABELS.copy()
    everything(fitted(make, labels=labels))
    np.testing.assert_array_equal(labels, LABELS)


def test_a_text_is_judged_alike_in_any_order_and_company(make):
    classifier = fitted(make)
    together = everything(classifier)
    order = rng().permutation(len(TEXTS))
    shuffled = everything(classifier, TEXTS.take(order))
    np.testing.assert_allclose(shuffled.log_probs, together.log_probs[order], atol=1e-4)
    for name, features in together.representations.items():
        np.testing.assert_allclose(dense(shuffled.representations[name]), dense(features)[order], atol=1e-4)
    alone = everything(classifier, TEXTS.take([7]))
    assert_sound(alone, 1)
    np.testing.assert_allclose(alone.log_probs[0], together.log_probs[7], atol=1e-4)


def test_classes_without_examples_keep_their_columns(make):
    some = LABELS != 1
    inference = everything(fitted(make, TEXTS.take(np.flatnonzero(some)), LABELS[some], n_classes=5))
    assert_sound(inference, len(TEXTS), n_classes=5)
    assert not np.isin(inference.log_probs.argmax(axis=1), [1, 3, 4]).any()


@pytest.mark.parametrize("only", [0, 2])
def test_a_single_class_is_predicted_everywhere(make, only):
    inference = everything(fitted(make, TEXTS.take([0, 1, 2]), np.full(3, only)))
    assert_sound(inference, len(TEXTS))
    assert (inference.log_probs.argmax(axis=1) == only).all()


def test_one_labelled_text_is_enough(make):
    inference = everything(fitted(make, TEXTS.take([4]), np.array([1])))
    assert_sound(inference, len(TEXTS))
    assert (inference.log_probs.argmax(axis=1) == 1).all()


def test_pairs_are_read_with_their_partners(make):
    inference = everything(fitted(make, PAIRS), PAIRS)
    assert_sound(inference, len(PAIRS))
    turned = everything(fitted(make, PAIRS), Texts(PAIRS.second, PAIRS.first))
    assert not np.array_equal(dense(inference.representations[PENULTIMATE]), dense(turned.representations[PENULTIMATE]))


def test_odd_texts_are_texts(make):
    assert_sound(everything(fitted(make), ODD), len(ODD))
    assert_sound(everything(fitted(make, ODD, np.arange(len(ODD)) % C)), len(TEXTS))
    everything(fitted(make, Texts(("", "?!")), np.array([0, 1])))


def test_duplicate_texts_are_judged_alike(make):
    inference = everything(fitted(make), Texts((TEXTS.first[0],) * 3))
    np.testing.assert_allclose(inference.log_probs, inference.log_probs[[0, 0, 0]], atol=1e-6)


def test_mc_samples_have_a_row_per_pass_or_are_refused(make, name):
    classifier = fitted(make)
    if name not in SAMPLING:
        with pytest.raises(InvalidInput, match="gives no mc_log_probs"):
            classifier.infer(TEXTS, {Signal.MC_LOG_PROBS}, rng=rng())
        return
    needs = {Signal.LOG_PROBS, Signal.MC_LOG_PROBS}
    one, again, other = (classifier.infer(TEXTS, needs, rng=rng(seed)).mc_log_probs for seed in (1, 1, 2))
    assert one.shape == (4, len(TEXTS), C)
    np.testing.assert_allclose(np.exp(one).sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one[0], one[1])


def test_surprisal_is_refused_with_the_mend(make):
    with pytest.raises(InvalidInput, match="masked language model"):
        fitted(make).infer(TEXTS, {Signal.SURPRISAL}, rng=rng())


def test_inference_before_fit_is_refused(make):
    with pytest.raises(InvalidInput, match="before fit"):
        make().infer(TEXTS, {Signal.LOG_PROBS}, rng=rng())


def test_unknown_representations_are_refused_with_the_nearest(make):
    with pytest.raises(UnknownName, match="did you mean 'penultimate'"):
        fitted(make).infer(TEXTS, {Signal.FEATURES}, representations=("penultimat",), rng=rng())


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (TEXTS, LABELS[:-1]),
        (TEXTS.take([0, 1]), np.array([0, C])),
        (TEXTS.take([0, 1]), np.array([-1, 0])),
        (Texts(()), np.array([], dtype=np.int64)),
    ],
)
def test_training_sets_that_do_not_fit_are_refused(make, texts, labels):
    with pytest.raises(InvalidArray):
        make().fit(texts, labels, n_classes=C, rng=rng())
