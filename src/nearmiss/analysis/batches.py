"""What a strategy tends to acquire: the four measures of Table 3 (Margatina et al. 2021, §6.1), as printed there.

U is the pool before the batch was taken, Q the batch, Φ a feature array over U. Distances are Euclidean. Where the
authors' code measures something else, the difference is a named argument, and the default is the paper's text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from nearmiss.arrays.divergence import as_log_probs, entropy
from nearmiss.arrays.neighbors import nearest_neighbors
from nearmiss.arrays.tensors import Dense, Matrix, take_rows, to_numpy
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = ["TokenIds", "feature_diversity", "input_diversity", "knn_density", "mean_entropy", "representativeness"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: K of the kNN-density in the paper.
K = 10


@dataclass(frozen=True, slots=True, eq=False)
class TokenIds:
    """Token ids of n texts, one after the other, by whatever tokenizer.

    Leave out what the tokenizer adds to every text ([CLS], padding): such tokens say nothing about overlap.

    Attributes
    ----------
    ids
        Integers, shape (t,): the first text's tokens, then the second's; repetitions are allowed.
    offsets
        Where each text begins, and t at the end, shape (n + 1,).

    Raises
    ------
    InvalidArray
        Not integers, or offsets that do not run from 0 to t without falling.

    Examples
    --------
    >>> tokens = TokenIds(np.array([7, 8, 7, 9]), np.array([0, 2, 2, 4]))
    >>> len(tokens)
    3
    """

    ids: IntArray
    offsets: IntArray

    def __post_init__(self) -> None:
        if any(array.ndim != 1 or array.dtype.kind not in "iu" for array in (self.ids, self.offsets)):
            raise InvalidArray(
                "token ids and offsets are flat arrays of integers, got"
                f" {self.ids.dtype} of shape {self.ids.shape} and {self.offsets.dtype} of shape {self.offsets.shape}"
            )
        ends = self.offsets[[0, -1]].tolist() if len(self.offsets) else []
        if ends != [0, len(self.ids)] or (self.offsets[1:] < self.offsets[:-1]).any():
            raise InvalidArray(
                f"offsets run from 0 to the {len(self.ids)} token ids without falling, got {self.offsets}"
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, texts: Sequence[Iterable[int]]) -> Self:
        """Lay the token ids of each text, as a list or a set, end to end.

        Examples
        --------
        >>> TokenIds.of([[7, 8], [], {9}]).offsets.tolist()
        [0, 2, 2, 3]
        """
        rows = [np.fromiter(text, dtype=np.int64) for text in texts]
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return cls(np.concatenate([np.empty(0, dtype=np.int64), *rows]), offsets)


def input_diversity(tokens: TokenIds, batch: npt.ArrayLike) -> float:
    """Compute DIV.-I: the Jaccard similarity of the token set of Q and the token set of U without Q, 0 to 1.

    The paper reads high as diverse: the batch then uses much of the vocabulary that the rest of the pool uses. Two
    things to know before comparing: it grows with the size of the batch (more texts, more distinct tokens), and with
    the length of the texts chosen. Compare batches of one size from one pool.

    Parameters
    ----------
    tokens
        Of the n texts of U, those of Q among them.
    batch
        Rows of Q, shape (b,), distinct. Where Q is all of U, nothing is left to share tokens with: 0.

    Raises
    ------
    InvalidArray
        The rows are not distinct rows of U, there are none, or no text of U has a token.

    Examples
    --------
    >>> tokens = TokenIds.of([[1, 2], [2, 3], [3, 4]])
    >>> input_diversity(tokens, [0])  # {1, 2} against {2, 3, 4}
    0.25
    """
    rows = _batch_rows(batch, len(tokens))
    vocabulary, places = np.unique(tokens.ids, return_inverse=True)
    if len(vocabulary) == 0:
        raise InvalidArray(f"none of the {len(tokens)} texts has a token; their overlap has no value")
    chosen = np.zeros(len(tokens), dtype=bool)
    chosen[rows] = True
    of_batch = np.repeat(chosen, np.diff(tokens.offsets))
    within = np.bincount(places[of_batch], minlength=len(vocabulary)) > 0
    without = np.bincount(places[~of_batch], minlength=len(vocabulary)) > 0
    # Every token of the vocabulary is in one of the two sets, so the vocabulary is their union.
    return float(np.count_nonzero(within & without) / len(vocabulary))


def feature_diversity(features: Matrix, batch: npt.ArrayLike, *, rank: int = 1) -> float:
    """Compute DIV.-F: one over the mean distance from an item of U to the nearest item of Q (Zhdanov 2019).

    High is diverse: no item of U is far from the batch, so the batch covers the feature space. It carries the unit
    of one over a distance: values of different models or representations do not compare, and it grows with the size
    of the batch.

    Parameters
    ----------
    features
        Φ(x) for all x in U, those of Q among them (their distance is 0), shape (n, d), dense or CSR.
    batch
        Rows of Q, shape (b,), distinct.
    rank
        Which neighbour in Q counts: 1 is the nearest, as printed. The authors' code takes the second nearest (2) for
        every item, which spares an item of Q the distance to itself, and every other item its nearest neighbour too.

    Raises
    ------
    InvalidInput
        The rank is not between 1 and b; or the mean distance is 0, as every item of U equals one of Q.
    InvalidArray
        The rows are not distinct rows of U, there are none, or a feature is not finite.

    Examples
    --------
    >>> line = np.array([[0.0], [1.0], [4.0], [5.0]])
    >>> feature_diversity(line, [0, 2])  # distances 0, 1, 0, 1
    2.0
    >>> feature_diversity(line, [0, 1])  # distances 0, 0, 3, 4
    0.5714285714285714
    """
    rows = _batch_rows(batch, features.shape[0])
    if not 1 <= rank <= len(rows):
        raise InvalidInput(f"asked for neighbour {rank} in a batch of {len(rows)}; ask for one between 1 and that")
    found = nearest_neighbors(features, take_rows(features, rows), rank)
    mean = float(found.distances[:, rank - 1].mean())
    if mean == 0:
        raise InvalidInput(
            f"all {features.shape[0]} items lie at distance 0 from the batch, so one over the mean distance has no"
            " value; measure in a representation that tells the texts apart"
        )
    return 1 / mean


def mean_entropy(log_probs: Dense) -> float:
    """Compute UNC.: the mean predictive entropy of a batch in nats, from 0 to log C.

    High is uncertain. In the paper the predictions are those of the model trained on the whole pool, and the batch is
    all that was acquired by the end: what a good model still finds hard, not what the acquiring model did.

    Parameters
    ----------
    log_probs
        Log-probabilities of the texts of Q alone, shape (b, C).

    Raises
    ------
    InvalidArray
        Not log-probabilities, or the batch is empty.

    Examples
    --------
    >>> round(mean_entropy(np.log([[0.5, 0.5], [1.0, 1e-300]])), 4)
    0.3466
    """
    checked = as_log_probs(log_probs, "log-probabilities of the batch")
    if len(checked) == 0:
        raise InvalidArray("the batch is empty; a mean needs at least one text")
    return float(to_numpy(entropy(checked)).mean())


def knn_density(
    features: Matrix, rows: npt.ArrayLike | None = None, *, k: int = K, count_itself: bool = False
) -> FloatArray:
    """Compute the kNN-density: one over the mean distance from an item to its k nearest in U (Zhu et al. 2008).

    High is dense: the item lies among others and is less likely an outlier. The unit is one over a distance, so
    densities compare within one representation only.

    An item with k or more equals in U is at mean distance 0 from its k nearest, and its density would be infinite.
    For such an item alone, k grows until one neighbour that differs is counted: with e equals, and the nearest
    different item at distance δ, the density is (e + 1) / δ, or (e + 2) / δ with the item itself counted. It is finite,
    and the higher the more equals there are.

    Parameters
    ----------
    features
        Φ(x) for all x in U, shape (n, d), dense or CSR.
    rows
        Items whose density is wanted, shape (b,), distinct; all of U when None.
    k
        Neighbours counted; 10 in the paper.
    count_itself
        Whether the item is one of its own k nearest, at distance 0. As printed it is not. The authors' code asks for
        11 neighbours among which the item itself is: ``k=11, count_itself=True``, 11/10 of the printed density.

    Returns
    -------
    FloatArray
        Shape (b,), positive and finite, in the order of ``rows``.

    Raises
    ------
    InvalidInput
        U has too few items for k neighbours, k leaves no neighbour, or all items of U are equal.
    InvalidArray
        The rows are not distinct rows of U, there are none, or a feature is not finite.

    Examples
    --------
    >>> line = np.array([[0.0], [1.0], [2.0], [10.0]])
    >>> knn_density(line, k=2).round(3).tolist()  # mean distances 1.5, 1, 1.5, 8.5
    [0.667, 1.0, 0.667, 0.118]
    >>> twins = np.array([[0.0], [0.0], [4.0]])
    >>> knn_density(twins, [0], k=1).tolist()  # one equal, then one at distance 4
    [0.5]
    """
    n = features.shape[0]
    wanted = np.arange(n) if rows is None else _batch_rows(rows, n)
    others = k - count_itself
    if others < 1:
        raise InvalidInput(f"k = {k} leaves no neighbour to measure; ask for at least {1 + count_itself}")
    if others >= n:
        raise InvalidInput(f"{others} neighbours need a pool of at least {others + 1} items, got {n}; lower k")
    means: FloatArray = _neighbor_distances(features, wanted, others).sum(axis=1) / k
    crowded = np.flatnonzero(means == 0)
    means[crowded] = _crowded_means(features, wanted[crowded], others, count_itself)
    densities: FloatArray = 1 / means
    return densities


def representativeness(densities: npt.ArrayLike) -> float:
    """Compute REPR. as printed: one over the mean kNN-density of the items of Q.

    **High means outlying**, although §6.2 of the paper reads high as representative: one over a mean density is the
    harmonic mean of the items' mean distances to their neighbours, a distance in disguise. For a number that rises
    with representativeness, report the mean of the densities beside it. A few items with very near neighbours pull
    it down strongly, as harmonic means are.

    Parameters
    ----------
    densities
        Of the items of Q, shape (b,), from `knn_density`.

    Raises
    ------
    InvalidArray
        There is no density, or one is not positive and finite.

    Examples
    --------
    >>> representativeness([0.5, 2.0])
    0.8
    """
    array = np.asarray(densities, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or not (np.isfinite(array) & (array > 0)).all():
        raise InvalidArray(f"expected one positive density per item of the batch, got {array}")
    return float(1 / array.mean())


def _neighbor_distances(features: Matrix, rows: IntArray, k: int) -> FloatArray:
    """Distances of each row to its k nearest others, nearest first."""
    # The item is at distance 0 from itself, and nothing is nearer, so the first column is its own, or as good as.
    return nearest_neighbors(take_rows(features, rows), features, k + 1).distances[:, 1:]


def _crowded_means(features: Matrix, rows: IntArray, k: int, count_itself: bool) -> FloatArray:
    """Mean distance of rows that equal their k nearest others, up to the first other that differs."""
    n, means = features.shape[0], np.zeros(len(rows))
    left = np.arange(len(rows))
    while len(left):
        if k == n - 1:
            raise InvalidInput(
                f"all {n} items are equal, so none has a density; measure in a representation that tells them apart"
            )
        k = min(2 * k, n - 1)
        distances = _neighbor_distances(features, rows[left], k)
        equals = np.argmax(distances > 0, axis=1)  # 0, and the distance there too, where all are equals
        means[left] = distances[np.arange(len(left)), equals] / (equals + 1 + count_itself)
        left = left[means[left] == 0]
    return means


def _batch_rows(batch: npt.ArrayLike, n: int) -> IntArray:
    rows = np.asarray(batch)
    if rows.ndim != 1 or rows.size == 0 or rows.dtype.kind not in "iu":
        raise InvalidArray(f"a batch is a list of at least one row number, got {rows.dtype} of shape {rows.shape}")
    if rows.min() < 0 or rows.max() >= n:
        raise InvalidArray(f"the batch names rows {rows.min()} to {rows.max()}; the pool has rows 0 to {n - 1}")
    if len(np.unique(rows)) != len(rows):
        raise InvalidArray(f"a row may occur once in a batch, got {len(rows) - len(np.unique(rows))} repetitions")
    return rows.astype(np.int64)
