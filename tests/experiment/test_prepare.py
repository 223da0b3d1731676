import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.experiment.conftest import write_rows
from tests.models.tiny import save_bert, save_masked_bert

from nearmiss.experiment.build import load_bench
from nearmiss.experiment.events import ignore
from nearmiss.experiment.prepare import fill_caches, measure_surprisal
from nearmiss.experiment.spec import ClassifierChoice, MaskedLMChoice, RunKey
from nearmiss.loop.rounds import run_rounds


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def bench(spec, tiny, tmp_path):
    """A bench over the tiny encoder, with caches of its own."""

    def make(classifier="tuned", cache="cache", **change):
        options = {"model": tiny, "max_length": 32, "cache_dir": str(tmp_path / cache), "precision": "bfloat16"}
        if classifier == "tuned":
            options["steps"] = 5
        choice = ClassifierChoice(classifier, options)
        return load_bench(spec.replace(**{"budget": 21, "classifier": choice} | change), tmp_path / "out", None)

    return make


def shards(folder):
    """What is stored, file by file: of the bytes, the tensors alone, as the header's order is left to chance."""
    return {
        path.relative_to(folder): {name: tensor.tolist() for name, tensor in load_file(path).items()}
        for path in folder.rglob("*.safetensors")
    }


@pytest.mark.parametrize("classifier, stride", [("tuned", 512), ("frozen", 1000)])
def test_caches_are_cut_as_by_a_run_and_the_pieces_are_told(bench, tmp_path, classifier, stride):
    write_rows(tmp_path / "train.csv", 1100, seed=1)
    write_rows(tmp_path / "test.csv", 90, seed=2)
    events = []
    made = bench(classifier, dataset=str(tmp_path))
    fill_caches(made, made.spec.keys(), events.append)
    n_distinct = len(set(made.pool.texts.digests))
    assert n_distinct > 1000
    starts = [round(e.fraction * 1190) for e in events]
    assert starts == [0, *range(stride, 1100, stride), 1100, 1190]
    fresh = bench(classifier, cache="fresh", dataset=str(tmp_path))
    for corpus in made.corpora:
        fresh.classifier.prepare(corpus.texts)
    assert shards(tmp_path / "cache") == shards(tmp_path / "fresh")


@pytest.mark.parametrize("classifier", ["tuned", "frozen"])
def test_runs_find_all_they_read(bench, tmp_path, classifier):
    made = bench(classifier, initial_method="typiclust", strategies=("cal:k=3,features=pretrained-cls",))
    key = RunKey(made.spec.strategies[0], 0)
    fill_caches(made, [key], ignore)
    filled = shards(tmp_path / "cache")
    assert len(list(run_rounds(made.simulation(key)))) == 2
    assert shards(tmp_path / "cache") == filled


def test_surprisal_is_measured_with_the_threads_of_a_run(bench, tiny):
    made = bench(strategies=("alps",), threads=3, masked_lm=MaskedLMChoice(tiny, epochs=1, max_length=16))
    before, seen = torch.get_num_threads(), []
    assert measure_surprisal(made, made.spec.keys(), lambda _: seen.append(torch.get_num_threads())) == ()
    assert set(seen) == {3}
    assert torch.get_num_threads() == before


def test_a_replaced_model_gives_vectors_of_its_own(bench, tmp_path):
    choice = MaskedLMChoice(save_masked_bert(tmp_path / "model"), max_length=16)
    made = bench(strategies=("alps",), masked_lm=choice)

    def vectors():
        measure_surprisal(made, made.spec.keys(), ignore)
        return made.surprisal.source()(made.pool.texts, np.random.default_rng(0))

    before = vectors()
    np.testing.assert_array_equal(vectors(), before)
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4000:] = content[-8000:-4000]
    weights.write_bytes(content)
    assert not np.array_equal(vectors(), before)


def test_a_model_that_is_not_there_is_not_trained_a_head(bench, tmp_path):
    made = bench(strategies=("random", "alps"), masked_lm=MaskedLMChoice(str(tmp_path / "nowhere")))
    events = []
    (skip,) = measure_surprisal(made, made.spec.keys(), events.append)
    assert skip.strategy == "alps"
    assert "no folder" in skip.reason
    assert not any("training" in e.message for e in events)
