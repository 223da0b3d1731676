import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from nearmiss.errors import InvalidData, InvalidInput, UnknownName
from nearmiss.text.datasets import dataset_card, dataset_names, load_dataset

README = '# name\n```json\n{"label_names": %s}\n```\n'


def put(folder, names, pair=False, **splits):
    """Write a dataset folder: splits are (rows, first label)."""
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(README % json.dumps(names))
    for split, size in splits.items():
        columns = {"text": [f"{folder.name} {split} {i}" for i in range(size)]}
        if pair:
            columns["text_pair"] = [f"partner {i}" for i in range(size)]
        columns["label"] = [i % len(names) for i in range(size)]
        parquet.write_table(pa.table(columns), folder / f"{split}.parquet")


@pytest.fixture
def data_dir(tmp_path):
    put(tmp_path / "imdb", ["negative", "positive"], train=40, validation=6, test=12)
    put(tmp_path / "sst2", ["positive", "negative"], train=30, validation=4, test=8)
    put(tmp_path / "qqp", ["not_duplicate", "duplicate"], pair=True, train=20, test=6)
    put(tmp_path / "twitterppdb", ["not_paraphrase", "paraphrase"], pair=True, test=10)
    return tmp_path


def test_every_paper_dataset_has_a_card():
    paper = {"imdb", "sst2", "agnews", "dbpedia", "pubmed", "qnli", "qqp"}
    cards = {name: dataset_card(name) for name in dataset_names()}
    assert {name for name, card in cards.items() if card.info.paper_sizes} == paper
    assert all(cards[name].info.hub for name in paper)
    assert {name for name, card in cards.items() if card.available} == {"dbpedia-6k", "banking77"}
    for name, card in cards.items():
        assert card.info.name == name
        assert card.info.licence
        assert card.info.source
        assert len(card.info.label_names) in (0, card.info.n_classes)
        assert set(card.info.ood) <= set(cards)
    assert cards["qqp"].info.ood == ("twitterppdb",)


def test_cards_tell_what_a_folder_holds(data_dir, monkeypatch):
    card = dataset_card("imdb", data_dir)
    assert card.available
    assert card.where == f"in {data_dir / 'imdb'}"
    assert (card.sizes.pool, card.sizes.validation, card.sizes.test) == (40, 6, 12)
    monkeypatch.setenv("NEARMISS_DATA_DIR", str(data_dir))
    assert dataset_card("imdb") == card
    assert "stanfordnlp/imdb" in dataset_card("imdb", data_dir / "imdb").where


def test_a_card_for_an_unknown_name():
    with pytest.raises(UnknownName, match="no dataset named 'imbd'; did you mean 'imdb'"):
        dataset_card("imbd")


def test_a_known_dataset_from_a_folder(data_dir, monkeypatch):
    splits = load_dataset("imdb", data_dir)
    assert (len(splits.pool), len(splits.validation), len(splits.test)) == (40, 6, 12)
    assert splits.pool.name == "imdb"
    assert splits.pool.label_names == ("negative", "positive")
    assert "the pool holds 40 texts, the paper's 22,500" in splits.notes
    assert not any("guessed" in note for note in splits.notes)
    monkeypatch.setenv("NEARMISS_DATA_DIR", str(data_dir))
    assert load_dataset("imdb").pool.texts == splits.pool.texts


def test_out_of_domain_labels_take_the_pools_ids(data_dir):
    imdb = load_dataset("imdb", data_dir)
    (sst2,) = imdb.ood
    assert sst2.name == "sst2"
    assert sst2.label_names == ("negative", "positive")
    assert sst2.gold().tolist() == [1, 0] * 4  # written the other way round in that folder
    assert [each.name for each in load_dataset("sst2", data_dir).ood] == ["imdb"]


