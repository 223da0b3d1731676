"""Who may do what: the gate before every route, signing in, and passwords."""
