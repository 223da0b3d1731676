"""How good each model of a project is, by its random checks: measured when it is published, and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nearmiss.acquisition.base import IndexArray
from nearmiss.analysis.depletion import pool_after
from nearmiss.analysis.estimates import Estimate
from nearmiss.analysis.quality import quality, quality_levels
from nearmiss.analysis.significance import Interval
from nearmiss.loop.streams import named_generator
from nearmiss.session.ground import Ground, IdArray
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.session.readings import Reading, read_answered, readings

__all__ = ["ModelQuality", "guessed_classes", "measure", "qualities", "quality_of"]


#: So many of the latest looks are all known to a measurement, and as many of those before.
_RECENT = 100


@dataclass(frozen=True, slots=True)
class ModelQuality:
    """How good a model is on the texts that have no label.

    Attributes
    ----------
    checks
        Random checks it was measured by; it learned from none of them.
    accuracy, macro_f1
        Their intervals hold for all models of the project together, in 95 of 100 projects each.
    recalls
        By the number of the label; labels without a check are missing.
    """

    checks: int
    accuracy: Estimate
    macro_f1: Estimate
    recalls: Mapping[int, Estimate]

    def as_json(self) -> str:
        """Write it down."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, written: str) -> ModelQuality:
        """Read what ``as_json`` wrote."""
        body = json.loads(written)
        recalls = {int(label): _estimate(found) for label, found in body["recalls"].items()}
        return cls(body["checks"], _estimate(body["accuracy"]), _estimate(body["macro_f1"]), recalls)


def measure(project: Project, ground: Ground, reading: Reading) -> ModelQuality | None:
    """Measure a new model, knowing of all that were looked at before it; None while there are no checks.

    Parameters
    ----------
    ground
        What it learned from.
    reading
        What it says of the checks.
    """
    answered = read_answered(project.database)
    checks = answered.on_offer(ground)
    if not len(checks.items) or not len(ground.labels):
        return None
    looks: list[IndexArray] = []
    history = {facts.version: facts for facts in project.models.history()}
    for version, earlier in readings(project.database).items():
        known = _known(history[version], checks.events)
        if known and (not looks or known >= len(looks[-1])):
            looks.append(guessed_classes(earlier, checks.items[:known], ground))
    looks = [*_thinned(looks), guessed_classes(reading, checks.items, ground)]
    # What is no longer a label counts as one more class here, which no check has.
    rng, counts = named_generator(project.seed, "looks"), checks.counts
    levels = quality_levels(looks, checks.classes, len(ground.labels) + 1, rng, weights=counts)
    pool = pool_after(answered.checks, answered.guessed, ground.texts, answered.counts)
    found = quality(looks[-1], checks.classes, len(ground.labels), pool, levels[-1], weights=counts)
    recalls = {label: each for label, each in zip(ground.labels, found.recalls, strict=True) if each is not None}
    return ModelQuality(len(checks.items), found.accuracy, found.macro_f1, recalls)


def qualities(project: Project) -> dict[int, ModelQuality]:
    """Give what was found of each model when it was published, by version."""
    with project.database.reading() as connection:
        rows = connection.execute(
            "SELECT version, quality FROM reading WHERE quality IS NOT NULL ORDER BY version"
        ).fetchall()
    return {row["version"]: ModelQuality.from_json(row["quality"]) for row in rows}


def quality_of(project: Project, version: int) -> ModelQuality | None:
    """Give what was found of one model."""
    with project.database.reading() as connection:
        row = connection.execute("SELECT quality FROM reading WHERE version = ?", (version,)).fetchone()
    return None if row is None or row["quality"] is None else ModelQuality.from_json(row["quality"])


def guessed_classes(reading: Reading, items: IdArray, ground: Ground) -> IndexArray:
    """Give the class ids of a model's labels; C for a label that is no longer on offer, and where it was not asked."""
    class_of = {label: c for c, label in enumerate(ground.labels)}
    return np.array([class_of.get(int(label), len(class_of)) for label in reading.of(items)], dtype=np.int64)


def _thinned(looks: list[IndexArray]) -> list[IndexArray]:
    """Leave out some of very many looks: of those long past, two in a row say the same, and each costs time."""
    if len(looks) <= 2 * _RECENT:
        return looks
    older, recent = looks[:-_RECENT], looks[-_RECENT:]
    places = np.unique(np.linspace(0, len(older) - 1, _RECENT).round().astype(np.int64))
    return [*(older[place] for place in places), *recent]


def _known(facts: ModelFacts, events: IdArray) -> int:
    """Count the checks that a model of the past was measured by; the order of two that were relabelled may differ."""
    return int((events <= facts.cutoff).sum())


def _estimate(body: Mapping[str, Any]) -> Estimate:
    return Estimate(body["value"], Interval(**body["interval"]), body["n"])
