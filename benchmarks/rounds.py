"""A whole round through the engine: fit on the labelled texts, infer on the pool, select."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.results import Figure, Item, Mark, Note, Table
from benchmarks.sections import Context
from benchmarks.texts import distinct_texts
from nearmiss.acquisition.registry import make_strategy
from nearmiss.loop.annotators import Oracle
from nearmiss.loop.initial import STRATIFIED, initial_set
from nearmiss.loop.rounds import Round, Schedule, Simulation, run_rounds
from nearmiss.loop.streams import Streams
from nearmiss.models.frozen import FrozenClassifier
from nearmiss.text.corpus import Corpus

__all__ = ["section"]

#: Most seconds of a round, by strategy.
MARKS = {"cal": 20.0, "entropy": 2.0}
ROUNDS = 3


def section(context: Context) -> Iterator[Item]:
    """A pool of 100,000 texts with the frozen encoder, 10,000 of them labelled, embeddings on disk."""
    n, m, b = context.size(100_000, 5000), context.size(10_000, 500), context.size(2000, 100)
    pool, test = distinct_texts(context.source.corpora()[0], n), context.source.corpora()[1]
    yield _encoding(context, pool, test)
    rows = []
    for name, most in MARKS.items():
        walls, rounds = _run(context, pool, test, Schedule(m, b, m + ROUNDS * b), name)
        sizes = {"n": n, "m": m, "d": 384, "C": pool.n_classes, "b": b} | ({"k": 10} if name == "cal" else {})
        raw = {"wall": walls, "parts": [_parts(each) for each in rounds]}
        yield Figure(f"A round with {name}", sizes, statistics.median(walls), marks=(Mark("ours", high=most),), raw=raw)
        rows += [_row(name, wall, each) for wall, each in zip(walls, rounds, strict=True)]
    columns = ("", "labelled", "wall, s", "infer, s", "select, s", "fit, s", "score the test set, s")
    yield Table("Each round; the wall clock holds all of it", columns, rows)


def _encoding(context: Context, pool: Corpus, test: Corpus) -> Note:
    """Fill the cache, which an earlier run may have done."""
    start = time.perf_counter()
    classifier = FrozenClassifier(device="cpu", cache_dir=context.cache)
    classifier.prepare(pool.texts)
    classifier.prepare(test.texts)
    seconds = time.perf_counter() - start
    originals = len(set(context.source.corpora()[0].texts.first).intersection(pool.texts.first))
    return Note(
        f"{len(pool):,} distinct texts: {originals:,} of {context.source.name}, the others copies of those with one "
        f"small edit. Filling the cache before the rounds took {seconds:.1f} s; where an earlier run had filled it, "
        "that is the time of opening it."
    )


def _run(
    context: Context, pool: Corpus, test: Corpus, schedule: Schedule, strategy: str
) -> tuple[list[float], list[Round]]:
    """Run the rounds; a round's wall time is what passes between two rounds of the generator."""
    labels = pool.gold()
    simulation = Simulation(
        pool=pool.texts,
        test=test,
        classifier=FrozenClassifier(device="cpu", cache_dir=context.cache),
        strategy=make_strategy(strategy),
        annotator=Oracle(labels),
        initial=lambda rng: initial_set(STRATIFIED, schedule.initial, pool_size=len(pool), rng=rng, labels=labels),
        schedule=schedule,
        streams=Streams("benchmark", strategy, 0),
    )
    walls, rounds = [], []
    start = time.perf_counter()
    for each in run_rounds(simulation):
        walls.append(time.perf_counter() - start)
        rounds.append(each)
        start = time.perf_counter()
    return walls[1:], rounds[1:]  # round 0 acquires nothing


def _parts(each: Round) -> float:
    acquired = each.acquisition
    return each.fit_seconds + (acquired.inference_seconds + acquired.selection_seconds if acquired else 0.0)


def _row(name: str, wall: float, each: Round) -> list[str]:
    acquired = each.acquisition
    parts = (acquired.inference_seconds, acquired.selection_seconds) if acquired else (0.0, 0.0)
    seconds = (wall, *parts, each.fit_seconds, each.evaluation_seconds)
    return [name, f"{len(each.state):,}", *(f"{value:.2f}" for value in seconds)]
