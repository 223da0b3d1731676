"""BADGE with the gradient embeddings written out (Ash et al. 2020, Algorithm 1)."""

import numpy as np
from tests.reference.kmeans import plus_plus


def gradient_embeddings(log_probs, features):
    """g = (p − onehot(argmax p)) ⊗ h, shape (n, C d)."""
    rows = []
    for log_p, h in zip(log_probs, features, strict=True):
        p = np.exp(log_p)
        p[np.argmax(p)] -= 1
        rows.append(np.outer(p, h).ravel())
    return np.array(rows)


def badge(log_probs, features, b, rng, *, normalize=False, largest_first=False):
    g = gradient_embeddings(log_probs, features)
    if normalize:
        g = np.array([row / np.linalg.norm(row) if np.linalg.norm(row) > 0 else row for row in g])
    lengths = [float(np.sum(row**2)) for row in g]
    first = int(np.argmax(lengths)) if largest_first else None
    rows, drawn_at = plus_plus(g, b, rng, first)
    return rows, [lengths[rows[0]], *drawn_at[1:]]
