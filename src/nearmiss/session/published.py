"""The models of a project: their facts in the database, their predictions in files beside it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearmiss.errors import NearmissError
from nearmiss.session.database import Database
from nearmiss.session.history import now

__all__ = ["Guess", "ModelFacts", "PublishedModels"]

#: Folders of older models are removed; whoever still reads one keeps it open.
_KEPT = 2
_PROBABILITIES = "probabilities.npy"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of one model.

    Attributes
    ----------
    version, at
        From 1, and when it was ready.
    classifier, strategy
        What was trained, and what ranked the queue with it.
    labels
        The labels it can give, by number, in the order of its classes.
    trained_on
        How many labelled texts it learned from.
    seconds
        Training, prediction and ranking.
    cutoff
        The last event it knows of.
    audits, audits_right
        Audit texts that have a label, and those of them it labels the same; it learned from none of them.
    changed
        The share of all texts it labels otherwise than the model before it; None for the first.
    texts
        How many texts it has read.
    notes
        What must be known of it, in sentences.
    """

    version: int
    at: str
    classifier: str
    strategy: str
    labels: tuple[int, ...]
    trained_on: int
    seconds: float
    cutoff: int
    audits: int
    audits_right: int
    changed: float | None
    texts: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guess:
    """What a model says of a text: its likeliest labels by number, likeliest first, and their probabilities."""

    labels: tuple[int, ...]
    probabilities: tuple[float, ...]


class PublishedModels:
    """The models of a project.

    Parameters
    ----------
    database
        The project's.
    folder
        Where predictions are kept, one folder a model.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._opened: tuple[int, npt.NDArray[np.float16]] | None = None

    def history(self) -> tuple[ModelFacts, ...]:
        """List all models there ever were, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM model ORDER BY version").fetchall()
        return tuple(_as_facts(row) for row in rows)

    def latest(self) -> ModelFacts | None:
        """Give the model in use; None before the first."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM model ORDER BY version DESC LIMIT 1").fetchone()
        return None if row is None else _as_facts(row)

    def probabilities(self, version: int) -> npt.NDArray[np.float16] | None:
        """Map the class probabilities a model gives, shape (n, C): row i is text number i + 1.

        None where the files of that model are gone.
        """
        known = self._opened
        if known is not None and known[0] == version:
            return known[1]
        try:
            found: npt.NDArray[np.float16] = np.load(
                self._folder / f"{version:06}" / _PROBABILITIES, mmap_mode="r", allow_pickle=False
            )
        except (OSError, ValueError):
            return None
        self._opened = (version, found)
        return found

    def guess(self, item: int, n: int = 5) -> Guess | None:
        """Give what the model in use says of a text; None before there is one, or when it has not read the text."""
        return self.guesses([item], n).get(item)

    def guesses(self, items: Sequence[int], n: int = 5) -> dict[int, Guess]:
        """Give what the model in use says of several texts; those it has not read are left out."""
        facts = self.latest()
        values = None if facts is None else self.probabilities(facts.version)
        if facts is None or values is None:
            return {}
        guesses = {}
        for item in items:
            if item <= len(values):
                row = values[item - 1].astype(np.float64)
                best = np.argsort(-row, kind="stable")[:n]
                guesses[item] = Guess(
                    tuple(facts.labels[c] for c in best), tuple(round(float(row[c]), 4) for c in best)
                )
        return guesses

    def write_probabilities(self, version: int, values: npt.NDArray[np.floating]) -> None:
        """Put a model's class probabilities, shape (n, C), where ``probabilities`` finds them.

        Raises
        ------
        NearmissError
            The disk refuses.
        """
        folder = self._folder / f"{version:06}"
        partial = self._folder / f".{version:06}.{os.getpid()}"
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            np.save(partial / _PROBABILITIES, values.astype(np.float16), allow_pickle=False)
            shutil.rmtree(folder, ignore_errors=True)  # a training that never got to publish it
            partial.replace(folder)
        except OSError as error:
            raise NearmissError(f"cannot write the model's predictions to {folder}: {error.strerror}") from error

    def publish(self, connection: sqlite3.Connection, facts: ModelFacts) -> None:
        """Make a model the one in use, as part of a larger change."""
        body = {name: value for name, value in asdict(facts).items() if name not in ("version", "at")}
        connection.execute(
            "INSERT INTO model (version, at, facts) VALUES (?, ?, ?)", (facts.version, now(), json.dumps(body))
        )

    def prune(self) -> None:
        """Remove the predictions of models that are no longer in use."""
        facts = self.latest()
        if facts is None or not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            if folder.name.isdigit() and int(folder.name) <= facts.version - _KEPT:
                shutil.rmtree(folder, ignore_errors=True)


def _as_facts(row: sqlite3.Row) -> ModelFacts:
    body = json.loads(row["facts"])
    body["labels"], body["notes"] = tuple(body["labels"]), tuple(body["notes"])
    return ModelFacts(version=row["version"], at=row["at"], **body)
