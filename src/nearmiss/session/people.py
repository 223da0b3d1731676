"""Who works on a project, how they sign in, and the sessions of those who have."""

from __future__ import annotations

import getpass
import hashlib
import secrets
import time
from dataclasses import dataclass

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.database import Database
from nearmiss.session.history import now

__all__ = ["People", "Person", "local_person"]

_LONGEST_NAME = 80
_SESSION_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who labels.

    Attributes
    ----------
    name
        What the history calls them.
    role
        ``owner`` may change labels, settings and people; ``annotator`` labels.
    signs_in
        Whether they have a password.
    """

    name: str
    role: str = "annotator"
    signs_in: bool = False


class People:
    """The people of a project. Passwords are stored as hashes that are made elsewhere.

    Parameters
    ----------
    database
        The project's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def every(self) -> tuple[Person, ...]:
        """List the people who may work on the project."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM person WHERE active ORDER BY added_at, name").fetchall()
        return tuple(Person(row["name"], row["role"], row["password"] is not None) for row in rows)

    def get(self, name: str) -> Person:
        """Find a person.

        Raises
        ------
        UnknownName
            There is none of that name.
        """
        known = {person.name: person for person in self.every()}
        if name not in known:
            raise UnknownName.among("person", name, known)
        return known[name]

    def add(self, name: str, *, role: str = "annotator", password_hash: str | None = None) -> Person:
        """Add a person, or change the role and password of one who is there.

        Raises
        ------
        InvalidInput
            The name is empty, too long or not printable, or the role unknown.
        """
        name = checked_name(name)
        if role not in ("owner", "annotator"):
            raise UnknownName.among("role", role, ("owner", "annotator"))
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO person (name, password, role, added_at, active) VALUES (?, ?, ?, ?, 1)"
                " ON CONFLICT (name) DO UPDATE SET role = excluded.role, active = 1,"
                " password = coalesce(excluded.password, password)",
                (name, password_hash, role, now()),
            )
            if password_hash is not None:  # whoever knew the old one is out
                connection.execute("DELETE FROM login WHERE person = ?", (name,))
        return self.get(name)

    def remove(self, name: str) -> None:
        """Let a person in no longer; what they said stays.

        Raises
        ------
        UnknownName
            There is none of that name.
        """
        self.get(name)
        with self._database.writing() as connection:
            connection.execute("UPDATE person SET active = 0, password = NULL WHERE name = ?", (name,))
            connection.execute("DELETE FROM login WHERE person = ?", (name,))
            connection.execute("DELETE FROM lease WHERE person = ?", (name,))

    def password_hash(self, name: str) -> str | None:
        """Give the hash of a person's password; None for one who has none, or whom nobody knows."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT password FROM person WHERE name = ? AND active", (name,)).fetchone()
        return None if row is None else row["password"]

    def create(self, person: str) -> str:
        """Sign a person in and give the token of the session; only its hash is kept."""
        token = secrets.token_urlsafe(32)
        with self._database.writing() as connection:
            connection.execute("DELETE FROM login WHERE expires < ?", (time.time(),))
            connection.execute(
                "INSERT INTO login (token_hash, person, expires) VALUES (?, ?, ?)",
                (_hash(token), person, time.time() + _SESSION_SECONDS),
            )
        return token

    def find(self, token: str) -> str | None:
        """Say whose session this is; None for a session that has ended, or never was."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT login.person FROM login JOIN person ON person.name = login.person"
                " WHERE token_hash = ? AND expires > ? AND person.active",
                (_hash(token), time.time()),
            ).fetchone()
        return None if row is None else str(row["person"])

    def end(self, token: str) -> None:
        """End a session."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM login WHERE token_hash = ?", (_hash(token),))


def checked_name(name: str) -> str:
    """Return a person's name as the project keeps it.

    Raises
    ------
    InvalidInput
        It is empty, too long or not printable.

    Examples
    --------
    >>> checked_name("  Ada   Lovelace ")
    'Ada Lovelace'
    """
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > _LONGEST_NAME or not cleaned.isprintable():
        raise InvalidInput(f"name {name!r}: give it 1 to {_LONGEST_NAME} printable characters")
    return cleaned


def local_person() -> str:
    """Name the person at this machine, as the system knows them."""
    try:
        return checked_name(getpass.getuser())
    except (OSError, KeyError, InvalidInput):
        return "me"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
