import numpy as np
import pytest

from nearmiss.acquisition.base import Signals
from nearmiss.errors import InvalidInput, PoolExhausted, UnknownName
from nearmiss.loop.initial import initial_method_names, initial_set

LABELS = np.random.default_rng(5).permutation(np.repeat([0, 1, 2], [50, 30, 20]))


def start(method, n, seed=0, **given):
    given = {"pool_size": len(LABELS), "labels": LABELS} | given
    return initial_set(method, n, rng=np.random.default_rng(seed), **given)


@pytest.mark.parametrize("n, shares", [(10, [5, 3, 2]), (20, [10, 6, 4]), (100, [50, 30, 20]), (3, [1, 1, 1])])
def test_stratified_gives_each_class_its_share(n, shares):
    rows = start("stratified", n)
    assert len(set(rows.tolist())) == n
    assert np.bincount(LABELS[rows], minlength=3).tolist() == shares
    assert rows.dtype == np.int64


@pytest.mark.parametrize("method", ["stratified", "random"])
def test_the_generator_alone_decides(method):
    assert start(method, 12).tolist() == start(method, 12).tolist()
    assert start(method, 12).tolist() != start(method, 12, seed=1).tolist()


def test_stratified_rows_do_not_come_class_by_class():
    assert np.any(np.diff(LABELS[start("stratified", 40)]) < 0)


def test_random_reads_no_labels_and_draws_from_everywhere():
    drawn = np.concatenate([start("random", 50, seed, labels=None) for seed in range(20)])
    assert len(np.unique(drawn)) == 100


def test_a_label_that_occurs_once_cannot_be_stratified():
    labels = np.array([0] * 10 + [1])
    with pytest.raises(InvalidInput, match=r"label 'rare' occurs once .* initial-method = \"random\""):
        start("stratified", 3, labels=labels, pool_size=11, label_names=("common", "rare"))
    with pytest.raises(InvalidInput, match=r"label '1' \(and 1 more\) occurs once"):
        start("stratified", 3, labels=np.array([0, 0, 1, 2]), pool_size=4)
    assert len(start("random", 3, labels=labels, pool_size=11)) == 3


def test_a_declared_class_without_texts_is_no_obstacle():
    rows = start("stratified", 4, labels=np.array([0, 0, 2, 2, 0, 2]), pool_size=6, label_names=("a", "b", "c"))
    assert len(rows) == 4


def test_stratified_needs_labels():
    with pytest.raises(InvalidInput, match="needs the pool's labels"):
        start("stratified", 3, labels=None)


@pytest.mark.parametrize("n, error, message", [(0, InvalidInput, "at least 1"), (101, PoolExhausted, "only 100")])
def test_refuses_sizes_that_cannot_be(n, error, message):
    with pytest.raises(error, match=message):
        start("random", n)


@pytest.mark.parametrize("method", [m for m in initial_method_names() if m not in ("stratified", "random")])
def test_every_cold_start_covers_without_labels(method):
    rng = np.random.default_rng(3)
    clusters = rng.normal(size=(4, 8)) * 20
    vectors = clusters[np.arange(100) % 4] + rng.normal(size=(100, 8))
    rows = start(method, 4, labels=None, signals=Signals(features=vectors, surprisal=vectors))
    assert sorted(rows % 4) == [0, 1, 2, 3], "one text of each cluster"


def test_what_needs_a_model_cannot_start():
    with pytest.raises(InvalidInput, match=r"'margin': it reads a model's predictions.*typiclust"):
        start("margin", 4)
    with pytest.raises(UnknownName, match="'typiclus'; did you mean 'typiclust'"):
        start("typiclus", 4)
