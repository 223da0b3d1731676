import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax
from tests.reference.contrastive import kl
from tests.reference.uncertainty import bald, entropy_of

from nearmiss.arrays.divergence import (
    LOG_ZERO,
    as_log_probs,
    cross_entropy,
    entropy,
    kl_divergence,
    mutual_information,
)
from nearmiss.errors import InvalidArray

quick = settings(deadline=None, max_examples=60)
LOGITS = st.floats(-800, 800) | st.floats(-3, 3) | st.just(-math.inf)


@st.composite
def log_probs(draw, least_rows=1):
    """Draw log-probabilities (n, C), some classes ruled out, some predictions certain."""
    shape = draw(st.integers(least_rows, 5)), draw(st.integers(1, 5))
    logits = draw(hnp.arrays(np.float64, shape, elements=LOGITS))
    logits[np.isneginf(logits).all(axis=1)] = 0.0
    return log_softmax(logits, axis=1)


@quick
@given(log_probs(), st.randoms(use_true_random=False))
def test_kl_is_finite_never_negative_and_zero_between_equals(log_p, random):
    log_q = log_p[[random.randrange(len(log_p)) for _ in log_p]]
    divergence = kl_divergence(log_p, log_q)
    assert np.isfinite(divergence).all()
    assert (divergence >= 0).all()
    assert (kl_divergence(log_p, log_p) == 0).all()


@quick
@given(log_probs())
def test_entropy_is_finite_and_between_zero_and_log_c(log_p):
    value = entropy(log_p)
    assert (value >= 0).all()
    assert (value <= math.log(log_p.shape[1]) + 1e-12).all()


@quick
@given(log_probs(), st.randoms(use_true_random=False))
def test_cross_entropy_is_finite_and_never_negative(log_q, random):
    labels = np.array([random.randrange(log_q.shape[1]) for _ in log_q])
    value = cross_entropy(labels, log_q)
    assert np.isfinite(value).all()
    assert (value >= 0).all()


@quick
@given(log_probs(least_rows=2))
def test_mutual_information_lies_between_zero_and_log_s_and_is_zero_where_models_agree(log_p):
    sampled = log_p[:, None, :]
    value = mutual_information(sampled)
    assert (value >= 0).all()
    assert (value <= math.log(len(log_p)) + 1e-12).all()
    agreed = mutual_information(np.broadcast_to(log_p, (3, *log_p.shape)).copy())
    assert agreed == pytest.approx(0.0, abs=1e-12)


def test_all_agree_with_the_definitions(rng):
    p, q = (rng.dirichlet(np.ones(4), size=20) for _ in range(2))
    labels = rng.integers(4, size=20)
    assert kl_divergence(np.log(p), np.log(q)) == pytest.approx([kl(a, b) for a, b in zip(p, q, strict=True)])
    assert entropy(np.log(p)) == pytest.approx([entropy_of(a) for a in p])
    assert cross_entropy(labels, np.log(q)) == pytest.approx([-math.log(b[c]) for b, c in zip(q, labels, strict=True)])
    sampled = rng.dirichlet(np.ones(4), size=(5, 20))
    assert mutual_information(np.log(sampled)) == pytest.approx(bald(sampled))


def test_rounding_between_near_equals_never_turns_kl_negative(rng):
    log_p = np.log(rng.dirichlet(np.ones(5), size=2_000)).astype(np.float32)
    log_q = np.nextafter(log_p, np.float32(0))
    terms = np.exp(log_p.astype(float)) * (log_p.astype(float) - log_q)
    assert (terms.sum(axis=1) < 0).any()
    assert (kl_divergence(log_p, log_q) >= 0).all()


def test_kl_is_directed_and_broadcasts():
    p, q = np.log([0.8, 0.2]), np.log([[0.4, 0.6], [0.8, 0.2]])
    assert kl_divergence(p, q)[0] == pytest.approx(0.8 * math.log(2) + 0.2 * math.log(1 / 3))
    assert kl_divergence(q, p)[0] == pytest.approx(0.4 * math.log(1 / 2) + 0.6 * math.log(3))


def test_a_class_the_candidate_rules_out_costs_much_but_not_infinity():
    ruled_out, unlikely = np.array([-np.inf, 0.0]), np.array([-700.0, 0.0])
    even = np.log([0.5, 0.5])
    assert kl_divergence(even, unlikely) < kl_divergence(even, ruled_out) < -LOG_ZERO
    assert kl_divergence(ruled_out, even) == pytest.approx(math.log(2))


def test_the_clamp_is_the_logarithm_of_the_smallest_float():
    assert math.exp(LOG_ZERO) == np.nextafter(0.0, 1.0)


def test_the_kind_of_array_is_kept_and_the_result_is_float64():
    log_p = torch.log(torch.tensor([[0.5, 0.5]], dtype=torch.float32))
    for function in (entropy, lambda x: kl_divergence(x, x), lambda x: cross_entropy(np.array([0]), x)):
        assert isinstance(function(log_p), torch.Tensor)
        assert function(log_p).dtype == torch.float64
        assert isinstance(function(log_p.numpy()), np.ndarray)


def test_log_probabilities_pass_in_single_precision_with_ruled_out_classes():
    log_p = log_softmax(np.array([[1.0, 2.0, -np.inf]], dtype=np.float32), axis=1)
    assert as_log_probs(log_p, "pool log_probs").dtype == torch.float32


@pytest.mark.parametrize(
    "row, fact",
    [
        ([0.0, np.nan], "row 1 holds NaN"),
        ([0.0, np.inf], "row 1 holds plus infinity"),
        ([0.5, 0.5], "sum to 3.297, not to 1"),
        ([-2.0, 3.0], "not to 1"),
        ([-np.inf, -np.inf], "sum to 0, not to 1"),
        ([-0.7, -0.7], "sum to 0.9932"),
    ],
)
def test_what_is_no_log_probability_is_refused_with_its_row_and_the_mend(row, fact):
    with pytest.raises(InvalidArray, match=r"pass log-probabilities, e\.g\. scipy\.special\.log_softmax") as refusal:
        as_log_probs(np.array([[0.0, -np.inf], row]), "pool log_probs")
    assert fact in str(refusal.value)
    assert str(refusal.value).startswith("pool log_probs")


def test_the_row_of_a_sampled_prediction_is_counted_within_its_pass():
    sampled = np.log(np.full((3, 4, 2), 0.5))
    sampled[2, 1] = np.nan
    with pytest.raises(InvalidArray, match="row 1 holds NaN"):
        as_log_probs(sampled, "pool mc_log_probs", ndim=3)


def test_the_wrong_number_of_axes_is_refused():
    with pytest.raises(InvalidArray, match=r"shape \(2,\), not \(n, C\)"):
        as_log_probs(np.log([0.5, 0.5]), "pool log_probs")
