"""Batch profiles: the paper's four measures, of every finished run of a seed."""

import signal

import numpy as np
import pytest
from tests.models.tiny import save_bert

from nearmiss.acquisition.base import Signal
from nearmiss.analysis.batches import TokenIds, feature_diversity, input_diversity, knn_density
from nearmiss.errors import InvalidData
from nearmiss.experiment.build import load_bench
from nearmiss.experiment.events import TaskFailed, TaskFinished
from nearmiss.experiment.journal import read_finished, run_directory
from nearmiss.experiment.profiles import profile_batches, profile_failures, profile_path, read_profiles
from nearmiss.experiment.runner import run_experiment
from nearmiss.experiment.spec import ClassifierChoice, RunKey
from nearmiss.experiment.supervision import read_entropies, supervision_directory
from nearmiss.loop.streams import Streams

pytestmark = pytest.mark.slow


@pytest.fixture
def small(spec):
    return spec.replace(strategies=("random", "cal:k=3"), seeds=(0, 1), budget=40)


@pytest.fixture
def finished(small, tmp_path):
    out = tmp_path / "out"
    run_experiment(small, out, workers=2)
    return out


def files(out):
    return {path.name: path.read_bytes() for path in sorted(out.glob("profiles/*"))}


def words(text):
    return {word for word in text.split() if len(word) > 1}


def test_measures_what_the_runs_acquired(small, finished):
    profiles = profile_batches(small, finished, workers=1)
    assert [(each.strategy, each.seed) for each in profiles] == [
        (strategy, seed) for strategy in small.strategies for seed in small.seeds
    ]
    key = RunKey("cal:k=3", 1)
    profile = next(each for each in profiles if (each.strategy, each.seed) == ("cal:k=3", 1))
    rounds = read_finished(run_directory(finished, small, key), key).result.rounds
    bench = load_bench(small, finished, None)
    texts, initial = bench.pool.texts, np.array(rounds[0].acquired)
    rest = [row for row in range(240) if row not in rounds[0].acquired]
    first = [rest.index(row) for row in rounds[1].acquired]
    bought = [row for each in rounds[1:] for row in each.acquired]
    numbers = {word: n for n, word in enumerate(sorted(set().union(*(words(text) for text in texts.first))))}
    tokens = TokenIds.of([{numbers[word] for word in words(texts.first[row])} for row in rest])
    classifier, streams = bench.classifier, Streams(small.dataset, "any", 1)
    classifier.prepare(texts)
    classifier.fit(texts.take(initial), bench.pool.gold()[initial], n_classes=3, rng=streams.shared("fit", 0))
    features = classifier.infer(texts.take(rest), {Signal.FEATURES}, rng=streams.shared("any")).representations[
        "penultimate"
    ]
    density = knn_density(features, first)
    entropies = read_entropies(supervision_directory(finished, small, 1))
    assert profile.input_diversity == input_diversity(tokens, [rest.index(row) for row in bought])
    assert profile.first_input_diversity == input_diversity(tokens, first)
    assert profile.feature_diversity == pytest.approx(feature_diversity(features, first))
    assert profile.uncertainty == pytest.approx(entropies[bought].mean())
    assert (profile.density, profile.representativeness) == pytest.approx((density.mean(), 1 / density.mean()))


def test_measured_anew_only_for_runs_it_lacks(small, finished, tmp_path):
    first = profile_batches(small, finished, workers=1)
    before = files(finished)
    events = []
    assert profile_batches(small, finished, on_event=events.append) == first
    assert [(type(e), e.reused) for e in events] == [(TaskFinished, True)] * 2
    grown = small.replace(strategies=("random", "cal:k=3", "margin"), seeds=(0,))
    run_experiment(grown, finished, workers=1)
    assert len(profile_batches(grown, finished, workers=1)) == 3
    assert read_profiles(small, finished) == first
    (finished / "profiles" / next(iter(before))).unlink()
    profile_batches(small, finished, workers=1)
    profile_batches(grown, finished, workers=1)
    assert len(read_profiles(grown, finished)) == 3


def test_killed_and_restarted_it_ends_with_the_same_bytes(small, finished, start_child):
    profile_batches(small, finished, workers=1)
    whole = files(finished)
    for path in finished.glob("profiles/*"):
        path.unlink()
    for event, times in (("TaskStarted", 1), ("TaskFinished", 1)):
        child = start_child(small, finished, "profile_batches")
        child.wait_for(event, times)
        child.send(signal.SIGKILL)
        child.end()
    profile_batches(small, finished, workers=1)
    assert {name: data for name, data in files(finished).items() if not name.startswith(".")} == whole


def test_a_failure_is_kept_until_it_is_mended(small, finished):
    damaged = supervision_directory(finished, small, 0) / "entropies.npy"
    profile_batches(small.replace(seeds=(0,)), finished, workers=1)
    profile_path(finished, small, 0).unlink()
    good = damaged.read_bytes()
    damaged.write_bytes(b"")
    events = []
    assert {each.seed for each in profile_batches(small, finished, workers=1, on_event=events.append)} == {1}
    (failure,) = [e for e in events if isinstance(e, TaskFailed)]
    assert profile_failures(small, finished) == (f"batch profiles, seed 0, failed: {failure.reason}",)
    damaged.write_bytes(good)
    assert len(profile_batches(small, finished, workers=1)) == 4
    assert profile_failures(small, finished) == ()
    profile_path(finished, small, 0).write_text("[]")
    with pytest.raises(InvalidData, match="delete it to do it again"):
        read_profiles(small, finished)


def test_reads_the_tokens_of_the_encoder(small, tmp_path, monkeypatch):
    monkeypatch.setenv("NEARMISS_CACHE_DIR", str(tmp_path / "cache"))
    options = {"model": save_bert(tmp_path / "tiny"), "max_length": 32, "steps": 10}
    encoded = small.replace(classifier=ClassifierChoice("tuned", options), seeds=(0,), strategies=("random",))
    run_experiment(encoded, tmp_path / "out", workers=1)
    (profile,) = profile_batches(encoded, tmp_path / "out", workers=1)
    assert 0 < profile.first_input_diversity <= profile.input_diversity <= 1
    assert profile.density > 0 < profile.feature_diversity
