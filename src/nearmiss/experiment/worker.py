"""The process that does the work: it takes orders from its parent, and answers."""

from __future__ import annotations

import faulthandler
import os
import threading
import traceback
from functools import cached_property
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from nearmiss.errors import NearmissError
from nearmiss.experiment.events import EventListener
from nearmiss.experiment.messages import (
    Done,
    Failure,
    FillCaches,
    MeasureSurprisal,
    Message,
    Order,
    Prepared,
    Profile,
    Run,
    Supervise,
    Workplace,
)

if TYPE_CHECKING:
    from nearmiss.experiment.build import Bench

__all__ = ["Hand", "answer", "main"]


class Hand:
    """Carries out orders at one workplace; what orders share is built once.

    Libraries are loaded here, and not with the first order, so that a worker can be hired before there is work.
    """

    def __init__(self, workplace: Workplace) -> None:
        self._workplace = workplace

        import torch

        from nearmiss.experiment import prepare, profiling, running, supervising

        torch.set_num_threads(workplace.threads)
        self._fill_caches = prepare.fill_caches
        self._measure_surprisal = prepare.measure_surprisal
        self._carry_out_run = running.carry_out_run
        self._carry_out_supervision = supervising.carry_out_supervision
        self._carry_out_profile = profiling.carry_out_profile

    @cached_property
    def _bench(self) -> Bench:
        from nearmiss.experiment.build import load_bench

        return load_bench(self._workplace.spec, self._workplace.out, self._workplace.data_dir)

    @cached_property
    def _read_bench(self) -> Bench:
        """The bench when its classifier has met all texts: what it learns of them without labels, it learns once."""
        for corpus in self._bench.corpora:
            self._bench.classifier.prepare(corpus.texts)
        return self._bench

    def carry_out(self, order: Order, tell: EventListener) -> Prepared | Done:
        """Carry out one order, telling what happens."""
        match order:
            case FillCaches(keys):
                self._fill_caches(self._bench, keys, tell, self._workplace.threads)
                return Prepared(
                    self._bench.facts,
                    worker_bytes=self._bench.worker_bytes,
                    on_accelerator=self._bench.on_accelerator,
                    readers_of_surprisal=self._bench.dispensable_readers_of_surprisal(keys),
                )
            case MeasureSurprisal(keys):
                return Prepared(self._bench.facts, self._measure_surprisal(self._bench, keys, tell))
            case Run(key):
                self._carry_out_run(self._read_bench, key, self._workplace.out, tell)
            case Supervise(seed):
                self._carry_out_supervision(self._read_bench, seed, self._workplace.out, tell)
            case Profile(seed, strategies):
                self._carry_out_profile(self._read_bench, seed, strategies, self._workplace.out, tell)
        return Done()


def main(descriptor: int) -> None:
    """Serve the parent at the other end of this connection until it hangs up."""
    faulthandler.enable()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with Connection(descriptor) as connection:
        hand = Hand(connection.recv())
        while True:
            try:
                order = connection.recv()
            except EOFError:
                return
            connection.send(answer(hand, order, connection.send))


def answer(hand: Hand, order: Order, tell: EventListener) -> Message:
    """Carry out an order; what goes wrong is an answer as well."""
    try:
        return hand.carry_out(order, tell)
    except NearmissError as error:
        return Failure(str(error), error)
    except Exception as error:  # a bug or a full disk must cost one run, not the grid; the log has the whole story
        traceback.print_exc()
        return Failure(" ".join(f"{type(error).__name__}: {error}".split()))


def _die_with_parent() -> None:
    # Returns when the other end closes: when the parent is gone. Not through sys.stdin, whose lock a waiting thread
    # would hold while the interpreter shuts down.
    os.read(0, 1)
    os._exit(1)
