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
from nearmiss.session.database import Database
from nearmiss.session.ground import Ground, IdArray
from nearmiss.session.project import Project
from nearmiss.session.published import ModelFacts
from nearmiss.session.readings import Reading, read_answered, readings

__all__ = ["ModelQuality", "count_lost_checks", "guessed_classes", "measure", "qualities", "quality_of"]


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
    # What was answered while it trained is no part of this look: the model was not asked about it.
    answered = read_answered(project.database).up_to(ground.cutoff)
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
    # Texts that nobody was asked for, or that no model had guessed, are taken to be like the others; picks are not.
    picked = answered.drawn_or_picked()
    texts = ground.texts - len(answered.items) + len(picked.items)
    pool = pool_after(picked.checks, picked.guessed, texts, picked.counts)
    found = quality(looks[-1], checks.classes, len(ground.labels), pool, levels[-1], weights=counts)
    recalls = {label: each for label, each in zip(ground.labels, found.recalls, strict=True) if each is not None}
    lost = count_lost_checks(project.database)
    share = len(checks.items) / (len(checks.items) + lost)
    return ModelQuality(len(checks.items), _lowered(found.accuracy, share), _lowered(found.macro_f1, share), recalls)


def count_lost_checks(database: Database) -> int:
    """Count the random checks that were answered and have no label: skipped, unsure, or not settled."""
    with database.reading() as connection:
        return int(
            connection.execute(
                "SELECT count(DISTINCT item) FROM event WHERE kind = 'answered'"
                " AND json_extract(body, '$.origin.source') = 'audit' AND seq NOT IN (SELECT event FROM undone)"
                " AND item NOT IN (SELECT item FROM decision WHERE label IS NOT NULL)"
            ).fetchone()[0]
        )


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


def _lowered(found: Estimate, share: float) -> Estimate:
    """Lower the lower bound as if checks that have no label were all wrong: hard texts are what people skip."""
    return Estimate(found.value, Interval(found.interval.low * share, found.interval.high), found.n)


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
