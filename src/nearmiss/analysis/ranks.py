"""Which functions rank higher over many datasets: mean ranks, the Friedman test, Nemenyi's critical difference.

The procedure is that of Demšar (2006), "Statistical Comparisons of Classifiers over Multiple Data Sets", §3.2: rank
the functions on every dataset, test whether all could be alike, and only if not ask which pairs differ. A dataset is
one observation. Its seeds are averaged first: they are repetitions on the same texts, and counting them as datasets
would claim far more evidence than there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from nearmiss.analysis.significance import LEVEL, ROUNDING
from nearmiss.errors import InvalidArray, InvalidInput

__all__ = [
    "MIN_DATASETS",
    "MIN_FUNCTIONS",
    "FriedmanTest",
    "RankComparison",
    "Scores",
    "compare_ranks",
    "critical_difference",
    "friedman",
    "mean_ranks",
]

FloatArray = npt.NDArray[np.float64]

#: Fewer datasets than this are not tested: each of four could move a mean rank by a quarter of the whole range.
MIN_DATASETS = 5
#: Fewer functions than this are not ranked: two are compared by a paired test, which loses less.
MIN_FUNCTIONS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One number per function in every row, where a row is a dataset, or a seed of a dataset; larger is better.

    Attributes
    ----------
    functions
        Distinct names, one per column.
    datasets
        One per row; a dataset with several seeds occurs once for each of them. Rows of one dataset are paired: in each
        of them all functions began with the same labels.
    values
        Shape (rows, functions), finite.

    Raises
    ------
    InvalidArray
        Shapes do not match, a function occurs twice, there is nothing, or a value is not finite.

    Examples
    --------
    >>> scores = Scores(("random", "cal"), ("sst2", "sst2", "imdb"), np.array([[0.8, 0.9], [0.7, 0.8], [0.6, 0.5]]))
    >>> scores.per_dataset().values.round(2).tolist()
    [[0.75, 0.85], [0.6, 0.5]]
    """

    functions: tuple[str, ...]
    datasets: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        shape = (len(self.datasets), len(self.functions))
        if 0 in shape or self.values.shape != shape:
            raise InvalidArray(
                f"{shape[0]} rows and {shape[1]} functions need values of shape {shape} without a zero,"
                f" got {self.values.shape}"
            )
        if len(set(self.functions)) != len(self.functions):
            raise InvalidArray(f"each function may occur once, got {self.functions}")
        if not np.isfinite(self.values).all():
            raise InvalidArray("the scores hold NaN or infinity; leave out datasets that lack one of the functions")

    def per_dataset(self) -> Scores:
        """Average the rows of each dataset; datasets keep the order in which they first occur."""
        names = tuple(dict.fromkeys(self.datasets))
        rows = np.array(self.datasets)
        return Scores(self.functions, names, np.stack([self.values[rows == name].mean(axis=0) for name in names]))


def _ranks(scores: Scores) -> FloatArray:
    """Rank each row, 1 the best, equals share their mean rank; shape (datasets, functions)."""
    if len(set(scores.datasets)) != len(scores.datasets):
        raise InvalidInput(
            f"{len(scores.datasets)} rows are of {len(set(scores.datasets))} datasets; seeds are no datasets,"
            " average them first with per_dataset()"
        )
    # On a grid of ROUNDING, so that equal numbers that differ by rounding error tie.
    scale = ROUNDING * max(1.0, float(np.abs(scores.values).max()))
    ranks: FloatArray = stats.rankdata(-np.round(scores.values / scale), axis=1)
    return ranks


def mean_ranks(scores: Scores) -> FloatArray:
    """Average over datasets the rank of each function, shape (k,): 1 is the best, k the worst, ties share their mean.

    Raises
    ------
    InvalidInput
        A dataset has several rows.

    Examples
    --------
    >>> scores = Scores(("a", "b", "c"), ("x", "y"), np.array([[0.9, 0.8, 0.8], [0.9, 0.95, 0.1]]))
    >>> mean_ranks(scores).tolist()
    [1.5, 1.75, 2.75]
    """
    means: FloatArray = np.mean(_ranks(scores), axis=0)
    return means


