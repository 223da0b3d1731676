"""What every acquisition function owes its caller, asked of every registered one and of CAL's variants."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import log_softmax

from nearmiss.acquisition.base import Card, PoolView, ScoringStrategy, Signal, Signals, Strategy
from nearmiss.acquisition.registry import card, make_strategy, strategy_names
from nearmiss.errors import InvalidArray, InvalidInput, PoolExhausted

VARIANTS = (
    "cal:order=opposite",
    "cal:anchor=labeled",
    "cal:divergence=cross-entropy",
    "cal:reduce=max",
    "cal:reduce=median",
    "cal:normalize=true,k=3",
    "badge:normalize=true",
    "badge:method=sequential,first=largest",
    "typiclust:max-clusters=4",
    "diverse-margin:weighted=true,factor=3",
    "diverse-cal:anchor=labeled",
)
EVERY = pytest.mark.parametrize("name", [*strategy_names(), *VARIANTS])
SCORING = [n for n in (*strategy_names(), *VARIANTS) if isinstance(make_strategy(n), ScoringStrategy)]
#: Strategies whose card says that the order is that of the picks, not of the scores.
ORDER_OF_PICKS = ("badge", "typiclust")

N, M, C, D = 90, 24, 3, 6


def signals(n, rng, n_classes=C):
    """Every signal there is, of n texts, in float64 but representable in float32."""
    arrays = Signals(
        log_probs=log_softmax(2 * rng.standard_normal((n, n_classes)), axis=1),
        features=rng.standard_normal((n, D)),
        mc_log_probs=log_softmax(2 * rng.standard_normal((4, n, n_classes)), axis=2),
        surprisal=rng.random((n, 5)) * (rng.random((n, 5)) < 0.6) + 0.01,
    )
    return each(arrays, lambda name, array: array.astype(np.float32).astype(np.float64))


def each(given, change):
    """Replace every signal that is there by change(name, signal)."""
    present = {f.name: getattr(given, f.name) for f in fields(given) if getattr(given, f.name) is not None}
    return replace(given, **{name: change(name, array) for name, array in present.items()})


def both(view, change):
    return replace(view, pool=each(view.pool, change), labeled=each(view.labeled, change))


def full_view(n=N, m=M, n_classes=C, seed=0):
    rng = np.random.default_rng(seed)
    return PoolView(n, signals(n, rng, n_classes), signals(m, rng, n_classes), rng.integers(n_classes, size=m))


def only(view, needs):
    """Take away everything but what is needed."""
    return replace(
        view,
        pool=Signals(**{s.value: getattr(view.pool, s.value) for s in needs.pool}),
        labeled=Signals(**{s.value: getattr(view.labeled, s.value) for s in needs.labeled}),
    )


def select(name, view, n, seed=0):
    return make_strategy(name).select(view, n, np.random.default_rng(seed))


def assert_sound(selection, view, n):
    assert selection.indices.dtype == np.int64
    assert selection.indices.shape == (n,)
    assert len(set(selection.indices.tolist())) == n
    assert selection.indices.min() >= 0
    assert selection.indices.max() < view.size
    assert selection.scores.dtype == np.float64
    assert selection.scores.shape == (n,)
    assert np.isfinite(selection.scores).all()
    if selection.explanation is not None:
        assert len(selection.explanation.neighbor_indices) == n


@EVERY
def test_is_a_strategy_with_a_whole_card(name):
    strategy = make_strategy(name)
    assert isinstance(strategy, Strategy)
    assert isinstance(strategy.card, Card)
    assert all((strategy.card.title, strategy.card.paper, strategy.card.definition, strategy.card.score))
    assert strategy.card.cost
    assert all(isinstance(line, str) and len(line) > 20 for line in strategy.card.differences)
    assert strategy.needs.pool <= set(Signal)
    assert card(name.partition(":")[0]) == strategy.card


@EVERY
@pytest.mark.parametrize("n", [1, 12])
def test_chooses_distinct_rows_of_the_pool(name, n):
    view = full_view()
    selection = select(name, view, n)
    assert_sound(selection, view, n)
    if not name.startswith(ORDER_OF_PICKS):
        assert (np.diff(selection.scores) <= 0).all()


@pytest.mark.parametrize("name", SCORING)
def test_takes_the_highest_scores(name):
    view = full_view()
    scores = make_strategy(name).scores(view)
    assert scores.shape == (N,)
    assert scores.dtype == np.float64
    selection = select(name, view, 12)
    assert selection.scores.tolist() == scores[selection.indices].tolist() == sorted(scores, reverse=True)[:12]


@EVERY
def test_leaves_its_inputs_alone(name):
    def frozen(_, array):
        array = array.copy()
        array.setflags(write=False)
        return array

    view = both(full_view(), frozen)
    view.labels.setflags(write=False)
    before = both(view, lambda _, array: array.copy())
    select(name, view, 12)
    for given, kept in ((view.pool, before.pool), (view.labeled, before.labeled)):
        for field in fields(given):
            np.testing.assert_array_equal(getattr(given, field.name), getattr(kept, field.name))


@EVERY
def test_same_seed_same_answer(name):
    view = full_view()
    one, two = (select(name, view, 12, seed=3) for _ in range(2))
    assert one.indices.tolist() == two.indices.tolist()
    assert one.scores.tobytes() == two.scores.tobytes()


@pytest.mark.parametrize("name", SCORING)
def test_the_seed_only_breaks_ties(name):
    view = full_view()
    scores = np.sort(make_strategy(name).scores(view))
    assert (np.diff(scores[-13:]) > 0).all()
    batches = {tuple(select(name, view, 12, seed=seed).indices.tolist()) for seed in range(5)}
    assert len(batches) == 1
    # With nothing to tell texts apart, the seed decides alone.
    alike = both(view, lambda key, array: array * 0 + (np.log(1 / C) if "log_probs" in key else 1.0))
    batches = {tuple(select(name, alike, 12, seed=seed).indices.tolist()) for seed in range(5)}
    assert len(batches) == 5 or name == "cal:anchor=labeled"  # its k nearest candidates are the lowest rows


@pytest.mark.parametrize("name", [*SCORING, "k-center"])
def test_a_permuted_pool_gives_the_same_texts(name):
    view = full_view()
    order = np.random.default_rng(1).permutation(N)
    shuffled = replace(view, pool=each(view.pool, lambda key, a: a[:, order] if key == "mc_log_probs" else a[order]))
    straight, permuted = select(name, view, 12), select(name, shuffled, 12)
    assert order[permuted.indices].tolist() == straight.indices.tolist()
    np.testing.assert_allclose(permuted.scores, straight.scores, rtol=1e-9)


@EVERY
def test_can_take_the_whole_pool_and_no_more(name):
    view = full_view(n=15)
    assert_sound(select(name, view, 15), view, 15)
    with pytest.raises(PoolExhausted, match="asked for 16 texts, only 15 unlabelled remain"):
        select(name, view, 16)
    for n in (0, -1):
        with pytest.raises(InvalidInput, match="ask for at least 1"):
            select(name, view, n)


@EVERY
def test_a_pool_of_one(name):
    view = full_view(n=1, m=1)
    assert select(name, view, 1).indices.tolist() == [0]


def assert_same(one, other, rtol):
    assert one.indices.tolist() == other.indices.tolist()
    np.testing.assert_allclose(one.scores, other.scores, rtol=rtol, atol=rtol)


@EVERY
def test_precisions_agree(name):
    double = full_view()
    single = both(double, lambda _, array: array.astype(np.float32))
    assert_same(select(name, single, 12), select(name, double, 12), 1e-4)


@EVERY
def test_numpy_and_torch_agree(name):
    arrays = full_view()
    tensors = both(arrays, lambda _, array: torch.from_numpy(array))
    assert_same(select(name, tensors, 12), select(name, arrays, 12), 1e-12)


@EVERY
def test_strided_arrays_agree(name):
    def strided(_, array):
        return np.asfortranarray(np.repeat(array, 2, axis=-1))[..., ::2]

    arrays = full_view()
    assert_same(select(name, both(arrays, strided), 12), select(name, arrays, 12), 1e-9)


@EVERY
def test_sparse_features_agree(name):
    if Signal.FEATURES not in make_strategy(name).needs.pool:
        return
    dense = both(full_view(), lambda key, array: np.where(array < 0.3, 0, array) if key == "features" else array)
    thin = both(dense, lambda key, array: sparse.csr_array(array) if key == "features" else array)
    assert_same(select(name, thin, 12), select(name, dense, 12), 1e-9)


def one_class(view):
    return full_view(n_classes=1)


def duplicates(view):
    repeat = np.arange(N) % 7
    return replace(view, pool=each(view.pool, lambda key, a: a[:, repeat] if key == "mc_log_probs" else a[repeat]))


def constant_features(view):
    return both(view, lambda key, array: array * 0 + 1 if key in ("features", "surprisal") else array)


def zero_features(view):
    return both(view, lambda key, array: array * 0 if key in ("features", "surprisal") else array)


def certain(view):
    def sure(key, array):
        if "log_probs" not in key:
            return array
        return np.where(array == array.max(axis=-1, keepdims=True), 0.0, -np.inf)

    return both(view, sure)


def large_features(view):
    return both(view, lambda key, array: array * 1e6 if key == "features" else array)


@EVERY
@pytest.mark.parametrize(
    "degrade",
    [one_class, duplicates, constant_features, zero_features, certain, large_features],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_degenerate_pools_still_fill_the_batch(name, degrade, dtype):
    view = both(degrade(full_view()), lambda _, array: array.astype(dtype))
    for n in (12, N):
        assert_sound(select(name, view, n), view, n)


@EVERY
def test_everything_alike_at_once(name):
    view = certain(constant_features(full_view()))
    alike = both(view, lambda key, array: np.broadcast_to(array[..., :1, :], array.shape))
    assert_sound(select(name, alike, N), alike, N)


@EVERY
def test_a_single_labelled_example(name):
    view = full_view(m=1)
    assert_sound(select(name, view, 12), view, 12)


@EVERY
def test_reads_only_what_it_declares(name):
    view = full_view()
    assert_same(select(name, only(view, make_strategy(name).needs), 12), select(name, view, 12), 0)


def needed(name):
    needs = make_strategy(name).needs
    return [("pool", s.value) for s in needs.pool] + [("labeled", s.value) for s in needs.labeled]


def with_signal(view, side, signal, array):
    return replace(view, **{side: replace(getattr(view, side), **{signal: array})})


@EVERY
def test_names_a_missing_signal(name):
    view = full_view()
    for side, signal in needed(name):
        with pytest.raises(InvalidArray, match=f"{side} {signal} is missing"):
            select(name, with_signal(view, side, signal, None), 12)


@EVERY
def test_refuses_nan(name):
    view = full_view()
    for side, signal in needed(name):
        array = getattr(getattr(view, side), signal).copy()
        array[..., 5, 1] = np.nan
        with pytest.raises(InvalidArray, match=f"^{side} {signal}.* NaN"):
            select(name, with_signal(view, side, signal, array), 12)


@EVERY
def test_refuses_signals_of_another_length(name):
    view = full_view()
    for side, signal in needed(name):
        array = getattr(getattr(view, side), signal)[..., :-1, :]
        with pytest.raises(InvalidArray, match=f"{side} {signal} has shape"):
            select(name, with_signal(view, side, signal, array), 12)


@EVERY
def test_without_labels_works_or_says_so(name):
    view = replace(full_view(), labeled=Signals(), labels=np.empty(0, dtype=np.int64))
    if "cal" in name:
        with pytest.raises(InvalidInput):
            select(name, view, 12)
    else:
        assert_sound(select(name, view, 12), view, 12)


@EVERY
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(name):
    arrays = full_view()
    tensors = both(arrays, lambda _, array: torch.from_numpy(array).cuda())
    assert_same(select(name, tensors, 12), select(name, arrays, 12), 1e-9)
