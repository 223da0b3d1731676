"""The cluster's side of ``on_ray``: what a process of a Ray cluster is given, and what it does with it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from nearmiss._version import __version__
from nearmiss.errors import InvalidInput
from nearmiss.experiment.events import Event
from nearmiss.experiment.messages import Failure, Message, Order, Workplace
from nearmiss.experiment.worker import Hand, answer

__all__ = ["Desk", "Mailbox", "carry_out_at"]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a process of the cluster must know beside its order.

    Attributes
    ----------
    workplace
        Where the results go, and on what.
    directory
        Where relative paths in the spec begin.
    version
        Of nearmiss, at the driver.
    token
        Tells the desks of one experiment from those of the next, whose data may have changed.
    """

    workplace: Workplace = field(compare=False)
    directory: Path = field(compare=False)
    version: str = field(default=__version__, compare=False)
    token: str = field(default_factory=lambda: uuid4().hex)


class Mailbox:
    """An actor that keeps events until the driver fetches them."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def put(self, event: Event) -> None:
        """Keep one."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """Give all that are kept, the oldest first, and keep them no longer."""
        events, self._events = self._events, []
        return events


def carry_out_at(desk: Desk, order: Order, mailbox: Any) -> Message:  # noqa: ANN401
    """Carry out one order; a node that would work on other ground answers with its refusal."""
    import ray

    node, out = socket.gethostname(), desk.workplace.out
    refusal = ""
    if desk.version != __version__:
        refusal = f"node {node} has nearmiss {__version__}, and this is {desk.version}; install the same on all nodes"
    elif not out.is_dir():
        refusal = f"{out} is not there on node {node}; choose an --out that all nodes of the cluster see"
    if refusal:
        return Failure(refusal, InvalidInput(refusal))
    if desk.directory.is_dir():
        os.chdir(desk.directory)

    def tell(event: Event) -> None:
        ray.get(mailbox.put.remote(event))  # waited for, so that the driver hears it before it hears of the end

    message = answer(_hand(desk), order, tell)
    if isinstance(message, Failure) and message.error is None:
        _hand.cache_clear()  # what broke by accident may have left it half built
    return message


@lru_cache(maxsize=1)
def _hand(desk: Desk) -> Hand:
    """Give the hand that works at this desk: Ray uses a process again, and what runs share is built in it once."""
    return Hand(desk.workplace)
