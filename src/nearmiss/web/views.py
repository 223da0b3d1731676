"""What the labelling page is sent, as JSON can hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from hashlib import blake2b
from typing import Any

from nearmiss.session.advice import FEWEST_CHECKS
from nearmiss.session.answers import Answer
from nearmiss.session.items import Item
from nearmiss.session.labels import Label, shown_keys
from nearmiss.session.project import Project
from nearmiss.session.published import Guess, ModelFacts
from nearmiss.session.quality import ModelQuality, quality_of
from nearmiss.session.queue import Pick
from nearmiss.session.trainer_state import TrainerState

__all__ = ["item_view", "items_view", "labels_version", "labels_view", "picks_view", "recent_view", "standing"]

#: Longer texts are cut, and the rest is sent when it is asked for.
LONGEST_SENT = 20_000
_START = 160


def picks_view(project: Project, picks: Sequence[Pick]) -> list[dict[str, Any]]:
    """Show texts that were handed out. Nothing here may tell a random check from any other pick."""
    return items_view(project, [pick.item for pick in picks])


def items_view(project: Project, items: Sequence[Item]) -> list[dict[str, Any]]:
    """Show texts, with the model's guesses where people may see them."""
    return [item_view(item, guess) for item, guess in _with_guesses(project, items)]


def item_view(item: Item, guess: Guess | None) -> dict[str, Any]:
    """Show one text."""
    long = len(item.text) > LONGEST_SENT or len(item.pair or "") > LONGEST_SENT
    return {
        "id": item.id,
        "text": item.text[:LONGEST_SENT],
        "pair": None if item.pair is None else item.pair[:LONGEST_SENT],
        "long": long,
        "suggestions": []
        if guess is None
        else [
            {"label": label, "probability": probability}
            for label, probability in zip(guess.labels, guess.probabilities, strict=True)
        ],
    }


def labels_view(labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Show the labels that can be given, each with the key that gives it."""
    keys = shown_keys(labels)
    return [
        {
            "id": label.id,
            "name": label.name,
            "description": label.description,
            "color": label.color,
            "key": keys[label.id],
        }
        for label in labels
    ]


def labels_version(labels: Sequence[Label]) -> str:
    """Name this set of labels, so that a page notices when they change."""
    shown = repr([(label.id, label.name, label.description, label.color, label.key) for label in labels])
    return blake2b(shown.encode("utf-8", "replace"), digest_size=6).hexdigest()


def standing(project: Project, person: str, trainer: TrainerState) -> dict[str, Any]:
    """Show where the project stands: progress, model, trainer."""
    facts = project.models.latest()
    with project.database.reading() as connection:
        # Texts are numbered from 1 without gaps; counting a hundred thousand would take longer than all the rest.
        counts = connection.execute(
            "SELECT (SELECT count(label) FROM decision) AS labeled, (SELECT coalesce(max(id), 0) FROM item) AS texts,"
            " (SELECT count(*) FROM answer WHERE person = ?) AS mine",
            (person,),
        ).fetchone()
    return {
        "progress": {name: counts[name] for name in ("labeled", "mine", "texts")},
        "model": None if facts is None else _model_view(facts, quality_of(project, facts.version)),
        "trainer": asdict(trainer),
    }


def _model_view(facts: ModelFacts, quality: ModelQuality | None) -> dict[str, Any]:
    accuracy = None
    if quality is not None and quality.checks >= FEWEST_CHECKS:
        found = quality.accuracy
        accuracy = {"share": found.value, **asdict(found.interval), "checks": quality.checks}
    return {"version": facts.version, "at": facts.at, "trained_on": facts.trained_on, "accuracy": accuracy}


def recent_view(project: Project, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Show a person's last answers."""
    items = project.texts.many(answer.item for answer in answers)
    names = {label.id: label.name for label in project.labels.every()}
    return [
        {
            "item": answer.item,
            "text": _start(items[answer.item]),
            "kind": answer.kind,
            "label": answer.label,
            "name": None if answer.label is None else names[answer.label],
            "at": answer.at,
            "note": answer.note,
        }
        for answer in answers
    ]


def _with_guesses(project: Project, items: Sequence[Item]) -> list[tuple[Item, Guess | None]]:
    offered = project.settings.read().suggestions == "offered"
    guesses = project.models.guesses([item.id for item in items]) if offered and items else {}
    return [(item, guesses.get(item.id)) for item in items]


def _start(item: Item) -> str:
    return item.text if len(item.text) <= _START else item.text[:_START] + "…"
