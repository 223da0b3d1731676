"""CAL, straight from Algorithm 1 of Margatina et al. 2021 and the text of its ablation (§5)."""

import math
import statistics

import numpy as np
from tests.reference.neighbors import nearest

POOLING = {"mean": statistics.fmean, "max": max, "median": statistics.median}


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def scores(pool, labeled, k, *, anchor="pool", divergence="kl", reduce="mean"):
    """Score each candidate; pool is (features, probs), labeled is (features, probs, labels)."""
    pool_features, pool_probs = pool
    labeled_features, labeled_probs, labels = labeled

    def between(example, candidate):
        if divergence == "cross-entropy":
            return -math.log(pool_probs[candidate][labels[example]])
        return kl(labeled_probs[example], pool_probs[candidate])

    met = {candidate: [] for candidate in range(len(pool_features))}
    if anchor == "pool":
        for candidate, x in enumerate(pool_features):
            for example in nearest([x], labeled_features, k)[0][0]:
                met[candidate].append(between(example, candidate))
    else:
        for example, x in enumerate(labeled_features):
            for candidate in nearest([x], pool_features, k)[0][0]:
                met[candidate].append(between(example, candidate))
    return np.array([POOLING[reduce](values) if values else 0.0 for values in met.values()])
