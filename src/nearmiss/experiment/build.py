"""From names to objects: what a spec says, as the parts the loop drives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from nearmiss.acquisition.base import IndexArray, Signal, Signals, Strategy
from nearmiss.acquisition.gradient import Badge
from nearmiss.acquisition.registry import make_strategy, strategy_text
from nearmiss.errors import InvalidInput
from nearmiss.experiment.amounts import Amount
from nearmiss.experiment.features import resolve_features
from nearmiss.experiment.journal import RunFacts
from nearmiss.experiment.machine import worker_bytes
from nearmiss.experiment.spec import ClassifierChoice, ExperimentSpec, RunKey
from nearmiss.experiment.surprisal import SurprisalCache
from nearmiss.loop.annotators import Oracle
from nearmiss.loop.initial import cold_start_strategy, initial_set
from nearmiss.loop.rounds import Schedule, Simulation
from nearmiss.loop.signals import FeatureSource, SurprisalSource, all_needs, default_representation
from nearmiss.loop.streams import Streams, named_generator
from nearmiss.models.base import PENULTIMATE, Classifier, LabelFree, Validated, WarmStarting
from nearmiss.models.encoder import find_model, resolve_device
from nearmiss.models.inference import resolve_precision
from nearmiss.models.registry import classifier_options, make_classifier
from nearmiss.text.corpus import Corpus, Splits
from nearmiss.text.datasets import load_dataset
from nearmiss.text.stratify import stratified_sample

__all__ = ["Bench", "StrategyChoice", "load_bench"]


@dataclass(frozen=True, slots=True)
class StrategyChoice:
    """A strategy's text, taken apart.

    Attributes
    ----------
    strategy
        What the registry of strategies reads.
    features
        The representation named by the option ``features``; None for the classifier's own.

    Examples
    --------
    >>> StrategyChoice.parse("cal:k=5,features=tfidf")
    StrategyChoice(strategy='cal:k=5', features='tfidf')
    """

    strategy: str
    features: str | None = None

    @classmethod
    def parse(cls, text: str) -> StrategyChoice:
        """Take the option ``features`` out of a strategy's text."""
        name, _, options = text.partition(":")
        features: str | None = None
        others: list[str] = []
        for option in options.split(","):
            key, equals, value = option.partition("=")
            if key.strip() == "features" and equals:
                features = value.strip()
            elif option:
                others.append(option)
        return cls(name + (":" + ",".join(others) if others else ""), features)


