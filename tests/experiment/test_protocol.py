import pytest

from nearmiss.acquisition.registry import make_strategy
from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.experiment.build import StrategyChoice
from nearmiss.experiment.protocol import Changes, protocol_named, protocol_names
from nearmiss.experiment.spec import RunKey
from nearmiss.text.datasets import dataset_card


@pytest.mark.parametrize(
    "dataset, key, run_hash",
    [
        ("sst2", RunKey("cal", 0), "14e353cdbb1b"),
        ("sst2", RunKey("alps", 3), "6e34a0dd2614"),
        ("agnews", RunKey("cal:features=tfidf", 4), "666220a85b5f"),
    ],
)
def test_published_runs_of_the_laptop_protocol_are_found_again(dataset, key, run_hash):
    protocol = protocol_named("laptop")
    assert protocol.spec(dataset).run_hash(key) == run_hash
    if dataset == protocol.ablation_dataset:
        assert protocol.ablation_spec().run_hash(key) == run_hash
        assert key in set(protocol.ablation_spec().keys())


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_names_what_there_is(name):
    protocol = protocol_named(name)
    assert protocol.functions[0] == "random"
    for dataset in protocol.datasets:
        assert dataset_card(dataset).info.name == dataset
    variants = [variant.strategy for variant in protocol.ablations]
    assert len(set(variants)) == 9
    for text in (*protocol.functions, *variants):
        make_strategy(StrategyChoice.parse(text).strategy)
    assert not protocol.ablation_spec().conflicts(protocol.spec(protocol.ablation_dataset))
    assert protocol.ablation_spec().strategies == ("random", "cal", *variants)


def test_the_paper_s_protocol_is_the_paper_s():
    paper = protocol_named("paper")
    assert (paper.initial, paper.batch, paper.budget, len(paper.seeds)) == ("1%", "2%", "15%", 5)
    assert set(paper.datasets) == {"imdb", "sst2", "agnews", "dbpedia", "pubmed", "qnli", "qqp"}
    assert set(paper.functions) == {"random", "entropy", "bertkm", "badge", "alps", "cal", "margin"}
    assert (paper.max_pool, paper.max_test, paper.validation) == (None, None, "100%")
    lengths = {dataset: paper.spec(dataset).classifier.options["max_length"] for dataset in paper.datasets}
    assert lengths == dict.fromkeys(paper.datasets, 128) | {"imdb": 256}


def test_another_model_is_told_in_the_title_and_random_stays():
    changes = Changes(("sst2",), ("cal", "cal"), (3,), max_pool=1_500, max_test=90, model="some/model", device="cpu")
    changed = protocol_named("laptop").changed(changes)
    assert changed.title == ("MiniLM, top layer tuned (model some/model)")
    assert (changed.datasets, changed.functions, changed.seeds) == (("sst2",), ("random", "cal"), (3,))
    assert changed.masked_lm.model == "some/model"
    spec = changed.spec("sst2")
    assert (spec.max_pool, spec.max_test) == (1_500, 90)
    assert spec.classifier.options == {"device": "cpu", "max_length": 128, "model": "some/model"}
    assert protocol_named("laptop").changed(Changes()) == protocol_named("laptop")


def test_a_length_given_by_hand_holds_everywhere():
    changed = protocol_named("paper").changed(Changes(options={"max_length": 64}))
    assert {changed.spec(dataset).classifier.options["max_length"] for dataset in changed.datasets} == {64}
    assert changed.title.endswith("(max-length = 64)")
    with pytest.raises(InvalidInput, match="max-length = 'long'"):
        protocol_named("paper").changed(Changes(options={"max_length": "long"}))


def test_an_unknown_protocol_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'laptop'"):
        protocol_named("labtop")


def test_a_model_given_as_an_option_stands_behind_alps_too():
    flag = protocol_named("laptop").changed(Changes(model="bert-tiny"))
    assert protocol_named("laptop").changed(Changes(options={"model": "bert-tiny"})) == flag
    assert flag.masked_lm.model == "bert-tiny"
