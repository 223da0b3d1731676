"""One module a page: its ``routes(context)`` lists what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import Route

from nearmiss.web.context import Context
from nearmiss.web.pages import api, label

__all__ = ["PAGES"]

#: Every page, in the order in which routes are tried.
PAGES: tuple[Callable[[Context], Sequence[Route]], ...] = (label.routes, api.routes)
