"""Uncertainty scores, one text and one class at a time, from probabilities."""

import math

import numpy as np


def entropy_of(p):
    return -sum(q * math.log(q) for q in p if q > 0)


def entropy(probs):
    return np.array([entropy_of(p) for p in probs])


def least_confidence(probs):
    return np.array([1 - max(p) for p in probs])


def margin(probs):
    scores = []
    for p in probs:
        first, second = sorted(p, reverse=True)[:2]
        scores.append(-(first - second))
    return np.array(scores)


def bald(sampled_probs):
    """Score (S, n, C): entropy of the mean prediction less mean entropy (Houlsby et al. 2011, eq. 2)."""
    n_samples, n, _ = sampled_probs.shape
    scores = []
    for i in range(n):
        mean = sum(sampled_probs[s, i] for s in range(n_samples)) / n_samples
        scores.append(entropy_of(mean) - sum(entropy_of(sampled_probs[s, i]) for s in range(n_samples)) / n_samples)
    return np.array(scores)
