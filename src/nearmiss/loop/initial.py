"""The first labelled set, chosen before there is a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearmiss.acquisition.base import IndexArray, PoolView, Signal, Signals, Strategy
from nearmiss.acquisition.registry import make_strategy, strategy_names
from nearmiss.errors import InvalidInput, PoolExhausted, UnknownName
from nearmiss.loop.signals import all_needs
from nearmiss.text.stratify import stratified_sample

__all__ = ["RANDOM", "STRATIFIED", "cold_start_strategy", "initial_method_names", "initial_set"]

STRATIFIED = "stratified"
RANDOM = "random"
#: What can be known of a text before anything is labelled.
_LABEL_FREE = frozenset({Signal.FEATURES, Signal.SURPRISAL})


def initial_method_names() -> tuple[str, ...]:
    """List the ways to start: ``stratified``, ``random``, and every strategy that needs no trained model.

    Examples
    --------
    >>> "typiclust" in initial_method_names(), "margin" in initial_method_names()
    (True, False)
    """
    cold = [name for name in strategy_names() if name != RANDOM and _is_label_free(make_strategy(name))]
    return (STRATIFIED, RANDOM, *cold)


def cold_start_strategy(method: str) -> Strategy | None:
    """Give the strategy that chooses the initial set, or None for ``stratified`` and ``random``.

    Its ``needs`` say which signals ``initial_set`` must be handed.

    Raises
    ------
    UnknownName
        No strategy of that name.
    InvalidInput
        The strategy reads a model's predictions, and before the first labels there is no model.
    """
    if method in (STRATIFIED, RANDOM):
        return None
    if method.partition(":")[0] not in strategy_names():
        raise UnknownName.among("initial method", method, initial_method_names())
    strategy = make_strategy(method)
    if not _is_label_free(strategy):
        raise InvalidInput(
            f"the initial set cannot be chosen by {method!r}: it reads a model's predictions, and nothing is labelled "
            f"yet; choose one of {', '.join(initial_method_names())}"
        )
    return strategy


def initial_set(
    method: str,
    n: int,
    *,
    pool_size: int,
    rng: np.random.Generator,
    labels: IndexArray | None = None,
    label_names: Sequence[str] = (),
    signals: Signals | None = None,
) -> IndexArray:
    """Choose n distinct pool rows to label first.

    ``stratified`` gives each class its share of n, at least one while n allows, and draws that many of it at random.
    It needs the pool's labels, so only a simulation can use it. ``random`` draws uniformly. Any other method is a
    strategy that needs no trained model (TypiClust, ALPS ...), with ``signals`` holding what it reads.

    Raises
    ------
    PoolExhausted
        n exceeds the pool.
    InvalidInput
        n is less than one, the method needs labels or signals that were not given, or it is ``stratified`` and a
        class occurs only once: one text cannot be both in the labelled set and in what is left to find.
    UnknownName
        There is no such method.

    Examples
    --------
    >>> labels = np.repeat([0, 1], [8, 4])
    >>> chosen = initial_set("stratified", 3, pool_size=12, rng=np.random.default_rng(0), labels=labels)
    >>> np.bincount(labels[chosen])
    array([2, 1])
    """
    if n < 1:
        raise InvalidInput(f"asked for an initial set of {n} texts; ask for at least 1")
    if n > pool_size:
        raise PoolExhausted(asked=n, remaining=pool_size)
    if method == RANDOM:
        return rng.choice(pool_size, size=n, replace=False).astype(np.int64, copy=False)
    if method == STRATIFIED:
        if labels is None:
            raise InvalidInput(
                "a stratified initial set needs the pool's labels, which are not known; "
                'start with initial-method = "random"'
            )
        return _stratified(labels, n, label_names, rng)
    strategy = cold_start_strategy(method)
    if strategy is None:
        raise UnknownName.among("initial method", method, initial_method_names())
    return _cold_start(strategy, n, pool_size, signals or Signals(), rng)


def _stratified(labels: IndexArray, n: int, label_names: Sequence[str], rng: np.random.Generator) -> IndexArray:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2 and n < len(labels):
        rare = [label_names[c] if c < len(label_names) else str(c) for c in classes[counts < 2]]
        more = f" (and {len(rare) - 1} more)" if len(rare) > 1 else ""
        raise InvalidInput(
            f"label {rare[0]!r}{more} occurs once in the pool; stratification needs at least two examples of every "
            'label, one to start from and one to find: start with initial-method = "random"'
        )
    # In random order, so that the first rows of the set are no one class's.
    return rng.permutation(stratified_sample(labels, n, rng))


def _cold_start(strategy: Strategy, n: int, pool_size: int, signals: Signals, rng: np.random.Generator) -> IndexArray:
    nothing: Signals = Signals()
    if Signal.FEATURES in strategy.needs.labeled and signals.features is not None:
        nothing = Signals(features=signals.features[:0])
    return strategy.select(PoolView(pool_size, signals, nothing), n, rng).indices


def _is_label_free(strategy: Strategy) -> bool:
    return all_needs(strategy) <= _LABEL_FREE
