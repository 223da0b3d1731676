"""The anchored pool, the balanced batch and the distinct batch, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from nearmiss.acquisition.anchored import AnchoredPool
from nearmiss.acquisition.balanced import BalancedBatch
from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.distinct import DistinctBatch
from nearmiss.acquisition.diverse import DiverseBatch
from nearmiss.acquisition.random import Random
from nearmiss.acquisition.registry import make_strategy
from nearmiss.acquisition.uncertainty import Margin
from nearmiss.errors import InvalidInput


def units(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def a_view(n=60, m=20, d=5, C=3, seed=0):
    rng = np.random.default_rng(seed)

    def signals(size):
        log_probs = log_softmax(2 * rng.standard_normal((size, C)), axis=1)
        return Signals(log_probs=log_probs, features=rng.standard_normal((size, d)))

    return PoolView(n, signals(n), signals(m), rng.integers(C, size=m))


class TestAnchored:
    @pytest.mark.parametrize("seed", range(3))
    def test_looks_at_those_nearest_on_average(self, seed):
        view = a_view(seed=seed)
        chosen = AnchoredPool(Margin(), anchors=0, neighbors=4, size=15).select(view, 6, np.random.default_rng(0))
        cosines = units(view.labeled.features) @ units(view.pool.features).T
        found = {}
        for row in cosines:
            for near in np.argsort(-row, kind="stable")[:4]:
                found.setdefault(int(near), []).append(row[near])
        near = sorted(found, key=lambda row: (-np.mean(found[row]), row))[:15]
        scores = Margin().scores(view)
        assert chosen.indices.tolist() == sorted(near, key=lambda row: -scores[row])[:6]
        assert chosen.notes[-1] == f"{len(near)} of 60 texts, near 20 labelled ones, were looked at"

    def test_every_class_has_as_many_anchors(self):
        rng = np.random.default_rng(0)
        common, rare = rng.normal([5, 0], 0.1, (95, 2)), rng.normal([0, 5], 0.1, (5, 2))
        labeled = Signals(features=np.concatenate([common[:40], rare[:2]]))
        view = PoolView(
            58, Signals(features=np.concatenate([common[40:], rare[2:]])), labeled, np.repeat([0, 1], [40, 2])
        )
        strategy = AnchoredPool(Random(), anchors=2, neighbors=3, size=0)
        batches = [strategy.select(view, 6, np.random.default_rng(seed)) for seed in range(20)]
        assert np.mean([(each.indices >= 55).sum() for each in batches]) > 1.5  # 0.3 in the whole pool
        assert all("near 4 labelled ones" in each.notes[-1] for each in batches)

    def test_finds_more_of_a_rare_class_than_the_whole_pool_offers(self):
        rng = np.random.default_rng(1)
        rare = np.arange(2_000) < 20
        features = np.where(rare[:, None], [0.0, 3.0], [3.0, 0.0]) + rng.normal(0, 1, (2_000, 2))
        labeled = Signals(features=np.array([[3.0, 0.0], [0.0, 3.0]]))
        view = PoolView(2_000, Signals(features=features), labeled, np.array([0, 1]))
        near = AnchoredPool(Random(), neighbors=30).select(view, 20, rng)
        whole = Random().select(view, 20, rng)
        assert rare[near.indices].sum() > rare[whole.indices].sum()

    def test_widens_where_the_neighbourhoods_are_too_small(self):
        view = a_view(n=50, m=1)
        assert len(AnchoredPool(Margin(), neighbors=2, size=5).select(view, 30, np.random.default_rng(0))) == 30

    @pytest.mark.parametrize("options", [{"anchors": -1}, {"neighbors": 0}, {"size": -1}])
    def test_numbers_that_cannot_be_are_refused(self, options):
        with pytest.raises(InvalidInput):
            AnchoredPool(Margin(), **options)


class TestBalanced:
    @given(st.integers(0, 10**6), st.integers(1, 60), st.integers(0, 20))
    def test_equals_the_definition(self, seed, n, m):
        view = a_view(m=m, seed=seed)
        chosen = BalancedBatch(Margin()).select(view, n, np.random.default_rng(0)).indices
        scores, guessed = Margin().scores(view), view.pool.log_probs.argmax(axis=1)
        counts, left, slow = np.bincount(view.labels, minlength=3), set(range(60)), []
        for _ in range(n):
            fewest = min(counts[guessed[row]] for row in left)
            row = max((row for row in left if counts[guessed[row]] == fewest), key=lambda row: scores[row])
            slow.append(row)
            left.remove(row)
            counts[guessed[row]] += 1
        assert set(chosen.tolist()) == set(slow)

    def test_a_class_that_was_neglected_catches_up(self):
        log_probs = np.log(np.array([[0.9, 0.1]] * 20 + [[0.2, 0.8]] * 5))
        view = PoolView(25, Signals(log_probs=log_probs), labels=np.array([0] * 10 + [1] * 7))
        chosen = BalancedBatch(Margin()).select(view, 7, np.random.default_rng(0)).indices
        assert (chosen >= 20).sum() == 5  # ten of each; three more are all there are


class TestDistinct:
    @given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([0.3, 0.8, 0.99]))
    def test_equals_the_definition(self, seed, n, threshold):
        view = a_view(n=40, m=5, d=2, seed=seed)
        chosen = DistinctBatch(Margin(), threshold).select(view, n, np.random.default_rng(0)).indices.tolist()
        pool, labeled = units(view.pool.features), units(view.labeled.features)
        order = np.argsort(-Margin().scores(view), kind="stable").tolist()
        kept, held = [], []
        for row in order[: 16 * n]:
            others = np.concatenate([labeled, pool[kept]])
            (held if (others @ pool[row]).max() >= threshold else kept).append(row)
        assert set(chosen) == set((kept + held)[:n])

    def test_says_how_many_it_held_back(self):
        view = a_view(n=40, m=0)
        features = np.repeat(view.pool.features[:10], 4, axis=0)
        twins = PoolView(40, Signals(log_probs=view.pool.log_probs, features=features))
        chosen = DistinctBatch(Margin()).select(twins, 10, np.random.default_rng(0))
        assert len({row // 4 for row in chosen.indices.tolist()}) == 10
        assert "held back" in chosen.notes[0]
        assert not DistinctBatch(Margin()).select(view, 5, np.random.default_rng(0)).notes

    def test_reasons_are_those_of_the_texts_chosen(self):
        view = a_view()
        inner = make_strategy("cal:k=3")
        chosen = DistinctBatch(inner, threshold=0.8).select(view, 8, np.random.default_rng(0))
        told = inner.explain(view, chosen.indices)
        np.testing.assert_array_equal(chosen.explanation.neighbor_indices, told.neighbor_indices)
        np.testing.assert_array_equal(chosen.explanation.divergences, told.divergences)

    def test_texts_like_no_other_are_held_back_where_asked(self):
        rng = np.random.default_rng(0)
        features = np.concatenate([rng.normal(0, 0.05, (95, 8)) + 1, 9 * np.eye(8)[:5]])
        log_probs = np.log(np.where((np.arange(100) >= 95)[:, None], [0.5, 0.5], [0.6, 0.4]))
        view = PoolView(100, Signals(log_probs=log_probs, features=features))
        assert set(Margin().select(view, 5, rng).indices) == set(range(95, 100))
        guarded = DistinctBatch(Margin(), threshold=1.0, outliers=0.05).select(view, 5, rng)
        assert guarded.indices.max() < 95
        assert guarded.notes == ("5 texts were held back that are like no other",)
        assert len(DistinctBatch(Margin(), outliers=0.05).select(view, 100, rng)) == 100

    @pytest.mark.parametrize("options", [{"threshold": 1.1}, {"threshold": -1}, {"outliers": 1}, {"outliers": -0.1}])
    def test_numbers_that_cannot_be_are_refused(self, options):
        with pytest.raises(InvalidInput):
            DistinctBatch(Margin(), **options)


def test_what_the_first_choice_holds_stays_whatever_a_larger_one_says():
    view = a_view(n=60, m=0)
    first = DiverseBatch(Margin()).select(view, 8, np.random.default_rng(3)).indices
    same = DistinctBatch(DiverseBatch(Margin()), threshold=1.0).select(view, 8, np.random.default_rng(3)).indices
    assert same.tolist() == first.tolist()


@pytest.mark.parametrize("name", ["anchored-diverse-margin", "distinct-anchored-balanced-margin"])
def test_nested_wrappers_fill_the_batch_from_one_class_and_from_none(name):
    for labels in (np.zeros(20, dtype=np.int64), np.empty(0, dtype=np.int64)):
        view = a_view(m=len(labels))
        view = PoolView(view.size, view.pool, view.labeled, labels)
        assert len(set(make_strategy(name).select(view, 25, np.random.default_rng(0)).indices.tolist())) == 25
