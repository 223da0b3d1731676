"""One run of the grid: rounds from the loop into the journal."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np

from nearmiss.experiment.build import Bench
from nearmiss.experiment.events import EventListener, RoundFinished, RunFinished, RunStarted
from nearmiss.experiment.journal import RunJournal, run_directory
from nearmiss.experiment.machine import peak_memory
from nearmiss.experiment.records import RoundRecord, RoundTiming
from nearmiss.experiment.spec import RunKey
from nearmiss.loop.rounds import Round, run_rounds
from nearmiss.loop.state import PoolState

__all__ = ["carry_out_run"]


def carry_out_run(bench: Bench, key: RunKey, out: Path, tell: EventListener) -> None:
    """Do what remains of a run, committing each round before the next begins.

    Raises
    ------
    RunConflict
        Another process is writing this run, or it was begun on other data or with another encoder.
    """
    total = bench.schedule.rounds_total
    with RunJournal(run_directory(out, bench.spec, key), bench.facts_of(key)) as journal:
        tell(RunStarted(key, len(journal.rounds), total))
        state = _replay(journal.rounds, bench)
        for finished in run_rounds(bench.simulation(key), state=state, rounds_done=len(journal.rounds)):
            record = _record(finished)
            journal.append(record, _timing(finished))
            notes = finished.acquisition.selection.notes if finished.acquisition else ()
            tell(RoundFinished(key, record.round, record.n_labeled, record.accuracy, total, notes))
        journal.finish()
        tell(RunFinished(key, total, journal.rounds[-1].accuracy))


def _replay(rounds: tuple[RoundRecord, ...], bench: Bench) -> PoolState:
    rows = np.fromiter(chain.from_iterable(record.acquired for record in rounds), dtype=np.int64)
    return PoolState(len(bench.pool), rows, bench.pool.gold()[rows])


def _record(finished: Round) -> RoundRecord:
    evaluation = finished.evaluation
    return RoundRecord(
        round=finished.index,
        n_labeled=len(finished.state),
        acquired=tuple(finished.acquired.tolist()),
        accuracy=evaluation.accuracy,
        macro_f1=evaluation.macro_f1,
        log_loss=evaluation.log_loss,
        expected_calibration_error=evaluation.expected_calibration_error,
        ood_accuracy=finished.ood_accuracy,
        attempts=finished.fit_report.attempts if finished.fit_report else 1,
        collapsed=finished.fit_report.collapsed if finished.fit_report else False,
    )


def _timing(finished: Round) -> RoundTiming:
    acquisition = finished.acquisition
    return RoundTiming(
        round=finished.index,
        inference_seconds=acquisition.inference_seconds if acquisition else 0.0,
        selection_seconds=acquisition.selection_seconds if acquisition else 0.0,
        fit_seconds=finished.fit_seconds,
        evaluation_seconds=finished.evaluation_seconds,
        peak_memory_bytes=peak_memory(),
    )
