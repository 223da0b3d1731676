import itertools

import numpy as np
import pytest
import torch
from scipy import sparse
from tests.reference import contrastive as reference
from tests.reference.neighbors import nearest

from nearmiss.acquisition.base import Explaining, PoolView, ScoringStrategy, Signal, Signals
from nearmiss.acquisition.contrastive import Cal, CalVariant, cal_scores
from nearmiss.errors import InvalidArray, InvalidInput, PoolExhausted

N, M, C, D = 80, 25, 3, 6


def random_view(seed=0, n=N, m=M, dtype=np.float64):
    rng = np.random.default_rng(seed)
    features = [rng.normal(size=(rows, D)).astype(np.float32).astype(dtype) for rows in (n, m)]
    log_probs = [np.log(rng.dirichlet(np.ones(C), size=rows)) for rows in (n, m)]
    return PoolView(
        size=n,
        pool=Signals(features=features[0], log_probs=log_probs[0]),
        labeled=Signals(features=features[1], log_probs=log_probs[1]),
        labels=rng.integers(C, size=m),
    )


def expected_scores(view, k, **variant):
    pool = view.pool.features, np.exp(view.pool.log_probs)
    labeled = view.labeled.features, np.exp(view.labeled.log_probs), view.labels
    return reference.scores(pool, labeled, k, **variant)


def test_the_worked_example_of_the_paper():
    """§2.1: among candidates near (0.8, 0.2), the one predicted (0.4, 0.6) is the most contrastive."""
    candidates = np.log([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6]])
    scores = cal_scores(np.array([[0.1], [0.2], [0.3]]), candidates, np.array([[0.0]]), np.log([[0.8, 0.2]]))
    by_hand = [0.8 * np.log(0.8 / p) + 0.2 * np.log(0.2 / (1 - p)) for p in (0.7, 0.6, 0.4)]
    assert scores == pytest.approx(by_hand)
    assert scores.argmax() == 2


@pytest.mark.parametrize(
    "anchor, divergence, reduce",
    list(itertools.product(("pool", "labeled"), ("kl", "cross-entropy"), ("mean", "max", "median"))),
)
@pytest.mark.parametrize("k", [1, 4, 7])
def test_every_variant_is_that_of_its_definition(anchor, divergence, reduce, k):
    view = random_view(k)
    expected = expected_scores(view, k, anchor=anchor, divergence=divergence, reduce=reduce)
    cal = Cal(k=k, variant=CalVariant(anchor=anchor, divergence=divergence, reduce=reduce))
    assert cal.scores(view) == pytest.approx(expected, rel=1e-10, abs=1e-12)
    n = int((expected > 0).sum()) // 2
    selection = cal.select(view, n, np.random.default_rng(0))
    assert selection.indices.tolist() == np.argsort(-expected, kind="stable")[:n].tolist()
    assert (selection.scores == cal.scores(view)[selection.indices]).all()


def test_opposite_takes_the_lowest_and_says_so_in_scores_that_still_fall():
    view = random_view()
    selection = Cal(variant=CalVariant(order="opposite")).select(view, 9, np.random.default_rng(0))
    expected = expected_scores(view, 10)
    assert selection.indices.tolist() == np.argsort(expected)[:9].tolist()
    assert selection.scores == pytest.approx(-np.sort(expected)[:9])


def test_candidates_no_labelled_example_is_near_score_zero():
    view = random_view()
    scores = Cal(k=1, variant=CalVariant(anchor="labeled")).scores(view)
    met = set(nearest(view.labeled.features, view.pool.features, 1)[0].ravel().tolist())
    assert set(np.flatnonzero(scores).tolist()) == met


def test_a_candidate_met_once_is_not_halved():
    """The authors' code averages with a running value that starts at 0; the paper says average."""
    view = PoolView(
        size=2,
        pool=Signals(features=np.array([[0.0], [9.0]]), log_probs=np.log([[0.4, 0.6], [0.5, 0.5]])),
        labeled=Signals(features=np.array([[1.0]]), log_probs=np.log([[0.8, 0.2]])),
    )
    scores = Cal(k=1, variant=CalVariant(anchor="labeled")).scores(view)
    assert scores == pytest.approx([reference.kl([0.8, 0.2], [0.4, 0.6]), 0.0])


def test_the_explanation_is_the_neighbours_their_distances_and_their_divergences():
    view = random_view()
    selection = Cal(k=4).select(view, 6, np.random.default_rng(0))
    indices, distances = nearest(view.pool.features[selection.indices], view.labeled.features, 4)
    explanation = selection.explanation
    assert explanation.neighbor_indices.tolist() == indices.tolist()
    assert explanation.distances == pytest.approx(distances)
    p, q = np.exp(view.labeled.log_probs), np.exp(view.pool.log_probs)
    expected = [
        [reference.kl(p[j], q[i]) for j in row] for i, row in zip(selection.indices.tolist(), indices, strict=True)
    ]
    assert explanation.divergences == pytest.approx(np.array(expected))
    assert explanation.divergences.mean(axis=1) == pytest.approx(selection.scores)


