"""Worker processes as the parent sees them: fresh interpreters that die with their parent and tell why they died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Pipe
from pathlib import Path

import nearmiss
from nearmiss.experiment.messages import Message, Order

__all__ = ["THREAD_VARIABLES", "Worker"]

_NUMBERS = count(1)
# Started by path and not as a module: the current directory must not come into the worker's imports, and the package
# must be found where the parent found it.
_START = "import sys; sys.path.append(sys.argv[2]); from nearmiss.experiment.worker import main; main(int(sys.argv[1]))"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Worker:
    """A process that carries out orders, one at a time.

    It has a session of its own, so Ctrl-C reaches the parent alone, which then stops it; and it holds the read end of
    a pipe whose closing tells it that the parent is gone, however the parent went.

    Parameters
    ----------
    logs
        Directory for what it writes to its standard streams; an empty log is removed.
    threads
        Threads of its linear algebra.
    """

    def __init__(self, logs: Path, threads: int) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.log = logs / f"worker-{os.getpid()}-{next(_NUMBERS)}.log"
        self.connection, theirs = Pipe()
        package_root = str(Path(nearmiss.__file__).parent.parent)
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}
        with self.log.open("wb") as log, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(theirs.fileno()), package_root],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def give(self, order: Order) -> None:
        """Send an order; a worker that is dead already shows it at the next ``receive``."""
        try:
            self.connection.send(order)
        except (BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> Message:
        """Wait for the next message.

        Raises
        ------
        EOFError
            The process is dead; ``obituary`` says why.
        """
        try:
            message: Message = self.connection.recv()
        except OSError as error:  # it died in the middle of a message
            raise EOFError from error
        return message

    def obituary(self) -> str:
        """Say how the process ended."""
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return (
                "its process was killed (signal 9), most likely for want of memory; use fewer workers or a smaller pool"
            )
        ending = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return f"its process {ending}" + (f": {lines[-1]} (all of it in {self.log})" if lines else "")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send the process a signal; one that has ended takes no notice."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """End the process now, if it has not ended. What it was writing is safe: journals and caches survive a kill."""
        self.kill()
        self._process.wait()
        self.connection.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self.log.exists() and not self.log.stat().st_size:
            self.log.unlink()
        with suppress(OSError):  # not empty: other logs are there
            self.log.parent.rmdir()
