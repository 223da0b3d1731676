"""Ranks, groups and wins by comparing every pair."""

from itertools import combinations


def ranks(row):
    """1 + how many are better + half of how many others are equal."""
    return [1 + sum(y > x for y in row) + (sum(y == x for y in row) - 1) / 2 for x in row]


def mean_ranks(table):
    rows = [ranks(row) for row in table]
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def friedman(table):
    """Demšar 2006, p. 11, without correction for ties: chi-squared and Iman and Davenport's F."""
    n, k = len(table), len(table[0])
    chi_squared = 12 * n / (k * (k + 1)) * (sum(r**2 for r in mean_ranks(table)) - k * (k + 1) ** 2 / 4)
    return chi_squared, (n - 1) * chi_squared / (n * (k - 1) - chi_squared)


def groups(names, means, difference):
    """All sets of two or more in which no two differ, less those within a larger one."""
    alike = [
        set(chosen)
        for size in range(2, len(names) + 1)
        for chosen in combinations(range(len(names)), size)
        if all(abs(means[i] - means[j]) < difference for i, j in combinations(chosen, 2))
    ]
    return {frozenset(names[i] for i in a) for a in alike if not any(a < b for b in alike)}


def wins(table, tolerance):
    k = len(table[0])
    return [[sum(row[i] - row[j] > tolerance for row in table) for j in range(k)] for i in range(k)]