def test_the_explanation_from_labelled_anchors_is_ragged_nearest_first_and_padded():
    view = random_view()
    cal = Cal(k=3, variant=CalVariant(anchor="labeled"))
    explanation = cal.select(view, N, np.random.default_rng(0)).explanation
    picks = cal.select(view, N, np.random.default_rng(0)).indices
    met = {i: [] for i in range(N)}
    found, distances = nearest(view.labeled.features, view.pool.features, 3)
    for example in range(M):
        for candidate, distance in zip(found[example].tolist(), distances[example].tolist(), strict=True):
            met[candidate].append((distance, example))
    width = max(len(entries) for entries in met.values())
    assert explanation.neighbor_indices.shape == (N, width)
    for row, candidate in enumerate(picks.tolist()):
        entries = sorted(met[candidate])
        assert explanation.neighbor_indices[row].tolist() == [j for _, j in entries] + [-1] * (width - len(entries))
        assert explanation.distances[row, : len(entries)] == pytest.approx([d for d, _ in entries])
        assert np.isnan(explanation.distances[row, len(entries) :]).all()
        assert np.isnan(explanation.divergences[row, len(entries) :]).all()


def test_candidates_that_nobody_met_are_explained_by_nothing():
    view = random_view(m=1)
    cal = Cal(k=1, variant=CalVariant(anchor="labeled", order="opposite"))
    assert cal.select(view, 5, np.random.default_rng(0)).explanation.neighbor_indices.shape == (5, 0)


@pytest.mark.parametrize("anchor", ["pool", "labeled"])
def test_explaining_some_rows_repeats_what_the_selection_says(anchor):
    view = random_view()
    cal = Cal(k=4, variant=CalVariant(anchor=anchor))
    selection = cal.select(view, 12, np.random.default_rng(0))
    again = cal.explain(view, selection.indices)
    assert (again.neighbor_indices == selection.explanation.neighbor_indices).all()
    assert again.distances == pytest.approx(selection.explanation.distances, nan_ok=True)
    assert again.divergences == pytest.approx(selection.explanation.divergences, nan_ok=True)


def test_fewer_labelled_examples_than_neighbours_are_all_used():
    view = random_view(m=3)
    assert Cal(k=10).scores(view) == pytest.approx(expected_scores(view, 3))
    assert Cal(k=10).select(view, 2, np.random.default_rng(0)).explanation.neighbor_indices.shape == (2, 3)


def test_normalised_features_are_searched_by_angle():
    view = random_view()
    scaled = Signals(features=view.pool.features * np.linspace(0.1, 30, N)[:, None], log_probs=view.pool.log_probs)
    stretched = PoolView(size=N, pool=scaled, labeled=view.labeled, labels=view.labels)
    unit = [f / np.linalg.norm(f, axis=1, keepdims=True) for f in (view.pool.features, view.labeled.features)]
    normal = PoolView(
        size=N,
        pool=Signals(features=unit[0], log_probs=view.pool.log_probs),
        labeled=Signals(features=unit[1], log_probs=view.labeled.log_probs),
        labels=view.labels,
    )
    assert Cal(normalize=True).scores(stretched) == pytest.approx(expected_scores(normal, 10))
    assert Cal().scores(stretched) != pytest.approx(expected_scores(normal, 10))


def test_numpy_torch_sparse_and_single_precision_agree():
    rng = np.random.default_rng(1)
    pool, labeled = (rng.integers(-4, 5, size=(n, 9)) / 4 for n in (60, 30))
    log_probs = [np.log(rng.dirichlet(np.ones(4), size=n)) for n in (60, 30)]
    expected = cal_scores(pool, log_probs[0], labeled, log_probs[1])
    assert expected.dtype == np.float64
    kinds = (torch.from_numpy, sparse.csr_array, sparse.csr_matrix, lambda array: array.astype(np.float32))
    for kind in kinds:
        assert (cal_scores(kind(pool), log_probs[0], kind(labeled), log_probs[1]) == expected).all()
    tensors = [torch.from_numpy(array) for array in log_probs]
    assert (cal_scores(pool, tensors[0], labeled, tensors[1]) == expected).all()
    single = [array.astype(np.float32) for array in log_probs]
    assert cal_scores(pool, single[0], labeled, single[1]) == pytest.approx(expected, rel=1e-4)


def test_classes_ruled_out_give_finite_ordered_scores():
    pool_log_probs = np.array([[0.0, -np.inf], [-1e-300, -700.0], [np.log(0.5), np.log(0.5)]])
    labeled_log_probs = np.array([[np.log(0.5), np.log(0.5)], [0.0, -np.inf]])
    scores = cal_scores(np.zeros((3, 2)), pool_log_probs, np.zeros((2, 2)), labeled_log_probs)
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1] > scores[2] > 0


def test_duplicates_and_constant_features_use_the_lowest_labelled_rows():
    view = random_view()
    constant = [
        Signals(features=np.ones((n, D)), log_probs=s.log_probs) for n, s in ((N, view.pool), (M, view.labeled))
    ]
    flat = PoolView(size=N, pool=constant[0], labeled=constant[1], labels=view.labels)
    explanation = Cal(k=4).select(flat, 5, np.random.default_rng(0)).explanation
    assert explanation.neighbor_indices.tolist() == [[0, 1, 2, 3]] * 5


