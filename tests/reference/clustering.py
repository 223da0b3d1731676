"""BERTKM / ALPS, TypiClust and the diverse mini-batch, straight from their definitions, from given k-means starts."""

import numpy as np
from tests.reference.kmeans import lloyd, nearest_distinct, squared_distance


def unit_rows(X):
    return np.array([x / np.linalg.norm(x) if np.linalg.norm(x) > 0 else x for x in X])


def nearest_to_centroids(X, starts, iterations=10):
    """Rows nearest to the centroids of unit-length vectors, nearest first, with minus their distances."""
    X = unit_rows(X)
    centers, _, _ = lloyd(X, starts, iterations)
    rows, distances = nearest_distinct(X, centers)
    order = sorted(range(len(rows)), key=lambda c: (distances[c], rows[c]))
    return [rows[c] for c in order], [-distances[c] for c in order]


def typiclust(pool, labeled, b, starts, k=20, iterations=10, small=5):
    """Hacohen et al. 2022, Algorithm 1: clusters with fewest labels first, the largest first among them."""
    X = unit_rows(np.concatenate([pool, labeled]))
    _, clusters, _ = lloyd(X, starts, iterations)
    members = [[i for i in range(len(X)) if clusters[i] == c] for c in range(len(starts))]
    labels = [sum(i >= len(pool) for i in cluster) for cluster in members]

    def typicality(i, cluster):
        distances = sorted(squared_distance(X[i], X[j]) ** 0.5 for j in cluster if j != i)[:k]
        return 1 / (sum(distances) / len(distances) + 1e-5) if distances else 0.0

    rows, scores = [], []
    while len(rows) < b:
        open_clusters = [c for c in range(len(members)) if any(i < len(pool) and i not in rows for i in members[c])]
        c = min(open_clusters, key=lambda c: (len(members[c]) <= small, labels[c], -len(members[c]), c))
        best = min(
            (i for i in members[c] if i < len(pool) and i not in rows), key=lambda i: (-typicality(i, members[c]), i)
        )
        rows.append(best)
        scores.append(typicality(best, members[c]))
        labels[c] += 1
    return rows, scores


def diverse(scores, features, b, factor, starts, weights=None):
    """Zhdanov 2019, Algorithm 1; ``starts`` are positions among the best factor * b, best first."""
    best = sorted(range(len(scores)), key=lambda i: -scores[i])[: factor * b]
    X = unit_rows(features[best])
    centers, _, _ = lloyd(X, starts, 10, weights)
    rows, _ = nearest_distinct(X, centers)
    return [best[r] for r in sorted(rows)]
