"""The Ray cluster that work is done on: joined, or started on this machine and ended with the work."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nearmiss.errors import InvalidInput, MissingExtra
from nearmiss.experiment.machine import usable_cores

__all__ = ["RETRIES", "Joined", "first_line", "handed_on", "join_cluster"]

#: How often a task whose process died, or ran out of memory, is taken up again.
RETRIES = 3
_CONNECT_SECONDS = 10.0
#: What decides about caches, downloads and waiting threads must be the same wherever a task runs.
_HANDED_ON = (
    "NEARMISS_CACHE_DIR",
    "HF_HUB_OFFLINE",
    "OMP_WAIT_POLICY",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY",
    "LRU_CACHE_CAPACITY",
)


@dataclass(frozen=True, slots=True)
class Joined:
    """How this process came to its cluster.

    Attributes
    ----------
    here
        Whether it was joined by this call, and is to be left again.
    own
        Whether it was started for this work: then nobody else is on it.
    """

    here: bool
    own: bool

    def leave(self) -> None:
        """Leave what was joined; end what was started."""
        if self.here:
            import ray

            ray.shutdown()


def join_cluster(address: str | None, purpose: str, object_store_bytes: int | None = None) -> Joined:
    """Join the cluster that is meant, or start one.

    Parameters
    ----------
    address
        ``host:port``, ``auto``, or ``local`` for a cluster on this machine. None is the one this process is connected
        to, then the one that ``RAY_ADDRESS`` names, then ``local``.
    purpose
        What it is for, should Ray not be installed.
    object_store_bytes
        Memory that the processes of a cluster of our own share; None leaves it to Ray.

    Raises
    ------
    MissingExtra
        Ray is not installed.
    InvalidInput
        No cluster answers, or this process is connected already.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Its own default is without end: what never fits into memory would go round for ever.
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
    try:
        import ray
    except ImportError:
        raise MissingExtra(purpose, "ray", "ray") from None
    if ray.is_initialized():
        if address is not None:
            raise InvalidInput(
                f"this process is connected to a Ray cluster already; leave the address {address!r} out to use it"
            )
        return Joined(here=False, own=False)
    wanted = address or os.environ.get("RAY_ADDRESS") or "local"
    if wanted == "local":
        with _no_greeting():
            ray.init(
                "local",
                num_cpus=usable_cores(),
                object_store_memory=object_store_bytes,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
            )
        return Joined(here=True, own=True)
    try:
        _knock(wanted)
        with _no_greeting():
            ray.init(wanted, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        told = " ".join(str(error).split())
        raise InvalidInput(
            f"no Ray cluster at {wanted!r} ({told}); start one with `ray start --head`, or leave the address out for "
            "one on this machine"
        ) from error
    return Joined(here=True, own=False)


def handed_on() -> dict[str, str]:
    """Give the environment variables that a task is to have as this process has them."""
    return {name: os.environ[name] for name in _HANDED_ON if name in os.environ}


def first_line(error: BaseException) -> str:
    """Give the first line of what an error says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def _no_greeting() -> Iterator[None]:
    """Keep Ray from greeting in the midst of the progress that is shown; it says what went wrong all the same."""
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _knock(address: str) -> None:
    """Ask whether anybody listens: Ray itself would try for minutes, and then end the process.

    Raises
    ------
    OSError
        Nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
