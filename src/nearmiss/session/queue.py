"""Which text a person sees next: the model's picks, audits mixed in, and nobody given what another is reading."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nearmiss.errors import InvalidInput
from nearmiss.loop.streams import named_generator
from nearmiss.session.database import Database
from nearmiss.session.items import Item, as_item
from nearmiss.session.origins import Origin, Source
from nearmiss.session.settings import Settings, SettingsStore

__all__ = ["Pick", "Queue", "QueueEntry"]

_MOST_AT_ONCE = 1000
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
_QUEUED = (
    f"SELECT item.*, queue.origin FROM queue JOIN item ON item.id = queue.item WHERE {_OPEN} ORDER BY position LIMIT 1"
)
# Where several people answer a text, those that some have answered come first, or they would wait for ever.
_BEGUN = f"""
    SELECT item.*, json_extract(event.body, '$.origin') AS origin FROM decision
    JOIN item ON item.id = decision.item JOIN event ON event.seq = decision.event
    WHERE decision.answers > 0 AND NOT decision.settled AND {_OPEN} ORDER BY decision.event LIMIT 1
"""
_DRAWN = f"""
    SELECT item.*, (SELECT origin FROM drawn WHERE drawn.item = item.id) AS origin
    FROM item WHERE draw > :floor AND {_OPEN} ORDER BY draw LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A text to ask about, and why; the queue is a list of these, best first."""

    item: int
    origin: Origin


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


class Queue:
    """The order in which texts are asked about, and who has which.

    Parameters
    ----------
    database, settings
        The project's.
    seed
        Decides which picks are audits.
    """

    def __init__(self, database: Database, settings: SettingsStore, seed: int) -> None:
        self._database = database
        self._settings = settings
        self._seed = seed
        #: How far each person has come in the random order: what lies before is not looked at again until the end.
        self._floors: dict[str, int] = {}

    def next(self, person: str, n: int, held: Sequence[int] = ()) -> tuple[Pick, ...]:
        """Hand a person n more texts, fewer where no more are open to them.

        Picks come from the queue; a share of them (``audit_share``) are random draws instead, at places that depend on
        the seed, the person and how much they have answered, and on nothing that they could see.

        Parameters
        ----------
        held
            The texts the person has already; they stay theirs.

        Raises
        ------
        InvalidInput
            n is not from 1 to 1000.
        """
        if not 1 <= n <= _MOST_AT_ONCE:
            raise InvalidInput(f"asked for {n} texts at once; ask for 1 to {_MOST_AT_ONCE}")
        settings = self._settings.read()
        picks: list[Pick] = []
        with self._database.writing() as connection:
            moment = time.time()
            self._renew(connection, person, held, moment + settings.lease_seconds)
            connection.execute("DELETE FROM lease WHERE expires <= ?", (moment,))
            answered = connection.execute("SELECT count(*) FROM answer WHERE person = ?", (person,)).fetchone()[0]
            for place in range(answered + len(held), answered + len(held) + n):
                taken = [*held, *(pick.item.id for pick in picks)]
                pick = self._pick(connection, person, place, taken, settings, moment)
                if pick is None:
                    break
                picks.append(pick)
                connection.execute(
                    "INSERT OR REPLACE INTO lease (item, person, expires, origin) VALUES (?, ?, ?, ?)",
                    (pick.item.id, person, moment + settings.lease_seconds, json.dumps(pick.origin.as_json())),
                )
        return tuple(picks)

    def renew(self, person: str, held: Sequence[int]) -> None:
        """Keep a person's texts theirs for another while, and give back the rest of what they had."""
        until = time.time() + self._settings.read().lease_seconds
        with self._database.writing() as connection:
            self._renew(connection, person, held, until)

    def leave(self, person: str) -> None:
        """Give back all that a person has: somebody else may see it at once."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM lease WHERE person = ?", (person,))

    def origin(self, person: str, item: int) -> Origin | None:
        """Say how a text came before a person; None when they do not have it."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT origin FROM lease WHERE item = ? AND person = ?", (item, person)
            ).fetchone()
        return None if row is None else Origin.from_json(row["origin"])

    def order(self) -> tuple[int, ...]:
        """List the texts of the queue by number, first the one to label first."""
        with self._database.reading() as connection:
            return tuple(row["item"] for row in connection.execute("SELECT item FROM queue ORDER BY position"))

    def upcoming_draws(self, n: int) -> tuple[int, ...]:
        """List the texts that come next in the random order, by number; nobody has answered them."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id FROM item WHERE NOT EXISTS (SELECT 1 FROM answer WHERE answer.item = item.id)"
                " ORDER BY draw LIMIT ?",
                (n,),
            )
            return tuple(row["id"] for row in rows)

    def replace(
        self, connection: sqlite3.Connection, entries: Sequence[QueueEntry], drawn: Sequence[QueueEntry] = ()
    ) -> None:
        """Put a new order in the place of the old one, as part of a larger change; what is handed out stays.

        Parameters
        ----------
        entries
            The queue, best first.
        drawn
            What the model says of texts that are about to be drawn at random.
        """
        connection.execute("DELETE FROM queue")
        connection.execute("DELETE FROM drawn")
        connection.executemany(
            "INSERT INTO drawn (item, origin) VALUES (?, ?)",
            [(entry.item, json.dumps(entry.origin.as_json())) for entry in drawn],
        )
        connection.executemany(
            "INSERT INTO queue (position, item, origin) VALUES (?, ?, ?)",
            [
                (position, entry.item, json.dumps(entry.origin.as_json()))
                for position, entry in enumerate(entries, start=1)
            ],
        )

    def _renew(self, connection: sqlite3.Connection, person: str, held: Sequence[int], until: float) -> None:
        kept = json.dumps(list(held))
        connection.execute(
            "DELETE FROM lease WHERE person = ? AND item NOT IN (SELECT value FROM json_each(?))", (person, kept)
        )
        connection.execute("UPDATE lease SET expires = ? WHERE person = ?", (until, person))

    def _pick(
        self,
        connection: sqlite3.Connection,
        person: str,
        place: int,
        taken: Sequence[int],
        settings: Settings,
        moment: float,
    ) -> Pick | None:
        asked = {
            "person": person,
            "held": json.dumps(list(taken)),
            "now": moment,
            "overlap": settings.overlap,
            "shared": round(settings.overlap_share * (_SHARE_BITS + 1)),
        }
        if settings.overlap > 1 and settings.overlap_share > 0:
            row = connection.execute(_BEGUN, asked).fetchone()
            if row is not None:
                return Pick(as_item(row), Origin.from_json(row["origin"]))
        audit = named_generator(self._seed, "audit", person, place).random() < settings.audit_share
        row = None if audit else connection.execute(_QUEUED, asked).fetchone()
        if row is not None:
            return Pick(as_item(row), Origin.from_json(row["origin"]))
        row = self._drawn(connection, asked)
        if row is None:
            return None
        source = Source.AUDIT if audit else Source.RANDOM
        known = Origin(source) if row["origin"] is None else Origin.from_json(row["origin"])
        return Pick(as_item(row), replace(known, source=source))

    def _drawn(self, connection: sqlite3.Connection, asked: dict[str, object]) -> sqlite3.Row | None:
        """Take the next text of the random order; what came back meanwhile (undone, lease run out) is taken last."""
        person = str(asked["person"])
        for floor in (self._floors.get(person, -1), -1):
            row: sqlite3.Row | None = connection.execute(_DRAWN, {**asked, "floor": floor}).fetchone()
            if row is not None:
                self._floors[person] = row["draw"] - 1
                return row
        return None
