import hypothesis.extra.numpy as npst
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tests.reference import batches as reference
from tests.reference.uncertainty import entropy as reference_entropy

from nearmiss.analysis.batches import (
    TokenIds,
    feature_diversity,
    input_diversity,
    knn_density,
    mean_entropy,
    representativeness,
)
from nearmiss.errors import InvalidArray, InvalidInput

TEXTS = st.lists(st.lists(st.integers(0, 12), max_size=6), min_size=1, max_size=10)


@st.composite
def texts_and_batch(draw):
    texts = draw(TEXTS.filter(any))
    rows = draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, unique=True))
    return texts, rows


@st.composite
def points_and_batch(draw):
    """Small whole numbers: many equal rows and equal distances."""
    n, d = draw(st.integers(2, 14)), draw(st.integers(1, 3))
    points = draw(npst.arrays(np.float64, (n, d), elements=st.integers(-3, 3).map(float)))
    rows = draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    return points, rows


def differ(points):
    return bool((points != points[0]).any())


# DIV.-I


def test_input_diversity_by_hand():
    # {1, 2, 5} against {2, 3, 4, 5}: two shared of five.
    texts = [[1, 2, 2], [2, 3], [5], [4, 5, 3]]
    assert input_diversity(TokenIds.of(texts), [0, 2]) == pytest.approx(2 / 5)


@given(texts_and_batch())
def test_input_diversity_is_the_jaccard_similarity(given_texts):
    texts, rows = given_texts
    value = input_diversity(TokenIds.of(texts), rows)
    assert value == pytest.approx(reference.jaccard(texts, rows))
    assert 0 <= value <= 1


@given(texts_and_batch(), st.randoms(use_true_random=False))
def test_input_diversity_knows_neither_order_nor_repetition_nor_names(given_texts, random):
    texts, rows = given_texts
    order = list(range(len(texts)))
    random.shuffle(order)
    moved = [[7_000_000_000 - 3 * token for token in texts[i]] * 2 for i in order]
    moved_rows = [order.index(row) for row in rows]
    assert input_diversity(TokenIds.of(moved), moved_rows) == input_diversity(TokenIds.of(texts), rows)


def test_a_batch_of_all_texts_shares_nothing_with_the_rest():
    assert input_diversity(TokenIds.of([[1], [1, 2]]), [0, 1]) == 0.0


def test_a_larger_random_batch_has_the_higher_overlap():
    rng = np.random.default_rng(0)
    tokens = TokenIds.of(list(rng.zipf(1.5, size=(2000, 20)) % 5000))
    small, large = (input_diversity(tokens, rng.permutation(2000)[:n]) for n in (20, 400))
    assert large > small


def test_token_ids_as_sets_and_as_flat_arrays_are_the_same():
    flat = TokenIds(np.array([4, 9, 4], dtype=np.int32), np.array([0, 2, 3]))
    assert input_diversity(flat, [0]) == input_diversity(TokenIds.of([{4, 9}, {4}]), [0]) == 0.5


def test_texts_without_a_single_token_are_refused():
    with pytest.raises(InvalidArray, match="none of the 2 texts has a token"):
        input_diversity(TokenIds.of([[], []]), [0])


@pytest.mark.parametrize(
    "ids, offsets",
    [
        ([1, 2], [0, 1]),
        ([1, 2], [1, 2]),
        ([1, 2], [0, 2, 1, 2]),
        ([1, 2], []),
        ([[1, 2]], [0, 2]),
        ([1.5, 2.0], [0, 2]),
        ([1, 2], [0.0, 2.0]),
    ],
)
def test_offsets_that_do_not_fit_are_refused(ids, offsets):
    with pytest.raises(InvalidArray):
        TokenIds(np.array(ids), np.array(offsets))


# DIV.-F


@given(points_and_batch(), st.data())
def test_feature_diversity_is_the_printed_formula(given_points, data):
    points, rows = given_points
    rank = data.draw(st.integers(1, len(rows)))
    try:
        expected = reference.feature_diversity(points, rows, rank)
    except ZeroDivisionError:
        with pytest.raises(InvalidInput, match="at distance 0 from the batch"):
            feature_diversity(points, rows, rank=rank)
    else:
        assert feature_diversity(points, rows, rank=rank) == pytest.approx(expected)


def test_feature_diversity_scales_as_one_over_a_distance():
    rng = np.random.default_rng(0)
    points, rows = rng.normal(size=(200, 5)), rng.permutation(200)[:20]
    value = feature_diversity(points, rows)
    assert feature_diversity(4 * points, rows) == pytest.approx(value / 4)
    assert feature_diversity(points + 3, rows) == pytest.approx(value)
    assert feature_diversity(points, rows[::-1]) == pytest.approx(value)


@given(st.integers(0, 100))
def test_one_item_more_in_the_batch_never_lowers_coverage(seed):
    rng = np.random.default_rng(seed)
    points, rows = rng.normal(size=(40, 3)), rng.permutation(40)[:10]
    assert feature_diversity(points, rows) >= feature_diversity(points, rows[:-1])


def test_the_second_neighbour_is_never_nearer():
    points = np.random.default_rng(1).normal(size=(50, 4))
    assert feature_diversity(points, np.arange(9), rank=2) < feature_diversity(points, np.arange(9))


@pytest.mark.parametrize("rank", [0, 3])
def test_a_neighbour_that_the_batch_does_not_have_is_refused(rank):
    with pytest.raises(InvalidInput, match=f"asked for neighbour {rank} in a batch of 2"):
        feature_diversity(np.eye(4), [0, 1], rank=rank)


