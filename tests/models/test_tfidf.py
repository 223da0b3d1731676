"""TF-IDF vectors, and the classifier over them."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from nearmiss.acquisition.base import Signal
from nearmiss.errors import InvalidInput
from nearmiss.models.tfidf import TfidfClassifier, TfidfSpace, WordSettings
from nearmiss.text.corpus import Texts

BOTH = frozenset({Signal.LOG_PROBS, Signal.FEATURES})
POOL = Texts(("good film", "bad film", "good plot, good actor", "bad bad rain", "the north", "unseen words here"))
PAIR = POOL.take([0, 1])


def rng():
    return np.random.default_rng(0)


def fitted(classifier, texts=PAIR, labels=(1, 0)):
    classifier.fit(texts, np.array(labels), n_classes=2, rng=rng())
    return classifier


def test_rows_are_scikit_learns_of_norm_one():
    rows = TfidfSpace(POOL).rows(POOL)
    expected = TfidfVectorizer(sublinear_tf=True).fit_transform(POOL.first)
    np.testing.assert_allclose(rows.toarray(), expected.toarray())
    np.testing.assert_allclose(np.linalg.norm(rows.toarray(), axis=1), 1)


def test_texts_without_a_known_word_are_rows_of_zeros():
    assert TfidfSpace(POOL).rows(Texts(("", "?!", "🙂", "a"))).nnz == 0


@pytest.mark.parametrize("texts", [Texts(("?!", "...")), Texts(("?!",), ("--",))])
def test_no_word_in_all_the_texts_leaves_a_column_of_zeros(texts):
    rows = TfidfSpace(texts).rows(texts)
    assert rows.shape == (len(texts), 1 if texts.second is None else 2)
    assert rows.nnz == 0


def test_a_count_no_term_reaches_leaves_a_column_of_zeros():
    assert TfidfSpace(Texts(("one two", "three")), WordSettings(min_count=9)).rows(POOL).nnz == 0


def test_halves_of_a_pair_have_their_own_columns():
    texts = Texts(("good film", "bad plot"), ("bad plot", "good film"))
    rows = TfidfSpace(texts).rows(texts).toarray()
    assert rows.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)
    np.testing.assert_allclose(rows[0, :4], rows[1, 4:])
    assert not np.allclose(rows[0], rows[1])


def test_prepare_fixes_the_vocabulary_by_its_first_texts():
    classifier = TfidfClassifier()
    classifier.prepare(POOL)
    classifier.prepare(Texts(("quite other vocabulary",)))
    found = fitted(classifier).infer(POOL, BOTH, rng=rng()).representations["penultimate"]
    np.testing.assert_array_equal(found.toarray(), TfidfSpace(POOL).rows(POOL).toarray())


def test_the_same_texts_prepared_again_take_no_more_memory():
    classifier = TfidfClassifier()
    for _ in range(3):
        classifier.prepare(POOL)
        classifier.prepare(POOL.take([1, 0]))
    assert len(classifier._ready) == 1


def test_vectors_computed_ahead_are_those_computed_on_demand():
    classifier, other = TfidfClassifier(), Texts(("good good rain", "film"))
    classifier.prepare(POOL)
    classifier.prepare(other)
    space = TfidfSpace(POOL)
    fitted(classifier)
    for asked in (POOL.take([4, 0, 0]), other, Texts((*other.first, *POOL.first)), Texts(("new film",))):
        found = classifier.infer(asked, BOTH, rng=rng()).representations["penultimate"]
        np.testing.assert_array_equal(found.toarray(), space.rows(asked).toarray())


def test_without_prepare_the_labelled_texts_are_the_vocabulary():
    classifier = fitted(TfidfClassifier())
    assert classifier.infer(POOL, BOTH, rng=rng()).representations["penultimate"].shape == (6, 3)
    fitted(classifier, POOL, (0, 1, 0, 1, 0, 1))
    assert classifier.infer(POOL, BOTH, rng=rng()).representations["penultimate"].shape == (6, 11)


def test_learns_and_generalises():
    classifier = fitted(TfidfClassifier(), POOL, (1, 0, 1, 0, 1, 0))
    log_probs = classifier.infer(Texts(("good actor", "bad rain")), BOTH, rng=rng()).log_probs
    assert log_probs.argmax(axis=1).tolist() == [1, 0]


def test_mc_dropout_is_refused_with_the_mend():
    with pytest.raises(InvalidInput, match=r"'tfidf' gives no mc_log_probs.*'tuned'"):
        fitted(TfidfClassifier()).infer(POOL, {Signal.MC_LOG_PROBS}, rng=rng())


@pytest.mark.parametrize("wrong", [{"ngram_max": 0}, {"min_count": 0}, {"C": -1.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        TfidfClassifier(**wrong)


def test_needs_no_transformers():
    code = "import sys; import nearmiss.models.tfidf; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
