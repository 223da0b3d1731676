import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from nearmiss.arrays import approximate
from nearmiss.arrays.approximate import approximate_neighbors
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.errors import InvalidArray, InvalidInput, MissingExtra

faiss = pytest.importorskip("faiss")


@pytest.fixture
def few(monkeypatch):
    """Let small sets have lists, so that a test need not make large ones."""
    monkeypatch.setattr(approximate, "FEWEST", 500)
    monkeypatch.setattr(approximate, "FEWEST_PER_NEIGHBOR", 2)


def clustered(rng, n, m, d=24, clusters=60):
    centers = rng.normal(size=(clusters, d))
    return tuple(
        (centers[rng.integers(clusters, size=size)] + 0.6 * rng.normal(size=(size, d))).astype(np.float32)
        for size in (n, m)
    )


def search(queries, references, k=10, seed=0, **settings):
    return approximate_neighbors(queries, references, k, np.random.default_rng(seed), **settings)


def share_found(found, exact):
    return (
        np.mean([len(np.intersect1d(*rows)) for rows in zip(found.indices, exact.indices, strict=True)])
        / (exact.indices.shape[1])
    )


def assert_sound(found, queries, references, k):
    """Check all that holds whatever was missed: real rows, each once, at their distances, in order."""
    shape = (len(queries), min(k, len(references)))
    assert found.indices.shape == found.distances.shape == shape
    assert found.indices.dtype == np.int64
    assert found.distances.dtype == np.float64
    differences = np.asarray(queries, np.float64)[:, None] - np.asarray(references, np.float64)[found.indices]
    np.testing.assert_allclose(found.distances, np.linalg.norm(differences, axis=2), rtol=1e-12)
    assert all(len(set(row)) == len(row) for row in found.indices.tolist())
    steps, rows = np.diff(found.distances, axis=1), np.diff(found.indices, axis=1)
    assert ((steps > 0) | ((steps == 0) & (rows > 0))).all()


def assert_exact(found, queries, references, k):
    exact = nearest_neighbors(queries, references, k)
    assert (found.indices == exact.indices).all()
    assert (found.distances == exact.distances).all()
    assert (found.recall, found.recall_interval, found.measured) == (1, (1, 1), 0)
    assert (found.lists, found.probes) == (1, 1)


@pytest.mark.parametrize("target", [0.8, 0.95])
def test_reaches_the_target_and_reports_the_recall_there_is(rng, target):
    queries, references = clustered(rng, 3_000, 20_000)
    found = search(queries, references, target_recall=target)
    assert_sound(found, queries, references, 10)
    assert 1 < found.lists == int(4 * 20_000**0.5)
    assert 1 <= found.probes <= found.lists / 16
    assert found.measured == 256
    low, high = found.recall_interval
    assert low < found.recall < high
    truth = share_found(found, nearest_neighbors(queries, references, 10))
    assert low <= truth <= high
    assert truth > target - 0.03
    assert truth < 1, "else this test shows nothing"


def test_a_higher_target_costs_more_lists_and_finds_more(rng):
    queries, references = clustered(rng, 1_000, 20_000)
    low, high = (search(queries, references, target_recall=target) for target in (0.5, 0.95))
    assert low.probes < high.probes
    assert low.recall < high.recall
    assert (high.distances.sum(axis=1) <= low.distances.sum(axis=1) * (1 + 1e-12)).mean() > 0.99


def test_the_seed_decides_and_threads_do_not(rng, few):
    queries, references = clustered(rng, 800, 6_000)
    threads = faiss.omp_get_max_threads(), torch.get_num_threads()
    answers = []
    try:
        for count in (1, 2, 3, 1):
            faiss.omp_set_num_threads(count)
            torch.set_num_threads(count)
            answers.append(search(queries, references, seed=5))
    finally:
        faiss.omp_set_num_threads(threads[0])
        torch.set_num_threads(threads[1])
    for answer in answers:
        assert answer.indices.tobytes() == answers[0].indices.tobytes()
        assert answer.distances.tobytes() == answers[0].distances.tobytes()
        assert str(answer) == str(answers[0])
    other = search(queries, references, seed=6)
    assert other.indices.tobytes() != answers[0].indices.tobytes()
    assert_sound(other, queries, references, 10)


def test_blocks_do_not_change_the_answer(rng, few, monkeypatch):
    queries, references = clustered(rng, 700, 3_000)
    whole = search(queries, references)
    blocks = approximate.row_blocks
    monkeypatch.setattr(approximate, "row_blocks", lambda n, row_bytes: blocks(n, row_bytes, 100 * row_bytes))
    cut = search(queries, references)
    assert (cut.indices == whole.indices).all()
    assert (cut.distances == whole.distances).all()


def test_numpy_torch_and_read_only_arrays_get_one_answer(rng, few):
    queries, references = clustered(rng, 600, 3_000)
    answers = [search(queries, references), search(torch.from_numpy(queries), torch.from_numpy(references))]
    for array in (queries, references):
        array.setflags(write=False)
    answers.append(search(queries, references))
    for answer in answers[1:]:
        assert (answer.indices == answers[0].indices).all()


@pytest.mark.parametrize(("n", "m", "k"), [(600, 7, 10), (600, 2_000, 3), (0, 2_000, 3), (600, 10_000, 101)])
def test_what_lists_would_not_speed_up_is_exact(rng, n, m, k):
    queries, references = clustered(rng, n, m)
    assert_exact(search(queries, references, k), queries, references, k)


