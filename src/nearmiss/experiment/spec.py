"""What an experiment is: one frozen value, TOML both ways, and the hash that names its results."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from nearmiss.errors import InvalidData, InvalidInput, UnknownName
from nearmiss.experiment.amounts import Amount

__all__ = ["REFERENCE", "ClassifierChoice", "ExperimentSpec", "MaskedLMChoice", "Option", "RunKey"]

_T = TypeVar("_T")
#: The strategy that every other is held against.
REFERENCE = "random"
#: A value TOML can write and an option can hold.
Option = str | int | float | bool
#: Raised when the same spec would give other results than before, so that old journals are not taken up.
_RESULTS_VERSION = 1
#: Keys that say which runs there are and not what one of them is: grids that differ in these may share a directory.
_SHAREABLE = frozenset({"name", "strategies", "seeds"})
#: Keys that say how labels are bought, which a model trained on the whole pool does not depend on.
_ABOUT_BUYING = frozenset({"name", "strategies", "initial", "initial-method", "batch", "budget", "masked-lm"})


@dataclass(frozen=True, slots=True, order=True)
class RunKey:
    """One cell of the grid: a strategy (in its text form, ``cal:k=5``) and a seed."""

    strategy: str
    seed: int


@dataclass(frozen=True, slots=True)
class ClassifierChoice:
    """Which classifier, and its options; the registry of classifiers judges both.

    Attributes
    ----------
    name
        ``tuned``, ``frozen``, ``tfidf`` ...
    options
        Values by option name, as the classifier spells them (``max_length``).
    """

    name: str = "tuned"
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _text("classifier name", self.name)
        for key, value in self.options.items():
            if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key) or key == "name":
                raise InvalidInput(f"classifier option {key!r}: option names are words, such as max-length")
            if not isinstance(value, str | int | float) or (isinstance(value, float) and not isfinite(value)):
                raise InvalidInput(
                    f"classifier option {_kebab(key)} = {value!r}: expected text, a number, or true/false"
                )
        object.__setattr__(self, "options", dict(sorted(self.options.items())))


@dataclass(frozen=True, slots=True)
class MaskedLMChoice:
    """The masked language model behind ALPS.

    Attributes
    ----------
    model
        The embedded ``minilm``, a Hugging Face name, or a local path.
    train_head
        Whether to train a head on the pool where the checkpoint has none; if not, ALPS is skipped there.
    adapt
        Whether to train not the head alone but the whole encoder with it, on the pool (``nearmiss adapt``).
    texts, epochs
        How many texts of the pool either training reads, and how often.
    max_length
        Texts are cut after this many tokens, in training the head and in measuring surprisal.
    """

    model: str = "minilm"
    train_head: bool = True
    texts: int = 1_500
    epochs: int = 3
    max_length: int = 64
    adapt: bool = False

    def __post_init__(self) -> None:
        _text("masked-lm model", self.model)
        if not isinstance(self.adapt, bool):
            raise InvalidInput(f"masked-lm adapt = {self.adapt!r}: expected true or false")
        if not isinstance(self.train_head, bool):
            raise InvalidInput(f"masked-lm train-head = {self.train_head!r}: expected true or false")
        _count("masked-lm texts", self.texts)
        _count("masked-lm epochs", self.epochs)
        _count("masked-lm max-length", self.max_length)


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """An experiment: a dataset, a classifier, and a grid of strategies × seeds.

    Attributes
    ----------
    dataset
        A known dataset's name, or a path.
    strategies
        Strategies in their text form (``cal:k=5``); the option ``features`` names another representation
        (``cal:features=tfidf``).
    seeds
        One run per strategy and seed; the initial set depends on the seed and not on the strategy.
    initial, batch, budget
        Labels before the first model, a round, and in all: a count, or a per cent of the pool ("1%").
    initial_method
        ``stratified``, ``random``, or a strategy that needs no trained model (``typiclust``).
    text_column, pair_column, label_column
        Columns of a dataset of one's own; None guesses.
    max_pool, max_test
        Caps on the texts used, drawn once per dataset; None keeps all.
    validation
        Labelled texts of the dataset's validation split that training may look at to choose its weights: a count, or a
        per cent of the split; None is none. They are paid for like any other label, and reports count them.
    classifier
        Which classifier, and its options.
    masked_lm
        What ALPS measures surprisal with; other strategies never read it.
    threads
        Threads of each run. Part of the spec because sums of floats depend on it.
    name
        What reports call the experiment; changes no result.

    Raises
    ------
    InvalidInput
        A value is of the wrong kind or out of range; the message names key, value and mend.

    Examples
    --------
    >>> spec = ExperimentSpec("dbpedia-6k", ("random", "cal"), seeds=(0, 1), initial=200, batch=60, budget=500)
    >>> ExperimentSpec.from_toml(spec.to_toml()) == spec
    True
    >>> [key.strategy for key in spec.keys()]
    ['random', 'random', 'cal', 'cal']
    """

    dataset: str
    strategies: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    initial: int | str = "1%"
    initial_method: str = "stratified"
    batch: int | str = "2%"
    budget: int | str = "15%"
    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    max_pool: int | None = None
    max_test: int | None = None
    validation: int | str | None = None
    classifier: ClassifierChoice = field(default_factory=ClassifierChoice)
    masked_lm: MaskedLMChoice = field(default_factory=MaskedLMChoice)
    threads: int = 1
    name: str = "experiment"

    def __post_init__(self) -> None:
        for key in ("dataset", "initial_method", "name"):
            _text(_kebab(key), getattr(self, key))
        object.__setattr__(self, "strategies", _distinct_texts("strategies", self.strategies))
        object.__setattr__(self, "seeds", _distinct_seeds("seeds", self.seeds))
        for key in ("initial", "batch", "budget"):
            object.__setattr__(self, key, Amount.parse(key, getattr(self, key)).plain())
        for key in ("text_column", "pair_column", "label_column"):
            if getattr(self, key) is not None:
                _text(_kebab(key), getattr(self, key))
        for key in ("max_pool", "max_test"):
            if getattr(self, key) is not None:
                _count(_kebab(key), getattr(self, key))
        if self.validation is not None:
            object.__setattr__(self, "validation", Amount.parse("validation", self.validation).plain())
        _count("threads", self.threads)
        object.__setattr__(self, "classifier", _classifier_from(self.classifier))
        object.__setattr__(self, "masked_lm", _masked_lm_from(self.masked_lm))
        initial, budget = Amount.parse("initial", self.initial), Amount.parse("budget", self.budget)
        if initial.is_percent == budget.is_percent and budget.number < initial.number:
            raise InvalidInput(
                f"budget = {budget} is below initial = {initial}; the budget counts the initial set too, so raise it"
            )

    @classmethod
    def from_toml(cls, text: str, source: str = "the spec") -> ExperimentSpec:
        """Read a spec.

        Raises
        ------
        InvalidData
            The text is not TOML; says where.
        UnknownName
            A key that no spec has; says which are near.
        InvalidInput
            A key is missing or its value does not fit.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidData(f"{source} is not TOML: {error}; mend the file there") from error
        return cls._from_data(data, source)

    @classmethod
    def read(cls, path: Path) -> ExperimentSpec:
        """Read a spec from a file.

        Raises
        ------
        InvalidData
            There is no such file, or it is not UTF-8 TOML.
        UnknownName, InvalidInput
            As ``from_toml``.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise InvalidData(f"cannot read the spec {path}: {reason}; name a TOML file") from error
        return cls.from_toml(text, str(path))

    @classmethod
    def _from_data(cls, data: Mapping[str, object], source: str) -> ExperimentSpec:
        known = {_kebab(f.name): f.name for f in fields(cls)}
        for key in data:
            if key not in known:
                raise UnknownName.among(f"key in {source}", key, known)
        for key in ("dataset", "strategies"):
            if key not in data:
                raise InvalidInput(f"{source} does not say {key}; add a line {key} = ...")
        values: dict[str, Any] = {known[key]: value for key, value in data.items()}
        return cls(**values)  # __post_init__ judges every value

    def replace(self, **changes: object) -> ExperimentSpec:
        """Return the spec with some fields changed, by their Python names.

        A ``classifier`` may be given by name alone; its options are kept if the name stays the same.

        Raises
        ------
        UnknownName
            A field that no spec has.
        InvalidInput
            A value that does not fit.

        Examples
        --------
        >>> ExperimentSpec("imdb", ("cal",)).replace(budget="5%", classifier="tfidf").classifier.name
        'tfidf'
        """
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for key, value in changes.items():
            if key not in values:
                raise UnknownName.among("field of a spec", key, values)
            if key == "classifier" and value == self.classifier.name:
                continue
            values[key] = value
        return ExperimentSpec(**values)

    def to_data(self) -> dict[str, object]:
        """Give the spec as plain values under its TOML keys; unset caps are left out."""
        data: dict[str, object] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, ClassifierChoice):
                value = {"name": value.name} | {_kebab(k): v for k, v in value.options.items()}
            elif isinstance(value, MaskedLMChoice):
                value = {_kebab(g.name): getattr(value, g.name) for g in fields(value)}
                if not value["adapt"]:
                    del value["adapt"]  # as it was before there was a choice, so that its runs keep their names
            elif isinstance(value, tuple):
                value = list(value)
            if value is not None:
                data[_kebab(f.name)] = value
        return data

    def to_toml(self) -> str:
        """Write the spec as TOML; ``from_toml`` gives it back."""
        return tomli_w.dumps(self.to_data())

    def keys(self) -> tuple[RunKey, ...]:
        """List the runs: strategies in the order given, each with all seeds."""
        return tuple(RunKey(strategy, seed) for strategy in self.strategies for seed in self.seeds)

    @property
    def run_id(self) -> str:
        """Hash of everything that defines the results; the name does not."""
        data = self.to_data()
        del data["name"]
        return _hash(data)

    def run_hash(self, key: RunKey) -> str:
        """Hash of what defines one run's results; the grid's other cells do not."""
        data = self.to_data() | {"strategies": [key.strategy], "seeds": [key.seed]}
        del data["name"]
        return _hash(data)

    def seed_hash(self, seed: int) -> str:
        """Hash of what the runs of one seed share; their strategies do not count."""
        data = self.to_data() | {"seeds": [seed]}
        return _hash({key: value for key, value in data.items() if key not in ("name", "strategies")})

    def supervision_hash(self, seed: int) -> str:
        """Hash of what defines a training on the whole pool; how labels would be bought does not count."""
        data = self.to_data() | {"seeds": [seed]}
        return _hash({key: value for key, value in data.items() if key not in _ABOUT_BUYING})

    def conflicts(self, other: ExperimentSpec) -> tuple[str, ...]:
        """Name the keys in which the two cannot share a directory."""
        mine, theirs = self.to_data(), other.to_data()
        return tuple(key for key in sorted(mine | theirs) if key not in _SHAREABLE and mine.get(key) != theirs.get(key))


def _classifier_from(value: object) -> ClassifierChoice:
    if isinstance(value, ClassifierChoice):
        return value
    if isinstance(value, str):
        return ClassifierChoice(value)
    if not isinstance(value, Mapping) or "name" not in value:
        raise InvalidInput(f'classifier = {value!r}: expected a name ("tuned") or a table, [classifier], with a name')
    options = {str(key).replace("-", "_"): option for key, option in value.items() if key != "name"}
    return ClassifierChoice(value["name"], options)


def _masked_lm_from(value: object) -> MaskedLMChoice:
    if isinstance(value, MaskedLMChoice):
        return value
    if not isinstance(value, Mapping):
        raise InvalidInput(f"masked-lm = {value!r}: expected a table, [masked-lm]")
    known = {_kebab(f.name): f.name for f in fields(MaskedLMChoice)}
    for key in value:
        if key not in known:
            raise UnknownName.among("key in [masked-lm]", key, known)
    return MaskedLMChoice(**{known[key]: option for key, option in value.items()})


def _text(key: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{key} = {value!r}: expected a text that is not empty")


def _count(key: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(f"{key} = {value!r}: expected a whole number of at least 1")


def _distinct_texts(key: str, values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise InvalidInput(f"{key} = {values!r}: expected a list with at least one name")
    for value in values:
        _text(key, value)
    return _without_repeats(key, tuple(values))


def _distinct_seeds(key: str, values: object) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise InvalidInput(f"{key} = {values!r}: expected a list with at least one whole number")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidInput(f"{key}: {value!r} is no seed; expected whole numbers of at least 0")
    return _without_repeats(key, tuple(values))


def _without_repeats(key: str, values: tuple[_T, ...]) -> tuple[_T, ...]:
    for position, value in enumerate(values):
        if value in values[:position]:
            raise InvalidInput(f"{key}: {value!r} is named twice; name each once")
    return values


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _hash(data: Mapping[str, object]) -> str:
    canonical = json.dumps(dict(data, version=_RESULTS_VERSION), sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=6).hexdigest()
