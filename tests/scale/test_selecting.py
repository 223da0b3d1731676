"""The batch out of shards is the batch of one machine, to the item, and the scores to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from nearmiss.errors import InvalidData, InvalidInput, PoolExhausted
from nearmiss.scale.labels import KnownLabels
from nearmiss.scale.pool import ShardedPool
from nearmiss.scale.selecting import select_from_shards

EXACT = [
    "random",
    "entropy",
    "least-confidence",
    "margin",
    "bald",
    "cal",
    "cal:k=3",
    "cal:divergence=cross-entropy",
    "cal:reduce=median",
    "cal:order=opposite",
    "cal:normalize=true",
    "cal:anchor=labeled",
    "cal:anchor=labeled,order=opposite",
    "cal:anchor=labeled,normalize=true",
]


@pytest.fixture
def choose(tmp_path):
    def select(made, n, strategy, **options):
        options = {"labels": made.known, "work_dir": str(tmp_path / "work"), "seed": 3} | options
        return select_from_shards(made.pool, n, strategy=strategy, **options)

    return select


@pytest.mark.parametrize("strategy", EXACT)
@pytest.mark.parametrize("ties", [False, True])
def test_scores_choose_what_they_would_among_all_at_once(make_pool, choose, strategy, ties):
    made = make_pool(ties=ties)
    rows, selection = made.at_once(strategy, 40, 3)
    batch = choose(made, 40, strategy, batch_rows=64)
    assert batch.rows.tolist() == rows.tolist()
    assert batch.scores.tobytes() == selection.scores.tobytes()
    assert list(batch.ids) == [made.ids[row] for row in rows]


@pytest.mark.parametrize("batch_rows", [1, 7, 1000])
def test_how_many_are_scored_together_changes_nothing(make_pool, choose, batch_rows):
    made = make_pool(ties=True)
    rows, _ = made.at_once("cal", 30, 3)
    assert choose(made, 30, "cal", batch_rows=batch_rows).rows.tolist() == rows.tolist()


def test_cal_explains_its_picks_by_labelled_texts(make_pool, choose):
    made = make_pool()
    batch = choose(made, 12, "cal")
    _, selection = made.at_once("cal", 12, 3)
    assert batch.explanation.neighbor_indices.tolist() == selection.explanation.neighbor_indices.tolist()
    assert batch.explanation.divergences.tobytes() == selection.explanation.divergences.tobytes()
    assert list(batch.labeled_ids) == [made.ids[row] for row in made.labeled]
    nearest = batch.labeled_ids[batch.explanation.neighbor_indices[0, 0]]
    assert f"row {nearest} " in batch.table.column("nearmiss_reason")[0].as_py()


def test_a_diverse_batch_clusters_the_very_texts_it_would(make_pool, choose):
    made = make_pool()
    batch = choose(made, 10, "diverse-margin:factor=4")
    best, _ = made.at_once("margin", 40, 3)
    assert set(batch.rows) <= set(best)
    assert len(set(batch.rows)) == 10
    assert (np.diff(batch.scores) <= 0).all()


def test_the_whole_pool_can_be_asked_for(make_pool, choose):
    made = make_pool(n=80, cuts=(30,), m=5)
    assert sorted(choose(made, 75, "margin").rows) == made.rest.tolist()
    with pytest.raises(PoolExhausted, match="76 texts, only 75"):
        choose(made, 76, "margin")
    with pytest.raises(InvalidInput, match="at least 1"):
        choose(made, 0, "margin")


def test_without_labels_every_text_is_a_candidate(make_pool, choose):
    made = make_pool(m=0)
    assert choose(made, 20, "entropy", labels=None).rows.tolist() == made.at_once("entropy", 20, 3)[0].tolist()
    with pytest.raises(InvalidInput, match="compares with labelled texts, and there are none"):
        choose(made, 5, "cal", labels=None)


def test_same_seed_same_batch_and_another_seed_another(make_pool, choose):
    made = make_pool()
    first, again, other = (choose(made, 20, "badge", seed=seed).rows.tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ("cal:search=approximate", "how the pool is cut"),
        ("badge:first=largest", "leave out first"),
        ("diverse-margin:weighted=true", "lowest score of the whole pool"),
        ("diverse-cal:anchor=labeled", "leave out one of the two"),
    ],
)
def test_options_that_would_mean_something_else_are_refused(make_pool, choose, strategy, why):
    with pytest.raises(InvalidInput, match=why):
        choose(make_pool(), 5, strategy)


def test_labels_are_numbered_as_the_log_probabilities_are(make_pool, choose):
    made = make_pool()
    kept = np.flatnonzero(made.labels != 1)  # columns 0 and 2, which are not the first and the second
    ids = tuple(made.ids[row] for row in made.labeled[kept])
    codes = (made.labels[kept] == 2).astype(np.int64)
    made.labeled, made.labels = made.labeled[kept], made.labels[kept]
    rows, _ = made.at_once("cal:divergence=cross-entropy", 20, 3)
    numbered = KnownLabels(ids, codes, ("0", "2"))
    assert choose(made, 20, "cal:divergence=cross-entropy", labels=numbered).rows.tolist() == rows.tolist()
    with pytest.raises(InvalidInput, match="do not say which column is whose"):
        choose(made, 20, "cal:divergence=cross-entropy", labels=KnownLabels(ids, codes, ("yes", "no")))


def test_labels_take_the_numbers_of_a_saved_model():
    known = KnownLabels(("a", "b"), np.array([0, 1]), ("A", "D"))
    assert known.coded_as(("A", "B", "C", "D"), "its classes").labels.tolist() == [0, 3]
    with pytest.raises(InvalidData, match="'D' is none of its classes: A, B"):
        known.coded_as(("A", "B"), "its classes")


@pytest.mark.parametrize("strategy", ["typiclust", "k-center", "balanced-margin", "anchored-cal", "distinct-margin"])
def test_what_looks_at_the_whole_pool_is_refused_with_what_works(make_pool, choose, strategy):
    with pytest.raises(InvalidInput, match="does not work on shards; take one of random"):
        choose(make_pool(), 5, strategy)


def test_signals_that_are_not_there_are_named(make_pool, choose, tmp_path):
    made = make_pool()
    pool = ShardedPool(made.folder, made.pool.shards, made.pool.columns, made.pool.present - {"log_probs"})
    with pytest.raises(InvalidInput, match="reads log_probs, and the pool has no column 'log_probs'"):
        select_from_shards(pool, 5, strategy="margin", work_dir=str(tmp_path / "w"))


def test_labelled_ids_must_be_in_the_pool_and_once(make_pool, choose):
    made = make_pool()
    lost = KnownLabels(("nowhere",), np.array([0]), ("a", "b"))
    with pytest.raises(InvalidData, match="none of the 1 labelled ids is in it"):
        choose(made, 5, "margin", labels=lost)
    some = KnownLabels((*made.known.ids, "nowhere"), np.append(made.labels, 0), made.known.names)
    batch = choose(made, 5, "margin", labels=some)
    assert "1 of 26 labelled ids are not in the pool" in batch.notes[0]
    assert batch.rows.tolist() == made.at_once("margin", 5, 3)[0].tolist()


def test_nothing_is_left_of_a_selection_that_is_over(make_pool, choose, tmp_path):
    choose(make_pool(), 5, "cal")
    assert not list((tmp_path / "work").rglob("*.npz"))
