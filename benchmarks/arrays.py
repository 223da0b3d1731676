"""Made-up arrays: what encoders and classifiers give, at any size, without large temporaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from nearmiss.acquisition.base import PoolView, Signals

__all__ = ["CalArrays", "Floats", "cal_arrays", "clustered", "predictions", "weakly_clustered"]

Floats = npt.NDArray[np.float32]

_BLOCK = 10_000


@dataclass(frozen=True)
class CalArrays:
    """Features and log-probabilities of a pool and of a labelled set."""

    pool: Floats
    pool_log_probs: Floats
    labeled: Floats
    labeled_log_probs: Floats

    @property
    def all(self) -> tuple[Floats, Floats, Floats, Floats]:
        """In the order of ``cal_scores``."""
        return self.pool, self.pool_log_probs, self.labeled, self.labeled_log_probs

    @property
    def view(self) -> PoolView:
        """As a strategy sees them."""
        labels = self.labeled_log_probs.argmax(axis=1)
        pool, labeled = Signals(self.pool_log_probs, self.pool), Signals(self.labeled_log_probs, self.labeled)
        return PoolView(len(self.pool), pool, labeled, labels)


def clustered(n: int, d: int, rng: np.random.Generator, spread: float = 1.0) -> Floats:
    """Rows around 50 centres, as encodings are: neighbours differ in distance, unlike in pure noise.

    ``spread`` is that of the centres, beside the noise's 1.
    """
    centers = spread * rng.standard_normal((50, d), dtype=np.float32)
    rows = rng.standard_normal((n, d), dtype=np.float32)
    for start in range(0, n, _BLOCK):
        part = rows[start : start + _BLOCK]
        part += centers[rng.integers(50, size=len(part))]
    return rows


def weakly_clustered(n: int, d: int, rng: np.random.Generator) -> Floats:
    """Rows on which k-means is busy for some twenty updates: weak clusters, and directions of very different width.

    Isotropic noise in hundreds of dimensions is no such thing: there a row's own share in the mean of its cluster
    binds it, and k-means stops after three to six updates.
    """
    rows = clustered(n, d, rng, spread=0.2)
    rows *= np.arange(1, d + 1, dtype=np.float32) ** np.float32(-0.5)
    return rows


def predictions(n: int, n_classes: int, rng: np.random.Generator, scale: float = 3.0) -> Floats:
    """Log-probabilities of a fairly confident model."""
    return np.asarray(log_softmax(rng.normal(scale=scale, size=(n, n_classes)), axis=1), dtype=np.float32)


def cal_arrays(n: int, m: int, d: int, C: int, seed: int = 0) -> CalArrays:
    """Pool and labelled set of one and the same distribution."""
    rng = np.random.default_rng(seed)
    rows = clustered(n + m, d, rng)
    return CalArrays(rows[:n], predictions(n, C, rng), rows[n:], predictions(m, C, rng))
