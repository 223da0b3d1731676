"""The texts open to one person at one moment: begun by others, ranked by the model, or drawn at random."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from nearmiss.session.items import Item, as_item
from nearmiss.session.origins import Origin, Source
from nearmiss.session.settings import Settings

__all__ = ["Candidates", "Floors", "Pick"]

#: Shares of texts are told by the low bits of their place in the random order.
_SHARE_BITS = 65_535
# A text is open to a person who has not answered it, while it lacks answers, those being given included.
_OPEN = """
    NOT EXISTS (SELECT 1 FROM answer WHERE answer.item = item.id AND answer.person = :person AND answer.stands)
    AND item.id NOT IN (SELECT value FROM json_each(:held))
    AND coalesce((SELECT settled FROM decision WHERE decision.item = item.id), 0) = 0
    AND coalesce((SELECT answers FROM decision WHERE decision.item = item.id), 0)
      + (SELECT count(*) FROM lease WHERE lease.item = item.id AND lease.person <> :person AND lease.expires > :now)
      < CASE WHEN (item.draw & 65535) < :shared THEN :overlap ELSE 1 END
"""
_QUEUED = f"SELECT item.*, queue.origin FROM queue JOIN item ON item.id = queue.item WHERE {_OPEN} ORDER BY position"
_BEGUN = f"""
    SELECT item.*, json_extract(event.body, '$.origin') AS origin FROM decision
    JOIN item ON item.id = decision.item JOIN event ON event.seq = decision.event
    WHERE decision.answers > 0 AND NOT decision.settled AND decision.event > :floor AND {_OPEN}
    ORDER BY decision.event
"""
_DRAWN = f"""
    SELECT item.*, (SELECT origin FROM drawn WHERE drawn.item = item.id) AS origin
    FROM item WHERE draw > :floor AND {_OPEN} ORDER BY draw
"""
_WEIGHTED = f"""
    SELECT item.*, drawn.origin FROM drawn JOIN item ON item.id = drawn.item
    WHERE drawn.place IS NOT NULL AND {_OPEN} ORDER BY drawn.place
"""
#: How a text can have come before the first of several people, for the others to get it in the same way.
_HANDED_OUT = (Source.MODEL, Source.COVER, Source.RANDOM, Source.AUDIT)


@dataclass(frozen=True, slots=True)
class Pick:
    """A text handed to a person, theirs alone until the lease runs out.

    Attributes
    ----------
    item, origin
        The text, and how it was chosen.
    """

    item: Item
    origin: Origin


@dataclass(slots=True)
class Floors:
    """How far a person has come: what lies below is looked at again only when nothing else is left.

    Without it, every pick would walk over all that was answered before. What comes back meanwhile (a lease run out, an
    answer taken back) is so handed out last.

    Attributes
    ----------
    draw
        In the random order.
    event
        Among the texts that others have begun.
    """

    draw: int = -1
    event: int = 0


class Candidates:
    """Texts open to a person, each taken once; none is looked up before it is needed.

    Parameters
    ----------
    connection
        In a transaction; nothing is written through it while texts are taken.
    settings
        How many answers a text needs.
    person, held
        Who asks, and what they have already.
    moment
        Unix time: leases that end before it are over.
    floors
        Where the person stands; moved on here.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        settings: Settings,
        person: str,
        held: Sequence[int],
        moment: float,
        floors: Floors,
    ) -> None:
        self._connection = connection
        self._floors = floors
        self._shares = settings.overlap > 1 and settings.overlap_share > 0
        self._asked: dict[str, object] = {
            "person": person,
            "held": json.dumps(list(held)),
            "now": moment,
            "overlap": settings.overlap,
            "shared": round(settings.overlap_share * (_SHARE_BITS + 1)),
        }
        self._taken: set[int] = set()
        self._begun = self._begun_rows()
        self._queued = self._rows(_QUEUED, 0)
        self._weighted = self._rows(_WEIGHTED, 0)
        self._drawn = self._drawn_rows()
        self._late = self._rows(_BEGUN, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for rows in (self._begun, self._queued, self._weighted, self._drawn, self._late):
            rows.close()

    def take(self, audit: bool) -> Pick | None:
        """Take the next text; None when none is open.

        Where several people answer a text, those that some have answered come first: they would wait for ever else.

        Parameters
        ----------
        audit
            Whether a random draw is due in the place of the model's pick.
        """
        row = self._next(self._begun) if self._shares else None
        if row is None and not audit:
            row = self._next(self._queued)
            if row is not None:
                return Pick(as_item(row), Origin.from_json(row["origin"]))
        if row is None and audit:
            row = self._next(self._weighted)
            if row is not None:
                return Pick(as_item(row), replace(Origin.from_json(row["origin"]), source=Source.AUDIT))
        if row is None:
            row = self._next(self._drawn)
            if row is not None:
                source = Source.AUDIT if audit else Source.RANDOM
                known = Origin(source) if row["origin"] is None else Origin.from_json(row["origin"])
                return Pick(as_item(row), replace(known, source=source, weight=None))
        if row is None and self._shares:
            row = self._next(self._late)
        return None if row is None else Pick(as_item(row), _origin_of_first(row["origin"]))

    def _next(self, rows: Iterator[sqlite3.Row]) -> sqlite3.Row | None:
        for row in rows:
            if row["id"] not in self._taken:
                self._taken.add(row["id"])
                return row
        return None

    def _rows(self, query: str, floor: int) -> Generator[sqlite3.Row, None, None]:
        with closing(self._connection.execute(query, {**self._asked, "floor": floor})) as rows:
            yield from rows

    def _begun_rows(self) -> Generator[sqlite3.Row, None, None]:
        yield from self._rows(_BEGUN, self._floors.event)
        last = self._connection.execute("SELECT coalesce(max(event), 0) FROM decision").fetchone()[0]
        self._floors.event = int(last)

    def _drawn_rows(self) -> Generator[sqlite3.Row, None, None]:
        for floor in (self._floors.draw, -1):
            for row in self._rows(_DRAWN, floor):
                self._floors.draw = row["draw"] - 1
                yield row


def _origin_of_first(written: str | None) -> Origin:
    origin = Origin(Source.RANDOM) if written is None else Origin.from_json(written)
    return origin if origin.source in _HANDED_OUT else Origin(Source.RANDOM)
