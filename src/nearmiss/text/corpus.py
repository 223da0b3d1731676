"""Texts, their optional partners, their labels and the labels' names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from nearmiss.errors import InvalidData

__all__ = ["Corpus", "Splits", "Texts"]

LabelArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Texts:
    """A sequence of texts, or of text pairs.

    Attributes
    ----------
    first
        The texts.
    second
        Each one's partner, for tasks over pairs (paraphrase, inference); None otherwise.

    Raises
    ------
    InvalidData
        The two halves differ in length.

    Examples
    --------
    >>> texts = Texts(("good film", "bad film", "fine film"))
    >>> len(texts), texts.take([2, 0]).first
    (3, ('fine film', 'good film'))
    """

    first: tuple[str, ...]
    second: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.second is not None and len(self.second) != len(self.first):
            raise InvalidData(f"{len(self.first)} texts but {len(self.second)} second texts; each needs its partner")

    def __len__(self) -> int:
        return len(self.first)

    def joined(self, others: Texts) -> Texts:
        """Return these texts, then the others.

        Raises
        ------
        InvalidData
            One holds pairs and the other does not.

        Examples
        --------
        >>> Texts(("good film",)).joined(Texts(("bad film",))).first
        ('good film', 'bad film')
        """
        if (self.second is None) != (others.second is None):
            raise InvalidData("text pairs and single texts cannot stand in one list; give each text its partner")
        second = None if self.second is None or others.second is None else self.second + others.second
        both = Texts(self.first + others.first, second)
        if "digests" in self.__dict__ and "digests" in others.__dict__:  # as in ``take``
            both.__dict__["digests"] = self.digests + others.digests
        return both

    def take(self, indices: Sequence[int] | LabelArray) -> Texts:
        """Return the texts at these positions, in this order."""
        positions = np.asarray(indices, dtype=np.int64).tolist()
        second = None if self.second is None else tuple(map(self.second.__getitem__, positions))
        taken = Texts(tuple(map(self.first.__getitem__, positions)), second)
        if "digests" in self.__dict__:  # carry hashes along, so that a pool is hashed once, not once a round
            taken.__dict__["digests"] = tuple(map(self.digests.__getitem__, positions))
        return taken

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """A 128-bit content hash of each text (and partner), in hex: the key of every cache."""
        partners: Iterator[str] | tuple[None, ...]
        partners = iter(self.second) if self.second is not None else (None,) * len(self.first)
        return tuple(_digest(text, partner) for text, partner in zip(self.first, partners, strict=True))


def _digest(text: str, partner: str | None) -> str:
    raw = text.encode("utf-8", "surrogatepass")
    content = len(raw).to_bytes(8, "little") + raw  # length first: ("ab", "c") is not ("a", "bc")
    if partner is not None:
        content += partner.encode("utf-8", "surrogatepass") + b"pair"
    return blake2b(content, digest_size=16).hexdigest()


@dataclass(frozen=True)
class Corpus:
    """Texts with labels.

    Attributes
    ----------
    texts
        n texts or pairs.
    labels
        Class ids, shape (n,), int64, each an index into ``label_names``; None when nothing is labelled.
    label_names
        The C class names, in the order of their ids.
    name
        What reports call it.

    Raises
    ------
    InvalidData
        Lengths differ, or a label is outside ``label_names``.

    Examples
    --------
    >>> corpus = Corpus(Texts(("good film", "bad film")), np.array([1, 0]), ("negative", "positive"), "films")
    >>> corpus.n_classes, corpus.take([1]).labels
    (2, array([0]))
    """

    texts: Texts
    labels: LabelArray | None = None
    label_names: tuple[str, ...] = ()
    name: str = field(default="corpus", compare=False)

    def __post_init__(self) -> None:
        if self.labels is None:
            return
        if self.labels.shape != (len(self.texts),):
            raise InvalidData(f"{self.name}: {len(self.texts)} texts but labels of shape {self.labels.shape}")
        if len(self.labels) and (self.labels.min() < 0 or self.labels.max() >= len(self.label_names)):
            raise InvalidData(
                f"{self.name}: label ids run from {self.labels.min()} to {self.labels.max()}, "
                f"but there are {len(self.label_names)} label names; ids must be 0 to {len(self.label_names) - 1}"
            )

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def n_classes(self) -> int:
        """Number of classes, C."""
        return len(self.label_names)

    def gold(self) -> LabelArray:
        """Return the labels of a corpus that must have them.

        Raises
        ------
        InvalidData
            The corpus has no labels.
        """
        if self.labels is None:
            raise InvalidData(
                f"{self.name} has no labels; a simulation needs them (name the column with --label-column)"
            )
        return self.labels

    def take(self, indices: Sequence[int] | LabelArray) -> Corpus:
        """Return the rows at these positions, in this order."""
        labels = None if self.labels is None else self.labels[np.asarray(indices, dtype=np.int64)]
        return Corpus(self.texts.take(indices), labels, self.label_names, self.name)


@dataclass(frozen=True)
class Splits:
    """A dataset as an experiment uses it.

    Attributes
    ----------
    pool
        The training texts, whose labels the simulation hides.
    test
        Held-out texts, never acquired.
    validation
        For classifiers that stop early; None where the dataset has none.
    ood
        Out-of-domain test sets by name (paper Table 2).
    notes
        Sentences a reader of results must know: a capped pool, a guessed column, a smaller pool than the paper's.
    """

    pool: Corpus
    test: Corpus
    validation: Corpus | None = None
    ood: tuple[Corpus, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
