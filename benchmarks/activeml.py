"""Strategies that scikit-activeml has too: the same arrays, seconds, and what the batches share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmarks.arrays import CalArrays, Floats, cal_arrays, clustered, predictions
from benchmarks.peers import has_skactiveml
from benchmarks.results import Item, Note, Table
from benchmarks.sections import Context
from benchmarks.timing import take_turns
from nearmiss.acquisition.base import Strategy
from nearmiss.acquisition.clustering import KCenterGreedy, TypiClust
from nearmiss.acquisition.contrastive import Cal
from nearmiss.acquisition.gradient import Badge
from nearmiss.acquisition.uncertainty import Entropy, LeastConfidence, Margin

if TYPE_CHECKING:
    from skactiveml.base import SingleAnnotatorPoolQueryStrategy, SkactivemlClassifier

__all__ = ["contrastive", "known_classifier", "section"]

Indices = npt.NDArray[np.int64]
#: scikit-activeml raises probabilities below this before it takes a logarithm.
CLIPPED = 1e-7


def section(context: Context) -> Iterator[Item]:
    """Every strategy that both have."""
    if not has_skactiveml():
        yield Note("scikit-activeml is not installed: nothing to compare.")
        return
    n, m, d, n_classes, b = context.size(10_000, 2000), context.size(300, 100), 384, 4, context.size(100, 30)
    arrays = cal_arrays(n, m, d, n_classes)
    rows = []
    for pair in _pairs(arrays, b):
        turns = take_turns({"ours": pair.ours(arrays, b), "theirs": pair.theirs}, context.repeats)
        ours, theirs = turns.median("ours"), turns.median("theirs")
        common = len(np.intersect1d(turns.results["ours"], turns.results["theirs"]))
        rows.append(
            [pair.title, f"{ours:.4f}", f"{theirs:.4f}", f"{ours / theirs:.3f}", f"{common} of {b}", pair.remark]
        )
    columns = ("", "nearmiss, s", "scikit-activeml, s", "ratio", "texts in common", "")
    yield Table(f"n = {n:,}, m = {m}, d = {d}, C = {n_classes}, b = {b}", columns, rows)
    yield _same_cal(d)


@dataclass(frozen=True)
class _Pair:
    """One strategy of ours and its like."""

    title: str
    strategy: Strategy
    theirs: Callable[[], Indices]
    remark: str

    def ours(self, arrays: CalArrays, b: int) -> Callable[[], Indices]:
        view = arrays.view
        return lambda: self.strategy.select(view, b, np.random.default_rng(0)).indices


def known_classifier(arrays: CalArrays) -> SkactivemlClassifier:
    """Give scikit-activeml a classifier that knows these predictions already: both sides then see the same numbers."""
    from skactiveml.base import SkactivemlClassifier

    parts = (arrays.pool_log_probs, arrays.labeled_log_probs)
    known = {len(part): np.exp(part.astype(np.float64)) for part in parts}

    class Known(SkactivemlClassifier):
        def fit(self, X: Floats, y: Floats, sample_weight: Floats | None = None) -> Known:
            return self

        def predict_proba(self, X: Floats) -> npt.NDArray[np.float64]:
            return known[len(X)].copy()  # they write to it

    return Known(classes=list(range(arrays.pool_log_probs.shape[1])))


def contrastive(arrays: CalArrays, classifier: SkactivemlClassifier, b: int) -> Indices:
    """Select as ContrastiveAL does, with our k."""
    from skactiveml.pool import ContrastiveAL

    strategy = ContrastiveAL(nearest_neighbors_dict={"n_neighbors": 10}, random_state=0)
    return _query(strategy, arrays, b, clf=classifier, fit_clf=False)


def _query(strategy: SingleAnnotatorPoolQueryStrategy, arrays: CalArrays, b: int, **options: object) -> Indices:
    """Ask for candidates by X alone: pool first, labelled texts after it, so that rows count as ours do."""
    X = np.concatenate([arrays.pool, arrays.labeled])
    y = np.concatenate([np.full(len(arrays.pool), np.nan), arrays.view.labels])
    return np.asarray(strategy.query(X, y, batch_size=b, **options))


def _pairs(arrays: CalArrays, b: int) -> list[_Pair]:
    from skactiveml import pool as theirs

    classifier = known_classifier(arrays)

    def by_predictions(strategy: SingleAnnotatorPoolQueryStrategy) -> Callable[[], Indices]:
        return lambda: _query(strategy, arrays, b, clf=classifier, fit_clf=False)

    def uncertainty(method: str) -> Callable[[], Indices]:
        return by_predictions(theirs.UncertaintySampling(method=method, random_state=0))

    def by_place(strategy: SingleAnnotatorPoolQueryStrategy) -> Callable[[], Indices]:
        return lambda: _query(strategy, arrays, b)

    badge, cover = by_predictions(theirs.Badge(random_state=0)), by_place(theirs.CoreSet(random_state=0))
    typical = by_place(theirs.TypiClust(k=20, random_state=0))
    same = "same definition"
    return [
        _Pair("entropy", Entropy(), uncertainty("entropy"), same),
        _Pair("margin", Margin(), uncertainty("margin_sampling"), same),
        _Pair("least confidence", LeastConfidence(), uncertainty("least_confident"), same),
        _Pair("k-centre greedy / CoreSet", KCenterGreedy(), cover, f"{same}, same labelled texts"),
        _Pair("CAL / ContrastiveAL", Cal(), lambda: contrastive(arrays, classifier, b), "they raise p below 1e-7"),
        _Pair("BADGE", Badge(first="largest"), badge, "same law, other draws; theirs forms the gradients"),
        _Pair("TypiClust", TypiClust(), typical, "other clusters: up to 300 iterations, rows not scaled to length 1"),
    ]


def _same_cal(d: int) -> Note:
    """Compare CAL with ContrastiveAL where clipping changes nothing, and where it does."""
    n, m, b = 3000, 200, 100
    said = []
    for scale, what in ((0.8, "no probability"), (6.0, "{share:.0%} of the probabilities")):
        rng = np.random.default_rng(0)
        rows = clustered(n + m, d, rng)
        arrays = CalArrays(rows[:n], predictions(n, 4, rng, scale), rows[n:], predictions(m, 4, rng, scale))
        ours = Cal().select(arrays.view, b, rng).indices
        common = len(np.intersect1d(ours, contrastive(arrays, known_classifier(arrays), b)))
        share = float((np.exp(arrays.pool_log_probs) < CLIPPED).mean())
        said.append(f"with {what.format(share=share)} below {CLIPPED:.0e}, {common} of {b} texts are the same")
    return Note(
        f"CAL and ContrastiveAL, k = 10 (n = {n:,}, m = {m}): {'; '.join(said)}. They raise smaller probabilities to "
        "that before they take logarithms, which caps the divergence from a confident model; ours never clips. Their k "
        "is 5 unless told, and ties are broken by another generator."
    )
