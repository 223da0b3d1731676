"""CAL on TF-IDF: sparse rows beside scikit-learn's search over the same CSR."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

from benchmarks.arrays import Floats, predictions
from benchmarks.memory import MEGABYTE, peak_of
from benchmarks.peers import SKLEARN, sklearn_cal
from benchmarks.results import Figure, Item, Note
from benchmarks.sections import Context
from benchmarks.texts import Source, distinct_texts
from benchmarks.timing import Ways, take_turns
from nearmiss.acquisition.base import FloatArray
from nearmiss.acquisition.contrastive import cal_scores
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.models.tfidf import TfidfSpace

__all__ = ["prepare", "section"]

OURS = "CAL on TF-IDF, scores"
K = 10
_Arrays = tuple[sparse.csr_array, Floats, sparse.csr_array, Floats]


def section(context: Context) -> Iterator[Item]:
    """Real sentences, as many columns as they have words."""
    n, m, b = context.size(20_000, 4000), context.size(2000, 400), context.size(400, 80)
    arrays = _arrays(context.source, n, m)
    turns = take_turns(_ways(arrays), context.repeats)
    sizes = {"n": n, "m": m, "d": arrays[0].shape[1], "C": 2, "k": K}
    yield Figure(OURS, sizes, turns.median(OURS), "s", SKLEARN, turns.median(SKLEARN), raw=turns.seconds)
    yield _batches(arrays, turns.results[OURS], turns.results[SKLEARN], b, context.source.name)
    asked = {"name": context.source.name, "data_dir": context.source.data_dir, "n": n, "m": m}
    warm_up = asked | {"n": 500, "m": 50}
    peaks = [
        peak_of(prepare, asked | {"peer": peer}, warm_up | {"peer": peer}).above / MEGABYTE for peer in (False, True)
    ]
    yield Figure(f"{OURS}: memory above its inputs", sizes, peaks[0], "MB", SKLEARN, peaks[1])


def _batches(arrays: _Arrays, ours: FloatArray, theirs: FloatArray, b: int, name: str) -> Note:
    """Say where the two differ, and whether a tie for the tenth place explains it."""
    n, pool, labeled = len(ours), arrays[0], arrays[2]
    common = len(np.intersect1d(*(np.argsort(-scores, kind="stable")[:b] for scores in (ours, theirs))))
    differ = np.abs(ours - theirs) > 1e-4 * (1 + ours)  # theirs is computed in float32
    distances = nearest_neighbors(pool, labeled, K + 1).distances
    tied = distances[:, K] - distances[:, K - 1] < 1e-6
    return Note(
        f"{name}, {pool.nnz / n:.1f} words a text: {common} of the best {b} are the same. {int(differ.sum()):,} of "
        f"{n:,} scores differ, {int((differ & tied).sum()):,} of them where the tenth neighbour is as near as the "
        "eleventh: short texts are often equally far, ours then takes the lower row and scikit-learn leaves it open."
    )


def prepare(name: str, data_dir: str | None, n: int, m: int, peer: bool) -> Callable[[], object]:
    """Make the inputs of one scoring; for ``peak_of``."""
    return _ways(_arrays(Source(name, data_dir), n, m))[SKLEARN if peer else OURS]


def _arrays(source: Source, n: int, m: int) -> _Arrays:
    texts = distinct_texts(source.corpora()[0], n + m).texts
    rows = TfidfSpace(texts).rows(texts)
    rng = np.random.default_rng(0)
    return rows[:n], predictions(n, 2, rng), rows[n:], predictions(m, 2, rng)


def _ways(arrays: _Arrays) -> Ways:
    return {OURS: lambda: cal_scores(*arrays, k=K), SKLEARN: lambda: sklearn_cal(*arrays, k=K)}
