"""One module a page: ``routes(context)`` lists what it answers."""
