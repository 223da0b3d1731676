"""How far two predicted class distributions lie apart, from log-probabilities, in nats and in float64.

Probabilities are never clipped: a log-probability of minus infinity is read as that of the smallest positive float64,
so that the divergence from a model that rules a class out is large, finite and ordered. All results are at least 0.

Each function takes NumPy arrays or tensors and returns the same kind.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nearmiss.arrays.tensors import Dense, Kind, Matrix, as_labels, as_tensor, like, row_blocks
from nearmiss.errors import InvalidArray

__all__ = ["LOG_ZERO", "as_log_probs", "cross_entropy", "entropy", "kl_divergence", "mutual_information"]

#: Log of the smallest positive float64: what the logarithm of a probability of exactly 0 is read as.
LOG_ZERO = math.log(5e-324)

#: How far from 1 the probabilities of a row may sum: half-precision softmax passes, logits and probabilities do not.
SUM_TOLERANCE = 1e-3

LOG_PROBS_MEND = "pass log-probabilities, e.g. scipy.special.log_softmax(logits, axis=-1)"


def as_log_probs(x: Matrix, name: str, ndim: int = 2) -> Tensor:
    """View x as log-probabilities over classes in the last axis, refusing what cannot be that.

    Minus infinity is allowed. The result may share memory with x: never write to it.

    Raises
    ------
    InvalidArray
        Wrong number of axes, NaN, plus infinity, or a row whose probabilities do not sum to 1 within 0.001.

    Examples
    --------
    >>> as_log_probs(np.array([[0.5, 0.5]]), "pool log_probs")
    Traceback (most recent call last):
    ...
    nearmiss.errors.InvalidArray: pool log_probs: the exponentials of row 0 sum to 3.297, not to 1; \
pass log-probabilities, e.g. scipy.special.log_softmax(logits, axis=-1)
    """
    tensor = as_tensor(x, name)
    if tensor.ndim != ndim or tensor.shape[-1] == 0:
        axes = "(n, C)" if ndim == 2 else "(S, n, C)"
        raise InvalidArray(f"{name} has shape {tuple(tensor.shape)}, not {axes}; {LOG_PROBS_MEND}")
    flat = tensor.reshape(-1, tensor.shape[-1])
    for rows in row_blocks(flat.shape[0], flat.shape[1] * 8):
        block = flat[rows].to(torch.float64)
        total = torch.logsumexp(block, dim=1).exp()
        right = (total - 1).abs() <= SUM_TOLERANCE  # False for NaN
        if not bool(right.all()):
            row = int(torch.nonzero(~right)[0, 0])
            _refuse_row(block[row], float(total[row]), f"{name}: ", (rows.start + row) % tensor.shape[-2])
    return tensor


def _refuse_row(values: Tensor, total: float, name: str, row: int) -> None:
    if bool(torch.isnan(values).any()):
        raise InvalidArray(f"{name}row {row} holds NaN; {LOG_PROBS_MEND}")
    if bool(torch.isposinf(values).any()):
        raise InvalidArray(f"{name}row {row} holds plus infinity; {LOG_PROBS_MEND}")
    raise InvalidArray(f"{name}the exponentials of row {row} sum to {total:.4g}, not to 1; {LOG_PROBS_MEND}")


def _float64(log_p: Dense) -> Tensor:
    return as_tensor(log_p, "log-probabilities").to(torch.float64)


def _finite(log_p: Tensor) -> Tensor:
    return log_p.clamp(min=LOG_ZERO)


def kl_divergence(log_p: Kind, log_q: Kind) -> Kind:
    """Compute KL(p ‖ q) along the last axis; the others broadcast.

    The divergence of Algorithm 1 (Margatina et al. 2021), with p the neighbour's prediction and q the candidate's.

    Examples
    --------
    The paper's example (§2.1): among three candidates near a labelled text, the last is the most contrastive.

    >>> neighbor, candidates = np.array([0.8, 0.2]), np.array([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6]])
    >>> kl_divergence(np.log(neighbor), np.log(candidates)).round(3)
    array([0.026, 0.092, 0.335])
    """
    p, q = _float64(log_p), _float64(log_q)
    # exp of the unclamped value: a class that p rules out weighs exactly nothing.
    return like((p.exp() * (_finite(p) - _finite(q))).sum(dim=-1).clamp(min=0.0), log_p)


def cross_entropy(labels: np.ndarray[tuple[int], np.dtype[np.int64]], log_q: Kind) -> Kind:
    """Compute −log q(label) for each row of log_q, shape (n, C) to (n,).

    Examples
    --------
    >>> cross_entropy(np.array([0, 1]), np.log(np.array([[0.8, 0.2], [0.8, 0.2]]))).round(3)
    array([0.223, 1.609])
    """
    q = _float64(log_q)
    picked = torch.from_numpy(as_labels(labels, q.shape[-1], "labels")).to(q.device)
    return like((-_finite(q).gather(-1, picked[:, None]).squeeze(-1)).clamp(min=0.0), log_q)


def entropy(log_p: Kind) -> Kind:
    """Compute the entropy −Σ p log p along the last axis.

    Examples
    --------
    >>> entropy(np.log(np.array([[0.5, 0.5], [1.0, 1e-300]]))).round(3)
    array([0.693, 0.   ])
    """
    p = _float64(log_p)
    return like((p.exp() * -_finite(p)).sum(dim=-1).clamp(min=0.0), log_p)


def mutual_information(mc_log_p: Kind) -> Kind:
    """Compute the mutual information of prediction and model from S sampled models, shape (S, ..., C) to (...).

    The entropy of the mean prediction less the mean entropy of the predictions (Houlsby et al. 2011, eq. 2; the
    samples are MC-dropout passes in Gal et al. 2017).

    Examples
    --------
    Two models that are sure of opposite answers disagree by log 2; two that hesitate alike do not.

    >>> sure, unsure = [[0.0, -np.inf], [-np.inf, 0.0]], np.log([[0.5, 0.5], [0.5, 0.5]])
    >>> mutual_information(np.stack([sure, unsure], axis=1)).round(3)
    array([0.693, 0.   ])
    """
    p = _float64(mc_log_p)
    mean = torch.logsumexp(p, dim=0) - math.log(p.shape[0])
    expected = (p.exp() * -_finite(p)).sum(dim=-1).mean(dim=0)
    return like(((mean.exp() * -_finite(mean)).sum(dim=-1) - expected).clamp(min=0.0), mc_log_p)
