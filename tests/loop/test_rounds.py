from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from scipy import sparse

from nearmiss.acquisition.base import Needs, Signal, Signals
from nearmiss.acquisition.registry import make_strategy
from nearmiss.errors import InvalidInput, PoolExhausted, UnknownName
from nearmiss.loop.annotators import Annotator, Oracle
from nearmiss.loop.rounds import Schedule, Simulation, run_rounds, step
from nearmiss.loop.signals import default_representation
from nearmiss.loop.state import PoolState
from nearmiss.loop.streams import Streams
from nearmiss.models.base import PENULTIMATE, FitReport

BOTH = frozenset({Signal.LOG_PROBS, Signal.FEATURES})


@pytest.fixture
def simulation(pool, test_corpus, classifier, recorder):
    return Simulation(
        pool=pool.texts,
        test=test_corpus,
        classifier=classifier,
        strategy=recorder(Needs(pool=BOTH, labeled=BOTH)),
        annotator=Oracle(pool.labels),
        initial=lambda rng: rng.choice(len(pool), size=5, replace=False),
        schedule=Schedule(initial=5, batch=10, budget=32),
        streams=Streams("letters", "recorder", 0),
    )


def outcome(rounds):
    return [(r.index, r.acquired.tolist(), r.evaluation, r.ood_accuracy) for r in rounds]


def test_the_oracle_is_an_annotator(pool):
    assert isinstance(Oracle(pool.labels), Annotator)


def test_buys_to_the_budget_and_trains_on_the_last_batch(simulation, pool, classifier):
    rounds = list(run_rounds(simulation))
    assert [r.index for r in rounds] == [0, 1, 2, 3]
    assert [len(r.acquired) for r in rounds] == [5, 10, 10, 7]
    assert classifier.fits == [5, 15, 25, 32]
    assert classifier.asked[-1] == (frozenset({Signal.LOG_PROBS}), 40), "the last thing done is scoring the test set"
    final = rounds[-1].state
    assert final.labels.tolist() == pool.labels[final.labeled_indices].tolist()
    assert rounds[-1].evaluation.accuracy > 0.5
    assert rounds[0].acquisition is None
    assert rounds[1].acquisition.pool_indices.tolist() == rounds[1].acquired.tolist()


@pytest.mark.parametrize("budget, expected", [(5, [5]), (6, [5, 1]), (15, [5, 10]), (80, [5, *[10] * 7, 5])])
def test_the_last_batch_takes_what_the_budget_leaves(simulation, budget, expected):
    schedule = Schedule(initial=5, batch=10, budget=budget)
    rounds = list(run_rounds(replace(simulation, schedule=schedule)))
    assert [len(r.acquired) for r in rounds] == expected
    assert schedule.rounds_total == len(expected)


def test_a_budget_beyond_the_pool_is_refused_by_name(simulation):
    with pytest.raises(PoolExhausted, match="asked for 10 texts, only 5"):
        list(run_rounds(replace(simulation, schedule=Schedule(5, 10, 90))))


@pytest.mark.parametrize(
    "numbers, message", [((0, 1, 1), "initial = 0"), ((1, 0, 1), "batch = 0"), ((5, 1, 4), "budget = 4 is below")]
)
def test_refuses_a_schedule_that_cannot_be(numbers, message):
    with pytest.raises(InvalidInput, match=message):
        Schedule(*numbers)


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4])
def test_going_on_from_a_state_gives_the_same_rounds(simulation, classifier, stop_after):
    whole = list(run_rounds(simulation))
    done = whole[:stop_after]
    classifier.centroids = None  # what a new process finds
    rest = list(run_rounds(simulation, state=done[-1].state, rounds_done=stop_after))
    assert outcome(done + rest) == outcome(whole)


def test_draws_of_a_round_depend_on_no_earlier_round(simulation):
    whole = list(run_rounds(simulation))
    short = replace(simulation, schedule=Schedule(5, 10, 20))
    assert [r.acquired.tolist() for r in run_rounds(short)][:2] == [r.acquired.tolist() for r in whole][:2]


