"""Full supervision: trained once per seed, kept, resumed, and never mixed with other data."""

import json
import shutil
import signal

import numpy as np
import pytest

from nearmiss.acquisition.base import Signal
from nearmiss.errors import InvalidData, RunConflict
from nearmiss.experiment.build import load_bench
from nearmiss.experiment.events import TaskFailed, TaskFinished, TaskStarted
from nearmiss.experiment.records import FullSupervision
from nearmiss.experiment.runner import run_experiment
from nearmiss.experiment.supervision import (
    read_entropies,
    read_supervision,
    run_supervision,
    supervision_directory,
    supervision_failures,
)
from nearmiss.loop.metrics import evaluate
from nearmiss.loop.streams import Streams

pytestmark = pytest.mark.slow


def kept(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.glob("full/*/*")) if path.name != "lock"
    }


def test_trains_on_the_whole_pool_by_the_recipe_of_the_rounds(spec, tmp_path):
    events = []
    full = run_supervision(spec, tmp_path / "out", workers=1, on_event=events.append)
    assert [each.seed for each in full] == [0, 1]
    bench = load_bench(spec, tmp_path, None)
    classifier, streams = bench.classifier, Streams(spec.dataset, "any", 1)
    classifier.prepare(bench.pool.texts)
    classifier.fit(bench.pool.texts, bench.pool.gold(), n_classes=3, rng=streams.shared("fit"))
    says = [
        classifier.infer(texts, {Signal.LOG_PROBS}, rng=streams.shared("any")).log_probs.astype(np.float64)
        for texts in (bench.splits.test.texts, bench.pool.texts)
    ]
    expected = evaluate(says[0], bench.splits.test.gold())
    assert full[1] == FullSupervision(1, expected.accuracy, expected.macro_f1, expected.log_loss)
    entropies = read_entropies(supervision_directory(tmp_path / "out", spec, 1))
    np.testing.assert_allclose(entropies, -(np.exp(says[1]) * says[1]).sum(axis=1), rtol=1e-12)
    assert [type(e) for e in events if type(e).__name__ != "Preparing"] == [TaskStarted, TaskFinished] * 2

    again = []
    assert run_supervision(spec, tmp_path / "out", on_event=again.append) == full
    assert [e.reused for e in again] == [True, True]
    cheaper = spec.replace(strategies=("margin",), batch="1%", budget=50, seeds=(1,))
    assert read_supervision(cheaper, tmp_path / "out") == full[1:], "how labels are bought does not matter"
    assert not read_supervision(spec.replace(max_pool=200), tmp_path / "out")


def test_killed_and_restarted_it_ends_with_the_same_bytes(spec, tmp_path, start_child):
    many = spec.replace(seeds=(0, 1, 2, 3, 4, 5))
    run_supervision(many, tmp_path / "whole", workers=1)
    out = tmp_path / "out"
    for event, times in (("TaskStarted", 1), ("TaskFinished", 2), ("TaskStarted", 2)):
        child = start_child(many, out, "run_supervision")
        child.wait_for(event, times)
        child.send(signal.SIGKILL)
        child.end()
    assert len(run_supervision(many, out, workers=2)) == 6
    assert kept(out) == kept(tmp_path / "whole")


def test_a_failure_is_kept_until_it_is_mended(spec, tmp_path):
    out = tmp_path / "out"
    directory = supervision_directory(out, spec, 0)
    directory.mkdir(parents=True)
    (directory / "entropies.npy").mkdir()  # cannot be written
    events = []
    full = run_supervision(spec, out, workers=1, on_event=events.append)
    assert [each.seed for each in full] == [1]
    (failure,) = [e for e in events if isinstance(e, TaskFailed)]
    assert failure.title == "full supervision, seed 0"
    assert supervision_failures(spec, out) == (f"full supervision, seed 0, failed: {failure.reason}",)
    (directory / "entropies.npy").rmdir()
    assert len(run_supervision(spec, out, workers=1)) == 2
    assert supervision_failures(spec, out) == ()
    assert not (directory / "failure.json").exists()
    (directory / "result.json").write_text(json.dumps({"seed": 0}))
    with pytest.raises(InvalidData, match="delete it to do it again"):
        read_supervision(spec, out)


def test_never_beside_results_on_other_data(spec, tmp_path, dataset):
    data = tmp_path / "data"
    shutil.copytree(dataset, data)
    mine = spec.replace(dataset=str(data), seeds=(0,), strategies=("random",), budget=40)
    run_supervision(mine, tmp_path / "out", workers=1)
    rows = (data / "train.csv").read_text()
    (data / "train.csv").write_text(rows.rsplit("\n", 2)[0] + "\n")
    with pytest.raises(RunConflict, match="begun on other data"):
        run_experiment(mine, tmp_path / "out", workers=1)
