"""Names and options become classifiers; anything else is refused with the nearest."""

import pytest

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.models.base import Classifier
from nearmiss.models.registry import classifier_names, classifier_options, make_classifier


@pytest.mark.parametrize("name", classifier_names())
def test_every_name_makes_a_classifier_with_its_defaults(name):
    assert isinstance(make_classifier(name, {}), Classifier)
    defaults = {option.name: option.default for option in classifier_options(name)}
    assert isinstance(make_classifier(name, defaults), Classifier)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'frozen'"):
        make_classifier("frosen", {})
    with pytest.raises(UnknownName, match="did you mean 'max_length'"):
        make_classifier("frozen", {"max_lenght": 64})


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("frozen", {"max_length": "64"}, "max_length of classifier 'frozen' takes a whole number; got '64'"),
        ("frozen", {"max_length": 64.5}, "a whole number"),
        ("frozen", {"max_length": True}, "a whole number"),
        ("frozen", {"normalize": 1}, "true or false"),
        ("frozen", {"pooling": "max"}, r"mean \| cls \| mean-embedding"),
        ("frozen", {"model": None}, "takes text"),
        ("tfidf", {"C": "ten"}, "a number"),
        ("tfidf", {"C": float("nan")}, "a number"),
        ("tfidf", {"C": 0}, "must be positive"),
        ("tuned", {"layers": 7}, "layers is 7"),
    ],
)
def test_values_that_do_not_fit_are_refused(name, options, told):
    with pytest.raises(InvalidInput, match=told):
        make_classifier(name, options)


def test_whole_numbers_serve_as_numbers():
    assert isinstance(make_classifier("tfidf", {"C": 1}), Classifier)


def test_options_tell_their_kind_and_default():
    told = {option.name: (option.accepts, option.default) for option in classifier_options("frozen")}
    assert told["pooling"] == ("mean | cls | mean-embedding", "mean")
    assert told["max_length"] == ("a whole number", 128)
    assert told["normalize"] == ("true or false", True)
    assert told["cache_dir"] == ("text", None)