def test_strategies_start_from_the_same_labels_and_the_same_model(simulation, recorder):
    other = replace(simulation, strategy=recorder(), streams=Streams("letters", "another", 0))
    first, second = next(run_rounds(simulation)), next(run_rounds(other))
    assert first.acquired.tolist() == second.acquired.tolist()
    assert first.evaluation == second.evaluation
    seeded = next(run_rounds(replace(simulation, streams=Streams("letters", "recorder", 1))))
    assert seeded.acquired.tolist() != first.acquired.tolist()


def test_a_strategy_without_needs_costs_no_inference(simulation, classifier, recorder):
    list(run_rounds(replace(simulation, strategy=recorder())))
    assert classifier.asked == [(frozenset({Signal.LOG_PROBS}), 40)] * 4, "only the test set is ever asked about"


def test_a_resumed_run_of_such_a_strategy_trains_nothing_in_vain(simulation, classifier, recorder):
    simulation = replace(simulation, strategy=recorder())
    state = next(run_rounds(simulation)).state
    classifier.fits.clear()
    list(run_rounds(simulation, state=state, rounds_done=1))
    assert classifier.fits == [15, 25, 32]


@pytest.mark.parametrize(
    "needs, expected",
    [
        (Needs(pool=frozenset({Signal.LOG_PROBS})), [(frozenset({Signal.LOG_PROBS}), 75)]),
        (
            Needs(pool=BOTH, labeled=frozenset({Signal.FEATURES})),
            [(BOTH, 75), (frozenset({Signal.FEATURES}), 5)],
        ),
    ],
)
def test_only_needed_signals_of_the_unlabelled_and_where_needed_the_labelled(
    simulation, classifier, recorder, pool, needs, expected
):
    state = PoolState.empty(80).with_labels(range(5), pool.labels[:5])
    classifier.fit(pool.texts.take(range(5)), pool.labels[:5], n_classes=3, rng=np.random.default_rng(0))
    strategy = recorder(needs)
    rng = np.random.default_rng(0)
    found = step(pool.texts, state, classifier, strategy, 4, inference_rng=rng, selection_rng=rng)
    assert classifier.asked == expected
    (view,) = strategy.views
    assert view.size == 75
    assert view.labels.tolist() == pool.labels[:5].tolist()
    assert (view.pool.features is not None) == (Signal.FEATURES in needs.pool)
    assert (view.labeled.log_probs is not None) == (Signal.LOG_PROBS in needs.labeled)
    assert found.pool_indices.tolist() == (found.selection.indices + 5).tolist()
    assert found.inference_seconds > 0


def test_another_representation_of_the_classifier_by_name(simulation):
    list(run_rounds(simulation))
    list(run_rounds(replace(simulation, features="halved")))
    plain, halved = simulation.strategy.views[0], simulation.strategy.views[3]
    np.testing.assert_array_equal(plain.pool.features, 2 * halved.pool.features)
    with pytest.raises(UnknownName, match="'halfed'; did you mean 'halved'"):
        list(run_rounds(replace(simulation, features="halfed")))


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, sparse.csr_array])
def test_features_from_elsewhere_are_computed_once_and_cut_to_rows(simulation, classifier, kind):
    calls = []

    def numbered(texts):
        calls.append(len(texts))
        return kind(np.arange(1.0, len(texts) + 1).reshape(-1, 1))

    rounds = list(run_rounds(replace(simulation, features=numbered)))
    assert calls == [80]
    for before, view in zip(rounds, simulation.strategy.views, strict=False):
        for rows, features in (
            (before.state.unlabeled_indices, view.pool.features),
            (before.state.labeled_indices, view.labeled.features),
        ):
            dense = features.toarray() if sparse.issparse(features) else np.asarray(features)
            assert dense.ravel().tolist() == (rows + 1.0).tolist()
    assert (frozenset({Signal.LOG_PROBS}), 75) in classifier.asked, "the model is not asked for features then"


