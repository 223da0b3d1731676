"""One round, then many: acquire, annotate, train, score.

The loop knows protocols only. A simulation, a web page and a command line consume the same generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from nearmiss.acquisition.base import IndexArray, PoolView, Selection, Signal, Signals, Strategy
from nearmiss.errors import InvalidInput
from nearmiss.loop.annotators import Annotator
from nearmiss.loop.metrics import Evaluation, evaluate
from nearmiss.loop.signals import FeatureSource, FixedSignals, SurprisalSource, all_needs, rows_of
from nearmiss.loop.state import PoolState
from nearmiss.loop.streams import Streams
from nearmiss.models.base import PENULTIMATE, Classifier, FitReport, Reporting, WarmStarting
from nearmiss.text.corpus import Corpus, Texts

__all__ = [
    "Acquisition",
    "Round",
    "Schedule",
    "Simulation",
    "run_rounds",
    "step",
]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many labels to buy, and when.

    Attributes
    ----------
    initial, batch, budget
        Labels before the first model, labels a round, labels in all. The last batch is smaller where the budget
        leaves a remainder.

    Raises
    ------
    InvalidInput
        A number is below 1, or the budget below the initial set.

    Examples
    --------
    >>> schedule = Schedule(initial=20, batch=30, budget=100)
    >>> schedule.rounds_total, schedule.next_batch(80)
    (4, 20)
    """

    initial: int
    batch: int
    budget: int

    def __post_init__(self) -> None:
        for name in ("initial", "batch", "budget"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} = {getattr(self, name)}; it must be at least 1")
        if self.budget < self.initial:
            raise InvalidInput(
                f"budget = {self.budget} is below initial = {self.initial}; the budget counts the initial set too"
            )

    @property
    def rounds_total(self) -> int:
        """Rounds in all, the initial one included."""
        return 1 + -(-(self.budget - self.initial) // self.batch)

    def next_batch(self, n_labeled: int) -> int:
        """Size of the batch to buy when this many labels are there; 0 when the budget is spent."""
        return max(0, min(self.batch, self.budget - n_labeled))


@dataclass(frozen=True, slots=True, eq=False)
class Acquisition:
    """A batch chosen from the unlabelled pool.

    Attributes
    ----------
    selection
        What the strategy answered; its indices count the unlabelled texts only.
    pool_indices
        The same picks as rows of the whole pool, shape (b,).
    inference_seconds, selection_seconds
        Getting the signals, then choosing.
    """

    selection: Selection
    pool_indices: IndexArray
    inference_seconds: float
    selection_seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """The state after one round, and the model's worth in it.

    Attributes
    ----------
    index
        0 for the initial set, then one per batch.
    state
        All labels so far, this round's batch included.
    acquired
        Pool rows labelled in this round, best first.
    acquisition
        How they were chosen; None in round 0.
    evaluation
        Test-set measures after training on ``state``.
    ood_accuracy
        Accuracy by out-of-domain test set; filled in the last round only.
    fit_seconds, evaluation_seconds
        Training; scoring the test set.
    fit_report
        What the classifier says of its training; None from one that says nothing.
    """

    index: int
    state: PoolState
    acquired: IndexArray
    acquisition: Acquisition | None
    evaluation: Evaluation
    ood_accuracy: dict[str, float]
    fit_seconds: float
    evaluation_seconds: float
    fit_report: FitReport | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """Everything a run of rounds stands on.

    Attributes
    ----------
    pool
        Texts to label.
    test, ood
        Labelled texts to score on, in each round and after the last.
    classifier, strategy, annotator
        The parts the loop drives.
    initial
        Draws the first pool rows from a generator; the generator is the same for all strategies.
    schedule, streams
        How many labels; which random numbers.
    features
        The representation strategies measure distances in: one of the classifier's by name, or a source of fixed ones.
    surprisal
        Where ALPS gets its vectors; only strategies that need them call it.
    """

    pool: Texts
    test: Corpus
    classifier: Classifier
    strategy: Strategy
    annotator: Annotator
    initial: Callable[[np.random.Generator], IndexArray]
    schedule: Schedule
    streams: Streams
    features: str | FeatureSource = PENULTIMATE
    surprisal: SurprisalSource | None = None
    ood: tuple[Corpus, ...] = field(default=())


def step(
    pool: Texts,
    state: PoolState,
    classifier: Classifier,
    strategy: Strategy,
    n: int,
    *,
    inference_rng: np.random.Generator,
    selection_rng: np.random.Generator,
    representation: str = PENULTIMATE,
    fixed: Signals | None = None,
) -> Acquisition:
    """Choose the next n texts to label.

    Only the signals that ``strategy.needs`` names are computed, of the unlabelled pool and, where it asks, of the
    labelled texts. ``fixed`` holds signals of the whole pool, row by row, that no model need be asked for; they take
    the place of the classifier's.

    Raises
    ------
    PoolExhausted
        Fewer than n unlabelled texts remain.
    InvalidInput
        n is less than one, or the classifier lacks a needed signal.
    """
    fixed = fixed or Signals()
    unlabeled = state.unlabeled_indices
    PoolView(len(unlabeled)).require(n)
    started = perf_counter()

    def signals_of(rows: IndexArray, needs: frozenset[Signal]) -> Signals:
        known = rows_of(fixed, rows, needs)
        asked = needs - {Signal.SURPRISAL} - ({Signal.FEATURES} if known.features is not None else set())
        if not asked:
            return known
        inference = classifier.infer(pool.take(rows), asked, representations=(representation,), rng=inference_rng)
        said = inference.signals(representation)
        return replace(
            said, features=said.features if known.features is None else known.features, surprisal=known.surprisal
        )

    view = PoolView(
        size=len(unlabeled),
        pool=signals_of(unlabeled, frozenset(strategy.needs.pool)),
        labeled=signals_of(state.labeled_indices, frozenset(strategy.needs.labeled)),
        labels=state.labels,
    )
    inferred = perf_counter()
    selection = strategy.select(view, n, selection_rng)
    return Acquisition(selection, unlabeled[selection.indices], inferred - started, perf_counter() - inferred)


def run_rounds(simulation: Simulation, *, state: PoolState | None = None, rounds_done: int = 0) -> Iterator[Round]:
    """Run rounds until the budget is spent, yielding each when its model is trained and scored.

    The last batch bought is always trained on. To go on with an interrupted run, hand in the state after its last
    finished round and how many rounds are done: what follows is the same to the last bit as if it had never stopped.

    Raises
    ------
    PoolExhausted
        The budget exceeds the pool.
    InvalidInput
        The strategy needs surprisal vectors and the simulation has no source of them.
    """
    schedule, streams, strategy = simulation.schedule, simulation.streams, simulation.strategy
    named, source = (
        (simulation.features, None) if isinstance(simulation.features, str) else (PENULTIMATE, simulation.features)
    )
    fixed = FixedSignals(simulation.pool, source, simulation.surprisal, streams.shared("surprisal"))
    fixed.require(strategy)
    if isinstance(simulation.classifier, WarmStarting):
        simulation.classifier.restart()  # it may have been through another run
    if state is None or rounds_done == 0:
        first = simulation.initial(streams.shared("initial"))
        state = PoolState.empty(len(simulation.pool)).with_labels(first, simulation.annotator.annotate(first))
        yield _train_and_score(simulation, state, 0, first, None)
        rounds_done, fitted = 1, True
    else:
        fitted = False
    if not fitted and schedule.next_batch(len(state)):
        if isinstance(simulation.classifier, WarmStarting) and simulation.classifier.warm_start:
            _fit_again(simulation, state, rounds_done)
        elif fixed.missing(strategy):
            _fit(simulation, state, rounds_done - 1)
    while n := schedule.next_batch(len(state)):
        acquisition = step(
            simulation.pool,
            state,
            simulation.classifier,
            strategy,
            n,
            inference_rng=streams.own("inference", rounds_done),
            selection_rng=streams.own("selection", rounds_done),
            representation=named,
            fixed=fixed.signals(all_needs(strategy)),
        )
        bought = acquisition.pool_indices
        state = state.with_labels(bought, simulation.annotator.annotate(bought))
        yield _train_and_score(simulation, state, rounds_done, bought, acquisition)
        rounds_done += 1


def _fit(simulation: Simulation, state: PoolState, round_index: int) -> None:
    simulation.classifier.fit(
        simulation.pool.take(state.labeled_indices),
        state.labels,
        n_classes=simulation.test.n_classes,
        rng=simulation.streams.shared("fit", round_index),
    )


def _fit_again(simulation: Simulation, state: PoolState, rounds_done: int) -> None:
    """Repeat all trainings so far, each of which went on from the one before it."""
    n = simulation.schedule.initial
    for round_index in range(rounds_done):
        known = PoolState(state.pool_size, state.labeled_indices[:n], state.labels[:n])
        _fit(simulation, known, round_index)
        n += simulation.schedule.next_batch(n)


def _train_and_score(
    simulation: Simulation, state: PoolState, round_index: int, acquired: IndexArray, acquisition: Acquisition | None
) -> Round:
    started = perf_counter()
    _fit(simulation, state, round_index)
    fitted = perf_counter()
    evaluation = _score(simulation, simulation.test, round_index)
    scored = perf_counter()
    last = not simulation.schedule.next_batch(len(state))
    return Round(
        index=round_index,
        state=state,
        acquired=acquired,
        acquisition=acquisition,
        evaluation=evaluation,
        ood_accuracy={
            corpus.name: _score(simulation, corpus, round_index).accuracy for corpus in simulation.ood if last
        },
        fit_seconds=fitted - started,
        evaluation_seconds=scored - fitted,
        fit_report=simulation.classifier.report if isinstance(simulation.classifier, Reporting) else None,
    )


def _score(simulation: Simulation, corpus: Corpus, round_index: int) -> Evaluation:
    rng = simulation.streams.shared("evaluation", round_index)
    inference = simulation.classifier.infer(corpus.texts, {Signal.LOG_PROBS}, rng=rng)
    if inference.log_probs is None:
        raise InvalidInput("the classifier gave no log-probabilities when asked for them")
    return evaluate(inference.log_probs, corpus.gold())
