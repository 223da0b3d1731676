"""Turn texts into the signals a strategy reads: classifiers, encoders, and the caches between them."""
