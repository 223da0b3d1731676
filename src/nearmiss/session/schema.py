"""The tables of a project, as numbered migrations.

``event`` and ``item`` are the truth and are only ever appended to: triggers refuse everything else. The tables of the
present (``label``, ``answer``, ``decision``, ``undone``, ``setting``, ``guideline``) follow from the events alone and
can be rebuilt from them (`projection.rebuild`). What remains is working state that nobody would miss: leases, sessions,
the queue, the list of models.
"""

from __future__ import annotations

import sqlite3

from nearmiss.errors import InvalidData

__all__ = ["LATEST", "migrate"]

_APPEND_ONLY = """
CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""

_FIRST = (
    "CREATE TABLE project (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), uid TEXT NOT NULL, name TEXT NOT NULL,"
    " seed INTEGER NOT NULL, created_at TEXT NOT NULL, created_by TEXT NOT NULL) STRICT",
    # draw: the item's place in a random order of the pool, which audits and fallbacks follow.
    "CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, ref TEXT NOT NULL UNIQUE, text TEXT NOT NULL, pair TEXT,"
    " meta TEXT NOT NULL, digest TEXT NOT NULL, draw INTEGER NOT NULL) STRICT",
    "CREATE INDEX item_draw ON item (draw)",
    "CREATE INDEX item_digest ON item (digest)",
    "CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, person TEXT NOT NULL,"
    " kind TEXT NOT NULL, item INTEGER REFERENCES item (id), batch TEXT, key TEXT UNIQUE, body TEXT NOT NULL) STRICT",
    "CREATE INDEX event_item ON event (item, person, seq) WHERE item IS NOT NULL",
    "CREATE INDEX event_person ON event (person, seq)",
    "CREATE INDEX event_batch ON event (batch) WHERE batch IS NOT NULL",
    *(_APPEND_ONLY.format(table=table, verb=verb) for table in ("event", "item") for verb in ("UPDATE", "DELETE")),
    # The present.
    "CREATE TABLE label (id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL, color TEXT NOT NULL,"
    " key TEXT NOT NULL, position INTEGER NOT NULL, retired INTEGER NOT NULL,"
    " merged_into INTEGER REFERENCES label (id)) STRICT",
    "CREATE TABLE undone (event INTEGER PRIMARY KEY REFERENCES event (seq), by INTEGER NOT NULL) STRICT",
    "CREATE TABLE answer (item INTEGER NOT NULL REFERENCES item (id), person TEXT NOT NULL, event INTEGER NOT NULL,"
    " at TEXT NOT NULL, kind TEXT NOT NULL, label INTEGER REFERENCES label (id), stands INTEGER NOT NULL,"
    " note TEXT NOT NULL, seconds REAL, PRIMARY KEY (item, person)) STRICT, WITHOUT ROWID",
    "CREATE INDEX answer_person ON answer (person, event)",
    "CREATE INDEX answer_label ON answer (label)",
    "CREATE TABLE decision (item INTEGER PRIMARY KEY REFERENCES item (id), label INTEGER REFERENCES label (id),"
    " answers INTEGER NOT NULL, disputed INTEGER NOT NULL, settled INTEGER NOT NULL, audit INTEGER NOT NULL,"
    " event INTEGER NOT NULL) STRICT",
    "CREATE INDEX decision_label ON decision (label)",
    "CREATE INDEX decision_disputed ON decision (item) WHERE disputed",
    "CREATE INDEX decision_begun ON decision (event) WHERE answers > 0 AND NOT settled",
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "CREATE TABLE guideline (version INTEGER PRIMARY KEY, text TEXT NOT NULL, at TEXT NOT NULL,"
    " person TEXT NOT NULL) STRICT",
    # Working state.
    "CREATE TABLE person (name TEXT PRIMARY KEY, password TEXT, role TEXT NOT NULL, added_at TEXT NOT NULL,"
    " active INTEGER NOT NULL) STRICT",
    "CREATE TABLE login (token_hash TEXT PRIMARY KEY, person TEXT NOT NULL, expires REAL NOT NULL) STRICT",
    "CREATE TABLE lease (item INTEGER NOT NULL REFERENCES item (id), person TEXT NOT NULL, expires REAL NOT NULL,"
    " origin TEXT NOT NULL, PRIMARY KEY (item, person)) STRICT, WITHOUT ROWID",
    "CREATE TABLE queue (position INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES item (id),"
    " origin TEXT NOT NULL) STRICT",
    # Texts about to be drawn at random, explained like the others: nothing must tell an audit from a pick.
    "CREATE TABLE drawn (item INTEGER PRIMARY KEY REFERENCES item (id), origin TEXT NOT NULL) STRICT",
    "CREATE TABLE model (version INTEGER PRIMARY KEY, at TEXT NOT NULL, facts TEXT NOT NULL) STRICT",
    "CREATE TABLE request (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "CREATE VIRTUAL TABLE item_words USING fts5 (text, pair, content='item', content_rowid='id',"
    " tokenize='unicode61 remove_diacritics 2')",
)

_SECOND = (
    # Words or examples of a label, one a line: they find its first texts.
    "ALTER TABLE label ADD COLUMN seeds TEXT NOT NULL DEFAULT ''",
    # The label each model gives to the audits and the next texts of the random order: models of the past can then be
    # measured by the audits of today. And what was found of it, once it was: quality, and worth of the labels.
    "CREATE TABLE reading (version INTEGER PRIMARY KEY REFERENCES model (version), items BLOB NOT NULL,"
    " labels BLOB NOT NULL, quality TEXT, worth TEXT) STRICT",
)

_THIRD = (
    # Where checks are drawn by the model's doubt, their order; the others among these texts have none.
    "ALTER TABLE drawn ADD COLUMN place INTEGER",
)

_MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SECOND, _THIRD)

#: The number of the newest form of the tables.
LATEST = len(_MIGRATIONS)
#: Marks the file as ours ("near" in ASCII).
APPLICATION = 0x6E656172


def migrate(connection: sqlite3.Connection, where: str) -> None:
    """Bring the tables to their newest form, one numbered step after another, each whole or not at all.

    Raises
    ------
    InvalidData
        The file was written by a newer version.

    Examples
    --------
    >>> connection = sqlite3.connect(":memory:", isolation_level=None)
    >>> migrate(connection, "project.db")
    >>> connection.execute("PRAGMA user_version").fetchone()[0] == LATEST
    True
    """
    if _version(connection) == LATEST and _application(connection) == APPLICATION:
        return
    while True:
        connection.execute("BEGIN IMMEDIATE")  # another process may be migrating too: look again under the lock
        try:
            version = _version(connection)
            strange = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
            if strange and _application(connection) != APPLICATION:
                raise InvalidData(f"{where} is a database, but no nearmiss project; name another folder")
            if version > LATEST:
                raise InvalidData(
                    f"{where} was written by a newer nearmiss (its form is {version}, this one knows {LATEST}); "
                    "mend it with: pip install --upgrade nearmiss"
                )
            if version == LATEST:
                return
            for statement in _MIGRATIONS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _application(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA application_id").fetchone()[0])


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
