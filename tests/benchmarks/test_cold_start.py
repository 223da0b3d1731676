"""The benchmark of cold starts: it counts what is seen, hides what is late, and makes its page from its results."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from benchmarks.cold_start import FIRST_BATCHES, LOOPS, MARKS, SIZES, Pool, first_batch, goes_on, late_label, page

from benchmarks import cold_start
from nearmiss.text.corpus import Texts

NAMES = ("cat", "iron", "oak")


@pytest.fixture
def pool():
    """Six hundred texts in three clouds, each around the vector of its name."""
    truth = np.arange(600) % 3
    rng = np.random.default_rng(0)
    places = np.eye(3)
    features = (places[truth] + 0.1 * rng.normal(size=(600, 3))).astype(np.float32)
    texts = Texts(tuple(f"text {i}" for i in range(600)))

    def vectors(asked):
        return features if asked is texts else places[[NAMES.index(word) for word in asked.first]].astype(np.float32)

    return Pool(texts, truth, vectors, NAMES, features[:90], truth[:90])


def test_a_first_batch_is_full_and_names_find_their_classes(pool):
    for method, (strategy, share) in FIRST_BATCHES.items():
        rows = first_batch(pool, strategy, share, 12, np.random.default_rng(1))
        assert len(set(rows)) == 12, method
    by_name = first_batch(pool, "typiclust", 1.0, 12, np.random.default_rng(1))
    assert pool.truth[by_name].tolist() == [0, 1, 2] * 4
    assert pool.judged(by_name) == {"classes": 3, "accuracy": 1.0}


@pytest.mark.parametrize(("a_class", "names"), LOOPS.values())
def test_going_on_labels_each_text_once_up_to_the_last_mark(pool, a_class, names):
    marks = [(n, len(set(rows))) for n, rows in goes_on(pool, a_class, names=names, rng=np.random.default_rng(2))]
    assert marks == [(mark, mark) for mark in MARKS]


def test_a_late_class_is_hidden_before_and_found_by_its_name(pool):
    ground = pool.ground(range(30), [1])
    assert set(ground.classes) == {0, 2}
    assert len(ground.closed_rows) == 30
    assert late_label(pool, 1, seeded=True, rng=np.random.default_rng(3)) > 0


def test_the_page_is_made_from_the_written_results():
    told = {"dataset": "clouds"}
    rows = [
        {"part": part, "method": method, "labels": labels, "classes": 2, "accuracy": 0.5, **told}
        for part, methods, sizes in (("first", FIRST_BATCHES, SIZES), ("on", LOOPS, MARKS))
        for method, labels in product(methods, sizes)
    ]
    rows += [{"part": "late", "method": "alone", "found": found, **told} for found in (0, 3)]
    rows += [{"part": "late", "method": "seeded", "found": 4, **told}]
    results = {"on": "2020-01-01", "machine": "a lamp", "classes": {"clouds": 3}, "rows": rows}
    shown = page(json.loads(cold_start.written(results)))
    assert "a lamp, 2020-01-01." in shown
    assert "## clouds, 3 classes" in shown
    assert "| TypiClust | 2.0 | 0.500 | 2.0 | 0.500 |" in shown
    assert "| the model alone | 1.5 | 1 of 2 |" in shown
    assert "| its name as the seed | 4.0 | 0 of 1 |" in shown
