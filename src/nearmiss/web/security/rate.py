"""Guessing passwords, slowed down."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["AttemptLimit"]

#: Failures that cost nothing; each further one doubles the wait, from the first to the longest, in seconds.
_FREE, _FIRST_WAIT, _LONGEST_WAIT = 5, 2.0, 900.0
_MOST_REMEMBERED = 10_000


class AttemptLimit:
    """Makes whoever fails to sign in wait, by address and by name.

    Parameters
    ----------
    clock
        Gives the time in seconds, and never goes back.

    Examples
    --------
    >>> time = 0.0
    >>> limit = AttemptLimit(lambda: time)
    >>> for _ in range(6): limit.failed("ada")
    >>> limit.wait("ada"), limit.wait("grace")
    (2.0, 0.0)
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()  # failures, and until when to wait

    def wait(self, *keys: str) -> float:
        """Give the seconds until the next attempt may be made; 0 for at once."""
        with self._lock:
            until = max((self._known[key][1] for key in keys if key in self._known), default=0.0)
            return max(0.0, until - self._clock())

    def failed(self, *keys: str) -> None:
        """Note a failure."""
        with self._lock:
            for key in keys:
                failures = self._known.pop(key, (0, 0.0))[0] + 1
                over = failures - _FREE
                wait = 0.0 if over < 1 else min(_FIRST_WAIT * 2.0 ** min(over - 1, 20), _LONGEST_WAIT)
                self._known[key] = (failures, self._clock() + wait)
            while len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)

    def succeeded(self, *keys: str) -> None:
        """Forget the failures of whoever got in."""
        with self._lock:
            for key in keys:
                self._known.pop(key, None)
