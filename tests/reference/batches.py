"""The measures of Table 3, one text and one pair at a time, as §6.1 prints them."""

import math
import statistics


def jaccard(texts, batch):
    """DIV.-I from lists of token ids."""
    within, without = set(), set()
    for row, text in enumerate(texts):
        (within if row in batch else without).update(text)
    return len(within & without) / len(within | without)


def feature_diversity(features, batch, rank=1):
    total = 0.0
    for x in features:
        total += sorted(math.dist(x, features[q]) for q in batch)[rank - 1]
    return 1 / (total / len(features))


def density(features, row, k=10, count_itself=False):
    """One over the mean distance; k grows until a neighbour that differs is counted."""
    others = sorted(math.dist(features[row], x) for i, x in enumerate(features) if i != row)
    counted = [0.0, *others] if count_itself else others
    while statistics.fmean(counted[:k]) == 0:
        k += 1
    return 1 / statistics.fmean(counted[:k])


def representativeness(features, batch, k=10):
    return 1 / statistics.fmean(density(features, row, k) for row in batch)
