"""How long a person waits: for the first page, for a label to be saved, for a new model."""

from __future__ import annotations

import random
import socket
import statistics
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from benchmarks.labelling.client import Client, Server
from nearmiss import load_dataset
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.origins import Origin, Source
from nearmiss.session.project import Project
from nearmiss.session.training import Trainer

__all__ = ["Spread", "made_pool", "retraining", "saving"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Times in milliseconds."""

    n: int
    median: float
    p95: float
    most: float

    @classmethod
    def of(cls, seconds: list[float]) -> Spread:
        """Sum up times in seconds."""
        ordered = sorted(1000 * each for each in seconds)
        p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        return cls(len(ordered), round(statistics.median(ordered), 2), round(p95, 2), round(ordered[-1], 2))


def made_pool(folder: Path, n: int) -> Project:
    """Make a project of n texts in BANKING77's 77 classes: its messages, and pairs of them put together."""
    splits = load_dataset("banking77")
    base, rng = splits.pool.texts.first, random.Random(0)
    texts = list(base[:n])
    texts += [f"{base[i % len(base)]} {rng.choice(base)} ({i})" for i in range(n - len(texts))]
    return Project.create(folder, texts=texts, label_names=splits.pool.label_names)


def saving(folder: Path, n_labels: int) -> tuple[Spread, float]:
    """Label through the real server, its trainer at work beside it; give the times of a label, and of the start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Project.open(folder) as project:
        labels = [label.id for label in project.labels.offered()]
    server = Server(folder, port)
    client = Client.enter(server.link)
    ready = time.perf_counter() - server.started
    rng, times = random.Random(1), []
    waiting = [each["id"] for each in client.post("/api/next", {"held": [], "want": 4})["items"]]
    for _ in range(n_labels):
        item = waiting.pop(0)
        body = {"item": item, "kind": "label", "label": rng.choice(labels), "key": str(uuid.uuid4())}
        began = time.perf_counter()
        saved = client.post("/api/answers", {**body, "held": waiting, "want": 4 - len(waiting)})
        times.append(time.perf_counter() - began)
        waiting += [each["id"] for each in saved["items"]]
        time.sleep(0.05)  # a person would take longer
    client.close()
    server.stop()
    return Spread.of(times), ready


def retraining(folder: Path, n_labels: int) -> dict[str, float]:
    """Give true labels to the first texts, let the encoder read all, and time a training on so many labels."""
    splits = load_dataset("banking77")
    truth = dict(zip(splits.pool.texts.first, splits.pool.labels.tolist(), strict=True))  # type: ignore[union-attr]
    with Project.open(folder) as project:
        ids = {label.name: label.id for label in project.labels.offered()}
        rng = random.Random(2)
        known = [item for item in range(1, min(9000, project.texts.count())) if project.texts.get(item).text in truth]
        said = [
            Submission(item, AnswerKind.LABEL, ids[splits.pool.label_names[truth[project.texts.get(item).text]]])
            for item in rng.sample(known, n_labels)
        ]
        project.answers.submit_all("bench", said, Origin(Source.RANDOM))
        trainer = Trainer(project)
        began = time.perf_counter()
        trainer.train()
        first = time.perf_counter() - began
        seconds = [trainer.train().seconds for _ in range(3)]
    return {"with reading": round(first, 1), "again": round(statistics.median(seconds), 2)}
