"""The process that does the work, and the messages it exchanges with its parent.

Only light modules are imported up here, because the parent reads the messages too and must stay light.
"""

from __future__ import annotations

import faulthandler
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from nearmiss.errors import NearmissError
from nearmiss.experiment.events import Event
from nearmiss.experiment.records import RunKey
from nearmiss.experiment.spec import ExperimentSpec

if TYPE_CHECKING:
    from nearmiss.experiment.build import Bench

__all__ = ["Done", "Failure", "Message", "Order", "Prepare", "Prepared", "Run", "Workplace", "main"]


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the work is done and on what: the first thing a worker is sent."""

    spec: ExperimentSpec
    out: Path
    data_dir: Path | None
    threads: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Fill every cache these runs will read, and find out what cannot be run."""

    keys: tuple[RunKey, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """Do one run, from where its journal ends."""

    key: RunKey


@dataclass(frozen=True, slots=True)
class Skip:
    """A strategy that cannot be run here, and why."""

    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """Preparation is done; these strategies cannot be run."""

    skips: tuple[Skip, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The run is complete and marked so."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The order could not be carried out.

    Attributes
    ----------
    reason
        One line.
    error
        The refusal itself, when nearmiss refused on purpose.
    """

    reason: str
    error: NearmissError | None = None


Order = Workplace | Prepare | Run
Message = Event | Prepared | Done | Failure


class _Hand:
    """Carries out orders at one workplace; what orders share is built once.

    Libraries are loaded here, and not with the first order, so that a worker can be hired before there is work.
    """

    def __init__(self, workplace: Workplace, tell: Callable[[Event], None]) -> None:
        self._workplace = workplace
        self._tell = tell

        import torch

        from nearmiss.experiment import prepare, running

        torch.set_num_threads(workplace.threads)
        self._prepare = prepare.prepare
        self._carry_out_run = running.carry_out_run

    @cached_property
    def _bench(self) -> Bench:
        from nearmiss.experiment.build import load_bench

        return load_bench(self._workplace.spec, self._workplace.out, self._workplace.data_dir)

    def carry_out(self, order: Order) -> Prepared | Done:
        match order:
            case Prepare(keys):
                return Prepared(self._prepare(self._bench, keys, self._tell))
            case Run(key):
                self._carry_out_run(self._bench, key, self._workplace.out, self._tell)
        return Done()


def main(descriptor: int) -> None:
    """Serve the parent at the other end of this connection until it hangs up."""
    faulthandler.enable()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with Connection(descriptor) as connection:
        hand = _Hand(connection.recv(), connection.send)
        while True:
            try:
                order = connection.recv()
            except EOFError:
                return
            connection.send(_answer(hand, order))


def _answer(hand: _Hand, order: Order) -> Message:
    try:
        return hand.carry_out(order)
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