def test_no_more_queries_than_the_sample_are_exact(rng, few):
    queries, references = clustered(rng, 40, 3_000)
    assert_exact(search(queries, references, sample_size=40), queries, references, 10)
    assert search(queries, references, sample_size=39).measured == 20


def test_a_target_that_takes_too_many_lists_is_exact(rng, few):
    queries, references = (rng.normal(size=(n, 48)).astype(np.float32) for n in (600, 3_000))
    assert_exact(search(queries, references, target_recall=1.0), queries, references, 10)


def test_lists_shorter_than_k_are_made_up_for_by_others(rng, few):
    queries, references = clustered(rng, 600, 3_000)
    found = search(queries, references, k=60, target_recall=0.01)
    assert (found.probes, found.lists) == (1, 219)
    assert_sound(found, queries, references, 60)


def test_equal_references_come_lowest_rows_first(rng, few):
    queries, once = clustered(rng, 600, 2_000)
    references = np.concatenate([once] * 5)
    found = search(np.concatenate([once[:50], queries]), references, k=3)
    assert (found.indices[:50] == np.arange(50)[:, None] + [0, 2_000, 4_000]).all()
    assert (found.distances[:50] == 0).all()
    assert_sound(found, np.concatenate([once[:50], queries]), references, 3)


def test_constant_references_are_exact():
    queries, references = np.zeros((600, 3)), np.ones((20_000, 3))
    found = search(queries, references, k=4)
    assert (found.indices == np.arange(4)).all()
    assert_exact(found, queries, references, 4)


def test_far_queries_and_far_references_spoil_nothing(rng, few):
    queries, references = clustered(rng, 600, 3_000)
    queries[0], references[7] = 1e30, -1e6
    found = search(queries, references)
    assert_sound(found, queries, references, 10)
    assert found.recall > 0.9


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    dimension=st.sampled_from([1, 2, 17]),
    scale=st.sampled_from([1e-30, 1.0, 1e15]),
    offset=st.sampled_from([0.0, 1.0, 100.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
    repeats=st.integers(1, 4),
    k=st.integers(1, 12),
    target=st.sampled_from([0.3, 0.9, 1.0]),
)
def test_never_nearer_than_the_nearest_and_sound_at_any_scale(
    seed, dimension, scale, offset, dtype, repeats, k, target
):
    rng = np.random.default_rng(seed)
    queries, references = (
        ((offset + part) * scale).astype(dtype) for part in clustered(rng, 90, 700, d=dimension, clusters=9)
    )
    references = references[rng.integers(len(references), size=len(references) * repeats)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approximate, "FEWEST", 200)
        patch.setattr(approximate, "FEWEST_PER_NEIGHBOR", 2)
        found = search(queries, references, k, seed, target_recall=target, sample_size=40)
    assert_sound(found, queries, references, k)
    exact = nearest_neighbors(queries, references, k)
    assert (found.distances >= exact.distances * (1 - 1e-12)).all()
    assert found.recall_interval[0] <= found.recall <= found.recall_interval[1]
    if found.measured == 0:
        assert (found.indices == exact.indices).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "asked for 0 nearest neighbours; ask for at least 1"),
        ({"k": -3}, "asked for -3"),
        ({"target_recall": 0.0}, "target_recall is 0.0; pass a share"),
        ({"target_recall": 1.1}, "such as 0.95"),
        ({"target_recall": np.nan}, "target_recall is nan"),
        ({"sample_size": 1}, "sample_size is 1; measure on at least 2"),
    ],
)
def test_unfit_settings_are_refused(rng, settings, message):
    with pytest.raises(InvalidInput, match=message):
        search(*clustered(rng, 5, 30), **settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (sparse.csr_array(x), y), "queries are sparse, and FAISS searches dense rows alone"),
        (lambda x, y: (x, sparse.csr_array(y)), "references are sparse"),
        (lambda x, y: (x, torch.from_numpy(y).to("meta")), "references are on meta"),
        (lambda x, y: (x, y[:, :3]), "queries have 24 columns and references 3"),
        (lambda x, y: (x * np.nan, y), "queries holds NaN in row 0"),
        (lambda x, y: (x, y.astype(np.float64) * 1e120), "references reach .*: squares overflow or vanish"),
        (lambda x, y: (x.astype(np.float64) * 1e-120, y), "queries reach"),
    ],
)
def test_unfit_arrays_are_refused(rng, change, message):
    with pytest.raises(InvalidArray, match=message):
        search(*change(*clustered(rng, 5, 30)))


def test_no_references_are_refused(rng):
    with pytest.raises(InvalidInput, match="there are no references"):
        search(np.ones((3, 2)), np.ones((0, 2)))


def test_without_faiss_the_extra_is_named(rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"needs faiss-cpu.*pip install 'nearmiss\[ann\]'"):
        search(*clustered(rng, 5, 30))


def test_says_in_a_sentence_what_was_found(rng, few):
    queries, references = clustered(rng, 1_200, 3_000)
    told = str(search(queries, references, k=5))
    assert "% of the exact 5 nearest found (95 % interval " in told
    assert "measured on 256 of 1,200 queries; " in told
    assert told.endswith(" of 219 lists searched")
    assert str(search(queries[:9], references, k=5)) == "the 5 nearest of 9 queries are exact"
