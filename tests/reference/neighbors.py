"""Nearest neighbours by looking at every pair."""

import math
from fractions import Fraction

import numpy as np


def nearest(queries, references, k):
    """Return indices and distances, shape (n, k), nearest first, the lower row first among equals."""
    rows = [sorted((math.dist(q, r), j) for j, r in enumerate(references))[:k] for q in queries]
    return np.array([[j for _, j in row] for row in rows]), np.array([[d for d, _ in row] for row in rows])


def exact_squared_distance(x, y):
    """Return the squared distance as a fraction, without any rounding."""
    return sum(((Fraction(float(a)) - Fraction(float(b))) ** 2 for a, b in zip(x, y, strict=True)), Fraction(0))
