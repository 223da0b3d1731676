import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import InvalidData, ModelUnavailable
from nearmiss.text.catalog import CATALOG, HubSource
from nearmiss.text.datasets import assemble, load_dataset
from nearmiss.text.hub import read_hub
from nearmiss.text.sources import locate_on_hub


@pytest.fixture(autouse=True)
def _private_hub_cache(tmp_path_factory, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("hub"))


@pytest.fixture
def glue(tmp_path):
    """A folder in the hub's form, with the columns and the unlabelled test split of GLUE's QQP."""
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features(
        {
            "question1": Value("string"),
            "question2": Value("string"),
            "label": ClassLabel(names=["not_duplicate", "duplicate"]),
            "idx": Value("int32"),
        }
    )
    folder = tmp_path / "glue"
    folder.mkdir()
    for split, size in (("train", 60), ("validation", 10), ("test", 6)):
        rows = {
            "question1": [f"{split} a {i}" if i else "" for i in range(size)],  # QQP has a few empty questions
            "question2": [f"{split} b {i}" for i in range(size)],
            "label": [-1 if split == "test" else int(i % 3 == 0) for i in range(size)],
            "idx": list(range(size)),
        }
        Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}.parquet")
    return folder


def qqp_at(folder, **changes):
    source = HubSource(str(folder), text="question1", pair="question2", test="validation", validation=9, **changes)
    return replace(CATALOG["qqp"], hub=source)


def test_every_split_with_its_class_names(glue):
    splits = read_hub(str(glue))
    assert {split: table.num_rows for split, table in splits.items()} == {"train": 60, "validation": 10, "test": 6}
    assert b"not_duplicate" in splits["train"].schema.metadata[b"huggingface"]


def test_a_paper_dataset_as_the_paper_divides_it(glue):
    splits = assemble(locate_on_hub(qqp_at(glue)), max_pool=None, max_test=None, seed=0)
    assert (len(splits.pool), len(splits.validation), len(splits.test)) == (50, 9, 9)
    assert splits.pool.label_names == ("not_duplicate", "duplicate")
    assert splits.test.texts.first[0].startswith("validation a")
    assert splits.test.texts.second is not None
    whole = np.bincount(splits.pool.gold()) + np.bincount(splits.validation.gold())
    assert whole.tolist() == [40, 19]
    assert np.bincount(splits.validation.gold()).tolist() == [6, 3]
    assert not set(splits.pool.texts.first) & set(splits.validation.texts.first)
    assert "9 training texts, drawn by class, serve for validation" in splits.notes
    assert "1 of 60 rows have no text and are left out" in splits.notes
    assert any(note.startswith("without the out-of-domain test set twitterppdb") for note in splits.notes)


def test_the_division_hangs_on_the_seed_alone(glue):
    located = locate_on_hub(qqp_at(glue))
    one, again, other = (assemble(located, max_pool=20, max_test=5, seed=seed) for seed in (3, 3, 4))
    assert one.pool.texts == again.pool.texts
    assert one.validation.texts == again.validation.texts
    assert one.test.texts == again.test.texts
    assert one.pool.texts != other.pool.texts


def test_an_undersampled_pool(glue):
    splits = assemble(locate_on_hub(qqp_at(glue, pool=20)), max_pool=None, max_test=None, seed=0)
    assert len(splits.pool) == 20
    assert "training split capped at 20 of 50 texts, drawn by class" in splits.notes


def test_a_copy_without_the_split(glue):
    (glue / "validation.parquet").unlink()
    with pytest.raises(InvalidData, match="has no split 'validation'; it has train, test"):
        locate_on_hub(qqp_at(glue))


def test_an_unknown_subset(glue):
    with pytest.raises(ModelUnavailable, match=r"\(sst3\) could not be loaded.*'sst3' not found"):
        read_hub(str(glue), "sst3")


def test_strings_as_labels_in_the_hubs_form(tmp_path):
    for split in ("train", "validation", "test"):
        table = pa.table({"text": [f"{split} {i}" for i in range(4)], "label": ["results", "methods"] * 2})
        parquet.write_table(table, tmp_path / f"{split}.parquet")
    info = replace(CATALOG["pubmed"], hub=HubSource(str(tmp_path)))
    splits = assemble(locate_on_hub(info), max_pool=None, max_test=None, seed=0)
    assert splits.pool.label_names == ("methods", "results")
    assert (len(splits.pool), len(splits.validation), len(splits.test)) == (4, 4, 4)


def test_offline_names_what_was_tried_and_three_ways_out(tmp_path, monkeypatch):
    with pytest.raises(ModelUnavailable) as caught:
        load_dataset("imdb")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("stanfordnlp/imdb", "neither --data-dir nor NEARMISS_DATA_DIR", "imdb/train.parquet", "dbpedia-6k"):
        assert part in message
    monkeypatch.setenv("NEARMISS_DATA_DIR", str(tmp_path))
    with pytest.raises(ModelUnavailable, match=f"{tmp_path} has no folder 'imdb'"):
        load_dataset("imdb")


def test_a_dataset_that_is_on_no_hub():
    with pytest.raises(ModelUnavailable, match="'csabstruct' is not on the Hugging Face hub, and neither"):
        load_dataset("csabstruct")


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
        check=False,
    )


def test_offline_mode_set_before_the_start_says_nothing_but_the_error(tmp_path):
    code = """
from nearmiss.errors import ModelUnavailable
from nearmiss.text.datasets import load_dataset
try:
    load_dataset("sst2")
except ModelUnavailable as error:
    print(error)
"""
    done = run(code, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.startswith("dataset 'nyu-mll/glue' is not on this machine")


def test_without_the_extra_the_error_says_what_to_install(tmp_path):
    code = """
import sys
sys.modules["datasets"] = None  # what Python itself does for a module that cannot be imported
from nearmiss.errors import MissingExtra, ModelUnavailable
from nearmiss.text.datasets import load_dataset
from nearmiss.text.readers import read_corpus
try:
    read_corpus("owner/films")
except MissingExtra as error:
    print(error)
try:
    load_dataset("sst2")
except ModelUnavailable as error:
    print(error)
print(len(load_dataset("dbpedia-6k").pool))
"""
    done = run(code)
    assert done.stderr == ""
    missing, unavailable, size = done.stdout.splitlines()
    assert "pip install 'nearmiss[hub]'" in missing
    assert "pip install 'nearmiss[hub]'" in unavailable
    assert "sst2/train.parquet" in unavailable
    assert size == "6000"


def test_reading_files_loads_neither_torch_nor_datasets():
    done = run("import sys, nearmiss.text.datasets; print({'torch', 'datasets', 'transformers'} & set(sys.modules))")
    assert done.stdout.strip() == "set()"