@dataclass(frozen=True, slots=True)
class FriedmanTest:
    """Whether all functions could have the same mean rank.

    Attributes
    ----------
    chi_squared
        Friedman's statistic, corrected for ties.
    f_statistic
        Iman and Davenport's F from it, less conservative; infinite when all datasets rank the functions alike.
    p_value
        Of F, with k − 1 and (k − 1)(N − 1) degrees of freedom; for an infinite F the probability that N random orders
        agree, (1/k!)^(N−1) without ties. 1 when all functions tie on every dataset.
    """

    chi_squared: float
    f_statistic: float
    p_value: float


def friedman(scores: Scores) -> FriedmanTest:
    """Test whether k functions differ over N datasets, with Iman and Davenport's correction (Demšar 2006, p. 11).

    Raises
    ------
    InvalidInput
        Fewer than three functions or two datasets, or a dataset has several rows.

    Examples
    --------
    >>> values = np.array([[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.7, 0.8, 0.6], [0.9, 0.8, 0.7], [0.6, 0.5, 0.4]])
    >>> test = friedman(Scores(("a", "b", "c"), tuple("vwxyz"), values))
    >>> round(test.chi_squared, 3), round(test.f_statistic, 3), round(test.p_value, 4)
    (8.4, 21.0, 0.0007)
    """
    ranks = _ranks(scores)
    n, k = ranks.shape
    if k < MIN_FUNCTIONS or n < 2:
        raise InvalidInput(f"the Friedman test needs at least 3 functions on 2 datasets, got {k} on {n}")
    if not np.ptp(ranks, axis=1).any():
        return FriedmanTest(0.0, 0.0, 1.0)
    chi_squared = float(stats.friedmanchisquare(*ranks.T).statistic)
    rest = n * (k - 1) - chi_squared
    if rest <= ROUNDING * n * k:
        return FriedmanTest(chi_squared, math.inf, _chance_of_agreement(ranks))
    f_statistic = (n - 1) * chi_squared / rest
    return FriedmanTest(chi_squared, f_statistic, float(stats.f.sf(f_statistic, k - 1, (k - 1) * (n - 1))))


def _chance_of_agreement(ranks: FloatArray) -> float:
    """Chance that random orders with these ties are all the same."""
    _, ties = np.unique(ranks[0], return_counts=True)
    log_orders = math.lgamma(ranks.shape[1] + 1) - sum(math.lgamma(t + 1) for t in ties.tolist())
    return math.exp(-(len(ranks) - 1) * log_orders)