# UNC.


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 100))
def test_mean_entropy_is_the_mean_over_texts(n, n_classes, seed):
    probs = np.random.default_rng(seed).dirichlet(np.ones(n_classes), size=n)
    value = mean_entropy(np.log(probs))
    assert value == pytest.approx(reference_entropy(probs).mean(), abs=1e-12)
    assert 0 <= value <= np.log(n_classes) + 1e-12


def test_mean_entropy_of_certainty_and_of_ignorance():
    assert mean_entropy(np.array([[0.0, -np.inf]])) == 0
    assert mean_entropy(torch.full((3, 4), -np.log(4), dtype=torch.float64)) == pytest.approx(np.log(4))


@pytest.mark.parametrize("log_probs", [np.empty((0, 2)), [[0.5, 0.5]], [[np.nan, 0.0]], [0.0]])
def test_what_is_no_table_of_log_probabilities_is_refused(log_probs):
    with pytest.raises(InvalidArray):
        mean_entropy(np.array(log_probs))


# REPR.


@given(points_and_batch().filter(lambda drawn: differ(drawn[0])), st.booleans(), st.data())
def test_density_is_the_printed_formula(given_points, count_itself, data):
    points, rows = given_points
    k = data.draw(st.integers(1, len(points) - 1)) + count_itself
    expected = [reference.density(points, row, k, count_itself) for row in rows]
    found = knn_density(points, rows, k=k, count_itself=count_itself)
    assert found == pytest.approx(np.array(expected))
    assert (np.isfinite(found) & (found > 0)).all()


def test_density_of_all_items_is_that_of_each():
    points = np.random.default_rng(0).normal(size=(60, 3))
    assert knn_density(points)[[7, 3]].tolist() == knn_density(points, [7, 3]).tolist()


def test_density_scales_as_one_over_a_distance():
    points = np.random.default_rng(0).normal(size=(60, 3))
    points[:15] = points[0]
    assert knn_density(4 * points) == pytest.approx(knn_density(points) / 4)


def test_dense_sparse_single_and_tensor_agree():
    points = np.random.default_rng(0).integers(0, 3, size=(60, 4)).astype(np.float32)
    value, rows = knn_density(points), np.arange(5)
    for same in (sparse.csr_array(points), torch.from_numpy(points), points.astype(np.float64)):
        assert knn_density(same) == pytest.approx(value)
        assert feature_diversity(same, rows) == pytest.approx(feature_diversity(points, rows))


def test_twelve_equals_are_denser_than_eleven():
    # 10 and 11 equal others; the next item is at distance 1 from both heaps.
    points = np.array([[0.0]] * 11 + [[1.0]] + [[2.0]] * 12)
    densities = knn_density(points)
    assert densities[0] == pytest.approx(11.0)
    assert densities[-1] == pytest.approx(12.0)


def test_many_equals_are_searched_beyond_the_first_ten():
    points = np.zeros((300, 2))
    points[299] = (3.0, 4.0)
    densities = knn_density(points, [0, 299])
    assert densities == pytest.approx([299 / 5, 1 / 5])


def test_the_authors_eleven_neighbours_are_ten_elevenths_of_the_distance():
    points = np.random.default_rng(0).normal(size=(60, 3))
    assert knn_density(points, k=11, count_itself=True) == pytest.approx(1.1 * knn_density(points))


def test_an_outlier_raises_what_is_printed_as_representativeness():
    points = np.random.default_rng(0).normal(size=(100, 3))
    points[0] = 50.0
    outlying, ordinary = (representativeness(knn_density(points, [row])) for row in (0, 1))
    assert outlying > ordinary


@given(points_and_batch().filter(lambda drawn: differ(drawn[0])))
def test_representativeness_is_the_printed_formula(given_points):
    points, rows = given_points
    value = representativeness(knn_density(points, rows, k=1))
    assert value == pytest.approx(reference.representativeness(points, rows, k=1))


def test_items_that_are_all_equal_have_no_density():
    with pytest.raises(InvalidInput, match="all 30 items are equal"):
        knn_density(np.ones((30, 2)))


def test_too_few_items_for_the_neighbours_are_refused():
    with pytest.raises(InvalidInput, match="10 neighbours need a pool of at least 11 items, got 10"):
        knn_density(np.eye(10))
    with pytest.raises(InvalidInput, match="k = 1 leaves no neighbour"):
        knn_density(np.eye(10), k=1, count_itself=True)
    assert len(knn_density(np.eye(11), k=11, count_itself=True)) == 11


@pytest.mark.parametrize("densities", [[], [[1.0]], [1.0, np.inf], [np.nan], [0.0]])
def test_what_is_no_density_is_refused(densities):
    with pytest.raises(InvalidArray):
        representativeness(densities)


# The batch


@pytest.mark.parametrize("rows", [[], [[0]], [0.0], [True], [-1], [4], [1, 1]])
def test_batches_that_are_no_rows_of_the_pool_are_refused(rows):
    for measure in (feature_diversity, knn_density):
        with pytest.raises(InvalidArray):
            measure(np.eye(4), rows)
    with pytest.raises(InvalidArray):
        input_diversity(TokenIds.of([[1], [2], [3], [4]]), rows)


def test_nan_features_are_refused():
    points = np.eye(12)
    points[3, 3] = np.nan
    for measure in (feature_diversity, knn_density):
        with pytest.raises(InvalidArray, match="NaN in row 3"):
            measure(points, [0])