@dataclass(frozen=True)
class Bench:
    """All that the runs of one experiment share.

    Attributes
    ----------
    spec
        What was asked for.
    splits
        The data, caps applied.
    schedule
        Labels at the start, a round, and in all, counted.
    classifier
        Trained afresh in every round.
    facts
        What each run's journal says it stands on.
    surprisal
        The masked language model's vectors, on disk.
    """

    spec: ExperimentSpec
    splits: Splits
    schedule: Schedule
    classifier: Classifier
    facts: RunFacts
    surprisal: SurprisalCache

    @property
    def pool(self) -> Corpus:
        """The pool."""
        return self.splits.pool

    @property
    def corpora(self) -> tuple[Corpus, ...]:
        """All texts that will be asked about, the pool first."""
        return (self.splits.pool, self.splits.test, *self.splits.ood)

    @property
    def worker_bytes(self) -> int:
        """Memory that one run will take, as far as it can be told beforehand."""
        options = _all_options(self.spec.classifier)
        if "model" not in options:
            return worker_bytes()
        weights = sum(path.stat().st_size for path in find_model(options["model"]).directory.glob("*.safetensors"))
        return worker_bytes(weights, trained=isinstance(self.classifier, WarmStarting))

    @property
    def on_accelerator(self) -> bool:
        """Whether the classifier computes elsewhere than on the processor."""
        options = _all_options(self.spec.classifier)
        return "device" in options and resolve_device(options["device"]).type != "cpu"

    def facts_of(self, key: RunKey) -> RunFacts:
        """Give the facts of a run, with what its reader must know beside the data's notes."""
        notes = self.facts.notes
        if self.reads_surprisal(key):
            notes += self.surprisal.notes()
        return replace(self.facts, notes=notes)

    def strategy(self, key: RunKey) -> Strategy:
        """Make the strategy of a run."""
        return make_strategy(StrategyChoice.parse(key.strategy).strategy)

    def features(self, key: RunKey) -> str | FeatureSource:
        """Find the representation in which a run's strategy measures distances."""
        named = StrategyChoice.parse(key.strategy).features
        if named is None:
            return default_representation(self.strategy(key), self.classifier)
        return resolve_features(named, self.classifier, self.spec.classifier)

    def reads_surprisal(self, key: RunKey) -> bool:
        """Say whether a run needs a masked language model."""
        return _reads_surprisal(self.strategy(key))

    def starts_from_surprisal(self) -> bool:
        """Say whether every run's initial set needs a masked language model."""
        strategy = cold_start_strategy(self.spec.initial_method)
        return strategy is not None and _reads_surprisal(strategy)

    def readers_of_surprisal(self, keys: Sequence[RunKey]) -> tuple[RunKey, ...]:
        """Pick the runs that need a masked language model, for their strategy or for their initial set."""
        everywhere = self.starts_from_surprisal()
        return tuple(key for key in keys if everywhere or self.reads_surprisal(key))

    def dispensable_readers_of_surprisal(self, keys: Sequence[RunKey]) -> tuple[str, ...]:
        """Name the strategies that can be left out where surprisal cannot be had; none if the initial sets need it."""
        if self.starts_from_surprisal():
            return ()
        return tuple(dict.fromkeys(key.strategy for key in self.readers_of_surprisal(keys)))

    def label_free_sources(self, keys: Sequence[RunKey]) -> dict[str, FeatureSource]:
        """Collect, by name, the fixed representations that these runs and their initial sets read."""
        named = {StrategyChoice.parse(key.strategy).features or PENULTIMATE: self.features(key) for key in keys}
        sources = {name: source for name, source in named.items() if not isinstance(source, str)}
        start = cold_start_strategy(self.spec.initial_method)
        if start is not None and Signal.FEATURES in all_needs(start):
            sources["initial set"] = self._before_labels
        return sources

    @property
    def _before_labels(self) -> FeatureSource:
        """What a cold start measures distances in."""
        if not isinstance(self.classifier, LabelFree):
            raise InvalidInput(
                f"initial-method = {self.spec.initial_method!r} needs vectors before any label, which the classifier "
                f"{self.spec.classifier.name!r} does not give; use 'stratified' or 'random'"
            )
        return self.classifier.label_free

    def simulation(self, key: RunKey) -> Simulation:
        """Put a run's parts together."""
        surprisal = self.surprisal.source()
        return Simulation(
            pool=self.pool.texts,
            test=self.splits.test,
            classifier=self.classifier,
            strategy=self.strategy(key),
            annotator=Oracle(self.pool.gold()),
            initial=partial(self._initial, surprisal),
            schedule=self.schedule,
            streams=Streams(self.spec.dataset, key.strategy, key.seed),
            features=self.features(key),
            surprisal=surprisal,
            ood=self.splits.ood,
        )

    def check(self, keys: Sequence[RunKey]) -> None:
        """Refuse early what would fail in every run: a strategy, a representation or an initial set not to be had."""
        for text in dict.fromkeys(key.strategy for key in keys):
            self._check_strategy(text)
        self._check_distinct()
        if cold_start_strategy(self.spec.initial_method) is None:
            self._initial(self.surprisal.source(), np.random.default_rng(0))

    def _check_distinct(self) -> None:
        """Refuse one strategy under two spellings: it would be run, and counted in the statistics, twice."""
        known: dict[tuple[str, str | None], str] = {}
        for text in self.spec.strategies:
            choice = StrategyChoice.parse(text)
            meant = strategy_text(make_strategy(choice.strategy)), choice.features
            if meant in known:
                raise InvalidInput(f"{known[meant]!r} and {text!r} are the same strategy; name it once")
            known[meant] = text

    def _check_strategy(self, text: str) -> None:
        key = RunKey(text, 0)
        strategy, features, named = self.strategy(key), self.features(key), StrategyChoice.parse(text).features
        needs = all_needs(strategy)
        if named is not None and Signal.FEATURES not in needs:
            raise InvalidInput(f"{text!r} names features, and this strategy reads none; leave features= out")
        if isinstance(strategy, Badge) and features != PENULTIMATE:
            raise InvalidInput(
                f"{text!r} names features, but this strategy's gradients are taken in the classifier's own last layer; "
                "leave features= out"
            )
        for signal in sorted(needs - self.classifier.gives - {Signal.SURPRISAL}):
            raise InvalidInput(
                f"{text!r} reads {signal}, which the classifier {self.spec.classifier.name!r} does not give; use a "
                "classifier that does, such as 'tuned', or leave this strategy out"
            )

    def _initial(self, surprisal: SurprisalSource, rng: np.random.Generator) -> IndexArray:
        method = self.spec.initial_method
        strategy = cold_start_strategy(method)
        signals = Signals()
        if strategy is not None:
            texts, needs = self.pool.texts, all_needs(strategy)
            signals = Signals(
                features=self._before_labels(texts) if Signal.FEATURES in needs else None,
                surprisal=surprisal(texts, rng) if Signal.SURPRISAL in needs else None,
            )
        return initial_set(
            method,
            self.schedule.initial,
            pool_size=len(self.pool),
            rng=rng,
            labels=self.pool.gold(),
            label_names=self.pool.label_names,
            signals=signals,
        )


