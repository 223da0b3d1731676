import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax
from tests.reference import clustering as reference

from nearmiss.acquisition.base import Needs, PoolView, Signal, Signals
from nearmiss.acquisition.contrastive import Cal, CalVariant
from nearmiss.acquisition.diverse import DiverseBatch
from nearmiss.acquisition.uncertainty import Entropy, Margin
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.arrays.seeding import kmeans_plus_plus
from nearmiss.arrays.selection import top_indices
from nearmiss.errors import InvalidInput


def a_view(n=80, m=12, d=4, C=3, seed=0):
    rng = np.random.default_rng(seed)

    def signals(size):
        return Signals(
            log_probs=log_softmax(2 * rng.standard_normal((size, C)), axis=1), features=rng.standard_normal((size, d))
        )

    return PoolView(n, signals(n), signals(m), rng.integers(C, size=m))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_the_definition(seed, weighted):
    view = a_view(seed=seed)
    fast = DiverseBatch(Margin(), factor=4, weighted=weighted).select(view, 8, np.random.default_rng(seed))
    scores = Margin().scores(view)
    # The same draws: one permutation for ties, then the start of k-means.
    rng = np.random.default_rng(seed)
    best = top_indices(scores, 32, rng)
    starts = kmeans_plus_plus(ProductPoints(reference.unit_rows(view.pool.features[best])), 8, rng).indices
    weights = scores[best] - scores.min() if weighted else None
    rows = reference.diverse(scores, view.pool.features, 8, 4, starts, weights)
    assert fast.indices.tolist() == rows
    assert fast.scores.tolist() == scores[rows].tolist()
    assert (np.diff(fast.scores) <= 0).all()


def test_takes_only_the_best_and_spreads_them():
    rng = np.random.default_rng(1)
    # The five most uncertain texts say the same; the next five differ.
    features = np.concatenate([np.tile([1.0, 0, 0, 0, 0, 0], (5, 1)), np.eye(6)[1:], rng.standard_normal((20, 6))])
    margins = np.concatenate([np.linspace(0.01, 0.02, 5), np.linspace(0.1, 0.2, 5), np.full(20, 3.0)])
    log_probs = log_softmax(np.stack([margins, np.zeros(30)], axis=1), axis=1)
    view = PoolView(30, Signals(log_probs=log_probs, features=features))
    assert Margin().select(view, 5, rng).indices.tolist() == [0, 1, 2, 3, 4]
    spread = DiverseBatch(Margin(), factor=2, iterations=50).select(view, 5, np.random.default_rng(0)).indices
    assert spread.max() < 10
    assert (spread < 5).sum() <= 2


def test_factor_one_and_a_small_pool_leave_the_score_alone():
    view = a_view()
    plain = Entropy().select(view, 10, np.random.default_rng(0))
    same = DiverseBatch(Entropy(), factor=1).select(view, 10, np.random.default_rng(0))
    assert same.indices.tolist() == plain.indices.tolist()
    whole = DiverseBatch(Entropy(), factor=10).select(view, 80, np.random.default_rng(0))
    assert sorted(whole.indices.tolist()) == list(range(80))


def test_needs_are_the_inner_ones_and_features():
    assert DiverseBatch(Margin()).needs == Needs(pool={Signal.LOG_PROBS, Signal.FEATURES})
    assert DiverseBatch(Cal()).needs == Cal().needs


@pytest.mark.parametrize(
    "variant", [CalVariant(), CalVariant(anchor="labeled"), CalVariant(divergence="cross-entropy")]
)
def test_explains_its_picks_where_the_score_can(variant):
    view = a_view()
    cal = Cal(k=3, variant=variant)
    everything = cal.select(view, 80, np.random.default_rng(0))
    batch = DiverseBatch(cal, factor=4).select(view, 8, np.random.default_rng(0))
    order = [everything.indices.tolist().index(i) for i in batch.indices]
    assert len(batch.explanation.neighbor_indices) == 8
    width = batch.explanation.neighbor_indices.shape[1]
    for name in ("neighbor_indices", "distances", "divergences"):
        expected = getattr(everything.explanation, name)[order][:, :width]
        np.testing.assert_array_equal(getattr(batch.explanation, name), expected)
    assert DiverseBatch(Margin()).select(view, 8, np.random.default_rng(0)).explanation is None


def test_equal_scores_are_clustered_without_weights():
    view = PoolView(20, Signals(log_probs=np.log(np.full((20, 2), 0.5)), features=a_view(n=20).pool.features))
    selection = DiverseBatch(Entropy(), factor=2, weighted=True).select(view, 5, np.random.default_rng(0))
    assert len(set(selection.indices.tolist())) == 5


def test_sparse_and_unnormalised_features():
    view = a_view()
    thin = PoolView(80, Signals(log_probs=view.pool.log_probs, features=sparse.csr_array(view.pool.features)))
    for normalize in (False, True):
        strategy = DiverseBatch(Margin(), factor=5, normalize=normalize)
        dense, csr = (strategy.select(v, 10, np.random.default_rng(0)) for v in (view, thin))
        assert dense.indices.tolist() == csr.indices.tolist()


def test_options_are_checked():
    with pytest.raises(InvalidInput, match="factor=0; pass 1 or more"):
        DiverseBatch(Margin(), factor=0)
    with pytest.raises(InvalidInput, match="iterations=-1; pass 0 or more"):
        DiverseBatch(Margin(), iterations=-1)
