import subprocess
import sys
from dataclasses import is_dataclass

import pytest

from nearmiss.acquisition.base import Card, ScoringStrategy, Strategy
from nearmiss.acquisition.contrastive import Cal, CalVariant
from nearmiss.acquisition.diverse import DiverseBatch
from nearmiss.acquisition.registry import card, make_strategy, strategy_names, strategy_options, strategy_text
from nearmiss.acquisition.uncertainty import Margin
from nearmiss.errors import InvalidInput, UnknownName

every_name = pytest.mark.parametrize("name", strategy_names())


SCORING = ("entropy", "least-confidence", "margin", "bald", "cal")


def test_the_names_are_those_promised():
    assert set(strategy_names()) == {
        *("random", "entropy", "least-confidence", "margin", "bald", "bertkm", "badge", "alps", "cal", "k-center"),
        "typiclust",
        *(f"{wrapper}-{name}" for wrapper in ("diverse", "balanced", "anchored", "distinct") for name in SCORING),
        *("anchored-diverse-margin", "distinct-diverse-margin"),
    }


@every_name
def test_every_name_makes_a_frozen_strategy_that_writes_itself_back(name):
    strategy = make_strategy(name)
    assert isinstance(strategy, Strategy)
    assert is_dataclass(strategy)
    assert strategy.__dataclass_params__.frozen
    assert strategy_text(strategy) == name
    assert make_strategy(name) == strategy


@every_name
def test_every_name_has_a_card_that_says_something(name):
    found = card(name)
    assert isinstance(found, Card)
    assert all((found.title, found.paper, found.definition, found.score, found.cost))


@every_name
def test_every_option_is_read_back_as_its_default(name):
    for option in strategy_options(name):
        assert make_strategy(f"{name}:{option.name}={option.default}") == make_strategy(name)


def test_options_of_cal_and_its_variant_stand_side_by_side():
    made = make_strategy("cal:k=5,anchor=labeled, divergence=cross-entropy,reduce=max,order=opposite,normalize=True")
    variant = CalVariant(anchor="labeled", divergence="cross-entropy", reduce="max", order="opposite")
    assert made == Cal(k=5, variant=variant, normalize=True)
    text = "cal:k=5,anchor=labeled,divergence=cross-entropy,reduce=max,order=opposite,normalize=true"
    assert strategy_text(made) == text
    assert [option.name for option in strategy_options("cal")] == [
        *("k", "anchor", "divergence", "reduce", "order", "normalize", "search"),
    ]


def test_options_of_a_diverse_batch_go_to_it_or_to_its_strategy():
    made = make_strategy("diverse-cal:factor=20,k=5,anchor=labeled")
    assert made == DiverseBatch(Cal(k=5, variant=CalVariant(anchor="labeled")), factor=20)
    assert strategy_text(made) == "diverse-cal:factor=20,k=5,anchor=labeled"
    assert make_strategy("diverse-margin:normalize=false") == DiverseBatch(Margin(), normalize=False)


def test_an_option_that_both_have_belongs_to_the_strategy():
    made = make_strategy("diverse-cal:normalize=true,diverse-normalize=false")
    assert made == DiverseBatch(Cal(normalize=True), normalize=False)
    assert make_strategy(strategy_text(made)) == made


def test_underscores_and_hyphens_are_alike():
    assert make_strategy("typiclust:max_clusters=20") == make_strategy("typiclust:max-clusters=20")


@pytest.mark.parametrize("name", [name for name in strategy_names() if name.startswith("diverse-")])
def test_what_goes_into_a_diverse_batch_scores(name):
    assert isinstance(make_strategy(name.removeprefix("diverse-")), ScoringStrategy)


@pytest.mark.parametrize(
    "text, error, fact",
    [
        ("entrpy", UnknownName, "no strategy named 'entrpy'; did you mean 'entropy'"),
        ("diverse-random", UnknownName, "no strategy named 'diverse-random'"),
        ("", UnknownName, "no strategy named ''"),
        ("cal:anchr=pool", UnknownName, "no option of cal named 'anchr'; did you mean 'anchor'"),
        ("entropy:k=5", InvalidInput, "entropy takes no options, got 'k=5'; write entropy"),
        ("cal:k", InvalidInput, "cannot read 'k' in the options of cal; write cal:option=value,option=value"),
        ("cal:k=5,k=6", InvalidInput, "cal is given k twice"),
        ("cal:k=few", InvalidInput, "k of cal is 'few', expected integer, e.g. 10"),
        ("cal:k=2.5", InvalidInput, "k of cal is '2.5', expected integer"),
        ("cal:k=0", InvalidInput, "k=0 neighbours; ask for at least 1"),
        ("cal:reduce=sum", InvalidInput, "reduce of cal is 'sum', expected mean, max or median, e.g. mean"),
        ("badge:normalize=1", InvalidInput, "normalize of badge is '1', expected true or false, e.g. false"),
        ("diverse-margin:factor=0", InvalidInput, "factor=0"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_mend(text, error, fact):
    with pytest.raises(error) as refusal:
        make_strategy(text)
    assert fact in str(refusal.value)


def test_a_strategy_of_ones_own_has_no_text_form():
    class Mine(Margin):
        pass

    with pytest.raises(InvalidInput, match="Mine is not a registered strategy"):
        strategy_text(Mine())
    with pytest.raises(InvalidInput, match="Mine is not a registered strategy"):
        strategy_text(DiverseBatch(Mine()))


def test_names_are_known_without_loading_torch():
    script = "import sys, nearmiss.acquisition.registry as r; r.strategy_names(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "name", ["distinct-anchored-diverse-margin", "distinct-anchored-balanced-entropy", "anchored-diverse-cal"]
)
def test_wrappers_nest_in_their_order_and_keep_their_text(name):
    assert strategy_text(make_strategy(name)) == name
    assert make_strategy(name).card.title.count(" ") > 2


@pytest.mark.parametrize(
    "name",
    [
        "diverse-anchored-margin",
        "anchored-distinct-margin",
        "diverse-diverse-margin",
        "anchored-random",
        "balanced-badge",
        "diverse-",
        "anchored-nothing",
    ],
)
def test_other_nestings_are_no_names(name):
    with pytest.raises(UnknownName):
        make_strategy(name)


def test_options_of_nested_wrappers_find_their_places():
    text = "distinct-anchored-diverse-cal:threshold=0.9,anchors=5,neighbors=20,factor=3,diverse-normalize=false,k=4"
    strategy = make_strategy(text)
    assert strategy.threshold == 0.9
    assert (strategy.strategy.anchors, strategy.strategy.neighbors) == (5, 20)
    assert (strategy.strategy.strategy.factor, strategy.strategy.strategy.normalize) == (3, False)
    assert strategy.strategy.strategy.strategy.k == 4
    assert make_strategy(strategy_text(strategy)) == strategy