def test_pairs_are_cut_into_blocks_without_a_trace():
    view = random_view(n=3_000, m=60)
    many = Cal(k=60).scores(view)  # 180,000 pairs
    whole = PoolView(
        size=5,
        pool=Signals(features=view.pool.features[2_990:2_995], log_probs=view.pool.log_probs[2_990:2_995]),
        labeled=view.labeled,
        labels=view.labels,
    )
    assert (Cal(k=60).scores(whole) == many[2_990:2_995]).all()


def test_one_thread_and_two_select_the_same():
    view = random_view(n=4_000, m=600, dtype=np.float32)
    before = torch.get_num_threads()
    selections = []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            selections.append(Cal().select(view, 200, np.random.default_rng(0)))
    finally:
        torch.set_num_threads(before)
    assert (selections[0].indices == selections[1].indices).all()
    assert (selections[0].scores == selections[1].scores).all()


def test_it_reads_what_it_says_it_needs():
    both = {Signal.LOG_PROBS, Signal.FEATURES}
    assert (set(Cal().needs.pool), set(Cal().needs.labeled)) == (both, both)
    gold = Cal(variant=CalVariant(divergence="cross-entropy"))
    assert set(gold.needs.labeled) == {Signal.FEATURES}
    view = random_view()
    without = PoolView(size=N, pool=view.pool, labeled=Signals(features=view.labeled.features), labels=view.labels)
    assert (gold.scores(without) == gold.scores(view)).all()


def test_it_scores_and_explains():
    assert isinstance(Cal(), ScoringStrategy)
    assert isinstance(Cal(), Explaining)


@pytest.mark.parametrize(
    "change, fact",
    [
        ({"pool": Signals(log_probs=np.log(np.full((N, C), 1 / C)))}, "pool features is missing"),
        ({"pool": Signals(features=np.ones((N, D)))}, "pool log_probs is missing"),
        ({"labeled": Signals(features=np.ones((M, D)))}, "labeled log_probs is missing"),
        ({"labeled": Signals(log_probs=np.log(np.full((M, C), 1 / C)))}, "labeled features is missing"),
        ({"size": N + 1}, "but there are 81 texts"),
        ({"labels": np.zeros(M + 1, dtype=np.int64)}, "labeled features has shape"),
        (
            {"labeled": Signals(features=np.ones((M, D)), log_probs=np.log(np.full((M, C + 1), 1 / (C + 1))))},
            "pool log_probs cover 3 classes and labeled log_probs 4",
        ),
        (
            {"labeled": Signals(features=np.ones((M, D + 1)), log_probs=np.log(np.full((M, C), 1 / C)))},
            "pool features are dense with 6 columns, labeled features dense with 7; pass one and the same",
        ),
        (
            {"pool": Signals(features=sparse.csr_array((N, D)), log_probs=np.log(np.full((N, C), 1 / C)))},
            "pool features are sparse with 6 columns, labeled features dense with 6; pass one and the same",
        ),
        (
            {"labeled": Signals(features=np.full((M, D), np.nan), log_probs=np.log(np.full((M, C), 1 / C)))},
            "labeled features holds NaN in row 0",
        ),
        ({"pool": Signals(features=np.ones((N, D)), log_probs=np.full((N, C), 0.3))}, "pass log-probabilities"),
    ],
)
def test_what_is_missing_or_does_not_match_is_named(change, fact):
    view = random_view()
    parts = {"size": view.size, "pool": view.pool, "labeled": view.labeled, "labels": view.labels, **change}
    with pytest.raises(InvalidArray, match=fact):
        Cal().select(PoolView(**parts), 2, np.random.default_rng(0))


def test_gold_labels_must_be_there_and_be_classes():
    view = random_view()
    gold = Cal(variant=CalVariant(divergence="cross-entropy"))
    with pytest.raises(InvalidArray, match="there are 0 labels for 25 labelled texts"):
        gold.scores(PoolView(size=N, pool=view.pool, labeled=view.labeled))
    with pytest.raises(InvalidArray, match="holds class 3 in row 0"):
        gold.scores(PoolView(size=N, pool=view.pool, labeled=view.labeled, labels=np.full(M, 3)))


def test_without_labels_it_says_how_to_start():
    view = random_view()
    nothing = Signals(features=np.zeros((0, D)), log_probs=np.zeros((0, C)))
    with pytest.raises(InvalidInput, match="label a first batch with another strategy"):
        Cal().scores(PoolView(size=N, pool=view.pool, labeled=nothing))


def test_bad_options_are_refused():
    with pytest.raises(InvalidInput, match="k=0 neighbours; ask for at least 1"):
        Cal(k=0)
    with pytest.raises(InvalidInput, match="cal has no anchor='both'; choose one of pool, labeled"):
        CalVariant(anchor="both")
    with pytest.raises(PoolExhausted, match="asked for 81 texts"):
        Cal().select(random_view(), N + 1, np.random.default_rng(0))
