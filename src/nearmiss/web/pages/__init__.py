"""One module a page: its ``routes(context)`` lists what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import Route

from nearmiss.web.context import Context
from nearmiss.web.pages import (
    api,
    browse,
    bulk,
    items,
    label,
    people,
    progress,
    second_look,
    settings,
    settle,
    training,
    transfer,
    welcome,
)

__all__ = ["PAGES"]

#: Every page, in the order in which routes are tried.
PAGES: tuple[Callable[[Context], Sequence[Route]], ...] = (
    label.routes,
    api.routes,
    browse.routes,
    bulk.routes,
    items.routes,
    settle.routes,
    second_look.routes,
    progress.routes,
    settings.routes,
    training.routes,
    people.routes,
    transfer.routes,
    welcome.routes,
)
