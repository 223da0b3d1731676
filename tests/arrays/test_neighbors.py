import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from tests.reference.neighbors import exact_squared_distance, nearest

from nearmiss.arrays import coarse, dense_points, neighbor_sets, routes
from nearmiss.arrays.neighbors import in_order, nearest_neighbors, nearest_sets
from nearmiss.errors import InvalidArray, InvalidInput

KINDS = {
    "numpy": np.asarray,
    "torch": lambda array: torch.from_numpy(array.copy()),
    "csr": sparse.csr_array,
}


def assert_nearest(queries, references, k, found):
    """Check an answer by exact arithmetic: nothing nearer is left out, and of equals the lower row stands first."""
    assert found.indices.dtype == np.int64
    assert found.distances.dtype == np.float64
    assert found.indices.shape == found.distances.shape == (len(queries), min(k, len(references)))
    for query, indices, distances in zip(queries, found.indices, found.distances, strict=True):
        squares = [exact_squared_distance(query, reference) for reference in references]
        assert len(set(indices.tolist())) == len(indices)
        assert distances == pytest.approx([float(squares[j]) ** 0.5 for j in indices], rel=1e-12)
        pairs = list(zip(distances.tolist(), indices.tolist(), strict=True))
        assert pairs == sorted(pairs)
        last = squares[indices[-1]]
        for j in set(range(len(references))) - set(indices.tolist()):
            assert squares[j] >= last * (1 - 1e-12)
            if (references[j] == references[indices[-1]]).all():
                assert j > indices[-1]


