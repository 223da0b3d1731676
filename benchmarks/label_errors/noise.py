"""Labels made wrong on purpose, so that it is known which are."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

__all__ = ["Noise", "spoiled"]

IdArray = npt.NDArray[np.int64]


class Noise(StrEnum):
    """Where a wrong label goes."""

    SYMMETRIC = "symmetric"  # to any other class, each as likely
    NEAREST = "class-dependent"  # to the class whose centre lies nearest: what tired people mix up


def spoiled(
    labels: IdArray,
    features: npt.NDArray[np.floating],
    n_classes: int,
    share: float,
    noise: Noise,
    rng: np.random.Generator,
) -> IdArray:
    """Give the labels with a share of them, drawn at random, made wrong.

    The centres are those of all features under the true labels; classes without texts take and give none.
    """
    wrong = rng.permutation(len(labels))[: round(share * len(labels))]
    changed = labels.copy()
    if noise is Noise.SYMMETRIC:
        shift = rng.integers(1, n_classes, size=len(wrong))
        changed[wrong] = (labels[wrong] + shift) % n_classes
        return changed
    seen = np.unique(labels)
    centres = np.stack([features[labels == c].mean(axis=0) for c in seen])
    gaps = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    nearest = dict(zip(seen.tolist(), seen[gaps.argmin(axis=1)].tolist(), strict=True))
    changed[wrong] = [nearest[int(label)] for label in labels[wrong]]
    return changed
