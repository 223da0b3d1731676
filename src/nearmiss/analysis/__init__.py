"""What the results say: learning curves, paired comparisons with random."""