@settings(deadline=None, max_examples=80)
@given(st.data(), st.integers(1, 4), st.integers(1, 5), st.sampled_from(list(KINDS)))
def test_integer_grids_with_many_ties_equal_brute_force(data, dimension, k, kind):
    values = st.integers(-2, 2)
    queries = data.draw(hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(dimension)), elements=values))
    references = data.draw(hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(dimension)), elements=values))
    found = nearest_neighbors(KINDS[kind](queries), KINDS[kind](references), k)
    indices, distances = nearest(queries, references, k)
    assert found.indices.tolist() == indices.tolist()
    assert found.distances == pytest.approx(distances, rel=1e-15)
    sets = nearest_sets(KINDS[kind](queries), KINDS[kind](references), k)
    assert sets.tolist() == np.sort(indices, axis=1).tolist()


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32),
    shape=st.sampled_from([(3, 12, 1), (4, 30, 5), (2, 40, 33)]),
    scale=st.sampled_from([1e-44, 1e-30, 1e-8, 1.0, 1e18, 1e35]),
    offset=st.sampled_from([0.0, 1.0, 300.0]),
    closeness=st.sampled_from([1.0, 1e-3, 1e-7]),
    dtype=st.sampled_from([np.float32, np.float64]),
    k=st.integers(1, 6),
)
def test_near_ties_duplicates_and_odd_magnitudes_equal_brute_force(seed, shape, scale, offset, closeness, dtype, k):
    rng = np.random.default_rng(seed)
    n, m, dimension = shape
    references = (offset + closeness * rng.normal(size=(m, dimension))) * scale
    references[rng.integers(m, size=m // 3)] = references[0]
    queries = np.concatenate([references[:1], (offset + closeness * rng.normal(size=(n, dimension))) * scale])
    queries, references = (array.astype(dtype) for array in (queries, references))
    found = nearest_neighbors(queries, references, k)
    assert_nearest(queries, references, k, found)
    assert (nearest_sets(queries, references, k) == np.sort(found.indices, axis=1)).all()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_sets_name_the_rows_that_were_given_not_the_distinct_ones(k):
    queries, references = np.array([[9.0], [0.0]]), np.array([[0.0], [0.0], [9.0], [5.0], [9.0]])
    assert (nearest_sets(queries, references, k) == np.sort(nearest_neighbors(queries, references, k).indices)).all()


def test_a_huge_outlier_does_not_drown_the_distances_of_the_others():
    references = np.array([[3.0, 0], [2.0, 0], [1.0, 0], [1e200, 0]])
    found = nearest_neighbors(np.zeros((1, 2)), references, 2)
    assert found.indices.tolist() == [[2, 1]]
    assert found.distances.tolist() == [[1.0, 2.0]]


def test_a_reversed_row_is_read_as_it_stands():
    found = nearest_neighbors(np.array([[1.0, 5.0]])[:, ::-1], np.array([[5.0, 1.0], [1.0, 5.0]]), 1)
    assert found.indices.tolist() == [[0]]


@pytest.mark.parametrize("columns", [slice(1, None), slice(0, 510)])
def test_views_of_any_alignment_are_searched(rng, columns):
    given = rng.normal(size=(258, 511)).astype(np.float32)[:, columns]
    assert (nearest_sets(given, given, 1)[:, 0] == np.arange(258)).all()


def test_torchs_newer_precision_switches_are_understood(rng):
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        X = rng.normal(size=(300, 8)).astype(np.float32)
        assert (nearest_sets(X, X, 1)[:, 0] == np.arange(300)).all()
    finally:
        torch.backends.cuda.matmul.fp32_precision = before


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("kind", ["numpy", "csr"])
def test_float64_at_the_ends_of_its_range(rng, scale, kind):
    queries, references = (rng.normal(size=(n, 4)) * scale for n in (5, 40))
    found = nearest_neighbors(KINDS[kind](queries), KINDS[kind](references), 3)
    indices, distances = nearest(queries, references, 3)
    assert found.indices.tolist() == indices.tolist()
    assert found.distances == pytest.approx(distances, rel=1e-12)


@pytest.mark.parametrize("far", [1e20, 1e38])
def test_a_query_far_outside_the_references_is_still_exact(rng, far):
    references = rng.normal(size=(200, 3)).astype(np.float32)
    queries = np.array([[far, 0, 0], [0, 0, 0]], dtype=np.float32)
    assert_nearest(queries, references, 4, nearest_neighbors(queries, references, 4))


def test_a_reference_far_outside_the_others_leaves_them_in_order(rng):
    references = rng.normal(size=(300, 8)).astype(np.float32)
    references[17] = 1e12
    queries = rng.normal(size=(20, 8)).astype(np.float32)
    assert_nearest(queries, references, 5, nearest_neighbors(queries, references, 5))


def test_dense_sparse_and_both_precisions_agree(rng):
    queries, references = (rng.integers(-8, 9, size=(n, 12)) / 8 for n in (60, 500))
    answers = [
        nearest_neighbors(KINDS[kind](queries.astype(dtype)), KINDS[kind](references.astype(dtype)), 7)
        for kind in KINDS
        for dtype in (np.float32, np.float64)
    ]
    for answer in answers[1:]:
        assert (answer.indices == answers[0].indices).all()
        assert (answer.distances == answers[0].distances).all()
    mixed = nearest_neighbors(queries.astype(np.float32), references, 7)
    assert (mixed.indices == answers[0].indices).all()


def test_constant_features_give_the_lowest_rows():
    found = nearest_neighbors(np.full((5_000, 384), 0.1, np.float32), np.full((2_000, 384), 0.1, np.float32), 10)
    assert (found.indices == np.arange(10)).all()
    assert (found.distances == 0).all()


def test_more_equal_rows_than_candidates_are_kept_give_the_lowest_of_them(rng):
    references = rng.normal(size=(1_000, 6)).astype(np.float32)
    copies = np.sort(rng.choice(np.arange(200, 1_000), size=300, replace=False))
    references[copies] = references[3]
    found = nearest_neighbors(references[3:4], references, 5)
    assert found.indices.tolist() == [[3, *copies[:4].tolist()]]


def test_more_equidistant_rows_than_candidates_are_kept_over_several_pieces():
    # 4,500 distinct rows of width 2,048 take more than one piece; all but the last 404 are at distance 1 from zero.
    unit = np.eye(2_048, dtype=np.float32)
    references = np.concatenate([-unit, unit, 0.5 * unit[:404]])
    queries = np.zeros((2, 2_048), dtype=np.float32)
    queries[1, 5] = 0.25
    found = nearest_neighbors(queries, references, 408)
    assert found.indices[0].tolist() == [*range(4_096, 4_500), 0, 1, 2, 3]
    halves = [j for j in range(4_096, 4_500) if j != 4_101]
    assert found.indices[1].tolist() == [4_101, *halves, 2_053, 0, 1, 2]


def test_answers_do_not_change_where_blocks_end(rng):
    queries, references = (rng.normal(size=(n, 4)).astype(np.float32) for n in (6_000, 3_000))
    found = nearest_neighbors(queries, references, 3)
    for row in (0, 2_787, 2_788, 5_999):
        alone = nearest_neighbors(queries[row : row + 1], references, 3)
        assert (found.indices[row] == alone.indices[0]).all()
        assert (found.distances[row] == alone.distances[0]).all()
    sample = rng.choice(6_000, size=30, replace=False)
    assert (found.indices[sample] == nearest(queries[sample].tolist(), references.tolist(), 3)[0]).all()


def test_many_sparse_references_are_taken_in_pieces(rng):
    positions = rng.permutation(140_000).astype(np.float64)
    references = sparse.csr_array(np.stack([positions, np.ones(140_000)], axis=1))
    queries = sparse.csr_array(np.array([[70_000.2, 1.0], [139_999.0, 1.0]]))
    found = nearest_neighbors(queries, references, 2)
    where = np.argsort(positions)
    assert found.indices.tolist() == [where[[70_000, 70_001]].tolist(), where[[139_999, 139_998]].tolist()]


def test_empty_sparse_rows_are_points_like_others():
    references = sparse.csr_array(np.array([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [2.0, 0.0]]))
    found = nearest_neighbors(sparse.csr_array((3, 2)), references, 3)
    assert found.indices.tolist() == [[1, 2, 0]] * 3
    assert found.distances.tolist() == [[0.0, 0.0, 1.0]] * 3


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_queries_and_more_neighbours_than_references(kind):
    references = KINDS[kind](np.array([[1.0], [3.0]]))
    assert nearest_neighbors(KINDS[kind](np.zeros((0, 1))), references, 5).indices.shape == (0, 2)
    assert nearest_neighbors(KINDS[kind](np.array([[4.0]])), references, 5).indices.tolist() == [[1, 0]]


def test_inputs_are_left_as_they_were(rng):
    queries, references = rng.normal(size=(20, 4)), rng.normal(size=(30, 4))
    before = queries.copy(), references.copy()
    nearest_neighbors(queries, references, 3)
    assert (queries == before[0]).all()
    assert (references == before[1]).all()


def test_one_thread_and_two_give_the_same_answer(rng):
    queries, references = (rng.normal(size=(n, 96)).astype(np.float32) for n in (3_000, 1_000))
    before = torch.get_num_threads()
    answers = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            answers.append(nearest_neighbors(queries, references, 10))
    finally:
        torch.set_num_threads(before)
    assert (answers[0].indices == answers[1].indices).all()
    assert (answers[0].distances == answers[1].distances).all()


@pytest.fixture
def torch_threads():
    """Set how many threads torch may use, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def clumped(rng, n, m, dimension):
    """Queries and references in tight clumps, a third of the references more than once."""
    centers = rng.normal(size=(6, dimension))
    queries, references = (
        centers[rng.integers(6, size=size)]
        + 10.0 ** rng.uniform(-8, 0, size=(size, 1)) * rng.normal(size=(size, dimension))
        for size in (n, m)
    )
    references[rng.integers(m, size=m // 3)] = references[rng.integers(m, size=m // 3)]
    return queries, references


def same_sets_with(torch_threads, queries, references):
    answers = []
    for n_threads in (1, 2, 4):
        torch_threads(n_threads)
        answers.append(nearest_sets(queries, references, 6))
    assert (answers[0] == answers[1]).all()
    assert (answers[0] == answers[2]).all()
    return answers[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sets_depend_on_no_number_of_threads(rng, torch_threads, dtype):
    queries, references = (array.astype(dtype) for array in clumped(rng, 1_000, 1_200, 24))
    found = same_sets_with(torch_threads, queries, references)
    sample = rng.choice(1_000, size=10, replace=False)
    assert (found[sample] == np.sort(nearest_neighbors(queries[sample], references, 6).indices, axis=1)).all()


def test_sets_of_sparse_points_depend_on_no_number_of_threads(rng, torch_threads):
    queries, references = (sparse.csr_array(np.round(2 * array, 1)) for array in clumped(rng, 700, 500, 10))
    same_sets_with(torch_threads, queries, references)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    "module, name, size",
    [
        (routes, "KEY_BYTES", 2**19),
        (routes, "LEAST_ROWS", 1),
        (routes, "TRIED_FROM_BLOCKS", 1_000_000),
        (neighbor_sets, "COARSE_BYTES", 2**15),
        (dense_points, "PIECE_BYTES", 2**14),
        (dense_points, "KEPT_BYTES", 0),
        (dense_points, "DIFFERENCE_BYTES", 2**12),
        (coarse, "GROUP", 1),
        (coarse, "CROWD", 0),
    ],
)
def test_sets_depend_on_no_size_of_blocks(rng, monkeypatch, native, module, name, size):
    queries, references = (array.astype(np.float32) for array in clumped(rng, 1_000, 1_800, 8))
    expected = nearest_sets(queries, references, 5)
    # Both routes are tried where the processor is said to multiply bfloat16; the clock chooses.
    monkeypatch.setattr(routes, "multiplies_bfloat16", lambda: native)
    monkeypatch.setattr(routes, "KEY_BYTES", 2**20)
    monkeypatch.setattr(module, name, size)
    assert (nearest_sets(queries, references, 5) == expected).all()


def assert_in_order(queries, references, k, rng):
    expected = nearest_neighbors(queries, references, k)
    shuffled = rng.permuted(expected.indices, axis=1)
    before = shuffled.copy()
    for sets in (nearest_sets(queries, references, k), shuffled):
        found = in_order(queries, references, sets)
        assert found.indices.dtype == np.int64
        assert found.distances.dtype == np.float64
        assert (found.indices == expected.indices).all()
        assert (found.distances == expected.distances).all()
    assert (shuffled == before).all()


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("k", [1, 4, 90])
def test_in_order_gives_what_the_search_gives(rng, kind, k):
    queries, references = clumped(rng, 50, 90, 6)
    assert_in_order(KINDS[kind](queries), KINDS[kind](references), k, rng)
    # A grid has ties everywhere.
    queries, references = (rng.integers(-1, 2, size=(n, 3)).astype(float) for n in (40, 90))
    assert_in_order(KINDS[kind](queries), KINDS[kind](references), k, rng)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    dtype=st.sampled_from([np.float32, np.float64]),
    scale=st.sampled_from([1e-44, 1e-30, 1.0, 1e18, 1e35]),
    offset=st.sampled_from([0.0, 300.0]),
    k=st.integers(1, 20),
)
def test_in_order_at_odd_magnitudes_gives_what_the_search_gives(seed, dtype, scale, offset, k):
    rng = np.random.default_rng(seed)
    queries, references = (((array + offset) * scale).astype(dtype) for array in clumped(rng, 5, 20, 7))
    assert_in_order(queries, references, k, rng)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
@pytest.mark.parametrize("kind", ["numpy", "csr"])
def test_in_order_at_the_ends_of_float64(rng, scale, kind):
    queries, references = (rng.normal(size=(n, 4)) * scale for n in (5, 40))
    references[20:] = references[:20]
    assert_in_order(KINDS[kind](queries), KINDS[kind](references), 7, rng)


def test_in_order_depends_on_no_number_of_threads(rng, torch_threads):
    queries, references = clumped(rng, 301, 200, 9)
    sets = nearest_sets(queries, references, 5)
    answers = []
    for n_threads in (1, 2, 4):
        torch_threads(n_threads)
        answers.append(in_order(queries, references, sets))
    for answer in answers[1:]:
        assert (answer.indices == answers[0].indices).all()
        assert (answer.distances == answers[0].distances).all()


def test_any_sets_are_ordered_not_only_the_nearest(rng):
    queries, references = rng.normal(size=(30, 5)), rng.normal(size=(50, 5))
    sets = np.array([rng.choice(50, size=8, replace=False) for _ in range(30)])
    found = in_order(queries, references, sets)
    for query, own, indices, distances in zip(queries, sets, found.indices, found.distances, strict=True):
        places, expected = nearest([query.tolist()], references[np.sort(own)].tolist(), 8)
        assert indices.tolist() == np.sort(own)[places[0]].tolist()
        assert distances == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_sets_have_an_order_too(kind):
    found = in_order(KINDS[kind](np.zeros((0, 1))), KINDS[kind](np.ones((3, 1))), np.zeros((0, 2), np.int64))
    assert found.indices.shape == found.distances.shape == (0, 2)


def test_what_cannot_be_searched_is_refused():
    points = np.eye(3)
    with pytest.raises(InvalidInput, match="asked for 0 nearest neighbours; ask for at least 1"):
        nearest_neighbors(points, points, 0)
    with pytest.raises(InvalidInput, match="no references to find neighbours among"):
        nearest_neighbors(points, np.zeros((0, 3)), 1)
    with pytest.raises(InvalidArray, match="queries have 3 columns and references 2"):
        nearest_neighbors(points, np.eye(2), 1)
    with pytest.raises(InvalidArray, match="queries have 3 columns and references 2"):
        nearest_neighbors(sparse.csr_array(points), sparse.csr_array(np.eye(2)), 1)
    with pytest.raises(InvalidArray, match="references is dense where the others are sparse"):
        nearest_neighbors(sparse.csr_array(points), points, 1)
    with pytest.raises(InvalidArray, match="queries holds NaN in row 1"):
        nearest_neighbors(np.array([[0.0], [np.nan]]), np.eye(1), 1)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_pairs():
    script = """
import resource
import numpy as np
from nearmiss.arrays import coarse, dense_points, neighbor_sets, routes
from nearmiss.arrays.neighbors import in_order, nearest_neighbors, nearest_sets
rng = np.random.default_rng(0)
queries, references = (rng.standard_normal((n, 16), dtype=np.float32) for n in (60_000, 10_000))
nearest_neighbors(queries[:10], references[:100], 10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
nearest_neighbors(queries, references, 10)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    unit = 2**10 if sys.platform == "linux" else 1
    assert int(done.stdout) * unit < 250 * 2**20  # the matrix of all pairs would take 2,289 MiB


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_answer_of_the_cpu(rng):
    queries, references = (rng.normal(size=(n, 64)).astype(np.float32) for n in (2_000, 3_000))
    references[100:200] = references[0]
    here = nearest_neighbors(queries, references, 10)
    there = nearest_neighbors(torch.from_numpy(queries).cuda(), torch.from_numpy(references).cuda(), 10)
    assert (here.indices == there.indices).all()
    assert there.distances == pytest.approx(here.distances, rel=1e-12)
