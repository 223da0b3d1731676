"""The same selections as one would write them on FAISS, scikit-learn or plain NumPy."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks.arrays import Floats
from nearmiss.acquisition.base import FloatArray

__all__ = [
    "FAISS",
    "NUMPY",
    "SKLEARN",
    "Rows",
    "faiss_cal",
    "faiss_centers",
    "faiss_nearest_rows",
    "has_faiss",
    "has_skactiveml",
    "mean_divergence",
    "numpy_badge",
    "sklearn_cal",
    "sklearn_centers",
]

FAISS = "FAISS IndexFlatL2 + vectorised score"
SKLEARN = "scikit-learn NearestNeighbors (brute) + vectorised score"
NUMPY = "NumPy, factorised k-means++, one centre at a time"

Indices = npt.NDArray[np.int64]
Rows = Floats | sparse.csr_array


def has_faiss() -> bool:
    """Say whether FAISS is installed; its rows are left out otherwise."""
    return find_spec("faiss") is not None


def has_skactiveml() -> bool:
    """Say whether scikit-activeml is installed; its rows are left out otherwise."""
    return find_spec("skactiveml") is not None


def mean_divergence(neighbors: Indices, log_q: FloatArray, log_p: FloatArray) -> FloatArray:
    """Average KL(p ‖ q) over the neighbours (n, k), vectorised."""
    p = log_p[neighbors]
    return np.asarray((np.exp(p) * (p - log_q[:, None, :])).sum(axis=2).mean(axis=1))


def faiss_cal(
    pool: Floats, pool_log_probs: Floats, labeled: Floats, labeled_log_probs: Floats, k: int = 10
) -> FloatArray:
    """CAL's scores on FAISS's exact search."""
    import faiss

    index = faiss.IndexFlatL2(labeled.shape[1])
    index.add(labeled)
    _, neighbors = index.search(pool, k)
    return mean_divergence(neighbors, pool_log_probs, labeled_log_probs)


def sklearn_cal(
    pool: Rows, pool_log_probs: Floats, labeled: Rows, labeled_log_probs: Floats, k: int = 10
) -> FloatArray:
    """CAL's scores on scikit-learn's exact search, dense or CSR."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(labeled)
    return mean_divergence(index.kneighbors(pool, return_distance=False), pool_log_probs, labeled_log_probs)


def numpy_badge(log_probs: Floats, features: Floats, b: int, rng: np.random.Generator) -> Indices:
    """Sequential k-means++ on factorised gradient distances, one matrix-vector product per centre."""
    a = np.exp(log_probs)
    a[np.arange(len(a)), a.argmax(axis=1)] -= 1
    norms = (a**2).sum(axis=1) * (features**2).sum(axis=1)
    nearest = np.full(len(a), np.inf)
    picks = [int(rng.integers(len(a)))]
    for _ in range(b - 1):
        c = picks[-1]
        distances = norms + norms[c] - 2 * (a @ a[c]) * (features @ features[c])
        nearest = np.minimum(nearest, np.maximum(distances, 0))
        nearest[c] = 0
        picks.append(int(np.searchsorted(np.cumsum(nearest), rng.random() * nearest.sum(), side="right")))
    return np.array(picks)


def faiss_centers(rows: Floats, k: int, iterations: int, seed: int) -> Floats:
    """Centres by FAISS's k-means, all rows taking part."""
    import faiss

    clustering = faiss.Kmeans(rows.shape[1], k, niter=iterations, seed=seed, max_points_per_centroid=len(rows))
    clustering.train(rows)
    return np.asarray(clustering.centroids)


def faiss_nearest_rows(rows: Floats, centers: Floats) -> Indices:
    """Row nearest to each centre; two centres may share one."""
    import faiss

    index = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows)
    return np.asarray(index.search(centers, 1)[1][:, 0])


def sklearn_centers(rows: Floats, k: int, iterations: int, seed: int) -> Floats:
    """Centres by scikit-learn's k-means from one start, k-means++."""
    import warnings

    from sklearn.cluster import KMeans

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is stopped early on purpose
        return np.asarray(KMeans(k, n_init=1, max_iter=iterations, tol=0, random_state=seed).fit(rows).cluster_centers_)
