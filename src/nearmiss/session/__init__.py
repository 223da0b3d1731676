"""A labelling project that lasts: what people answered, what to ask next, and the model in between."""