def test_surprisal_is_computed_once_and_cut_to_rows(simulation, recorder):
    calls = []

    def surprisal(texts, rng):
        calls.append(rng.integers(100))
        return np.arange(len(texts), dtype=np.float64).reshape(-1, 1)

    strategy = recorder(Needs(pool=frozenset({Signal.SURPRISAL})))
    rounds = list(run_rounds(replace(simulation, strategy=strategy, surprisal=surprisal)))
    assert len(calls) == 1
    assert strategy.views[1].pool.surprisal.ravel().tolist() == rounds[1].state.unlabeled_indices.tolist()
    with pytest.raises(InvalidInput, match="Recorder reads surprisal vectors"):
        next(run_rounds(replace(simulation, strategy=strategy)))


def test_fixed_signals_stand_in_for_the_model(pool, classifier, recorder):
    strategy = recorder(Needs(pool=frozenset({Signal.FEATURES})))
    rng = np.random.default_rng(0)
    fixed = Signals(features=np.arange(80.0).reshape(-1, 1))
    step(pool.texts, PoolState.empty(80), classifier, strategy, 3, inference_rng=rng, selection_rng=rng, fixed=fixed)
    assert classifier.asked == []
    assert strategy.views[0].pool.features.shape == (80, 1)


def test_out_of_domain_sets_are_scored_after_the_last_round_only(simulation, test_corpus, pool):
    rounds = list(run_rounds(replace(simulation, ood=(test_corpus, pool))))
    assert [sorted(r.ood_accuracy) for r in rounds] == [[], [], [], ["letters", "test"]]
    assert rounds[-1].ood_accuracy["test"] == rounds[-1].evaluation.accuracy


@dataclass
class Accumulating:
    """A classifier that goes on from what it knew: its centroids are running means over all its trainings."""

    inner: object
    warm_start: bool = True
    seen: list[int] = field(default_factory=list)
    memory: object = None

    def __getattr__(self, name):
        return getattr(self.inner, name)

    @property
    def report(self):
        return FitReport(steps=len(self.seen), attempts=len(self.seen))

    @property
    def encoding(self):
        return "halved"

    def restart(self):
        self.seen, self.memory = [], None

    def fit(self, texts, labels, *, n_classes, rng):
        self.seen.append(len(texts))
        self.inner.fit(texts, labels, n_classes=n_classes, rng=rng)
        if self.memory is not None:
            known = np.isfinite(self.memory).all(axis=1)
            self.inner.centroids[known] = (self.inner.centroids[known] + self.memory[known]) / 2
        self.memory = self.inner.centroids.copy()


def test_a_warm_start_goes_through_all_earlier_trainings_when_resumed(simulation, classifier):
    warm = replace(simulation, classifier=Accumulating(classifier))
    whole = list(run_rounds(warm))
    assert warm.classifier.seen == [5, 15, 25, 32]
    assert [r.fit_report.attempts for r in whole] == [1, 2, 3, 4]
    for done in (1, 2, 3):
        again = list(run_rounds(warm, state=whole[done - 1].state, rounds_done=done))
        assert outcome(again) == outcome(whole[done:])
        assert warm.classifier.seen == [5, 15, 25, 32]
    assert outcome(run_rounds(warm)) == outcome(whole), "a second run begins afresh"


def test_a_classifier_that_reports_nothing_has_no_report(simulation):
    assert {r.fit_report for r in run_rounds(simulation)} == {None}


def test_distances_are_measured_where_the_classifier_says(classifier):
    assert default_representation(make_strategy("cal"), classifier) == PENULTIMATE
    told = Accumulating(classifier)
    assert default_representation(make_strategy("cal"), told) == "halved"
    assert default_representation(make_strategy("badge"), told) == PENULTIMATE
