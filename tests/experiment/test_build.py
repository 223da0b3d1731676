import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.models.tiny import save_bert

from nearmiss.errors import InvalidInput, ModelUnavailable, RunConflict, UnknownName
from nearmiss.experiment.build import StrategyChoice, load_bench
from nearmiss.experiment.events import ignore
from nearmiss.experiment.journal import read_finished, run_directory
from nearmiss.experiment.prepare import fill_caches, measure_surprisal
from nearmiss.experiment.running import carry_out_run
from nearmiss.experiment.spec import ClassifierChoice, MaskedLMChoice, RunKey
from nearmiss.loop.rounds import run_rounds
from nearmiss.models.base import PENULTIMATE, FitReport
from nearmiss.models.tfidf import TfidfSpace


@pytest.fixture
def small(spec):
    return spec.replace(strategies=("random", "cal:k=3"), seeds=(0,), budget=40)


@pytest.fixture
def bench(small, tmp_path):
    return lambda **change: load_bench(small.replace(**change), tmp_path, None)


@pytest.fixture
def tiny(tmp_path):
    """Choose a classifier over a random two-layer BERT."""
    folder = save_bert(tmp_path / "tiny-bert")
    options = {"model": folder, "max_length": 32, "min_steps": 2, "batch_size": 8, "device": "cpu"}
    return lambda name: ClassifierChoice(name, options)


@pytest.mark.parametrize(
    "text, strategy, features",
    [
        ("cal", "cal", None),
        ("cal:k=5", "cal:k=5", None),
        ("cal:features=tfidf", "cal", "tfidf"),
        ("cal:k=5, features = tfidf ,order=opposite", "cal:k=5,order=opposite", "tfidf"),
        ("cal:features", "cal:features", None),
    ],
)
def test_features_are_taken_out_of_a_strategys_text(text, strategy, features):
    assert StrategyChoice.parse(text) == StrategyChoice(strategy, features)


def test_percents_are_of_the_pool(bench):
    schedule = bench(initial="5%", batch="2.5%", budget="50%").schedule
    assert (schedule.initial, schedule.batch, schedule.budget) == (12, 6, 120)


def test_representations_by_name(bench):
    made = bench()
    assert made.features(RunKey("cal", 0)) == PENULTIMATE
    assert made.features(RunKey(f"cal:features={PENULTIMATE}", 0)) == PENULTIMATE
    source = made.features(RunKey("cal:features=tfidf", 0))
    expected = TfidfSpace(made.pool.texts).rows(made.pool.texts)
    np.testing.assert_array_equal(source(made.pool.texts).toarray(), expected.toarray())


def test_pretrained_vectors_beside_a_classifier_that_has_none(bench):
    source = bench(max_pool=60).features(RunKey("cal:features=pretrained-cls", 0))
    vectors = source(bench(max_pool=60).pool.texts)
    assert vectors.shape == (60, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("method", ["stratified", "random", "typiclust", "k-center"])
def test_initial_sets_by_name(bench, method):
    made = bench(initial_method=method)
    first, second = (next(run_rounds(made.simulation(RunKey(name, 0)))) for name in ("random", "cal:k=3"))
    assert len(set(first.acquired.tolist())) == 9
    assert first.acquired.tolist() == second.acquired.tolist()
    assert first.evaluation == second.evaluation


def check(made):
    made.check(made.spec.keys())


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"strategies": ("random", "entrpy")}, UnknownName, "did you mean 'entropy'"),
        ({"strategies": ("cal:features=tfdif",)}, UnknownName, "did you mean 'tfidf'"),
        ({"strategies": ("cal:j=5",)}, UnknownName, "no option of cal named 'j'"),
        ({"strategies": ("entropy:features=tfidf",)}, InvalidInput, "this strategy reads none; leave features= out"),
        ({"strategies": ("badge:features=tfidf",)}, InvalidInput, "taken in the classifier's own last layer"),
        ({"strategies": ("random", "bald")}, InvalidInput, "'bald' reads mc_log_probs, .* use .* such as 'tuned'"),
        ({"strategies": ("cal", "cal:k=10")}, InvalidInput, "'cal' and 'cal:k=10' are the same strategy; name it once"),
        ({"classifier": "tfdif"}, UnknownName, "did you mean 'tfidf'"),
        ({"initial_method": "margin"}, InvalidInput, "cannot be chosen by 'margin'"),
        ({"initial_method": "typiclus"}, UnknownName, "did you mean 'typiclust'"),
        ({"budget": 500}, InvalidInput, "budget = 500 labels, but the pool has only 240"),
        ({"initial": "20%", "budget": 47}, InvalidInput, "budget = 47 is below initial = 48"),
    ],
)
def test_refuses_what_no_run_could_do(bench, change, error, message):
    with pytest.raises(error, match=message):
        check(bench(**change))


def test_refuses_a_label_that_cannot_be_stratified(bench, tmp_path, dataset):
    (tmp_path / "train.csv").write_text((dataset / "train.csv").read_text() + "a strange text,once\n")
    (tmp_path / "test.csv").write_text((dataset / "test.csv").read_text())
    rare = bench(dataset=str(tmp_path))
    with pytest.raises(InvalidInput, match=r"label 'once' occurs once .*initial-method = \"random\""):
        check(rare)
    other = bench(dataset=str(tmp_path), initial_method="random")
    check(other)


