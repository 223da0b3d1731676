"""The real server under ``kill -9`` at random moments, while a client labels: is every acknowledged label there?"""

from __future__ import annotations

import random
import socket
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.labelling.client import Client, Server, Unanswered
from nearmiss.session.project import Project

__all__ = ["KillReport", "torment"]


@dataclass
class KillReport:
    """What became of the labels.

    Attributes
    ----------
    kills
        How often the server was killed.
    acknowledged
        Labels that the server said were saved.
    resent
        Labels that were sent again under the same key, because no answer had come.
    saved_unheard
        Those of them that had been saved all the same.
    lost, doubled, wrong
        Acknowledged labels that are not there, are there twice, or are others.
    problems
        What SQLite's integrity check found.
    """

    kills: int
    acknowledged: int
    resent: int
    saved_unheard: int
    lost: int
    doubled: int
    wrong: int
    problems: tuple[str, ...]


@dataclass
class _Labeler:
    """Labels as fast as the server answers, and remembers every acknowledgement."""

    client: Client
    labels: list[int]
    rng: random.Random
    acknowledged: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # key: item, label, event
    resent: int = 0
    unheard: int = 0

    def work(self, stop: threading.Event) -> None:
        waiting: list[int] = []
        while not stop.is_set():
            if not waiting:
                waiting = self._more(stop)
                if not waiting:
                    return
            item, label, key = waiting.pop(0), self.rng.choice(self.labels), str(uuid.uuid4())
            tried = 0
            while not stop.is_set():
                body = {"item": item, "kind": "label", "label": label, "key": key, "held": waiting, "want": 1}
                try:
                    saved = self.client.post("/api/answers", body)
                except Unanswered:
                    tried += 1
                    time.sleep(0.01)
                    continue
                self.acknowledged[key] = (item, label, saved["event"])
                self.resent += tried > 0
                self.unheard += bool(saved["repeated"])
                waiting += [each["id"] for each in saved["items"] if each["id"] not in waiting]
                break

    def _more(self, stop: threading.Event) -> list[int]:
        while not stop.is_set():
            try:
                found = self.client.post("/api/next", {"held": [], "want": 3})
            except Unanswered:
                time.sleep(0.01)
                continue
            return [each["id"] for each in found["items"]]
        return []


def torment(folder: Path, kills: int, seed: int, *, longest: float = 0.6) -> KillReport:
    """Label against a server that is killed and started again, then look at what is there.

    Parameters
    ----------
    folder
        A project with enough texts and at least two labels; opened here, and left closed.
    longest
        Seconds that the server lives at most after it was reached; it dies at a random moment before.
    """
    rng = random.Random(seed)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Project.open(folder) as project:
        labels = [label.id for label in project.labels.offered()]
    server = Server(folder, port)
    labeler = _Labeler(Client.enter(server.link), labels, rng)
    stop = threading.Event()
    thread = threading.Thread(target=labeler.work, args=(stop,))
    thread.start()
    for done in range(kills):
        if done:
            server = Server(folder, port)
        time.sleep(rng.uniform(0, longest))
        server.kill()
    stop.set()
    thread.join()
    labeler.client.close()
    return _judged(folder, kills, labeler)


def _judged(folder: Path, kills: int, labeler: _Labeler) -> KillReport:
    with Project.open(folder) as project:
        problems = project.database.problems()
        with project.database.reading() as connection:
            rows = connection.execute("SELECT seq, item, key, body FROM event WHERE kind = 'answered'").fetchall()
            present = {row["item"]: row["label"] for row in connection.execute("SELECT item, label FROM answer")}
    keys = Counter(row["key"] for row in rows)
    at = {row["key"]: (row["item"], row["seq"]) for row in rows}
    acknowledged = labeler.acknowledged
    return KillReport(
        kills,
        len(acknowledged),
        labeler.resent,
        labeler.unheard,
        lost=sum(key not in at for key in acknowledged),
        doubled=sum(count > 1 for count in keys.values()) + len(rows) - len({row["item"] for row in rows}),
        wrong=sum(
            key in at and (at[key] != (item, event) or present.get(item) != label)
            for key, (item, label, event) in acknowledged.items()
        ),
        problems=problems,
    )
