"""Which labelling page each person loaded last: only that one is handed texts, and gives them back when it is left."""

from __future__ import annotations

import secrets

__all__ = ["LatestPages"]


class LatestPages:
    """The labelling pages that are open, the last one of each person.

    When a page is loaded anew, requests of the old one may still be under way, and the browser tells that it is left
    only after the new one has its texts; without knowing which page speaks, the server would take those.

    Examples
    --------
    >>> pages = LatestPages()
    >>> first, second = pages.opened("ann"), pages.opened("ann")
    >>> pages.is_latest("ann", first), pages.is_latest("ann", second)
    (False, True)
    """

    def __init__(self) -> None:
        self._latest: dict[str, str] = {}

    def opened(self, person: str) -> str:
        """Note that a person loads the page, and give that page a name."""
        self._latest[person] = secrets.token_hex(8)
        return self._latest[person]

    def is_latest(self, person: str, page: str) -> bool:
        """Say whether this is the page that the person loaded last, or the first to speak since the server started."""
        return self._latest.setdefault(person, page) == page
