"""How often one function beats another: counted run by run, or only where a test shows it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from nearmiss.analysis.ranks import Scores
from nearmiss.analysis.significance import LEVEL, ROUNDING, PairedDifference, holm, paired_difference
from nearmiss.errors import InvalidInput

__all__ = ["WinMatrix", "count_shown_wins", "count_wins"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class WinMatrix:
    """Wins, ties and losses of every ordered pair of k functions.

    Attributes
    ----------
    functions
        Names of rows and columns.
    wins
        How often the row's function beats the column's, shape (k, k), 0 on the diagonal.
    ties
        How often neither beats the other, shape (k, k), symmetric, 0 on the diagonal.
    untested
        How often the pair could not be tested, shape (k, k), symmetric; 0 where nothing is tested but counted.
    n
        Comparisons of each pair: off the diagonal wins + ties + losses + untested.
    """

    functions: tuple[str, ...]
    wins: IntArray
    ties: IntArray
    untested: IntArray
    n: int

    @property
    def losses(self) -> IntArray:
        """How often the column's function beats the row's, shape (k, k)."""
        return self.wins.T.copy()


def count_wins(scores: Scores, tolerance: float = ROUNDING) -> WinMatrix:
    """Count for each pair of functions the rows, each a dataset and seed, where the larger value is the first's.

    A count, not a test: it says nothing about chance. For datasets instead of runs, pass ``scores.per_dataset()``.

    Parameters
    ----------
    scores
        Larger is better.
    tolerance
        Values at most this far apart are a tie, relative to values of magnitude 1 and above.

    Raises
    ------
    InvalidInput
        The tolerance is negative or not finite.

    Examples
    --------
    >>> scores = Scores(("random", "cal"), ("x", "x", "y"), np.array([[0.8, 0.9], [0.7, 0.7], [0.6, 0.5]]))
    >>> matrix = count_wins(scores)
    >>> matrix.wins.tolist(), matrix.ties.tolist()
    ([[0, 1], [1, 0]], [[0, 1], [1, 0]])
    """
    if not 0 <= tolerance < np.inf:
        raise InvalidInput(f"a tolerance is at least 0 and finite, got {tolerance}")
    n, k = scores.values.shape
    slack = tolerance * max(1.0, float(np.abs(scores.values).max()))
    wins = (scores.values[:, :, None] - scores.values[:, None, :] > slack).sum(axis=0, dtype=np.int64)
    ties = n - wins - wins.T
    np.fill_diagonal(ties, 0)
    return WinMatrix(scores.functions, wins, ties, np.zeros((k, k), dtype=np.int64), n)


def count_shown_wins(scores: Scores, level: float = LEVEL) -> WinMatrix:
    """Count for each pair of functions the datasets where a paired test over seeds shows the first to be better.

    On each dataset every pair is compared by a two-sided paired t-test over the seeds, and Holm's correction is
    applied across the pairs of that dataset; a difference that is not shown is a tie, which is not proof of equality.
    What cannot be tested, a dataset with one seed or the same difference in every seed, counts as untested.

    Parameters
    ----------
    scores
        Larger is better; one row per dataset and seed.
    level
        The chance of any false claim on one dataset stays below this.

    Raises
    ------
    InvalidInput
        The level is not between 0 and 1.

    Examples
    --------
    >>> values = np.array([[0.80, 0.90], [0.70, 0.81], [0.60, 0.72], [0.60, 0.50]])
    >>> matrix = count_shown_wins(Scores(("random", "cal"), ("x", "x", "x", "y"), values))
    >>> matrix.wins.tolist(), matrix.untested.tolist()
    ([[0, 0], [1, 0]], [[0, 1], [1, 0]])
    """
    if not 0 < level < 1:
        raise InvalidInput(f"a significance level lies between 0 and 1, got {level}")
    k = len(scores.functions)
    wins, ties, untested = (np.zeros((k, k), dtype=np.int64) for _ in range(3))
    names, rows = tuple(dict.fromkeys(scores.datasets)), np.array(scores.datasets)
    for name in names:
        values = scores.values[rows == name]
        differences = {(i, j): paired_difference(values[:, i], values[:, j]) for i, j in combinations(range(k), 2)}
        adjusted = _adjusted(differences)
        for (i, j), difference in differences.items():
            p_value = adjusted.get((i, j))
            if p_value is None:
                _count_both(untested, i, j)
            elif p_value >= level:
                _count_both(ties, i, j)
            else:
                better, worse = (i, j) if difference.mean > 0 else (j, i)
                wins[better, worse] += 1
    return WinMatrix(scores.functions, wins, ties, untested, len(names))


def _adjusted(differences: dict[tuple[int, int], PairedDifference]) -> dict[tuple[int, int], float]:
    """Holm-adjusted p-values of those pairs that could be tested."""
    tested = {pair: d.p_value for pair, d in differences.items() if d.p_value is not None}
    return dict(zip(tested, holm(list(tested.values())).tolist(), strict=True))


def _count_both(counts: IntArray, i: int, j: int) -> None:
    counts[i, j] += 1
    counts[j, i] += 1
