"""The process that trains a project's models beside the server, and the loop it runs.

It shares nothing with the server but the project's folder: it may be killed at any moment, and the last good model goes
on serving. It ends when its parent does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path

from nearmiss.errors import NearmissError, RunConflict
from nearmiss.experiment.journal import take_lock
from nearmiss.kernel_cache import keep_few_kernels
from nearmiss.session.project import Project
from nearmiss.session.trainer_state import LOCK, TAKEN, Activity, TrainerState, write_state
from nearmiss.session.training import Did, Step, Trainer

__all__ = ["main", "work"]

#: Seconds to wait for a trainer that is about to notice that its parent is gone.
_PATIENCE = 2.0
#: Seconds between two looks at the project, which cost microseconds.
_LOOK = 0.2
#: After this many seconds without an event a model is due for a single new label.
_QUIET = 10.0
#: A failure is tried again when something changes, or after this many seconds.
_RETRY = 60.0


def main() -> None:
    """Work for the project named on the command line until the parent process is gone."""
    folder, passed_over, passed_request = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    threading.Thread(target=_die_with_parent, daemon=True).start()
    keep_few_kernels()
    try:
        lock = take_lock(folder / LOCK, _PATIENCE)
    except RunConflict:  # whoever holds it trains this project already, and tells its state
        sys.exit(TAKEN)
    with lock, Project.open(folder) as project:
        work(project, Trainer(project, passed_over=passed_over, passed_request=passed_request), threading.Event())


def work(project: Project, trainer: Trainer, stop: threading.Event) -> None:
    """Train whenever it is due, read in between, tell what is being done, until told to stop."""
    told = TrainerState()

    def tell(state: TrainerState) -> None:
        nonlocal told
        if state != told:
            write_state(project.folder, state)
            told = state

    tell(TrainerState(Activity.STARTING))
    seen, changed_at, was_quiet, error = -1, time.monotonic(), False, ""
    step = Step(Did.READ)
    while not stop.is_set():
        changes = project.database.changes()
        if changes != seen:
            seen, changed_at, was_quiet = changes, time.monotonic(), False
        elif step.did is Did.NOTHING and (was_quiet or time.monotonic() - changed_at <= _QUIET):
            stop.wait(_LOOK)
            continue
        was_quiet = time.monotonic() - changed_at > _QUIET
        try:
            step = trainer.step(
                quiet=was_quiet,
                on_training=lambda read, texts: tell(TrainerState(Activity.TRAINING, read, texts)),
            )
        except Exception as failure:  # a bug or a full disk must not end the work; the log has the whole story
            if not isinstance(failure, NearmissError):
                traceback.print_exc()
            error = _sentence(failure)
            tell(TrainerState(Activity.FAILED, error=error))
            trainer.pass_over()
            _wait_for_change(project, changes, stop)
            continue
        if step.did is Did.TRAINED:
            error = ""
        activity = Activity.READING if step.read < step.texts else Activity.IDLE
        tell(TrainerState(Activity.FAILED if error else activity, step.read, step.texts, error=error))


def _wait_for_change(project: Project, before: int, stop: threading.Event) -> None:
    """Wait until something has changed since the failed step began, or it is time to try again all the same."""
    until = time.monotonic() + _RETRY
    while not stop.wait(_LOOK) and time.monotonic() < until:
        if project.database.changes() != before:
            return


def _sentence(failure: Exception) -> str:
    if isinstance(failure, NearmissError):
        return str(failure)
    return " ".join(f"{type(failure).__name__}: {failure}".split())[:500]


def _die_with_parent() -> None:
    os.read(0, 1)  # returns when the other end closes: when the parent is gone
    os._exit(1)


if __name__ == "__main__":
    main()