def test_out_of_domain_classes_of_other_names_are_told(data_dir):
    splits = load_dataset("qqp", data_dir)
    (partner,) = splits.ood
    assert (partner.name, len(partner)) == ("twitterppdb", 10)
    assert partner.texts.second is not None
    assert "twitterppdb: not_paraphrase, paraphrase count as not_duplicate, duplicate" in splits.notes


def test_an_absent_partner_is_told(data_dir):
    (data_dir / "sst2").rename(data_dir / "elsewhere")
    splits = load_dataset("imdb", data_dir)
    assert splits.ood == ()
    assert any(note.startswith("without the out-of-domain test set sst2") for note in splits.notes)


def test_a_partner_of_another_number_of_classes(data_dir):
    put(data_dir / "new" / "sst2", ["a", "b", "c"], test=6)
    (data_dir / "imdb").rename(data_dir / "new" / "imdb")
    with pytest.raises(InvalidData, match="sst2 has 3 classes, imdb has 2"):
        load_dataset("imdb", data_dir / "new")


def test_a_test_set_is_no_pool(data_dir):
    with pytest.raises(InvalidData, match="twitterppdb has no training split, only test"):
        load_dataset("twitterppdb", data_dir)


def test_catalogue_names_stand_in_for_bare_ids(data_dir):
    (data_dir / "imdb" / "README.md").unlink()
    assert load_dataset("imdb", data_dir).pool.label_names == ("negative", "positive")


def test_caps_are_stratified_seeded_and_told(data_dir):
    splits = load_dataset("imdb", data_dir, max_pool=10, max_test=4, seed=1)
    assert (len(splits.pool), len(splits.test), len(splits.ood[0]), len(splits.validation)) == (10, 4, 4, 6)
    assert np.bincount(splits.pool.gold()).tolist() == [5, 5]
    assert "pool capped at 10 of 40 texts, drawn by class" in splits.notes
    assert "test set capped at 4 of 12 texts, drawn by class" in splits.notes
    assert load_dataset("imdb", data_dir, max_pool=10, seed=1).pool.texts == splits.pool.texts
    assert load_dataset("imdb", data_dir, max_pool=10, seed=2).pool.texts != splits.pool.texts
    assert "capped" not in " ".join(load_dataset("imdb", data_dir, max_pool=40).notes)
    with pytest.raises(InvalidInput, match="--max-pool is 0"):
        load_dataset("imdb", data_dir, max_pool=0)


