import re

import numpy as np
import pyarrow.parquet as parquet
import pytest

from nearmiss.text.datasets import dataset_card, load_dataset
from nearmiss.text.sources import embedded_folder


@pytest.fixture(scope="module")
def dbpedia():
    return load_dataset("dbpedia-6k")


@pytest.fixture(scope="module")
def banking():
    return load_dataset("banking77")


def test_dbpedia_sizes_and_names(dbpedia):
    assert (len(dbpedia.pool), len(dbpedia.test), dbpedia.validation) == (6000, 2000, None)
    assert dbpedia.pool.label_names == dataset_card("dbpedia-6k").info.label_names
    assert dbpedia.notes == ()


def test_dbpedia_is_stratified(dbpedia):
    # Shares of the 20,000 and 7,600 rows it was drawn from.
    train = [1430, 1401, 1473, 1404, 1403, 1392, 1431, 1441, 1412, 1463, 1462, 1494, 1434, 1360]
    test = [538, 519, 557, 560, 532, 543, 519, 537, 558, 534, 567, 506, 547, 583]
    for part, source in ((dbpedia.pool, train), (dbpedia.test, test)):
        share = np.array(source) * len(part) / sum(source)
        assert np.all(np.abs(np.bincount(part.gold(), minlength=14) - share) < 1)


def test_dbpedia_holds_no_text_twice(dbpedia):
    texts = dbpedia.pool.texts.first + dbpedia.test.texts.first
    assert len({re.sub(r"\W+", "", text.lower()) for text in texts}) == 8000


def test_dbpedia_labels_fit_the_texts(dbpedia):
    plants = [text for text, label in zip(dbpedia.pool.texts.first, dbpedia.pool.gold(), strict=True) if label == 10]
    assert np.mean(["species" in text or "plant" in text for text in plants]) > 0.8


def test_banking77_is_whole(banking):
    assert (len(banking.pool), len(banking.validation), len(banking.test)) == (9003, 1000, 3080)
    assert banking.pool.n_classes == 77
    assert list(banking.pool.label_names) == sorted(banking.pool.label_names)
    assert np.all(np.bincount(banking.test.gold()) == 40)
    assert np.bincount(banking.pool.gold(), minlength=77).min() == 31
    assert banking.pool.label_names[banking.pool.gold()[0]] == "activate_my_card"
    assert banking.pool.texts.first[0] == "I cannot activate my card."


@pytest.mark.parametrize(("name", "licence"), [("dbpedia-6k", "by-sa/3.0"), ("banking77", "by/4.0")])
def test_each_comes_with_its_licence_card_and_names_and_is_small(name, licence):
    folder = embedded_folder(name)
    notice = (folder / "LICENSE").read_text(encoding="utf-8")
    assert f"https://creativecommons.org/licenses/{licence}/legalcode" in notice
    assert "ATTRIBUTION" in notice
    assert "CHANGES MADE" in notice
    assert (folder / "README.md").is_file()
    for path in folder.glob("*.parquet"):
        assert path.stat().st_size < 1_000_000
        schema = parquet.read_schema(path)
        assert schema.names == ["text", "label"]
        assert b"ClassLabel" in schema.metadata[b"huggingface"]
