"""CAL with an approximate search: the same definition on the neighbours found, and the recall told."""

import numpy as np
import pytest
from scipy.special import log_softmax

from nearmiss.acquisition.base import PoolView, Signals
from nearmiss.acquisition.contrastive import Cal, CalVariant
from nearmiss.acquisition.registry import make_strategy, strategy_text
from nearmiss.errors import InvalidInput

pytest.importorskip("faiss")


def clustered_view(rng, n, m, dimension=24, n_classes=3):
    centers = rng.normal(scale=2, size=(60, dimension))
    weights = rng.normal(size=(dimension, n_classes))
    pool, labeled = (
        (centers[rng.integers(60, size=size)] + rng.normal(size=(size, dimension))).astype(np.float32)
        for size in (n, m)
    )
    signals = [Signals(features=X, log_probs=log_softmax(X @ weights, axis=1)) for X in (pool, labeled)]
    return PoolView(size=n, pool=signals[0], labeled=signals[1])


def test_the_recall_is_told_and_most_of_the_batch_is_the_exact_one(rng):
    view = clustered_view(rng, 1_500, 12_000)
    chosen = Cal(search="approximate").select(view, 100, np.random.default_rng(0))
    assert "% of the exact 10 nearest found" in chosen.notes[0]
    exact = Cal().select(view, 100, np.random.default_rng(0))
    assert exact.notes == ()
    assert len(np.intersect1d(chosen.indices, exact.indices)) >= 80
    assert (chosen.explanation.distances == Cal().explain(view, chosen.indices).distances).all()


def test_few_labelled_texts_are_searched_exactly(rng):
    view = clustered_view(rng, 300, 200)
    scored = Cal(search="approximate").scored(view)
    assert (scored.values == Cal().scores(view)).all()


def test_a_diverse_batch_passes_the_recall_on(rng):
    view = clustered_view(rng, 1_500, 12_000)
    chosen = make_strategy("diverse-cal:search=approximate").select(view, 20, np.random.default_rng(0))
    assert "% of the exact 10 nearest found" in chosen.notes[0]


def test_exact_is_the_default_and_leaves_no_trace_in_the_name():
    assert strategy_text(make_strategy("cal:search=exact")) == "cal"
    assert strategy_text(make_strategy("cal:search=approximate")) == "cal:search=approximate"


@pytest.mark.parametrize(
    "build", [lambda: Cal(search="quick"), lambda: Cal(search="approximate", variant=CalVariant(anchor="labeled"))]
)
def test_what_cannot_be_searched_is_refused(build):
    with pytest.raises(InvalidInput, match="search"):
        build()
