"""The labelling application in a browser: server-rendered pages over ``nearmiss.session``."""
