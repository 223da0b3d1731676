"""Work that all runs share, done once before any of them starts: caches filled, impossible runs found.

It is two orders, which two processes carry out side by side. ``fill_caches`` takes all cores that are free: what the
encoder says of a text was the same with one thread and with several in every case we tried, but for the last digit of
float32 in models of a few dozen columns. What a training ends in does depend on them, so ``measure_surprisal`` gets
the threads of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch

from nearmiss.acquisition.base import IndexArray
from nearmiss.errors import MissingExtra, ModelUnavailable, RunConflict
from nearmiss.experiment.build import Bench
from nearmiss.experiment.events import EventListener, Preparing
from nearmiss.experiment.machine import usable_cores
from nearmiss.experiment.messages import Skip
from nearmiss.experiment.spec import RunKey
from nearmiss.text.corpus import Texts

__all__ = ["fill_caches", "measure_surprisal"]


def fill_caches(bench: Bench, keys: Sequence[RunKey], tell: EventListener, cores: int | None = None) -> None:
    """Compute all that these runs read and no label changes, surprisal apart.

    Parameters
    ----------
    bench, keys
        Whose runs.
    tell
        Told how far it has come.
    cores
        Cores to take, those for surprisal among them; by default all that are free.

    Raises
    ------
    NearmissError
        What would fail in every run.
    """
    bench.check(keys)
    beside = bench.spec.threads if bench.readers_of_surprisal(keys) else 0
    with _threads(max(1, (cores or usable_cores()) - beside)):
        _encode(bench, tell)
        for name, source in bench.label_free_sources(keys).items():
            tell(Preparing(f"computing what strategies measure distances in ({name})"))
            source(bench.pool.texts)


def measure_surprisal(bench: Bench, keys: Sequence[RunKey], tell: EventListener) -> tuple[Skip, ...]:
    """Compute the pool's surprisal if any of these runs reads it, and name the strategies that must do without.

    Raises
    ------
    ModelUnavailable, MissingExtra, RunConflict
        There is no masked language model, or another process is making it, and every initial set needs one.
    """
    readers = bench.readers_of_surprisal(keys)
    if not readers:
        return ()
    try:
        with _threads(bench.spec.threads):
            bench.surprisal.fill(tell)
    except (ModelUnavailable, MissingExtra, RunConflict) as error:
        if bench.starts_from_surprisal():
            raise
        return tuple(Skip(strategy, str(error)) for strategy in bench.dispensable_readers_of_surprisal(keys))
    return ()


def _encode(bench: Bench, tell: EventListener) -> None:
    total = sum(len(corpus) for corpus in bench.corpora)
    message = f"reading {total:,} texts ({bench.spec.classifier.name})"
    done = 0
    tell(Preparing(message, 0.0))

    def reached(before: int, position: int) -> None:
        tell(Preparing(message, (before + position) / total))

    for corpus in bench.corpora:
        # Whole, because a cache is filled in groups that are cut at fixed places of the list it is handed.
        watched = _Watched(corpus.texts.first, corpus.texts.second, reached=partial(reached, done))
        bench.classifier.prepare(watched)
        done += len(corpus)
        tell(Preparing(message, done / total))


@dataclass(frozen=True)
class _Watched(Texts):
    """Texts that tell how far their reader has come: caches take them piece by piece, in order."""

    reached: Callable[[int], None] = field(kw_only=True, compare=False)

    def take(self, indices: Sequence[int] | IndexArray) -> Texts:
        if len(indices) and indices[0] > 0:
            self.reached(int(indices[0]))
        return super().take(indices)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
