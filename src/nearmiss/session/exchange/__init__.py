"""Labelled texts in and out, in the forms of other tools."""