def test_a_folder_of_ones_own_in_any_format(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.csv").write_text("sentence,mood,id\n" + "".join(f"t {i},{'ab'[i % 2]},1\n" for i in range(6)))
    (folder / "dev.jsonl").write_text('{"sentence": "v", "mood": "b"}\n')
    (folder / "test.tsv").write_text("id\tsentence\tmood\n1\tx\tb\n1\ty\ta\n")
    splits = load_dataset(str(folder), label_column="mood")
    assert splits.pool.name == "mine"
    assert splits.pool.label_names == ("a", "b")
    assert splits.validation.gold().tolist() == [1]
    assert splits.test.gold().tolist() == [1, 0]
    assert "text column: 'sentence' (guessed)" in splits.notes
    assert load_dataset("mine", tmp_path, label_column="mood").pool.texts == splits.pool.texts


def test_shards_in_a_data_folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for shard in (0, 1):
        table = pa.table({"text": [f"{shard} a", f"{shard} b"], "label": ["x", "y"]})
        parquet.write_table(table, data / f"train-0000{shard}-of-00002.parquet")
    parquet.write_table(table, data / "test-00000-of-00001.parquet")
    splits = load_dataset(str(tmp_path))
    assert splits.pool.texts.first == ("0 a", "0 b", "1 a", "1 b")
    assert "2 texts of the pool occur in the test set too" in splits.notes


def test_two_formats_of_one_split(tmp_path):
    for name in ("train.csv", "train.jsonl"):
        (tmp_path / name).write_text("text,label\na,1\n")
    with pytest.raises(InvalidData, match=r"train\.csv and train\.jsonl could each be the pool"):
        load_dataset(str(tmp_path))


def test_a_test_label_that_training_never_saw(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,x\nb,y\n")
    (tmp_path / "test.csv").write_text("text,label\nc,z\n")
    with pytest.raises(InvalidData, match=r"test\.csv: column 'label': row 1: label 'z' is not among"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("test", ["text\nc\nd\n", "text,label\nc,\nd,\n"])
def test_an_unlabelled_test_split_is_left_out_and_one_held_out(tmp_path, test):
    (tmp_path / "train.csv").write_text("text,label\n" + "".join(f"t {i},{'ab'[i % 2]}\n" for i in range(20)))
    (tmp_path / "test.csv").write_text(test)
    splits = load_dataset(str(tmp_path))
    assert (len(splits.pool), len(splits.test)) == (16, 4)
    assert any(note.startswith("the test split has no") for note in splits.notes)


def test_a_single_labelled_file(tmp_path):
    path = tmp_path / "mails.csv"
    rows = "".join(f"mail {i},{'spam' if i % 4 == 0 else 'ham'}\n" for i in range(40)) + "odd one,rare\nno label,\n"
    path.write_text("text,label\n" + rows)
    splits = load_dataset(path)
    assert splits.pool.name == "mails"
    assert (len(splits.pool), len(splits.test)) == (33, 8)
    assert splits.pool.label_names == ("ham", "rare", "spam")
    assert set(splits.pool.gold()) == {0, 1, 2}  # a class that occurs once stays in the pool
    assert np.bincount(splits.test.gold(), minlength=3).tolist() == [6, 0, 2]
    assert not set(splits.pool.texts.first) & set(splits.test.texts.first)
    assert "41 of 42 rows have a label" in splits.notes
    assert any("8 of 41 texts, drawn by class, are held out" in note for note in splits.notes)
    assert load_dataset(path).test.texts == splits.test.texts
    assert load_dataset(path, seed=1).test.texts != splits.test.texts


def test_files_that_cannot_be_divided(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,x\nb,y\n")
    with pytest.raises(InvalidData, match="2 labelled texts, no class twice; too few"):
        load_dataset(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("text,label\na,\nb,\n")
    with pytest.raises(InvalidData, match="column 'label' holds no label"):
        load_dataset(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("text\na\n")
    with pytest.raises(InvalidData, match="no label column found"):
        load_dataset(tmp_path / "c.csv")


def test_names_and_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'agnews'"):
        load_dataset("agnew")
    for path in ("./nowhere", "pool.csv", str(tmp_path / "absent")):
        with pytest.raises(InvalidData, match="no such file or folder"):
            load_dataset(path)
    with pytest.raises(InvalidData, match="holds no train or test file"):
        load_dataset(str(tmp_path))


def test_a_data_dir_that_is_none(tmp_path, monkeypatch):
    with pytest.raises(InvalidData, match=r"--data-dir .*absent is not a folder"):
        load_dataset("imdb", tmp_path / "absent")
    monkeypatch.setenv("NEARMISS_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(InvalidData, match=r"NEARMISS_DATA_DIR .*gone is not a folder"):
        load_dataset("imdb")


def test_a_saved_dataset_folder(tmp_path):
    from datasets import Dataset, DatasetDict

    rows = Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": ["x", "y"] * 2})
    DatasetDict(train=rows, test=rows).save_to_disk(tmp_path / "saved")
    splits = load_dataset(str(tmp_path / "saved"))
    assert (len(splits.pool), len(splits.test)) == (4, 4)


def test_empty_folder_of_shards_with_other_columns(tmp_path):
    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "train-00000-of-00002.parquet")
    parquet.write_table(pa.table({"text": ["a"], "label": ["x"]}), tmp_path / "train-00001-of-00002.parquet")
    with pytest.raises(InvalidData, match="its shards have different columns"):
        load_dataset(str(tmp_path))
