"""Simulated labelling projects, in which everything is known: whether what a project says of itself is true."""
