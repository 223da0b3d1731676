"""What to label next: arrays in, indices out; one module per family."""
