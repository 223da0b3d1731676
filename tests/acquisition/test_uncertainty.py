import numpy as np
import pytest
import torch
from tests.reference import uncertainty as reference

from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.uncertainty import Bald, Entropy, LeastConfidence, Margin
from nearmiss.errors import InvalidArray

FROM_PREDICTIONS = {
    Entropy(): reference.entropy,
    LeastConfidence(): reference.least_confidence,
    Margin(): reference.margin,
}
strategies = pytest.mark.parametrize("strategy", FROM_PREDICTIONS, ids=lambda s: type(s).__name__)


def view_of(log_probs):
    return PoolView(size=len(log_probs), pool=Signals(log_probs=log_probs))


@strategies
@pytest.mark.parametrize("n_classes", [2, 5])
def test_scores_and_picks_are_those_of_the_definition(strategy, n_classes, rng):
    probs = rng.dirichlet(np.ones(n_classes), size=200)
    expected = FROM_PREDICTIONS[strategy](probs)
    view = view_of(np.log(probs))
    assert strategy.scores(view) == pytest.approx(expected, abs=1e-12)
    selection = strategy.select(view, 30, np.random.default_rng(0))
    assert selection.indices.tolist() == np.argsort(-expected)[:30].tolist()
    assert (selection.scores == strategy.scores(view)[selection.indices]).all()


def test_bald_is_that_of_the_definition(rng):
    sampled = rng.dirichlet(np.ones(4), size=(6, 150))
    expected = reference.bald(sampled)
    view = PoolView(size=150, pool=Signals(mc_log_probs=np.log(sampled)))
    assert Bald().scores(view) == pytest.approx(expected, abs=1e-12)
    picked = Bald().select(view, 20, np.random.default_rng(0)).indices
    assert picked.tolist() == np.argsort(-expected)[:20].tolist()


@strategies
def test_probabilities_of_exactly_0_and_1_score_as_limits(strategy):
    log_probs = np.array([[0.0, -np.inf], [np.log(0.5), np.log(0.5)], [-np.inf, 0.0]])
    scores = strategy.scores(view_of(log_probs))
    certain = {"Margin": -1.0}.get(type(strategy).__name__, 0.0)
    assert scores[[0, 2]] == pytest.approx(certain, abs=1e-300)
    assert scores[1] > max(scores[0], scores[2])


def test_confident_predictions_keep_their_order():
    # 1 - p of these is below the spacing of floats at 1, so that probabilities would all be equal.
    doubts = np.array([1e-30, 1e-20, 1e-25])
    view = view_of(np.stack([-doubts, np.log(doubts)], axis=1))
    for strategy in (Entropy(), LeastConfidence()):
        assert len(set(strategy.scores(view))) == 3
        assert strategy.select(view, 3, np.random.default_rng(0)).indices.tolist() == [1, 2, 0]


def test_a_single_class_leaves_nothing_to_doubt():
    view = view_of(np.zeros((4, 1)))
    assert Entropy().scores(view).tolist() == [0.0] * 4
    assert LeastConfidence().scores(view).tolist() == [0.0] * 4
    assert Margin().scores(view).tolist() == [-1.0] * 4


@strategies
def test_single_precision_and_tensors_give_the_same_picks(strategy, rng):
    log_probs = np.log(rng.dirichlet(np.ones(3), size=100))
    picks = [
        strategy.select(view_of(given), 10, np.random.default_rng(0)).indices.tolist()
        for given in (log_probs, log_probs.astype(np.float32), torch.from_numpy(log_probs))
    ]
    assert picks[0] == picks[1] == picks[2]


def test_blocks_make_no_difference(rng):
    n = 30_000  # 77 classes at 24 bytes make blocks of 18,157 rows
    log_probs = np.log(rng.dirichlet(np.ones(77), size=n))
    scores = Entropy().scores(view_of(log_probs))
    for row in (0, 18_156, 18_157, n - 1):
        assert scores[row] == Entropy().scores(view_of(log_probs[row : row + 1]))[0]


def test_what_is_missing_or_wrong_is_named():
    with pytest.raises(InvalidArray, match="pool log_probs is missing"):
        Entropy().scores(PoolView(size=2))
    with pytest.raises(InvalidArray, match="pool mc_log_probs is missing"):
        Bald().scores(PoolView(size=2, pool=Signals(log_probs=np.log([[0.5, 0.5]] * 2))))
    with pytest.raises(InvalidArray, match="but there are 3 texts"):
        Margin().scores(PoolView(size=3, pool=Signals(log_probs=np.log([[0.5, 0.5]] * 2))))
    with pytest.raises(InvalidArray, match="not to 1; pass log-probabilities"):
        LeastConfidence().scores(view_of(np.array([[0.5, 0.5]])))
    with pytest.raises(InvalidArray, match=r"not \(S, n, C\)"):
        Bald().scores(PoolView(size=2, pool=Signals(mc_log_probs=np.zeros((2, 2)))))
