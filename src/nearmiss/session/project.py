"""A labelling project: one folder, one way in.

::

    reviews.nearmiss/
        project.db         labels, history, queue: SQLite, one transaction a label
        models/            what the latest models say of every text
        cache/             what the encoder said of every text
        second-look.json   labels in doubt
        trainer.json       what the trainer is doing
        trainer.log        what it said when it failed
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from nearmiss._version import __version__
from nearmiss.errors import InvalidData, InvalidInput
from nearmiss.loop.streams import named_generator
from nearmiss.session.answers import AnswerSheet, Receipt, Submission
from nearmiss.session.browsing import Browser
from nearmiss.session.database import Database
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.history import now
from nearmiss.session.items import Added, NewItem, TextShelf
from nearmiss.session.labels import Label, LabelSet
from nearmiss.session.origins import Origin, Source
from nearmiss.session.people import People, local_person
from nearmiss.session.published import ModelFacts, PublishedModels
from nearmiss.session.queue import Pick, Queue, QueueEntry
from nearmiss.session.readings import Reading, write_reading
from nearmiss.session.settings import SettingsStore

__all__ = ["DATABASE", "Project"]

DATABASE = "project.db"
_TRAIN = "train"
_TRAINED = "trained"


@dataclass(frozen=True, slots=True)
class _Identity:
    uid: str
    name: str
    seed: int
    created_at: str


class Project:
    """Texts, what people say of them, and the model that learns from it.

    A project is opened, not constructed: ``Project.create(folder, ...)`` or ``Project.open(folder)``. The web page, the
    command line and Python work through the same object, at the same time if they like.

    Attributes
    ----------
    texts, labels, answers, queue, people, settings, models, browser
        The parts of the project, each with its own methods.
    folder, cache
        Where it is, and where the encoder's output is kept.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp(), "films.nearmiss")
    >>> with Project.create(folder, texts=["good film", "bad film", "fine film"], label_names=["no", "yes"]) as project:
    ...     first = project.ask(1)[0].item
    ...     receipt = project.tell(first.ref, "yes")
    ...     [project.labels.named("yes").texts, receipt.items == (first.id,)]
    [1, True]
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.folder = database.path.parent
        self.cache = self.folder / "cache"
        self._identity = _read_identity(database)
        self.texts = TextShelf(database)
        self.labels = LabelSet(database)
        self.answers = AnswerSheet(database)
        self.people = People(database)
        self.settings = SettingsStore(database)
        self.queue = Queue(database, self.settings, self._identity.seed)
        self.models = PublishedModels(database, self.folder / "models")
        self.browser = Browser(database, self.settings, self.models)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        texts: Sequence[str | NewItem] = (),
        label_names: Sequence[str] = (),
        name: str | None = None,
        seed: int = 0,
        source: str = "Python",
    ) -> Self:
        """Make a project in a folder that does not exist, or is empty.

        Raises
        ------
        InvalidInput
            The folder holds something, a text is empty, or a label name is taken or empty.
        """
        path = Path(folder).expanduser()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InvalidInput(f"{folder} holds something already; open it, or name a new folder")
        path.mkdir(parents=True, exist_ok=True)
        database = Database(path / DATABASE, create=True)
        try:
            with database.writing() as connection:
                connection.execute(
                    "INSERT INTO project (only_row, uid, name, seed, created_at, created_by) VALUES (1, ?, ?, ?, ?, ?)",
                    (secrets.token_hex(16), name or path.stem, seed, now(), f"nearmiss {__version__}"),
                )
                project = cls(database)
                project.people.add(local_person(), role="owner")
                project.labels.add_all(local_person(), [Label(0, label) for label in label_names])
                if texts:
                    project.add([NewItem(text) if isinstance(text, str) else text for text in texts], source=source)
        except BaseException:  # half a project would be in the way of the next attempt
            database.close()
            for left in path.glob(f"{DATABASE}*"):
                left.unlink()
            raise
        return project

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open a project.

        Raises
        ------
        InvalidData
            There is none, it is damaged, or a newer version wrote it.
        """
        return cls(Database(Path(folder).expanduser() / DATABASE))

    @property
    def uid(self) -> str:
        """What tells this project from all others."""
        return self._identity.uid

    @property
    def name(self) -> str:
        """What it is called."""
        return self._identity.name

    @property
    def seed(self) -> int:
        """What every random choice follows from."""
        return self._identity.seed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; everything told is on the disk already."""
        self.database.close()

    def add(self, items: Sequence[NewItem], *, source: str, person: str | None = None) -> Added:
        """Add texts; the same ones again are recognised.

        Raises
        ------
        InvalidInput
            As ``TextShelf.add``.
        """
        rng = named_generator(self.seed, "draw", self.texts.count())
        return self.texts.add(person or local_person(), items, source=source, rng=rng)

    def find_or_add(self, items: Sequence[NewItem], *, source: str, person: str | None = None) -> tuple[int, ...]:
        """Give the numbers of texts, adding those that are new; nothing is written when all are known.

        Raises
        ------
        InvalidInput
            As ``TextShelf.add``.
        """
        known = self.texts.find(items)
        if None in known:
            return self.add(items, source=source, person=person).ids
        return tuple(number for number in known if number is not None)

    def ask(self, n: int = 10, *, person: str | None = None) -> tuple[Pick, ...]:
        """Give the next n texts to label, best first; asking again without telling gives the next n.

        Raises
        ------
        InvalidInput
            n is not from 1 to 1000.
        """
        who = person or local_person()
        with self.database.writing() as connection:
            rows = connection.execute(
                "SELECT item FROM lease WHERE person = ? AND expires > ? ORDER BY item", (who, time.time())
            ).fetchall()
            return self.queue.next(who, n, [row["item"] for row in rows])

    def tell(self, ref: str, label: str | None, *, person: str | None = None, note: str = "") -> Receipt:
        """Label a text by the name it has in its file; None skips it. When this returns, the answer is on the disk.

        Raises
        ------
        InvalidInput
            There is no such text.
        UnknownName
            There is no such label; says which are near.
        """
        item = self.texts.named(ref).id
        kind = AnswerKind.SKIP if label is None else AnswerKind.LABEL
        number = None if label is None else self.labels.named(label).id
        return self.answers.submit(person or local_person(), Submission(item, kind, number, note=note))

    def tell_all(
        self, told: Mapping[int, int], *, person: str | None = None, source: Source = Source.IMPORT
    ) -> Receipt | None:
        """Label many texts, by numbers of texts and labels, as one act that is undone as one; None for no texts."""
        said = [Submission(item, AnswerKind.LABEL, label) for item, label in told.items()]
        return self.answers.submit_all(person or local_person(), said, Origin(source)) if said else None

    def request_training(self) -> None:
        """Ask the trainer for a model now, whether or not enough is new."""
        with self.database.writing() as connection:
            connection.execute(
                "INSERT INTO request (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1",
                (_TRAIN,),
            )

    def newest_event(self) -> int:
        """Give the number of the last event; 0 before the first."""
        with self.database.reading() as connection:
            return int(connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])

    def training_request(self) -> int:
        """Give the number of the last request for a model."""
        return self._request(_TRAIN)

    def training_requested(self) -> bool:
        """Say whether a model was asked for that has not come."""
        return self._request(_TRAIN) > self._request(_TRAINED)

    def publish(
        self,
        facts: ModelFacts,
        probabilities: npt.NDArray[np.float32],
        entries: Sequence[QueueEntry],
        drawn: Sequence[QueueEntry],
        request: int,
        reading: Reading | None = None,
        quality: str | None = None,
    ) -> ModelFacts:
        """Put a new model and its queue in use, with what it says of the checks, all at once.

        Parameters
        ----------
        reading
            What it says of the checks; None for a model that was asked about none: it is never measured.
        quality
            What they say of it, as `ModelQuality` writes it; None without checks.

        Raises
        ------
        NearmissError
            The disk refuses; the last model stays in use.
        """
        self.models.write_probabilities(facts.version, probabilities)
        with self.database.writing() as connection:
            self.models.publish(connection, facts)
            if reading is not None:
                write_reading(connection, facts.version, reading, quality)
            self.queue.replace(connection, entries, drawn)
            connection.execute("INSERT OR REPLACE INTO request (name, value) VALUES (?, ?)", (_TRAINED, request))
        self.models.prune()
        latest = self.models.latest()
        return facts if latest is None else latest

    def enqueue(self, entries: Sequence[QueueEntry]) -> None:
        """Put a queue in use that no model made."""
        with self.database.writing() as connection:
            self.queue.replace(connection, entries)

    def _request(self, name: str) -> int:
        with self.database.reading() as connection:
            row = connection.execute("SELECT value FROM request WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row["value"])


def _read_identity(database: Database) -> _Identity:
    with database.reading() as connection:
        row = connection.execute("SELECT * FROM project").fetchone()
    if row is None:
        raise InvalidData(f"{database.path} holds no project; it was left half made: remove its folder and begin again")
    return _Identity(row["uid"], row["name"], row["seed"], row["created_at"])
