"""Blocks of work on threads of our own, each of which keeps the libraries below it to one thread.

NumPy's OpenBLAS and torch's OpenMP have threads of their own, and each set waits for its next piece of work by
spinning. Code that calls the two in turn has the ones spin while the others work: two to five times as slow. Here every
block runs on one thread from beginning to end, whatever library it calls.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import TypeVar

import torch
from threadpoolctl import LibController, ThreadpoolController
from torch import Tensor

from nearmiss.arrays.tensors import block_bytes, row_blocks

__all__ = ["Team", "in_blocks", "one_blas_thread", "team"]

#: Bytes of a matrix that are worth handing to another thread, and stay near its core.
BLOCK_BYTES = 2 * 2**20

Block = TypeVar("Block")
Result = TypeVar("Result")


class Team:
    """Some threads that take the next block each when they have finished one."""

    def __init__(self, size: int, executor: ThreadPoolExecutor | None) -> None:
        self.size = size
        self._executor = executor

    def map(self, function: Callable[[Block], Result], blocks: Iterable[Block]) -> Iterator[Result]:
        """Call the function for every block, and give the results in the order of the blocks."""
        return map(function, blocks) if self._executor is None else self._executor.map(function, blocks)

    def each(self, function: Callable[[Block], object], blocks: Iterable[Block]) -> None:
        """Call the function for every block, and drop the results."""
        deque(self.map(function, blocks), maxlen=0)


_ALONE = Team(1, None)


class _Present(threading.local):
    """The team that the present thread has gathered, or works in, and the mode in which torch works for it."""

    team: Team | None = None
    mode: torch.inference_mode | None = None


_present = _Present()


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Gather as many threads as torch may use (`torch.set_num_threads`); for an accelerator the calling one alone.

    Until it ends, torch and BLAS are kept to one thread each. Within a team, another one is the same: what consists of
    several steps gathers one for all of them.

    Examples
    --------
    >>> with team(torch.device("cpu")) as threads:
    ...     list(threads.map(abs, [-1, -2]))
    [1, 2]
    """
    if device.type != "cpu":
        yield _ALONE
        return
    if _present.team is not None:
        yield _present.team
        return
    size = torch.get_num_threads()
    with ExitStack() as stack:
        stack.enter_context(one_blas_thread())
        stack.enter_context(_pools().select(user_api="openmp").limit(limits=1))
        executor = None
        if size > 1:
            executor = ThreadPoolExecutor(size, "nearmiss", _join_team, (torch.is_inference_mode_enabled(),))
            # What has not begun when something goes wrong is not begun any more.
            stack.callback(executor.shutdown, wait=True, cancel_futures=True)
        try:
            _present.team = Team(size, executor)
            yield _present.team
        finally:
            _present.team = None


def in_blocks(function: Callable[[slice], object], matrix: Tensor) -> None:
    """Call a function, which writes what it finds, for blocks of a matrix's rows.

    Examples
    --------
    >>> doubled = torch.empty(3, 1)
    >>> in_blocks(lambda rows: torch.add(matrix[rows], matrix[rows], out=doubled[rows]), matrix := torch.ones(3, 1))
    >>> doubled.sum()
    tensor(6.)
    """
    row_bytes = matrix.shape[1] * matrix.element_size()
    blocks = list(row_blocks(len(matrix), row_bytes, block_bytes(matrix.device, BLOCK_BYTES)))
    if len(blocks) < 2:
        deque(map(function, blocks), maxlen=0)
        return
    with team(matrix.device) as threads:
        threads.each(function, blocks)


def _join_team(inference: bool) -> None:
    _present.team = _ALONE
    _present.mode = torch.inference_mode(inference)  # each thread has its own, which lasts as long as this is held
    _present.mode.__enter__()
    torch.get_num_threads()  # torch settles how many it may use when a thread first asks; only then can that be lowered
    _pools().select(user_api="openmp").limit(limits=1)


def _pools() -> ThreadpoolController:
    return _pools_with(len(sys.modules))


@lru_cache(maxsize=1)
def _pools_with(n_modules: int) -> ThreadpoolController:
    """Look through the loaded libraries, which takes milliseconds: again only when modules have been imported since."""
    return ThreadpoolController()


class _Holders:
    """Who keeps BLAS to one thread at present: its setting holds for the whole process, and the last one restores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: set[object] = set()
        self._before: dict[str, tuple[LibController, int]] = {}

    def enter(self, holder: object, pools: ThreadpoolController) -> None:
        with self._lock:
            self._present.add(holder)
            for library in pools.select(user_api="blas").lib_controllers:
                if not _is_openmps(library):
                    # Still there if an interrupt kept it from being restored; what it says is right all the same.
                    self._before.setdefault(library.filepath, (library, library.num_threads))
                    _set_threads(library, 1)

    def leave(self, holder: object) -> None:
        with self._lock:
            self._present.discard(holder)
            while self._before and not self._present:
                path = next(iter(self._before))
                _set_threads(*self._before[path])
                del self._before[path]


def _is_openmps(library: LibController) -> bool:
    """Whether a BLAS works on OpenMP's threads, as FAISS's does: their number is each thread's own affair."""
    return getattr(library, "threading_layer", None) == "openmp"


def _set_threads(library: LibController, number: int) -> None:
    # Newer versions of threadpoolctl hear only the thread that spoke first, for as long as it lives; here, whoever
    # comes first or goes last speaks, and leaves the word to anybody.
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)
    library.set_num_threads(number)
    if release is not None:
        release(force=True)


_holders = _Holders()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to the calling thread.

    What its threads add up depends on how many there are, and hundreds of small products that each wait for another
    core take a hundred times as long where that core is busy.

    Examples
    --------
    >>> with one_blas_thread():
    ...     float(torch.ones(2).numpy() @ torch.ones(2).numpy())
    2.0
    """
    pools, holder = _pools(), object()
    own = [(library, library.num_threads) for library in pools.lib_controllers if _is_openmps(library)]
    try:
        _holders.enter(holder, pools)
        for library, _ in own:
            _set_threads(library, 1)
        yield
    finally:
        _holders.leave(holder)
        for library, number in own:
            _set_threads(library, number)
