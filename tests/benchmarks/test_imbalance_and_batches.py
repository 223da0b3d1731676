"""The measurements of rare classes and of batches: small, whole, and told in a page."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import batches, imbalance
from nearmiss.experiment.worth.projects import Bench


@pytest.fixture
def bench():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 2_000)
    features = (3 * np.eye(4, 8)[labels] + rng.normal(size=(2_000, 8))).astype(np.float32)
    return Bench("blobs", 4, features[:1_600], labels[:1_600], features[1_600:], labels[1_600:])


def test_a_pool_has_its_rare_classes_and_no_more_of_them(bench, monkeypatch):
    monkeypatch.setattr(imbalance, "POOL", 700)
    rows, rare = imbalance.scarce_pool(bench, 2, 0.01, np.random.default_rng(0))
    assert len(rows) == len(set(rows.tolist())) == 700
    assert np.bincount(bench.labels[rows], minlength=4)[rare].tolist() == [7, 7]


@pytest.mark.parametrize("strategy", imbalance.STRATEGIES)
def test_each_strategy_searches_and_is_measured(bench, monkeypatch, strategy):
    monkeypatch.setattr(imbalance, "POOL", 600)
    monkeypatch.setattr(imbalance, "ROUNDS", 2)
    rows, rare = imbalance.scarce_pool(bench, 1, 0.01, np.random.default_rng(0))
    found = imbalance.search(bench, rows, rare, strategy, "balanced", np.random.default_rng(1))
    assert set(found) == {"aulc", "f1", "recall", "found"}
    assert all(0 <= value <= 1 for value in found.values())


def test_the_page_of_rare_classes_says_what_was_gained():
    runs = {
        f"{strategy} {weight}": [{"aulc": 0.5 + (strategy == "random") * 0.1, "f1": 0.5, "recall": 0.5, "found": 0.5}]
        * 2
        for strategy in imbalance.STRATEGIES
        for weight in imbalance.WEIGHTS
    }
    case = {"dataset": "blobs", "rare": 1, "share": 0.01, "runs": runs}
    told = imbalance.render({"machine": "a machine", "date": "today", "cases": {"blobs": case}})
    assert "## blobs, one class at 1 %" in told
    assert "| random | 0.600 | +10.0" in told


def test_pools_are_made_worse_on_purpose(monkeypatch):
    monkeypatch.setattr(batches, "POOL", 100)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(150, 4)).astype(np.float32), rng.integers(0, 3, 150)
    material = batches.Material(X, X[:50] + 0.01, 9 + X[:5], y, 3)
    plain, copies, strangers = (batches.make_pool(material, kind, rng) for kind in batches.KINDS)
    assert all(len(pool) == len(labels) == 100 for pool, labels in (plain, copies, strangers))
    assert np.allclose(copies[0][:50], copies[0][50:], atol=0.02)
    assert (copies[1][:50] == copies[1][50:]).all()
    assert (strangers[0][-5:] > 4).all()
    monkeypatch.setattr(batches, "ROUNDS", 2)
    for strategy in ("margin", "distinct-margin"):
        found = batches.learn(material, "copies", strategy, 0)
        assert (found["held"] > 0) == (strategy != "margin")
