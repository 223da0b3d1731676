"""What the results say: learning curves, comparisons, ranks over datasets, labels saved, and what was acquired."""
