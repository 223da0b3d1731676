import datasets
import pyarrow.parquet as parquet
import pytest
import yaml

from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.session.exchange.forms import read_items, write_items
from nearmiss.session.exchange.records import AnswerKind, ExchangedAnswer, ExchangedItem

NAMES = ["neg", "pos", "never | used"]
ITEMS = [
    ExchangedItem(
        "1",
        "bad",
        None,
        {"year": "1999"},
        "neg",
        (ExchangedAnswer("ann", AnswerKind.LABEL, "neg"), ExchangedAnswer("b|b", AnswerKind.SKIP)),
        None,
        {"source": "model", "strategy": "cal", "model_version": 3, "annotator": "ann", "score": 0.25},
    ),
    ExchangedItem("2", "good", label="pos", provenance={"source": "audit", "annotator": "ann"}),
    ExchangedItem("3", "unlabelled"),
]


def write(tmp_path, items=ITEMS, **options):
    path = tmp_path / "films"
    write_items(items, path, form="huggingface", **{"label_names": NAMES, **options})
    return path


def test_load_dataset_sees_the_classes(tmp_path):
    path = write(tmp_path)
    loaded = datasets.load_dataset(str(path), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert loaded["train"].features["label"] == datasets.ClassLabel(names=NAMES)
    assert loaded["train"]["label"][:] == [0, 1, None]
    assert loaded["train"]["text"][:] == ["bad", "good", "unlabelled"]
    assert loaded["train"]["year"][:] == ["1999", None, None]
    assert loaded["train"]["nearmiss_score"][:] == [0.25, None, None]


def test_it_comes_back(tmp_path):
    imported = read_items(write(tmp_path))
    assert imported.items == tuple(ITEMS)
    assert imported.label_names == tuple(NAMES)


def test_the_card(tmp_path):
    card = (write(tmp_path, guideline="Positive means\n\nwell liked.") / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "pretty_name": "films",
        "task_categories": ["text-classification"],
        "size_categories": ["n<1K"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "data/train.parquet"}]},
        ],
    }
    assert body.strip().splitlines() == [
        "# films",
        "",
        "3 texts, 2 of them with a label. Labelled with nearmiss.",
        "",
        "Licence: not stated. Say here under which licence the texts and the labels may be used.",
        "",
        "## Labels",
        "",
        "| Label | Texts |",
        "| --- | --- |",
        "| neg | 1 |",
        "| pos | 1 |",
        "| never \\| used | 0 |",
        "",
        "## How the labels were come by",
        "",
        "| Who chose the text | Texts |",
        "| --- | --- |",
        "| model | 1 |",
        "| audit | 1 |",
        "",
        "| By which strategy | Texts |",
        "| --- | --- |",
        "| cal | 1 |",
        "| not recorded | 1 |",
        "",
        "| With which version of the model | Texts |",
        "| --- | --- |",
        "| 3 | 1 |",
        "| not recorded | 1 |",
        "",
        "| Who gave the label | Texts |",
        "| --- | --- |",
        "| ann | 2 |",
        "",
        "| Annotator | Labelled | Skipped | Unsure |",
        "| --- | --- | --- | --- |",
        "| ann | 1 | 0 | 0 |",
        "| b\\|b | 0 | 1 | 0 |",
        "",
        "Columns that begin with `nearmiss_` tell it for each text; `nearmiss_answers` holds what each person said.",
        "",
        "## Guideline",
        "",
        "> Positive means",
        ">",
        "> well liked.",
    ]


def test_a_card_without_origins(tmp_path):
    card = (write(tmp_path, [ExchangedItem("1", "a", label="pos")]) / "README.md").read_text(encoding="utf-8")
    assert "How these labels were come by is not recorded." in card
    assert "Guideline" not in card


@pytest.mark.parametrize("name", ['say "x": y', "a: b", "--- # {x}", "é\u2028"])
def test_front_matter_whatever_the_name(tmp_path, name):
    write_items(ITEMS, tmp_path / name, form="huggingface", label_names=NAMES)
    card = (tmp_path / name / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))["pretty_name"] == name


def test_labels_that_nobody_declared(tmp_path):
    with pytest.raises(InvalidInput, match="item 1: label 'neg' is not among the label names"):
        write(tmp_path, label_names=["pos"])
    with pytest.raises(InvalidInput, match="declared twice"):
        write(tmp_path, label_names=["neg", "pos", "pos"])
    assert list(tmp_path.iterdir()) == []


def test_without_any_labels(tmp_path):
    path = write(tmp_path, [ExchangedItem("1", "a")], label_names=[])
    assert datasets.load_dataset(str(path), cache_dir=str(tmp_path / "cache"))["train"]["text"][:] == ["a"]


def test_somebody_elses_folder_is_never_replaced(tmp_path):
    path = write(tmp_path)
    (path / "thesis.tex").write_text("precious")
    with pytest.raises(InvalidInput, match=r"no earlier export \(it holds 'thesis.tex'\)"):
        write(tmp_path, overwrite=True)
    assert (path / "thesis.tex").read_text() == "precious"
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InvalidInput, match="no earlier export"):
        write_items(ITEMS, tmp_path / "file", form="huggingface", label_names=NAMES, overwrite=True)


def test_a_label_out_of_range(tmp_path):
    path = write(tmp_path) / "data" / "train.parquet"
    table = parquet.read_table(path)
    place = table.column_names.index("label")
    parquet.write_table(table.set_column(place, "label", [[7, 0, 1]]), path)
    with pytest.raises(InvalidData, match="row 1: label 7 is not among the 3 declared names"):
        read_items(tmp_path / "films")
