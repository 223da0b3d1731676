"""Texts, the files they come from, and the named datasets."""
