"""The labelling application measured and tormented, from outside, as its users meet it."""
