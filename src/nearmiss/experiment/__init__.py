"""Whole experiments: what was asked for, the grid of runs, their journals, and the report."""
