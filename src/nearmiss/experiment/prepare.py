"""Work that all runs share, done once before any of them starts: caches filled, impossible runs found."""

from __future__ import annotations

from collections.abc import Sequence

from nearmiss.errors import MissingExtra, ModelUnavailable
from nearmiss.experiment.build import Bench
from nearmiss.experiment.events import EventListener, Preparing
from nearmiss.experiment.messages import Skip
from nearmiss.experiment.spec import RunKey

__all__ = ["prepare"]

#: Texts between two reports of progress.
_STRIDE = 1024


def prepare(bench: Bench, keys: Sequence[RunKey], tell: EventListener) -> tuple[Skip, ...]:
    """Fill the caches these runs will read, and name the strategies that cannot be run.

    The bench is of no use for runs afterwards: its classifier has met the texts piecemeal.

    Raises
    ------
    NearmissError
        What would fail in every run.
    """
    bench.check(keys)
    _encode(bench, tell)
    everywhere = bench.starts_from_surprisal()
    readers = [key for key in keys if everywhere or bench.reads_surprisal(key)]
    if not readers:
        return ()
    try:
        bench.surprisal.fill(tell)
    except (ModelUnavailable, MissingExtra) as error:
        if everywhere:
            raise
        return tuple(Skip(strategy, str(error)) for strategy in dict.fromkeys(key.strategy for key in readers))
    return ()


def _encode(bench: Bench, tell: EventListener) -> None:
    total = sum(len(corpus) for corpus in bench.corpora)
    message = f"reading {total:,} texts ({bench.spec.classifier.name})"
    done = 0
    tell(Preparing(message, 0.0))
    for corpus in bench.corpora:
        for start in range(0, len(corpus), _STRIDE):
            piece = range(start, min(start + _STRIDE, len(corpus)))
            bench.classifier.prepare(corpus.texts.take(piece))
            done += len(piece)
            tell(Preparing(message, done / total))