def critical_difference(n_functions: int, n_datasets: int, level: float = LEVEL) -> float:
    """Compute Nemenyi's critical difference: mean ranks at least this far apart are shown to differ.

    q √(k(k + 1) / 6N), with q the studentised range of k groups at infinite degrees of freedom, over √2 (Demšar 2006,
    p. 12 and Table 5). It corrects for all k(k − 1)/2 pairs.

    Raises
    ------
    InvalidInput
        Fewer than two functions, no dataset, or a level that is not between 0 and 1.

    Examples
    --------
    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    if n_functions < 2 or n_datasets < 1:
        raise InvalidInput(f"a difference needs 2 functions and 1 dataset, got {n_functions} and {n_datasets}")
    if not 0 < level < 1:
        raise InvalidInput(f"a significance level lies between 0 and 1, got {level}")
    q = float(stats.studentized_range.isf(level, n_functions, np.inf)) / math.sqrt(2)
    return q * math.sqrt(n_functions * (n_functions + 1) / (6 * n_datasets))


@dataclass(frozen=True, slots=True)
class RankComparison:
    """Functions by their mean rank over datasets, and what the ranks allow one to say.

    Attributes
    ----------
    functions
        Best mean rank first; equals in the order given.
    mean_ranks
        Of ``functions``, ascending.
    n_datasets
        Number of datasets N.
    level
        Significance level of both tests.
    untested
        Why nothing was tested, as a sentence; None where it was. The next two are None when it is not.
    friedman
        Whether the functions differ at all.
    critical_difference
        Nemenyi's, in ranks.
    groups
        Functions not shown to differ from one another: the largest sets whose mean ranks all lie less than the
        critical difference apart, best first, each of two functions or more; the bars of a critical-difference plot.
        All functions where the Friedman test does not reject. Empty where nothing was tested.
    """

    functions: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    n_datasets: int
    level: float
    untested: str | None
    friedman: FriedmanTest | None
    critical_difference: float | None
    groups: tuple[tuple[str, ...], ...]

    @property
    def differ(self) -> bool:
        """Whether the Friedman test was made and rejects that all functions are alike."""
        return self.friedman is not None and self.friedman.p_value < self.level


def compare_ranks(scores: Scores, level: float = LEVEL) -> RankComparison:
    """Rank the functions, and test them where the datasets suffice for it.

    Nothing is tested with fewer than three functions, with fewer than five datasets, or where the critical difference
    is not below k − 1: no two mean ranks can lie farther apart, so nothing could be shown even if all datasets agreed.

    Raises
    ------
    InvalidInput
        A dataset has several rows, or the level is not between 0 and 1.

    Examples
    --------
    >>> values = np.array([[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.7, 0.8, 0.6], [0.9, 0.8, 0.7], [0.6, 0.5, 0.4]])
    >>> result = compare_ranks(Scores(("a", "b", "c"), tuple("vwxyz"), values))
    >>> result.mean_ranks, result.groups
    ((1.2, 1.8, 3.0), (('a', 'b'), ('b', 'c')))
    >>> compare_ranks(Scores(("a", "b", "c"), tuple("vw"), values[:2])).untested
    'too few datasets: a test of mean ranks needs at least 5, got 2'
    """
    means = mean_ranks(scores)
    n, k = scores.values.shape
    order = np.argsort(means, kind="stable")
    functions, ascending = tuple(scores.functions[i] for i in order), tuple(means[order].tolist())
    # The level is checked even where nothing is tested.
    difference = critical_difference(max(k, 2), n, level)
    untested = _why_untested(n, k, difference)
    if untested is not None:
        return RankComparison(functions, ascending, n, level, untested, None, None, ())
    test = friedman(scores)
    groups = (functions,) if test.p_value >= level else _groups(functions, ascending, difference)
    return RankComparison(functions, ascending, n, level, None, test, difference, groups)


def _why_untested(n: int, k: int, difference: float) -> str | None:
    if k < MIN_FUNCTIONS:
        return f"too few functions: a test of mean ranks needs at least {MIN_FUNCTIONS}, got {k}"
    if n < MIN_DATASETS:
        return f"too few datasets: a test of mean ranks needs at least {MIN_DATASETS}, got {n}"
    if difference >= k - 1:
        return (
            f"too few datasets: with {n}, mean ranks of {k} functions would have to lie {difference:.2f} apart,"
            f" and they can lie at most {k - 1} apart"
        )
    return None


def _groups(names: tuple[str, ...], ascending: tuple[float, ...], difference: float) -> tuple[tuple[str, ...], ...]:
    """Cut the longest stretches of names whose first and last rank differ by less than the difference."""
    ends = np.searchsorted(ascending, np.array(ascending) + difference - ROUNDING)
    reached, groups = 0, []
    for start, end in enumerate(ends.tolist()):
        # A stretch that ends where an earlier one ended lies within that one.
        if end > reached and end - start > 1:
            groups.append(names[start:end])
        reached = max(reached, end)
    return tuple(groups)
