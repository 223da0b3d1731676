import numpy as np
import pytest

from nearmiss.acquisition.base import Needs, Signal
from nearmiss.errors import InvalidInput, PoolExhausted, UnknownName
from nearmiss.loop.learner import ActiveLearner
from nearmiss.models.base import Classifier


@pytest.fixture
def learner(pool, classifier):
    return ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy="margin", seed=3)


def label(learner, pool, n):
    batch = learner.ask(n)
    learner.tell(batch.indices, pool.labels[batch.indices])
    return batch


def test_the_tests_classifier_is_one(classifier):
    assert isinstance(classifier, Classifier)


def test_asks_and_learns(learner, pool, test_corpus):
    for _ in range(4):
        batch = label(learner, pool, 10)
        assert batch.texts.first == pool.texts.take(batch.indices).first
        assert len(batch) == len(batch.scores) == 10
    assert len(np.unique(learner.state.labeled_indices)) == 40
    predicted = learner.predict(test_corpus.texts)
    gold = [pool.label_names[c] for c in test_corpus.labels]
    assert np.mean([p == g for p, g in zip(predicted, gold, strict=True)]) > 0.6
    np.testing.assert_allclose(learner.predict_proba(["abc", "xyz"]).sum(axis=1), 1)


def test_asking_twice_gives_the_same_batch_and_trains_once(learner, pool, classifier):
    label(learner, pool, 10)
    assert learner.ask(5).indices.tolist() == learner.ask(5).indices.tolist()
    assert classifier.fits == [10]
    learner.predict(["abc"])
    assert classifier.fits == [10]
    label(learner, pool, 5)
    assert classifier.fits == [10], "telling alone trains nothing"
    learner.predict(["abc"])
    assert classifier.fits == [10, 15]


def test_the_same_history_gives_the_same_batches(pool, classifier):
    histories = []
    for _ in range(2):
        one = ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy="entropy", seed=8)
        histories.append([label(one, pool, 7).indices.tolist() for _ in range(3)])
    assert histories[0] == histories[1]
    other = ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy="entropy", seed=9)
    assert label(other, pool, 7).indices.tolist() != histories[0][0]


def test_starts_without_labels_at_random_and_with_features_by_cover(pool, classifier):
    plain = ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy="margin")
    assert len(plain.ask(6)) == 6
    calls = []

    def first_letters(texts):
        calls.append(len(texts))
        return np.array([[float(ord(t[0]) < ord("f")), float(ord(t[0]) > ord("j"))] for t in texts.first]) * 9

    covering = ActiveLearner(
        pool.texts, pool.label_names, classifier=classifier, strategy="margin", features=first_letters
    )
    batch = covering.ask(3)
    assert len({tuple(row) for row in first_letters(batch.texts)}) == 3, "each of the three clusters"
    covering.ask(3)
    assert calls[:2] == [80, 3], "fixed features of the pool are computed once"
    assert classifier.fits == []


def test_a_strategy_that_needs_no_model_starts_by_itself(pool, classifier):
    def surprisal(texts, rng):
        return np.array([[float(len(set(t)))] for t in texts.first])

    learner = ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy="alps", surprisal=surprisal)
    assert len(label(learner, pool, 5)) == 5
    assert len(learner.ask(5)) == 5
    assert classifier.fits == []
    with pytest.raises(InvalidInput, match="reads surprisal vectors"):
        ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy="alps")


def test_one_class_is_enough_to_go_on(learner, pool):
    rows = np.flatnonzero(pool.labels == 1)[:4]
    learner.tell(rows, ["class 1"] * 4)
    assert len(learner.ask(5)) == 5
    assert set(learner.predict(["abc", "xyz"])) == {"class 1"}


def test_cal_says_which_labelled_texts_a_pick_resembles(pool, classifier):
    learner = ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy="cal:k=3")
    label(learner, pool, 12)
    explanation = learner.ask(4).explanation
    assert explanation.neighbor_indices.shape == (4, 3)
    assert explanation.neighbor_indices.max() < len(learner.state.labeled_indices)


def test_labels_by_name_or_id_and_wrong_ones_change_nothing(learner):
    learner.tell([0, 1], ["class 2", 0])
    learner.tell(np.array([5]), np.array([1]))
    assert learner.state.labels.tolist() == [2, 0, 1]
    with pytest.raises(UnknownName, match="no label named 'clas 1'; did you mean 'class 1'"):
        learner.tell([2, 3], ["class 0", "clas 1"])
    with pytest.raises(InvalidInput, match="label 3; ids run from 0 to 2"):
        learner.tell([2], [3])
    with pytest.raises(InvalidInput, match="row 0 is labelled already"):
        learner.tell([0], [1])
    with pytest.raises(InvalidInput, match="1 pool rows but 2 labels"):
        learner.tell([7], [1, 1])
    assert len(learner.state) == 3


def test_refuses_to_predict_from_nothing_and_to_ask_for_more_than_there_is(learner, pool):
    with pytest.raises(InvalidInput, match="nothing is labelled yet"):
        learner.predict(["abc"])
    with pytest.raises(PoolExhausted, match="only 80"):
        learner.ask(81)
    with pytest.raises(InvalidInput, match="at least 1"):
        learner.ask(0)
    assert len(label(learner, pool, 80)) == 80
    with pytest.raises(PoolExhausted, match="every text has its label"):
        learner.ask(1)


def test_refuses_label_names_that_are_none(pool):
    for names in (["one"], ["same", "same"], []):
        with pytest.raises(InvalidInput, match="at least two, all different"):
            ActiveLearner(pool.texts, names)


def test_needs_of_the_recorder_reach_it(pool, classifier, recorder):
    strategy = recorder(Needs(pool=frozenset({Signal.FEATURES})))
    learner = ActiveLearner(pool.texts, pool.label_names, classifier=classifier, strategy=strategy, features="halved")
    label(learner, pool, 5)
    learner.ask(5)
    assert strategy.views[0].pool.features.max() == pytest.approx(strategy.views[0].pool.features.max())
    assert np.any(strategy.views[0].pool.features % 1 == 0.5)


@pytest.mark.parametrize("label", [0.5, 1.0, True, None, b"a", [1]])
def test_refuses_what_is_no_label(pool, classifier, label):
    learner = ActiveLearner(pool.texts, pool.label_names, classifier=classifier)
    with pytest.raises(InvalidInput, match="label"):
        learner.tell([0], [label])
    assert len(learner.state) == 0


@pytest.mark.parametrize("texts", ["one text", ["good", None], ["good", 5]])
def test_refuses_what_is_no_list_of_texts(texts):
    with pytest.raises(InvalidInput, match="text"):
        ActiveLearner(texts, ["a", "b"])
