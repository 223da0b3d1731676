import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax
from tests.reference.gradient import badge, gradient_embeddings

from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.gradient import Badge
from nearmiss.errors import InvalidArray, InvalidInput


def pool(n=60, d=5, C=3, seed=0):
    rng = np.random.default_rng(seed)
    return Signals(log_probs=log_softmax(2 * rng.standard_normal((n, C)), axis=1), features=rng.standard_normal((n, d)))


def view(signals):
    return PoolView(size=len(signals.log_probs), pool=signals)


@pytest.mark.parametrize("normalize, first", [(False, "uniform"), (True, "uniform"), (False, "largest")])
@pytest.mark.parametrize("C", [2, 5])
def test_sequential_makes_the_picks_of_the_written_out_gradients(C, normalize, first):
    for seed in range(3):
        signals = pool(C=C, seed=seed)
        fast = Badge(normalize=normalize, method="sequential", first=first).select(
            view(signals), 25, np.random.default_rng(seed)
        )
        rows, scores = badge(
            signals.log_probs,
            signals.features,
            25,
            np.random.default_rng(seed),
            normalize=normalize,
            largest_first=first == "largest",
        )
        assert fast.indices.tolist() == rows
        np.testing.assert_allclose(fast.scores, scores, rtol=1e-8)


@pytest.mark.parametrize("method", ["blocked", "sequential"])
def test_scores_are_distances_to_the_nearest_earlier_pick(method):
    signals = pool(n=300, seed=1)
    g = gradient_embeddings(signals.log_probs, signals.features)
    selection = Badge(method=method).select(view(signals), 40, np.random.default_rng(1))
    assert selection.scores[0] == pytest.approx((g[selection.indices[0]] ** 2).sum())
    for i in range(1, 40):
        nearest = ((g[selection.indices[:i]] - g[selection.indices[i]]) ** 2).sum(axis=1).min()
        assert selection.scores[i] == pytest.approx(nearest, rel=1e-8)


def test_prefers_uncertain_texts_unless_normalised():
    rng = np.random.default_rng(2)
    features = rng.standard_normal((400, 8))
    logits = np.concatenate([np.tile([6.0, 0.0], (300, 1)), np.tile([0.5, 0.0], (100, 1))])
    signals = Signals(log_probs=log_softmax(logits, axis=1), features=features)
    plain = Badge().select(view(signals), 40, np.random.default_rng(0))
    normalised = Badge(normalize=True).select(view(signals), 40, np.random.default_rng(0))
    assert (plain.indices >= 300).mean() > 0.9
    assert (normalised.indices >= 300).mean() < 0.5


def test_a_fully_confident_model_still_fills_the_batch():
    log_probs = np.tile([0.0, -np.inf], (20, 1))
    signals = Signals(log_probs=log_probs, features=np.random.default_rng(3).standard_normal((20, 4)))
    for method in ("blocked", "sequential"):
        selection = Badge(method=method).select(view(signals), 20, np.random.default_rng(0))
        assert sorted(selection.indices.tolist()) == list(range(20))
        assert selection.scores.tolist() == [0.0] * 20


def test_a_confident_prediction_keeps_its_digits():
    # 1 - p is 1e-12 or 3e-12: lost if p were formed in float32, and nearly so in float64.
    q = np.array([1e-12, 3e-12])
    signals = Signals(log_probs=np.stack([np.log1p(-q), np.log(q)], axis=1), features=np.ones((2, 1)))
    selection = Badge(first="largest").select(view(signals), 2, np.random.default_rng(0))
    assert selection.indices.tolist() == [1, 0]
    np.testing.assert_allclose(selection.scores, [2 * 9e-24, 2 * 4e-24], rtol=1e-9)


@pytest.mark.parametrize("method", ["blocked", "sequential"])
def test_sparse_features_give_the_same_batch(method):
    signals = pool(seed=4)
    signals.features[signals.features < 0.5] = 0
    thin = Signals(log_probs=signals.log_probs, features=sparse.csr_array(signals.features))
    dense, csr = (Badge(method=method).select(view(s), 30, np.random.default_rng(0)) for s in (signals, thin))
    assert dense.indices.tolist() == csr.indices.tolist()
    np.testing.assert_allclose(dense.scores, csr.scores, rtol=1e-8)


def test_refuses_what_does_not_fit():
    with pytest.raises(InvalidInput, match="method='fast'; choose one of blocked, sequential"):
        Badge(method="fast")
    with pytest.raises(InvalidInput, match="first='best'; choose one of uniform, largest"):
        Badge(first="best")
    signals = pool()
    short = PoolView(size=60, pool=Signals(log_probs=signals.log_probs, features=signals.features[:59]))
    with pytest.raises(InvalidArray, match="pool features has shape"):
        Badge().select(short, 5, np.random.default_rng(0))
