import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmiss.analysis.curves import LearningCurves, align, estimate, pair
from nearmiss.errors import InvalidArray, InvalidInput


@st.composite
def learning_curves(draw):
    n_rounds, n_seeds = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    counts = draw(st.lists(st.integers(1, 100_000), min_size=n_rounds, max_size=n_rounds, unique=True).map(sorted))
    rows = draw(npst.arrays(np.float64, (n_seeds, n_rounds), elements=st.floats(-1e3, 1e3)))
    return LearningCurves(tuple(range(n_seeds)), np.array(counts), rows)


def curves(values, n_labeled=(100, 200, 400), seeds=None):
    values = np.atleast_2d(np.array(values, dtype=np.float64))
    return LearningCurves(tuple(range(len(values))) if seeds is None else seeds, np.array(n_labeled), values)


def test_area_by_hand():
    # (0.5 + 0.7) / 2 * 100 + (0.7 + 0.8) / 2 * 200 = 60 + 150 = 210, over a range of 300.
    assert curves([0.5, 0.7, 0.8]).areas() == pytest.approx([0.7])


def test_area_weighs_by_labels_not_by_rounds():
    assert curves([0.0, 1.0, 1.0], n_labeled=(0, 10, 1000)).areas()[0] > 0.99


@given(learning_curves())
def test_area_lies_between_lowest_and_highest(given_curves):
    areas = given_curves.areas()
    slack = 1e-9
    assert (areas >= given_curves.values.min(axis=1) - slack).all()
    assert (areas <= given_curves.values.max(axis=1) + slack).all()


@given(learning_curves(), st.floats(-1e3, 1e3))
def test_area_of_a_constant_curve_is_the_constant(given_curves, constant):
    flat = LearningCurves(given_curves.seeds, given_curves.n_labeled, np.full_like(given_curves.values, constant))
    assert flat.areas() == pytest.approx(np.full(len(flat.seeds), constant))


@given(learning_curves(), st.floats(-10, 10))
def test_area_moves_with_the_curve(given_curves, shift):
    moved = LearningCurves(given_curves.seeds, given_curves.n_labeled, given_curves.values + shift)
    assert moved.areas() - given_curves.areas() == pytest.approx(np.full(len(moved.seeds), shift), abs=1e-8)


def test_single_round_area_is_its_value():
    assert curves([[0.6], [0.7]], n_labeled=(50,)).areas().tolist() == [0.6, 0.7]


def test_mean_and_sample_deviation():
    both = curves([[0.5, 0.7, 0.8], [0.7, 0.7, 0.9]])
    assert both.means() == pytest.approx([0.6, 0.7, 0.85])
    assert both.deviations() == pytest.approx([0.02**0.5, 0.0, 0.005**0.5])


def test_one_seed_has_no_deviation():
    assert curves([0.5, 0.7, 0.8]).deviations() is None
    assert estimate([0.5]).std is None


def test_estimate_uses_the_sample_deviation():
    result = estimate([1.0, 2.0, 3.0])
    assert (result.mean, result.std, result.n) == (2.0, 1.0, 3)


@pytest.mark.parametrize("values", [[], [[1.0]], [np.nan, 1.0], [np.inf]])
def test_estimate_refuses_what_is_no_list_of_numbers(values):
    with pytest.raises(InvalidArray):
        estimate(values)


def test_value_at_a_budget_is_an_exact_round():
    both = curves([[0.5, 0.7, 0.8], [0.6, 0.7, 0.9]])
    assert both.at(400).tolist() == [0.8, 0.9]
    with pytest.raises(InvalidInput, match="at 300 labels; ask for one of 100, 200, 400"):
        both.at(300)


def test_values_handed_out_are_copies():
    single = curves([0.5, 0.7, 0.8])
    single.at(100)[0] = 9.0
    one_round = curves([0.6], n_labeled=(50,))
    one_round.areas()[0] = 9.0
    assert single.values[0, 0] == 0.5
    assert one_round.values[0, 0] == 0.6


@pytest.mark.parametrize(
    "seeds, n_labeled, values, message",
    [
        ((0,), [1, 2], [[0.1, 0.2, 0.3]], "shape"),
        ((0, 1), [1, 2], [[0.1, 0.2]], "shape"),
        ((), [1, 2], np.empty((0, 2)), "zero"),
        ((0,), [], np.empty((1, 0)), "zero"),
        ((0, 0), [1, 2], [[0.1, 0.2], [0.1, 0.2]], "once"),
        ((0,), [2, 2], [[0.1, 0.2]], "increase"),
        ((0,), [2, 1], [[0.1, 0.2]], "increase"),
        ((0,), [1, 2], [[0.1, np.nan]], "NaN"),
    ],
)
def test_bad_curves_are_refused(seeds, n_labeled, values, message):
    with pytest.raises(InvalidArray, match=message):
        LearningCurves(seeds, np.array(n_labeled), np.array(values))


def test_restriction_keeps_order_of_seeds_and_drops_the_rest():
    three = curves([[1, 2, 3], [4, 5, 6], [7, 8, 9]], seeds=(5, 6, 7))
    kept = three.restricted_to((7, 5), [400, 100])
    assert kept.seeds == (7, 5)
    assert kept.n_labeled.tolist() == [100, 400]
    assert kept.values.tolist() == [[7, 9], [1, 3]]


@pytest.mark.parametrize("seeds, counts", [((9,), [100]), ((0,), [150])])
def test_restriction_to_the_unknown_is_refused(seeds, counts):
    with pytest.raises(InvalidInput, match="not in these curves"):
        curves([1, 2, 3]).restricted_to(seeds, counts)


def test_align_keeps_shared_label_counts():
    stacked = align([curves([1, 2, 3], seeds=(4,)), curves([5, 6, 7], (200, 400, 800), seeds=(2,))])
    assert stacked.seeds == (4, 2)
    assert stacked.n_labeled.tolist() == [200, 400]
    assert stacked.values.tolist() == [[2, 3], [5, 6]]


def test_align_refuses_nothing_and_nothing_shared():
    with pytest.raises(InvalidArray, match="no curves"):
        align([])
    with pytest.raises(InvalidArray, match="share no label count"):
        align([curves([1], (1,), seeds=(0,)), curves([1], (2,), seeds=(1,))])


def test_pair_matches_seeds_whatever_their_order():
    left = curves([[1, 2, 3], [4, 5, 6]], seeds=(0, 1))
    right = curves([[7, 8], [9, 10], [11, 12]], n_labeled=(100, 400), seeds=(2, 1, 0))
    paired = pair(left, right)
    assert paired is not None
    assert paired.curves.values.tolist() == [[1, 3], [4, 6]]
    assert paired.reference.values.tolist() == [[11, 12], [9, 10]]


def test_pair_of_strangers_is_none():
    assert pair(curves([1, 2, 3], seeds=(0,)), curves([1, 2, 3], seeds=(1,))) is None
    assert pair(curves([1, 2, 3]), curves([1, 2, 3], n_labeled=(1, 2, 3))) is None
