"""The texts nearest to words, examples and names of labels: how a label without texts finds its first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt
from scipy import sparse

from nearmiss.acquisition.base import Array
from nearmiss.arrays.distances import normalize_rows
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.session.clues import Sought
from nearmiss.session.ground import Ground
from nearmiss.session.origins import Origin
from nearmiss.session.queue import QueueEntry
from nearmiss.text.corpus import Texts

__all__ = ["mixed", "seek"]

#: So many texts nearest to its seeds are candidates for a label; after so many it is given up.
_CANDIDATES, PATIENCE = 100, 20
#: A cosine up to this is rounding.
_NOTHING_ALIKE = 1e-6


def seek(
    sought: Sequence[Sought],
    texts: Texts,
    vectors: Callable[[Texts], Array],
    ground: Ground,
    *,
    origin: Origin,
    n: int,
) -> tuple[QueueEntry, ...]:
    """Find at most n open texts near the seeds of labels, one for each label in turn.

    Of the 100 texts nearest to a label's seeds, those come first that lie nearer to them than to any other label's.
    After 20, answered ones included, a label is given up: where nobody gave it to any of them, its seeds say too
    little, and the picks are better spent.

    Parameters
    ----------
    texts, vectors
        All texts, and what turns texts into vectors that need no label.
    origin
        Of every pick; its strategy and score are filled in. The score is the cosine of the angle to the nearest seed
        less that to the nearest seed of another label.
    """
    if not sought or not len(texts) or n < 1:
        return ()
    features = normalize_rows(vectors(texts))
    seeds = [normalize_rows(vectors(_as_texts(each.words, texts))) for each in sought]
    closed = set(ground.closed_rows.tolist())
    chosen: dict[int, QueueEntry] = {}
    waiting = [(each, iter(_nearest(features, seeds, place))) for place, each in enumerate(sought)]
    while waiting and len(chosen) < n:
        still = []
        for each, nearest in waiting[: n - len(chosen)]:
            found = next((near for near in nearest if near.row not in closed and near.row not in chosen), None)
            if found is not None:
                reason = replace(origin, strategy=each.strategy, score=round(found.score, 6))
                chosen[found.row] = QueueEntry(found.row + 1, reason)
                still.append((each, nearest))
        waiting = still
    return tuple(chosen.values())


@dataclass(frozen=True, slots=True)
class _Near:
    """A text near the seeds of a label, by its row, and how much nearer it is to them than to others."""

    row: int
    score: float


def _nearest(features: Array, seeds: Sequence[Array], place: int) -> list[_Near]:
    """List the texts to look for a label among: nearest to its seeds, those first that are near no other's."""
    rows = np.unique(nearest_neighbors(seeds[place], features, _CANDIDATES).indices)
    near = features[rows]
    cosines = np.column_stack([_cosines(near, other).max(axis=1) for other in seeds])
    own, rivals = cosines[:, place], np.delete(cosines, place, axis=1)
    scores = own - (rivals.max(axis=1) if rivals.shape[1] else 0.0)
    order = np.argsort(-scores, kind="stable")
    alike = order[own[order] > _NOTHING_ALIKE]  # by words, most texts have nothing to do with a seed
    return [_Near(int(rows[k]), float(scores[k])) for k in alike[:PATIENCE]]


def _cosines(features: Array, seeds: Array) -> npt.NDArray[np.float64]:
    """Give the cosines of the angles between rows of norm 1, shape (n, m)."""
    product = features @ seeds.T
    return np.asarray(product.toarray() if isinstance(product, sparse.csr_array) else product, dtype=np.float64)


def _as_texts(words: tuple[str, ...], texts: Texts) -> Texts:
    """Give seeds the form of the project's texts; among pairs, each is its own partner."""
    return Texts(words, None if texts.second is None else words)


def mixed(found: Sequence[QueueEntry], others: Sequence[QueueEntry], every: int = 2) -> tuple[QueueEntry, ...]:
    """Put every so-manieth pick from those that were looked for among the others; no text comes twice.

    Examples
    --------
    >>> from nearmiss.session.origins import Source
    >>> one = lambda item: QueueEntry(item, Origin(Source.COVER))
    >>> [entry.item for entry in mixed([one(1), one(2)], [one(7), one(1), one(8), one(9)], every=3)]
    [7, 8, 1, 9, 2]
    """
    taken = {entry.item for entry in found}
    rest: Iterator[QueueEntry] = (entry for entry in others if entry.item not in taken)
    order: list[QueueEntry] = []
    for entry in found:
        order += islice(rest, every - 1)
        order.append(entry)
    return (*order, *rest)
