"""The one place where a classifier's name becomes a classifier.

Classes are imported when they are made: to list the names costs nothing.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.models.base import Classifier

__all__ = ["ClassifierOption", "classifier_names", "classifier_options", "make_classifier"]

_CLASSES = {
    "finetuned": ("nearmiss.models.transformer", "FinetunedClassifier"),
    "frozen": ("nearmiss.models.frozen", "FrozenClassifier"),
    "tfidf": ("nearmiss.models.tfidf", "TfidfClassifier"),
    "tuned": ("nearmiss.models.tuned", "TunedClassifier"),
}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


@dataclass(frozen=True, slots=True)
class ClassifierOption:
    """One option of a classifier, as its constructor declares it.

    Attributes
    ----------
    name
        The keyword.
    kinds
        Types a value may have: of ``str``, ``int``, ``float``, ``bool``.
    choices
        The values allowed, where they are listed; else empty.
    default
        What holds when the option is not given.
    """

    name: str
    kinds: tuple[type, ...]
    choices: tuple[str, ...]
    default: object

    @property
    def accepts(self) -> str:
        """What a value may be, in words."""
        return " | ".join(self.choices) or " or ".join(_WORDS[kind] for kind in self.kinds)

    def check(self, owner: str, value: object) -> object:
        """Return the value as the constructor takes it.

        Raises
        ------
        InvalidInput
            It has another type, or is none of the choices.

        Examples
        --------
        >>> ClassifierOption("C", (float,), (), 10.0).check("tfidf", 1)
        1.0
        """
        if self.choices:
            if value in self.choices:
                return value
        elif value is None and self.default is None:
            return None
        elif isinstance(value, bool):  # an int to Python, not to whoever wrote `steps = true`
            if bool in self.kinds:
                return value
        elif isinstance(value, int) and float in self.kinds and int not in self.kinds:
            return float(value)
        elif isinstance(value, self.kinds) and not (isinstance(value, float) and math.isnan(value)):
            return value
        raise InvalidInput(f"option {self.name} of classifier {owner!r} takes {self.accepts}; got {value!r}")


def classifier_names() -> tuple[str, ...]:
    """List the names ``make_classifier`` knows.

    Examples
    --------
    >>> classifier_names()
    ('finetuned', 'frozen', 'tfidf', 'tuned')
    """
    return tuple(_CLASSES)


def classifier_options(name: str) -> tuple[ClassifierOption, ...]:
    """List a classifier's options, in the order of its constructor.

    Raises
    ------
    UnknownName
        No classifier of that name.

    Examples
    --------
    >>> [(option.name, option.accepts, option.default) for option in classifier_options("tfidf")][:2]
    [('C', 'a number', 10.0), ('class_weight', 'none | balanced', 'none')]
    """
    made = _class(name)
    hints = get_type_hints(inspect.getattr_static(made, "__init__"))
    return tuple(
        _option(parameter.name, hints[parameter.name], parameter.default)
        for parameter in inspect.signature(made).parameters.values()
    )


def make_classifier(name: str, options: Mapping[str, object]) -> Classifier:
    """Make a classifier by its name.

    Parameters
    ----------
    options
        Keyword and value; what is left out has its default.

    Raises
    ------
    UnknownName
        No classifier, or no option, of that name; says which are near.
    InvalidInput
        A value of the wrong type or outside its range.

    Examples
    --------
    >>> type(make_classifier("tfidf", {"C": 1})).__name__
    'TfidfClassifier'
    >>> make_classifier("tfidf", {"class_wieght": "balanced"})
    Traceback (most recent call last):
    ...
    nearmiss.errors.UnknownName: no option of classifier 'tfidf' named 'class_wieght'; did you mean 'class_weight'? \
Known: C, class_weight, min_count, ngram_max, sublinear
    """
    known = {option.name: option for option in classifier_options(name)}
    for given in options:
        if given not in known:
            raise UnknownName.among(f"option of classifier {name!r}", given, known)
    values = {given: known[given].check(name, value) for given, value in options.items()}
    classifier: Classifier = _class(name)(**values)
    return classifier


def _class(name: str) -> type:
    if name not in _CLASSES:
        raise UnknownName.among("classifier", name, _CLASSES)
    module, attribute = _CLASSES[name]
    found: type = getattr(import_module(module), attribute)
    return found


def _option(name: str, hint: object, default: object) -> ClassifierOption:
    if get_origin(hint) is Literal:
        return ClassifierOption(name, (str,), tuple(map(str, get_args(hint))), default)
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = tuple(kind for kind in members if isinstance(kind, type) and kind not in (NoneType, Path))
    return ClassifierOption(name, kinds, (), default)
