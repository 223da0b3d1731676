"""Which text a person sees next: the model's picks, audits mixed in, and nobody given what another is reading."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

from nearmiss.errors import InvalidInput
from nearmiss.loop.streams import named_generator
from nearmiss.session.candidates import Candidates, Floors, Pick
from nearmiss.session.database import Database
from nearmiss.session.origins import Origin
from nearmiss.session.settings import SettingsStore

__all__ = ["Pick", "Queue", "QueueEntry", "share_of_checks"]

_MOST_AT_ONCE = 1000
#: Below such a width of the interval, so much of the share of random checks: narrower still would take very many.
_THINNED = ((0.1, 0.25), (0.2, 0.5))
#: Seconds for which it is known how a text came before a person who has given it back: their answer may be on its way.
_REMEMBERED = 3600.0


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A text to ask about, and why; the queue is a list of these, best first."""

    item: int
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
        self._floors: dict[str, Floors] = {}

    def next(self, person: str, n: int, held: Sequence[int] = ()) -> tuple[Pick, ...]:
        """Hand a person n more texts, fewer where no more are open to them.

        Picks come from the queue; a share of them are random draws instead (`share_of_checks`), at places that depend
        on the seed, the person and how much they have answered, and on nothing that they could see.

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
            connection.execute("DELETE FROM lease WHERE expires <= ?", (moment - _REMEMBERED,))
            answered = connection.execute("SELECT count(*) FROM answer WHERE person = ?", (person,)).fetchone()[0]
            share = share_of_checks(settings.audit_share, _width(connection))
            floors = self._floors.setdefault(person, Floors())
            with Candidates(connection, settings, person, held, moment, floors) as candidates:
                for place in range(answered + len(held), answered + len(held) + n):
                    pick = candidates.take(self._is_audit(person, place, share))
                    if pick is None:
                        break
                    picks.append(pick)
            connection.executemany(
                "INSERT OR REPLACE INTO lease (item, person, expires, origin) VALUES (?, ?, ?, ?)",
                [
                    (pick.item.id, person, moment + settings.lease_seconds, json.dumps(pick.origin.as_json()))
                    for pick in picks
                ],
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
            self._renew(connection, person, (), time.time())

    def origin(self, person: str, item: int) -> Origin | None:
        """Say how a text came before a person; None when they do not have it."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT origin FROM lease WHERE item = ? AND person = ? AND expires > ?", (item, person, time.time())
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
            What the model says of texts that are about to be drawn at random. Those with a weight are the checks that
            come next, in this order; without any, checks follow the random order of the texts.
        """
        connection.execute("DELETE FROM queue")
        connection.execute("DELETE FROM drawn")
        connection.executemany(
            "INSERT OR REPLACE INTO drawn (item, origin, place) VALUES (?, ?, ?)",
            [
                (entry.item, json.dumps(entry.origin.as_json()), None if entry.origin.weight is None else place)
                for place, entry in enumerate(drawn)
            ],
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
            "UPDATE lease SET expires = min(expires, ?) WHERE person = ?"
            " AND item NOT IN (SELECT value FROM json_each(?))",
            (time.time(), person, kept),
        )
        connection.execute(
            "UPDATE lease SET expires = ? WHERE person = ? AND item IN (SELECT value FROM json_each(?))",
            (until, person, kept),
        )

    def _is_audit(self, person: str, place: int, share: float) -> bool:
        return bool(named_generator(self._seed, "audit", person, place).random() < share)


def share_of_checks(share: float, width: float) -> float:
    """Give the share of random checks: fewer, once the accuracy is known well.

    Parameters
    ----------
    share
        What was set: it holds while little is known.
    width
        Of the interval of the accuracy, from 0 to 1; 1 where nothing is known.

    Examples
    --------
    >>> [share_of_checks(0.2, width) for width in (1.0, 0.15, 0.08)]
    [0.2, 0.1, 0.05]
    """
    return share * next((part for narrow, part in _THINNED if width < narrow), 1.0)


def _width(connection: sqlite3.Connection) -> float:
    row = connection.execute(
        "SELECT json_extract(quality, '$.accuracy.interval.high') - json_extract(quality, '$.accuracy.interval.low')"
        " AS width FROM reading WHERE quality IS NOT NULL ORDER BY version DESC LIMIT 1"
    ).fetchone()
    return 1.0 if row is None else float(row["width"])