def test_the_data_are_told_apart_by_what_they_hold(bench, tmp_path, dataset):
    whole = bench().facts
    assert bench().facts == whole
    assert bench(max_pool=100).facts.data_digest != whole.data_digest
    assert bench(max_test=50).facts.data_digest != whole.data_digest
    text = (dataset / "train.csv").read_text()
    (tmp_path / "test.csv").write_text((dataset / "test.csv").read_text())
    (tmp_path / "train.csv").write_text(text.replace(",river", ",kitchen", 1))
    assert bench(dataset=str(tmp_path)).facts.data_digest != whole.data_digest


def test_data_that_changed_under_a_run_are_noticed(bench, tmp_path):
    key = RunKey("random", 0)
    carry_out_run(bench(), key, tmp_path, ignore)
    changed = replace(bench(), facts=bench(max_test=50).facts)
    with pytest.raises(RunConflict, match=r"begun on other data \(240 pool and 90 test texts, now 240 and 50\)"):
        carry_out_run(changed, key, tmp_path, ignore)


def test_preparation_tells_how_far_it_is(bench):
    events = []
    fill_caches(bench(), bench().spec.keys(), events.append)
    assert [e.fraction for e in events if "330 texts" in e.message] == [0.0, 240 / 330, 1.0]


def test_alps_is_skipped_with_its_reason_when_no_head_may_be_trained(bench):
    made = bench(strategies=("alps", "random"), masked_lm=MaskedLMChoice("minilm", train_head=False))
    (skip,) = measure_surprisal(made, made.spec.keys(), ignore)
    assert skip.strategy == "alps"
    assert skip.reason.startswith("minilm has no masked-LM head")
    cold = bench(initial_method="alps", masked_lm=MaskedLMChoice("minilm", train_head=False))
    with pytest.raises(ModelUnavailable, match="minilm has no masked-LM head"):
        measure_surprisal(cold, cold.spec.keys(), ignore)


def test_alps_runs_over_a_head_trained_here_and_says_so(bench, tmp_path):
    made = bench(
        strategies=("alps",), max_pool=60, initial_method="alps", masked_lm=MaskedLMChoice(epochs=1, max_length=16)
    )
    key = RunKey("alps", 0)
    with pytest.raises(ModelUnavailable, match="no surprisal vectors"):
        carry_out_run(made, key, tmp_path, ignore)
    assert measure_surprisal(made, [key], ignore) == ()
    carry_out_run(made, key, tmp_path, ignore)
    facts = read_finished(run_directory(tmp_path, made.spec, key), key).facts
    assert any("no masked-LM head, so one was trained on 60 texts" in note for note in facts.notes)
    again = []
    measure_surprisal(made, [key], again.append)
    assert again == [], "what is on disk is not computed again"


@pytest.fixture
def with_validation(dataset, tmp_path):
    """The small dataset with a validation split of 60 texts."""
    folder = tmp_path / "places-with-validation"
    shutil.copytree(dataset, folder)
    lines = (folder / "train.csv").read_text().splitlines(keepends=True)
    (folder / "validation.csv").write_text("".join([lines[0], *lines[-60:]]))
    (folder / "train.csv").write_text("".join(lines[:-60]))
    return str(folder)


@pytest.mark.parametrize("validation, size", [(None, 0), ("100%", 60), ("50%", 30), (12, 12), (500, 60)])
def test_validation_labels_are_drawn_by_class_counted_and_handed_over(
    small, with_validation, tmp_path, tiny, validation, size
):
    spec = small.replace(dataset=with_validation, classifier=tiny("finetuned"), validation=validation)
    made = load_bench(spec, tmp_path, None)
    assert made.facts.validation_size == size
    assert (made.splits.validation is None) == (size == 0)
    if size:
        assert np.bincount(made.splits.validation.gold()).min() >= size // 3 - 1
        again = load_bench(spec, tmp_path, None)
        assert made.splits.validation.texts == again.splits.validation.texts
    assert (made.facts.data_digest == load_bench(spec.replace(validation=None), tmp_path, None).facts.data_digest) == (
        size == 0
    )


def test_validation_that_cannot_be_had_or_used_is_refused(small, with_validation, tmp_path, tiny):
    with pytest.raises(InvalidInput, match="the classifier 'tfidf' looks at no validation set"):
        load_bench(small.replace(dataset=with_validation, validation=10), tmp_path, None)
    with pytest.raises(InvalidInput, match="has no validation split; leave it out"):
        load_bench(small.replace(classifier=tiny("finetuned"), validation=10), tmp_path, None)
    with pytest.raises(InvalidInput, match="validation = 0"):
        small.replace(validation=0)


def test_the_fine_tuned_classifier_measures_distances_at_its_first_token(small, tmp_path, tiny):
    made = load_bench(small.replace(classifier=tiny("finetuned")), tmp_path, None)
    assert made.features(RunKey("cal", 0)) == "cls"
    assert made.features(RunKey("cal:features=mean-output", 0)) == "mean-output"
    assert made.features(RunKey("badge", 0)) == PENULTIMATE


def test_a_round_says_how_often_it_was_trained(small, tmp_path, tiny, monkeypatch):
    spec = small.replace(strategies=("random",), budget=21, classifier=tiny("finetuned"))
    made, key = load_bench(spec, tmp_path, None), RunKey("random", 0)
    monkeypatch.setattr(type(made.classifier), "report", property(lambda _: FitReport(2, attempts=3, collapsed=True)))
    carry_out_run(made, key, tmp_path, ignore)
    rounds = read_finished(run_directory(tmp_path, spec, key), key).result.rounds
    assert [(r.attempts, r.collapsed) for r in rounds] == [(3, True), (3, True)]
