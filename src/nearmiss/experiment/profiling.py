"""The profiles of one seed's runs: the worker's side of ``profiles``.

Definitions are those of the paper's §6.1. U is what was unlabelled when the first batch was chosen; the features are
those of the model trained on the initial set, in which every strategy of the seed chose that batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import CountVectorizer

from nearmiss.acquisition.base import Array, IndexArray, Signal
from nearmiss.analysis.batches import TokenIds, feature_diversity, input_diversity, knn_density, representativeness
from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.experiment.build import Bench
from nearmiss.experiment.events import EventListener, TaskFinished, TaskStarted
from nearmiss.experiment.journal import read_finished, run_directory
from nearmiss.experiment.profiles import profile_path, profile_title, write_profiles
from nearmiss.experiment.records import BatchProfile, RoundRecord
from nearmiss.experiment.spec import RunKey
from nearmiss.experiment.supervision import read_entropies, supervision_directory
from nearmiss.loop.streams import Streams
from nearmiss.models.base import PENULTIMATE, Encoding, WarmStarting
from nearmiss.models.encoder import load_encoder
from nearmiss.models.registry import classifier_options
from nearmiss.models.tokens import tokenize
from nearmiss.text.corpus import Texts

__all__ = ["carry_out_profile"]


def carry_out_profile(bench: Bench, seed: int, strategies: Iterable[str], out: Path, tell: EventListener) -> None:
    """Measure what these finished runs acquired, and write it.

    Raises
    ------
    InvalidData
        A run, or the training on the whole pool, is not there; or the runs began with different labels.
    """
    title = profile_title(seed)
    tell(TaskStarted(title))
    rounds = {strategy: _rounds(bench, RunKey(strategy, seed), out) for strategy in strategies}
    ground = _ground(bench, seed, out, rounds)
    profiles = {strategy: _profile(strategy, seed, ground, records) for strategy, records in rounds.items()}
    write_profiles(profile_path(out, bench.spec, seed), profiles)
    tell(TaskFinished(title, f"{len(profiles)} runs"))


@dataclass(frozen=True)
class _Ground:
    """What the runs of one seed are measured against.

    Attributes
    ----------
    unlabeled
        Pool rows that the initial set left, shape (u,), rising.
    tokens, features
        Of those rows, in that order.
    entropies
        Of every pool row, under the model trained on the whole pool, shape (n,).
    """

    unlabeled: IndexArray
    tokens: TokenIds
    features: Array
    entropies: npt.NDArray[np.float64]

    def places(self, rows: Iterable[int]) -> IndexArray:
        """Turn pool rows into places among the unlabelled ones."""
        return np.searchsorted(self.unlabeled, np.fromiter(rows, dtype=np.int64))


def _profile(strategy: str, seed: int, ground: _Ground, rounds: tuple[RoundRecord, ...]) -> BatchProfile:
    bought = list(chain.from_iterable(record.acquired for record in rounds[1:]))
    first = ground.places(rounds[1].acquired)
    density = knn_density(ground.features, first)
    return BatchProfile(
        strategy=strategy,
        seed=seed,
        input_diversity=input_diversity(ground.tokens, ground.places(bought)),
        first_input_diversity=input_diversity(ground.tokens, first),
        feature_diversity=feature_diversity(ground.features, first),
        uncertainty=float(ground.entropies[bought].mean()),
        representativeness=representativeness(density),
        density=float(density.mean()),
    )


def _rounds(bench: Bench, key: RunKey, out: Path) -> tuple[RoundRecord, ...]:
    directory = run_directory(out, bench.spec, key)
    run = read_finished(directory, key)
    if run is None or len(run.result.rounds) < 2:
        raise InvalidData(f"{directory} holds no finished run that bought a batch; run it first")
    return run.result.rounds


def _ground(bench: Bench, seed: int, out: Path, rounds: dict[str, tuple[RoundRecord, ...]]) -> _Ground:
    starts = {records[0].acquired for records in rounds.values()}
    if len(starts) != 1:
        raise InvalidData(f"the runs of seed {seed} in {out} begin with {len(starts)} different initial sets")
    initial = np.array(starts.pop(), dtype=np.int64)
    directory = supervision_directory(out, bench.spec, seed)
    entropies = read_entropies(directory)
    if entropies is None or len(entropies) != len(bench.pool):
        raise InvalidData(f"{directory} holds no training on this pool of {len(bench.pool)} texts; do it first")
    unlabeled = np.setdiff1d(np.arange(len(bench.pool)), initial)
    texts = bench.pool.texts.take(unlabeled)
    return _Ground(unlabeled, _tokens(bench, texts), _features(bench, seed, initial, texts), entropies)


def _features(bench: Bench, seed: int, initial: IndexArray, texts: Texts) -> Array:
    """Train the model that all strategies of a seed chose their first batch with, and read the texts with it."""
    classifier = bench.classifier
    streams = Streams(bench.spec.dataset, "batch profiles", seed)
    if isinstance(classifier, WarmStarting):
        classifier.restart()
    classifier.fit(
        bench.pool.texts.take(initial),
        bench.pool.gold()[initial],
        n_classes=bench.splits.test.n_classes,
        rng=streams.shared("fit", 0),
    )
    name = classifier.encoding if isinstance(classifier, Encoding) else PENULTIMATE
    inference = classifier.infer(texts, {Signal.FEATURES}, representations=(name,), rng=streams.shared("evaluation", 0))
    if name not in inference.representations:
        raise InvalidInput(f"the classifier gave no {name} features when asked for them")
    return inference.representations[name]


def _tokens(bench: Bench, texts: Texts) -> TokenIds:
    """Give the tokens the encoder reads; words where the classifier has no encoder."""
    choice = bench.spec.classifier
    options = {option.name: option.default for option in classifier_options(choice.name)} | dict(choice.options)
    if "model" not in options:
        return _words(texts)
    encoder = load_encoder(str(options["model"]), "cpu")
    tokens = tokenize(encoder, texts, int(str(options["max_length"])))
    kept = np.flatnonzero(~tokens.special)
    before = np.concatenate([[0], np.cumsum(~tokens.special)]).astype(np.int64)
    return TokenIds(tokens.ids[kept].astype(np.int64), before[tokens.offsets])


def _words(texts: Texts) -> TokenIds:
    """Give each word a number; a word is what TF-IDF counts, a run of two or more letters or digits in lower case."""
    analyze = CountVectorizer().build_analyzer()
    known: dict[str, int] = {}
    halves = zip(texts.first, texts.second or [""] * len(texts), strict=True)
    return TokenIds.of(
        [[known.setdefault(word, len(known)) for half in pair for word in analyze(half)] for pair in halves]
    )
