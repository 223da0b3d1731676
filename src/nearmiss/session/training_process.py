"""The training process as the server holds it: started, watched, cancelled, started again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from nearmiss.session.project import Project
from nearmiss.session.trainer_state import TAKEN, Activity, TrainerState, read_state, write_state

__all__ = ["TrainingProcess"]

_LOG = "trainer.log"
_LARGEST_LOG = 2**20
#: Seconds before a process that ended by itself is started again; each failure in a row doubles them.
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 120.0
#: Seconds until it is seen again whether another server still trains the project.
_AGAIN = 20.0
#: A process that has run this long has not failed in a row.
_LIVED = 60.0


class TrainingProcess:
    """Keeps one training process alive for a project.

    Parameters
    ----------
    project
        Whose models it trains.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._passed_over = self._passed_request = 0
        self._cancelled = False
        self._is_ours = True
        self._watcher = threading.Thread(target=self._watch, name="trainer watch", daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._kill()
        self._watcher.join(timeout=5)
        if self._is_ours:
            self._tell(TrainerState(Activity.OFF))

    def state(self) -> TrainerState:
        """Say what it is doing."""
        return read_state(self._project.folder)

    def cancel(self) -> None:
        """Stop the training that runs; the last good model stays in use, and a new label starts another."""
        self._passed_over = self._project.newest_event()
        self._passed_request = self._project.training_request()
        self._cancelled = True
        self._kill()

    def _watch(self) -> None:
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            started = time.monotonic()
            code = -1
            try:
                code = self._run()
                error = _ended(code, self._project.folder)
            except OSError as failure:  # a full disk must not end the watch: it is tried again
                error = f"the training process cannot be started: {failure.strerror or failure}"
            if self._stopping.is_set():
                return
            self._is_ours = code != TAKEN
            if not self._is_ours:  # another server trains this project, and tells how that goes
                self._stopping.wait(_AGAIN)
                continue
            if self._cancelled:
                self._cancelled = False
                self._tell(TrainerState(Activity.CANCELLED))
                continue
            wait = _FIRST_WAIT if time.monotonic() - started > _LIVED else min(2 * wait, _LONGEST_WAIT)
            self._tell(TrainerState(Activity.FAILED, error=error))
            self._stopping.wait(wait)

    def _tell(self, state: TrainerState) -> None:
        with suppress(OSError):
            write_state(self._project.folder, state)

    def _run(self) -> int:
        """Run one process to its end."""
        folder = self._project.folder.resolve()
        log = folder / _LOG
        if log.exists() and log.stat().st_size > _LARGEST_LOG:
            log.replace(log.with_suffix(".old.log"))
        with log.open("ab") as file, self._lock:
            if self._stopping.is_set():
                return 0
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "nearmiss.session.worker", str(folder)),
                    *(str(self._passed_over), str(self._passed_request)),
                ],
                stdin=subprocess.PIPE,  # held open: it closes when this process ends, however it ends
                stdout=file,
                stderr=file,
                env={**os.environ, "OMP_WAIT_POLICY": "passive"},
                start_new_session=True,  # Ctrl-C in the terminal is for the server, which then ends this
            )
        try:
            return self._process.wait()
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _kill(self) -> None:
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()


def _ended(code: int, folder: Path) -> str:
    how = "ran out of memory, or was killed" if code == -9 else f"ended with code {code}"
    return f"the training process {how}; it starts again by itself, and {folder / _LOG} has what it said"
