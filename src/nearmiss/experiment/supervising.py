"""One training on the whole pool: the worker's side of ``supervision``."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearmiss.acquisition.base import FloatArray, Signal
from nearmiss.arrays.divergence import entropy
from nearmiss.errors import InvalidInput
from nearmiss.experiment.build import Bench
from nearmiss.experiment.events import EventListener, TaskFinished, TaskStarted
from nearmiss.experiment.journal import take_lock, write_atomically
from nearmiss.experiment.records import FullSupervision
from nearmiss.experiment.supervision import (
    ENTROPIES,
    FACTS,
    RESULT,
    supervision_directory,
    supervision_title,
)
from nearmiss.loop.metrics import Evaluation, evaluate
from nearmiss.loop.streams import Streams
from nearmiss.models.base import WarmStarting
from nearmiss.text.corpus import Corpus, Texts

__all__ = ["carry_out_supervision"]


def carry_out_supervision(bench: Bench, seed: int, out: Path, tell: EventListener) -> None:
    """Train on every label of the pool and write what came of it, the mark that it is whole last.

    Raises
    ------
    RunConflict
        Another process is at it.
    """
    title = supervision_title(seed)
    directory = supervision_directory(out, bench.spec, seed)
    directory.mkdir(parents=True, exist_ok=True)
    with take_lock(directory / "lock"):
        tell(TaskStarted(title))
        for torn in directory.glob(".*"):  # what a kill left half written
            torn.unlink()
        streams = Streams(bench.spec.dataset, "full supervision", seed)
        if isinstance(bench.classifier, WarmStarting):
            bench.classifier.restart()
        bench.classifier.fit(
            bench.pool.texts, bench.pool.gold(), n_classes=bench.pool.n_classes, rng=streams.shared("fit")
        )
        evaluation = _score(bench, bench.splits.test, streams)
        full = FullSupervision(
            seed=seed,
            accuracy=evaluation.accuracy,
            macro_f1=evaluation.macro_f1,
            log_loss=evaluation.log_loss,
            ood_accuracy={corpus.name: _score(bench, corpus, streams).accuracy for corpus in bench.splits.ood},
        )
        entropies = np.asarray(entropy(_log_probs(bench, bench.pool.texts, streams)), dtype=np.float64)
        write_atomically(directory / FACTS, _json(asdict(bench.facts)))
        write_atomically(directory / ENTROPIES, _npy(entropies))
        write_atomically(directory / RESULT, _json(asdict(full)))
        tell(TaskFinished(title, f"accuracy {full.accuracy:.1%}"))


def _score(bench: Bench, corpus: Corpus, streams: Streams) -> Evaluation:
    return evaluate(_log_probs(bench, corpus.texts, streams), corpus.gold())


def _log_probs(bench: Bench, texts: Texts, streams: Streams) -> FloatArray:
    inference = bench.classifier.infer(texts, {Signal.LOG_PROBS}, rng=streams.shared("evaluation"))
    if inference.log_probs is None:
        raise InvalidInput("the classifier gave no log-probabilities when asked for them")
    return inference.log_probs


def _npy(array: npt.NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _json(values: object) -> bytes:
    # Floats are written in their shortest form that reads back to the same bits.
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
