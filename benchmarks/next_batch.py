"""One step of a simulated labelling, for the measurements that carry it out themselves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import PoolView, Selection, Signals, Strategy
from nearmiss.models.logistic import LogisticHead, log_softmax_rows


def next_batch(
    strategy: Strategy,
    head: LogisticHead,
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    labeled: Sequence[int],
    n: int,
    rng: np.random.Generator,
) -> tuple[list[int], Selection]:
    """Let a strategy choose among the texts without a label: give their rows, and what it says of them."""
    left = np.setdiff1d(np.arange(len(labels)), labeled)
    log_probs = log_softmax_rows(head.logits(features))
    view = PoolView(
        len(left),
        Signals(log_probs=log_probs[left], features=features[left]),
        Signals(log_probs=log_probs[labeled], features=features[labeled]),
        labels[labeled],
    )
    selection = strategy.select(view, n, rng)
    return left[selection.indices].tolist(), selection
