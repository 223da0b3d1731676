"""The benchmark of labels in doubt: it spoils what it says it spoils, and counts what is found."""

import json
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest

pytest.importorskip("cleanlab")

from benchmarks.label_errors.__main__ import CHOSEN_ON, HELD_OUT, SHARES, SIZES, judged, page, written
from benchmarks.label_errors.methods import METHODS, OURS
from benchmarks.label_errors.noise import Noise, spoiled


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 4
    places = np.array([[0.0, 0.0], [0.0, 1.0], [5.0, 0.0], [5.0, 1.0]])  # 0 lies near 1, 2 near 3
    features = np.concatenate([places[truth], np.eye(4)[truth]], axis=1)
    return features + 0.1 * rng.normal(size=features.shape), truth


@pytest.mark.parametrize("noise", Noise)
def test_as_many_labels_are_wrong_as_asked(clouds, noise):
    features, truth = clouds
    given = spoiled(truth, features, 4, 0.1, noise, np.random.default_rng(1))
    assert (given != truth).sum() == 20
    assert given.min() >= 0
    assert given.max() < 4


def test_class_dependent_noise_goes_to_the_class_nearby(clouds):
    features, truth = clouds
    given = spoiled(truth, features, 4, 0.2, Noise.NEAREST, np.random.default_rng(1))
    wrong = given != truth
    assert (given[wrong] == truth[wrong] ^ 1).all()


@pytest.fixture
def rows(clouds):
    features, truth = clouds
    given = spoiled(truth, features, 4, 0.1, Noise.SYMMETRIC, np.random.default_rng(2))
    told = {"dataset": "clouds", "labels": 200, "noise": "symmetric", "share": 0.1, "seed": 0}
    return list(judged(features, given, given != truth, told, np.random.default_rng(3)))


def test_every_method_is_judged_by_what_was_made_wrong(rows):
    assert [row.method for row in rows] == list(METHODS)
    found = {row.method: row for row in rows}
    assert min(found[OURS].precision, found[OURS].recall, found[OURS].average_precision) > 0.8
    assert found[OURS].precision_at_ours == found[OURS].precision
    assert found["random"].average_precision < 0.5


def test_the_page_is_made_from_the_written_results(rows):
    every = [
        asdict(row) | {"dataset": name, "labels": size, "noise": str(noise), "share": share}
        for name, size, noise, share in product(CHOSEN_ON + HELD_OUT, SIZES, Noise, SHARES)
        for row in rows
    ]
    told = written({"on": "2020-01-01", "machine": "a lamp", "versions": {"cleanlab": "9"}, "rows": every})
    assert told.count("\n") == len(every) + 2
    shown = page(json.loads(told))
    ours = next(row for row in rows if row.method == OURS)
    assert f"| {OURS} | {ours.listed} | {ours.precision:.3f} | {ours.recall:.3f} |" in shown
    assert "a lamp, 2020-01-01; cleanlab 9" in shown
