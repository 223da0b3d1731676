"""Labels to a target, walking along one curve at a time."""

import math
import statistics


def first_reach(n_labeled, values, target, linear=True):
    for i, (labels, value) in enumerate(zip(n_labeled, values, strict=True)):
        if value >= target:
            if i == 0 or not linear:
                return float(labels)
            share = (target - values[i - 1]) / (value - values[i - 1])
            return n_labeled[i - 1] + share * (labels - n_labeled[i - 1])
    return math.inf


def median(labels):
    """None unless more than half are known."""
    known = [n for n in labels if math.isfinite(n)]
    return statistics.median(labels) if 2 * len(known) > len(labels) else None
