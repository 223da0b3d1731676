"""Functions held against one of them, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from nearmiss.analysis.curves import LearningCurves, PairedCurves, pair
from nearmiss.analysis.significance import Comparison, PairedSample, compare

__all__ = ["compared", "paired_with"]

Measure = Callable[[LearningCurves], npt.NDArray[np.float64]]


def paired_with(reference: str, curves: Mapping[str, LearningCurves]) -> dict[str, PairedCurves]:
    """Cut every other function to the seeds and label counts it shares with the reference; none where they share none.

    Examples
    --------
    >>> counts = np.array([10, 20])
    >>> curves = {name: LearningCurves((0,), counts, np.array([[0.5, 0.6]])) for name in ("random", "cal")}
    >>> list(paired_with("random", curves))
    ['cal']
    """
    known = curves.get(reference)
    if known is None:
        return {}
    pairs = {name: pair(one, known) for name, one in curves.items() if name != reference}
    return {name: paired for name, paired in pairs.items() if paired is not None}


def compared(pairs: Mapping[str, PairedCurves], measure: Measure = LearningCurves.areas) -> dict[str, Comparison]:
    """Test every pair in a measure of the curves, by default the area, with Holm's correction over them all.

    Examples
    --------
    >>> counts = np.array([10, 20])
    >>> low = LearningCurves((0, 1), counts, np.array([[0.5, 0.6], [0.5, 0.6]]))
    >>> high = LearningCurves((0, 1), counts, np.array([[0.7, 0.8], [0.72, 0.8]]))
    >>> comparison = compared(paired_with("random", {"random": low, "cal": high}))["cal"]
    >>> str(comparison.verdict), round(comparison.difference.mean, 3)
    ('better', 0.205)
    """
    samples = [
        PairedSample(name, paired.curves.seeds, measure(paired.curves), measure(paired.reference))
        for name, paired in pairs.items()
    ]
    return {comparison.name: comparison for comparison in compare(samples)}
