"""Real short texts, as many distinct ones as are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearmiss.errors import NearmissError
from nearmiss.text.corpus import Corpus, Texts
from nearmiss.text.datasets import load_dataset

__all__ = ["Source", "distinct_texts", "find_source"]

#: Where the wanted dataset cannot be had: short questions, part of the package.
FALLBACK = "banking77"
MAX_TEST = 872


@dataclass(frozen=True)
class Source:
    """A dataset of short texts, and how to find it."""

    name: str
    data_dir: str | None = None

    def corpora(self) -> tuple[Corpus, Corpus]:
        """Pool and test set."""
        splits = load_dataset(self.name, self.data_dir, max_test=MAX_TEST)
        return splits.pool, splits.test


def find_source(name: str, data_dir: str | None) -> Source:
    """Take the named dataset where it can be had, else the embedded one."""
    wanted = Source(name, data_dir)
    try:
        wanted.corpora()
    except NearmissError as error:
        print(f"{name} cannot be had ({error}); {FALLBACK} stands in", flush=True)
        return Source(FALLBACK)
    return wanted


def distinct_texts(corpus: Corpus, n: int, seed: int = 0) -> Corpus:
    """Give n distinct texts: those of the corpus in random order, then copies with a small edit, their labels kept."""
    rng = np.random.default_rng(seed)
    labels, order = corpus.gold(), rng.permutation(len(corpus))
    found = {corpus.texts.first[i]: int(labels[i]) for i in order[:n]}
    while len(found) < n:
        i, j = (int(each) for each in rng.integers(len(corpus), size=2))
        found.setdefault(_edited(corpus.texts.first[i], corpus.texts.first[j], rng), int(labels[i]))
    return Corpus(Texts(tuple(found)), np.array(list(found.values())), corpus.label_names, f"{corpus.name}, edited")


def _edited(text: str, other: str, rng: np.random.Generator) -> str:
    """Drop a word, swap two, or put in a word of another text."""
    words, donors = text.split(), other.split()
    place = int(rng.integers(max(1, len(words))))
    kind = int(rng.integers(3))
    if kind == 0 and len(words) > 2:
        del words[place]
    elif kind == 1 and len(words) > 2:
        words.insert(int(rng.integers(len(words))), words.pop(place))
    elif donors:
        words.insert(place, donors[int(rng.integers(len(donors)))])
    return " ".join(words)
