"""Agreement against its definitions, against scikit-learn, and the reach of its intervals."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score

from nearmiss.analysis.agreement import MISSING, cohen_kappa, krippendorff_alpha, pairwise_kappas
from nearmiss.errors import InvalidArray, InvalidInput

RNG = np.random.default_rng(0)


def slow_alpha(ratings: np.ndarray) -> float:
    """By the coincidence matrix, pair by pair (Krippendorff 2004, §11.3)."""
    values = sorted({v for row in ratings for v in row if v != MISSING})
    coincidences = {(a, b): 0.0 for a in values for b in values}
    for row in ratings:
        given = [v for v in row if v != MISSING]
        for i, j in permutations(range(len(given)), 2):
            coincidences[given[i], given[j]] += 1 / (len(given) - 1)
    totals = {a: sum(coincidences[a, b] for b in values) for a in values}
    n = sum(totals.values())
    observed = sum(v for (a, b), v in coincidences.items() if a != b)
    expected = sum(totals[a] * totals[b] for a in values for b in values if a != b) / (n - 1)
    return float("nan") if expected == 0 else 1 - observed / expected


ratings_matrices = arrays(np.int64, st.tuples(st.integers(2, 12), st.integers(2, 4)), elements=st.integers(-1, 2))


@given(ratings_matrices)
def test_alpha_is_its_definition(ratings):
    found = krippendorff_alpha(ratings, 3, rng=np.random.default_rng(0), resamples=20)
    counted = ratings[(ratings != MISSING).sum(axis=1) >= 2]
    assert found.n_items == len(counted)
    expected = slow_alpha(counted) if len(counted) else float("nan")
    if np.isnan(expected):
        assert found.value is None
    else:
        assert found.value == pytest.approx(expected, abs=1e-12)
        assert found.low is not None
        assert found.low <= found.high


@given(ratings_matrices, st.randoms())
def test_alpha_minds_neither_order_nor_names(ratings, random):
    columns = random.sample(range(ratings.shape[1]), ratings.shape[1])
    names = np.array([*random.sample(range(3), 3), MISSING])
    again = names[ratings[random.sample(range(len(ratings)), len(ratings))][:, columns]]
    one, other = (krippendorff_alpha(each, 3, rng=np.random.default_rng(0), resamples=5) for each in (ratings, again))
    assert (one.value is None) == (other.value is None)
    if one.value is not None:
        assert one.value == pytest.approx(other.value, abs=1e-12)


@given(arrays(np.int64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 3)))
def test_kappa_is_scikit_learns(ratings):
    found = cohen_kappa(ratings[:, 0], ratings[:, 1], 4)
    if found.value is None:
        assert len(np.unique(ratings)) == 1
    else:
        assert found.value == pytest.approx(cohen_kappa_score(ratings[:, 0], ratings[:, 1]), abs=1e-12)


def test_a_worked_example():
    # 50 grant proposals, two readers: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no. po = 0.7, pe = 0.5.
    first, second = np.repeat([1, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    found = cohen_kappa(first, second, 2)
    assert found.value == pytest.approx(0.4)
    assert found.observed == pytest.approx(0.7)
    # By hand: 0.4 (1 - 1.1 * 0.6)^2 + 0.3 (1 - 0.9 * 0.6)^2 + 0.36 (0.1 * 1.1^2 + 0.2 * 0.9^2) - (0.4 - 0.5 * 0.6)^2
    # with the marginals of "yes" 0.5 and 0.6, over (1 - 0.5)^2 * 50.
    assert found.high - found.value == pytest.approx(1.959964 * np.sqrt(_by_hand() / 50), rel=1e-5)


def _by_hand() -> float:
    table = np.array([[0.3, 0.2], [0.1, 0.4]])
    rows, columns, kappa, expected = table.sum(axis=1), table.sum(axis=0), 0.4, 0.5
    total = 0.0
    for i in range(2):
        total += table[i, i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2
        for j in range(2):
            if i != j:
                total += (1 - kappa) ** 2 * table[i, j] * (columns[i] + rows[j]) ** 2
    return (total - (kappa - expected * (1 - kappa)) ** 2) / (1 - expected) ** 2


def test_kappas_interval_reaches_the_truth():
    rng = np.random.default_rng(7)
    truth, hits, runs = 0.6, 0, 400
    for _ in range(runs):  # agree with probability .8 on two equal classes: kappa = .6
        first = rng.integers(2, size=200)
        second = np.where(rng.random(200) < 0.8, first, 1 - first)
        found = cohen_kappa(first, second, 2)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / runs <= 0.98


def test_alphas_interval_reaches_the_truth():
    rng = np.random.default_rng(3)
    hits, runs = 0, 150
    for _ in range(runs):
        ratings = np.where(
            rng.random((200, 3)) < 0.8, rng.integers(2, size=200)[:, None], rng.integers(2, size=(200, 3))
        )
        found = krippendorff_alpha(ratings, 2, rng=rng, resamples=300)
        hits += found.low <= 0.64 <= found.high  # both follow the item with probability .64, else chance
    assert hits / runs >= 0.9


def test_the_same_generator_gives_the_same_interval():
    ratings = RNG.integers(-1, 3, size=(40, 3))
    one, other = (krippendorff_alpha(ratings, 3, rng=np.random.default_rng(5)) for _ in range(2))
    assert one == other


def test_many_items_take_seconds():
    ratings = np.where(RNG.random((100_000, 5)) < 0.5, RNG.integers(77, size=(100_000, 1)), MISSING)
    assert krippendorff_alpha(ratings, 77, rng=RNG, resamples=200).value == pytest.approx(1.0)


def test_pairs_that_share_too_little_are_left_out():
    ratings = np.array([[0, 0, MISSING], [1, 1, 1], [0, 1, MISSING]])
    (pair,) = pairwise_kappas(ratings, 2)
    assert (pair.first, pair.second, pair.agreement.n_items) == (0, 1, 3)


@pytest.mark.parametrize(
    ("call", "error", "part"),
    [
        (lambda: cohen_kappa(np.array([0]), np.array([0, 1]), 2), InvalidArray, "shapes"),
        (lambda: cohen_kappa(np.array([0.5]), np.array([0.5]), 2), InvalidArray, "whole numbers"),
        (lambda: cohen_kappa(np.array([2]), np.array([0]), 2), InvalidArray, "run from 0 to 2"),
        (lambda: cohen_kappa(np.array([0]), np.array([0]), 0), InvalidInput, "n_classes"),
        (lambda: cohen_kappa(np.array([0]), np.array([0]), 2, confidence=1.0), InvalidInput, "confidence"),
        (lambda: krippendorff_alpha(np.array([0, 1]), 2, rng=RNG), InvalidArray, "shape"),
        (lambda: krippendorff_alpha(np.array([[0, 1]]), 2, rng=RNG, resamples=0), InvalidInput, "resamples"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, part):
    with pytest.raises(error, match=part):
        call()


def test_nothing_to_compare_is_told_as_nothing():
    nothing = cohen_kappa(np.array([MISSING]), np.array([0]), 2)
    assert (nothing.value, nothing.n_items) == (None, 0)
    alone = krippendorff_alpha(np.array([[0, MISSING]]), 2, rng=RNG)
    assert (alone.value, alone.n_items) == (None, 0)
    one_class = cohen_kappa(np.array([0, 0]), np.array([0, 0]), 2)
    assert (one_class.value, one_class.observed) == (None, 1.0)
