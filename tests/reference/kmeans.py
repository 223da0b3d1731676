"""k-means++ seeding, Lloyd's algorithm, farthest-first and distinct nearest rows, as on a blackboard."""

import numpy as np


def squared_distance(x, y):
    return float(sum((a - b) ** 2 for a, b in zip(x.tolist(), y.tolist(), strict=True)))


def plus_plus(X, k, rng, first=None):
    """Arthur & Vassilvitskii 2007, §2.2, one uniform number per centre; returns rows and D² when each was drawn."""
    n = len(X)
    rows = [int(rng.random() * n) if first is None else first]
    drawn_at = [np.inf]
    while len(rows) < k:
        D2 = [0.0 if i in rows else min(squared_distance(X[i], X[c]) for c in rows) for i in range(n)]
        u = rng.random()
        total = sum(D2)
        if total == 0:
            free = [i for i in range(n) if i not in rows]
            row = free[int(u * len(free))]
        else:
            running = 0.0
            for i in range(n):
                running += D2[i]
                if running > u * total:
                    row = i
                    break
        rows.append(row)
        drawn_at.append(D2[row])
    return rows, drawn_at


def lloyd(X, starts, iterations, weights=None):
    """Returns (centres, assignments, squared distances); empty clusters go to the rows farthest from their centres."""
    weights = np.ones(len(X)) if weights is None else weights
    centers = [X[s].copy() for s in starts]

    def assign():
        table = [[squared_distance(x, c) for c in centers] for x in X]
        return [row.index(min(row)) for row in table], [min(row) for row in table]

    clusters, squared = assign()
    for _ in range(iterations):
        empty = []
        for c in range(len(centers)):
            members = [i for i in range(len(X)) if clusters[i] == c]
            mass = sum(weights[i] for i in members)
            if mass == 0:
                empty.append(c)
            else:
                centers[c] = sum(weights[i] * X[i] for i in members) / mass
        farthest = sorted(range(len(X)), key=lambda i: (-squared[i], i))
        for c, row in zip(empty, farthest, strict=False):
            centers[c] = X[row].copy()
        clusters, squared = assign()
    return np.array(centers), clusters, squared


def nearest_distinct(X, centers):
    """All pairs in order of distance (to nine digits); a pair is joined where neither is taken."""
    pairs = sorted(
        (round(squared_distance(center, row) ** 0.5, 9), c, i)
        for c, center in enumerate(centers)
        for i, row in enumerate(X)
    )
    rows, taken = {}, set()
    for distance, c, i in pairs:
        if c not in rows and i not in taken:
            rows[c] = (i, distance)
            taken.add(i)
    return [rows[c][0] for c in range(len(centers))], [rows[c][1] for c in range(len(centers))]


def farthest_first(X, centers, k):
    """Rows of X in farthest-first order, and the distance of each when it was picked; the lowest row among equals."""
    rows, picked_at = [], []
    for _ in range(k):
        near = list(centers) + [X[r] for r in rows]
        D = [-1.0 if i in rows else min(squared_distance(X[i], c) for c in near) for i in range(len(X))]
        rows.append(D.index(max(D)))
        picked_at.append(max(D) ** 0.5)
    return rows, picked_at
