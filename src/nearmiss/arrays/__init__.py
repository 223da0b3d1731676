"""Distances, divergences and nearest neighbours: arrays in, arrays out; knows nothing of text or models."""
