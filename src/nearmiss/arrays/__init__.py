"""Distances, divergences, neighbours, seeding, k-means: arrays in, arrays out; knows nothing of text or models."""