def load_bench(spec: ExperimentSpec, out: Path, data_dir: Path | None) -> Bench:
    """Load the data and make the classifier that a spec names.

    Raises
    ------
    UnknownName, InvalidInput
        A name or option that is not to be had, or a budget that exceeds the pool.
    InvalidData, ModelUnavailable, MissingExtra
        The data or the model cannot be loaded.

    Examples
    --------
    >>> spec = ExperimentSpec("dbpedia-6k", ("random",), initial="1%", batch="2%", budget="15%", classifier="tfidf")
    >>> load_bench(spec, Path("unused"), None).schedule
    Schedule(initial=60, batch=120, budget=900)
    """
    classifier = make_classifier(spec.classifier.name, spec.classifier.options)
    splits = load_dataset(
        spec.dataset,
        data_dir,
        text_column=spec.text_column,
        pair_column=spec.pair_column,
        label_column=spec.label_column,
        max_pool=spec.max_pool,
        max_test=spec.max_test,
    )
    splits = replace(splits, validation=_validation(spec, splits, classifier))
    if splits.validation is not None and isinstance(classifier, Validated):
        classifier.validate_on(splits.validation.texts, splits.validation.gold())
    encoder = _encoder_of(spec.classifier)
    facts = RunFacts(
        data_digest=_digest(splits),
        pool_size=len(splits.pool),
        test_size=len(splits.test),
        notes=splits.notes,
        encoder=encoder.fingerprint if encoder else None,
        precision=encoder.precision if encoder else None,
        validation_size=len(splits.validation) if splits.validation else 0,
    )
    return Bench(
        spec=spec,
        splits=splits,
        schedule=_schedule(spec, len(splits.pool)),
        classifier=classifier,
        facts=facts,
        surprisal=SurprisalCache(out / "surprisal", spec, splits.pool.texts),
    )


@dataclass(frozen=True, slots=True)
class _EncoderFacts:
    fingerprint: str
    precision: str


def _encoder_of(choice: ClassifierChoice) -> _EncoderFacts | None:
    """Identify the pretrained encoder a classifier reads with; None for one that has none."""
    options = _all_options(choice)
    if "model" not in options:
        return None
    precision = resolve_precision(options["precision"], resolve_device(options["device"]))
    return _EncoderFacts(find_model(options["model"]).fingerprint, precision)


def _all_options(choice: ClassifierChoice) -> dict[str, Any]:
    options: dict[str, Any] = {option.name: option.default for option in classifier_options(choice.name)}
    return options | dict(choice.options)


def _validation(spec: ExperimentSpec, splits: Splits, classifier: Classifier) -> Corpus | None:
    """Draw, by class, the validation texts that the spec pays for."""
    if spec.validation is None:
        return None
    if not isinstance(classifier, Validated):
        raise InvalidInput(
            f"validation = {spec.validation!r}, but the classifier {spec.classifier.name!r} looks at no validation set;"
            " leave validation out, or use 'finetuned'"
        )
    if splits.validation is None:
        raise InvalidInput(
            f"validation = {spec.validation!r}, but {spec.dataset} has no validation split; leave it out"
        )
    amount = Amount.parse("validation", spec.validation).resolve(len(splits.validation))
    rows = stratified_sample(splits.validation.gold(), amount, named_generator(spec.dataset, "validation"))
    return splits.validation.take(rows)


def _schedule(spec: ExperimentSpec, pool_size: int) -> Schedule:
    initial, batch, budget = (
        Amount.parse(name, getattr(spec, name)).resolve(pool_size) for name in ("initial", "batch", "budget")
    )
    if budget > pool_size:
        raise InvalidInput(f"budget = {budget} labels, but the pool has only {pool_size} texts; lower the budget")
    return Schedule(initial, batch, budget)


def _reads_surprisal(strategy: Strategy) -> bool:
    return Signal.SURPRISAL in all_needs(strategy)


def _digest(splits: Splits) -> str:
    content = blake2b(digest_size=16)
    looked_at = (splits.validation,) if splits.validation is not None else ()
    for corpus in (splits.pool, splits.test, *splits.ood, *looked_at):
        content.update("\n".join((*corpus.texts.digests, *corpus.label_names)).encode("utf-8", "surrogatepass"))
        content.update(corpus.gold().astype("<i8").tobytes())
    return content.hexdigest()
