import numpy as np
import pytest
from scipy import sparse
from tests.reference import clustering as reference
from tests.reference.kmeans import farthest_first

from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.clustering import Alps, BertKM, KCenterGreedy, TypiClust
from nearmiss.arrays.product_points import ProductPoints
from nearmiss.arrays.seeding import kmeans_plus_plus
from nearmiss.errors import InvalidArray, InvalidInput


def blobs(n, d, seed, k=6):
    rng = np.random.default_rng(seed)
    return 3 * rng.standard_normal((k, d))[rng.integers(k, size=n)] + rng.standard_normal((n, d))


def starts(X, k, seed):
    return kmeans_plus_plus(ProductPoints(reference.unit_rows(X)), k, np.random.default_rng(seed)).indices


@pytest.mark.parametrize("seed", range(3))
def test_bertkm_and_alps_are_one_algorithm_on_two_arrays(seed):
    X = blobs(70, 4, seed)
    rows, scores = reference.nearest_to_centroids(X, starts(X, 20, seed))
    bertkm = BertKM().select(PoolView(70, Signals(features=X)), 20, np.random.default_rng(seed))
    alps = Alps().select(PoolView(70, Signals(surprisal=X)), 20, np.random.default_rng(seed))
    for selection in (bertkm, alps):
        assert selection.indices.tolist() == rows
        np.testing.assert_allclose(selection.scores, scores, atol=1e-9)
        assert (np.diff(selection.scores) <= 0).all()


def test_bertkm_looks_at_directions_not_lengths():
    X = blobs(50, 4, 3)
    stretched = X * np.random.default_rng(0).uniform(0.1, 10, size=(50, 1))
    plain, scaled = (
        BertKM().select(PoolView(50, Signals(features=f)), 10, np.random.default_rng(0)) for f in (X, stretched)
    )
    assert plain.indices.tolist() == scaled.indices.tolist()


