"""One round, then many: state, annotators, the initial set, measures, and the loop itself."""
