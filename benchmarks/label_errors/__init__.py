"""How many of the labels that are listed for a second look are wrong, where the wrong ones are known."""