def test_bertkm_takes_one_text_from_each_group():
    X = np.kron(np.eye(5), np.ones((6, 1))) + 0.01 * np.random.default_rng(0).standard_normal((30, 5))
    selection = BertKM().select(PoolView(30, Signals(features=X)), 5, np.random.default_rng(0))
    assert sorted(selection.indices // 6) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(3))
def test_k_center_picks_the_farthest_again_and_again(seed):
    X, labeled = blobs(80, 3, seed), blobs(5, 3, seed + 100)
    view = PoolView(80, Signals(features=X), Signals(features=labeled), np.zeros(5, dtype=np.int64))
    selection = KCenterGreedy().select(view, 40, np.random.default_rng(seed))
    rows, picked_at = farthest_first(X, labeled, 40)
    assert selection.indices.tolist() == rows
    np.testing.assert_allclose(selection.scores, picked_at, rtol=1e-9)
    assert (np.diff(selection.scores) <= 0).all()


def test_k_center_with_nothing_labelled_starts_in_the_middle():
    X = np.array([[0.0, 0.0], [10.0, 0.0], [4.0, 0.0], [0.0, 1.0]])  # mean (3.5, 0.25)
    for labeled in (Signals(), Signals(features=np.empty((0, 2)))):
        view = PoolView(4, Signals(features=X), labeled)
        selection = KCenterGreedy().select(view, 4, np.random.default_rng(0))
        assert selection.indices.tolist() == [2, 1, 3, 0]
        np.testing.assert_allclose(selection.scores, [6, 6, np.sqrt(17), 1])
    assert KCenterGreedy().select(view, 1, np.random.default_rng(0)).scores.tolist() == [6.0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_labeled", [0, 7])
def test_typiclust_equals_the_definition(seed, n_labeled):
    X = blobs(70 + n_labeled, 3, seed)
    pool, labeled = X[:70], X[70:]
    view = PoolView(70, Signals(features=pool), Signals(features=labeled), labels=np.zeros(n_labeled, dtype=np.int64))
    fast = TypiClust(neighbors=4).select(view, 8, np.random.default_rng(seed))
    rows, scores = reference.typiclust(pool, labeled, 8, starts(X, n_labeled + 8, seed), k=4)
    assert fast.indices.tolist() == rows
    np.testing.assert_allclose(fast.scores, scores, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_typiclust_visits_clusters_again_when_there_are_fewer_than_wanted(seed):
    X = blobs(60, 3, seed)
    view = PoolView(50, Signals(features=X[:50]), Signals(features=X[50:]), np.zeros(10, dtype=np.int64))
    fast = TypiClust(max_clusters=6).select(view, 50, np.random.default_rng(seed))
    rows, _ = reference.typiclust(X[:50], X[50:], 50, starts(X, 6, seed))
    assert fast.indices.tolist() == rows


def test_typiclust_starts_with_the_heart_of_the_largest_group():
    rng = np.random.default_rng(0)
    groups = [np.eye(3)[g] + 0.1 * rng.standard_normal((size, 3)) for g, size in enumerate((10, 30, 20))]
    X = np.concatenate(groups)
    selection = TypiClust().select(PoolView(60, Signals(features=X)), 3, rng)
    assert np.digitize(selection.indices, [10, 40]).tolist() == [1, 2, 0]
    labeled = Signals(features=groups[1][:1])
    view = PoolView(60, Signals(features=X), labeled, np.zeros(1, dtype=np.int64))
    covered = TypiClust(max_clusters=3).select(view, 2, np.random.default_rng(0))
    assert np.digitize(covered.indices, [10, 40]).tolist() == [2, 0]


@pytest.mark.parametrize("strategy", [BertKM(), KCenterGreedy(), TypiClust()], ids=lambda s: type(s).__name__)
def test_sparse_features_give_the_same_batch(strategy):
    X = blobs(60, 8, 5)
    X[X < 0.5] = 0
    batches = []
    for kind in (np.asarray, sparse.csr_array):
        view = PoolView(
            50, Signals(features=kind(X[:50])), Signals(features=kind(X[50:])), np.zeros(10, dtype=np.int64)
        )
        batches.append(strategy.select(view, 20, np.random.default_rng(0)))
    assert batches[0].indices.tolist() == batches[1].indices.tolist()
    np.testing.assert_allclose(batches[0].scores, batches[1].scores, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("strategy", [KCenterGreedy(), TypiClust()], ids=lambda s: type(s).__name__)
def test_pool_and_labelled_features_must_match(strategy):
    rng = np.random.default_rng(0)
    one = np.zeros(1, dtype=np.int64)
    for labeled in (np.eye(1, 3), sparse.csr_array(np.eye(1, 2))):
        view = PoolView(4, Signals(features=rng.random((4, 2))), Signals(features=labeled), one)
        with pytest.raises(InvalidArray, match="one model"):
            strategy.select(view, 2, rng)
    view = PoolView(4, Signals(features=rng.random((4, 2))), Signals(features=np.eye(2)), one)
    with pytest.raises(InvalidArray, match="labeled features has shape"):
        strategy.select(view, 2, rng)


def test_options_are_checked():
    for wrong in (lambda: BertKM(iterations=-1), lambda: Alps(iterations=-2), lambda: TypiClust(iterations=-1)):
        with pytest.raises(InvalidInput, match="pass 0 or more"):
            wrong()
    with pytest.raises(InvalidInput, match="typiclust has max_clusters=0; pass 1 or more"):
        TypiClust(max_clusters=0)
    with pytest.raises(InvalidInput, match="typiclust has neighbors=0; pass 1 or more"):
        TypiClust(neighbors=0)


def test_typiclust_with_fewer_distinct_texts_than_clusters():
    features = np.repeat(np.eye(2), [4, 1], axis=0)
    view = PoolView(size=5, pool=Signals(features=features), labeled=Signals(features=np.empty((0, 2))))
    chosen = TypiClust().select(view, 4, np.random.default_rng(0))
    assert len(set(chosen.indices.tolist())) == 4
