"""How good the model is, how fast people are, and whether more labels are worth it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import Response
from starlette.routing import Route

from nearmiss.analysis.estimates import Estimate
from nearmiss.session.advice import Standing, advise, read_standing, savings_told
from nearmiss.session.gaps import label_gaps
from nearmiss.session.labels import Label
from nearmiss.session.overview import count
from nearmiss.session.published import ModelFacts
from nearmiss.session.quality import ModelQuality
from nearmiss.session.second_look import read_second_look, still_open
from nearmiss.session.trainer_state import Activity, TrainerState
from nearmiss.web.charts import CurvePoint, learning_curve
from nearmiss.web.context import Context
from nearmiss.web.visits import Notice, Visit, owners_only, reading, writing
from nearmiss.web.working_time import paces

__all__ = ["age_told", "routes"]

#: The strategy that is offered where another seems to do worse.
RANDOM = "random"


@dataclass(frozen=True, slots=True)
class _Model:
    """A model, and what the random checks say of it."""

    facts: ModelFacts
    quality: ModelQuality | None


@dataclass(frozen=True, slots=True)
class _Balance:
    """A label, its share of the labelled texts, its bar's length against the commonest, and how much of it is found."""

    label: Label
    share: float
    length: float
    recall: Estimate | None


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [
        reading(context, "/progress", _show),
        writing(context, "/progress/train", owners_only(_train)),
        writing(context, "/progress/cancel", owners_only(_cancel)),
        writing(context, "/progress/random", owners_only(_pick_at_random)),
    ]


def _show(visit: Visit) -> Response:
    project = visit.project
    standing, settings = read_standing(project), project.settings.read()
    history = standing.history
    models = [_Model(facts, standing.quality.get(facts.version)) for facts in history]
    points = [
        CurvePoint(model.facts.trained_on, found.value, found.interval.low, found.interval.high)
        for model in models
        if model.quality is not None and (found := model.quality.accuracy)
    ]
    look = read_second_look(project)
    trainer = visit.context.trainings.state()
    facts = {
        "counts": count(project),
        "models": models[::-1],
        "chart": learning_curve(points, "Accuracy on random checks") if points else None,
        "latest": models[-1] if models else None,
        "age": age_told(history[-1].at, datetime.now(UTC)) if history else "",
        "advice": advise(standing, settings.stopping_rule),
        "rule": settings.stopping_rule,
        "savings": savings_told(standing.worth),
        "forecasts": standing.forecasts,
        "weighed": standing.worth.model if standing.worth is not None else None,
        "gaps": label_gaps(project).sentences if project.labels.offered() else (),
        "doubts": 0 if look is None else len(still_open(project, look)),
        "picks_at_random": settings.strategy == RANDOM,
        "balance": _balance(project.labels.offered(), standing),
        "paces": paces(project),
        "trainer": trainer,
        "trainer_told": told_state(trainer),
        "busy": trainer.activity in (Activity.TRAINING, Activity.READING, Activity.STARTING),
        "requested": project.training_requested(),
    }
    return visit.page("progress.html", facts)


def told_state(state: TrainerState) -> str:
    """Say what the trainer is doing.

    Examples
    --------
    >>> told_state(TrainerState(Activity.READING, 512, 2048))
    'The encoder is reading the texts: 512 of 2048 (25 %).'
    """
    read = f"{state.read} of {state.texts} ({state.read / state.texts:.0%})".replace("%", " %") if state.texts else ""
    return {
        Activity.OFF: "The trainer is off: it runs while “nearmiss label” does.",
        Activity.STARTING: "The trainer is starting.",
        Activity.IDLE: "The trainer waits for new labels.",
        Activity.READING: f"The encoder is reading the texts: {read}.",
        Activity.TRAINING: f"A model is being trained{f'; texts read: {read}' if read else ''}.",
        Activity.FAILED: "The last training failed; the last good model stays in use.",
        Activity.CANCELLED: "The training was cancelled; a new label or “Train now” starts another.",
    }[state.activity]


def age_told(at: str, moment: datetime) -> str:
    """Say how long ago something was.

    Examples
    --------
    >>> age_told("2026-05-01T12:00:00.000Z", datetime(2026, 5, 1, 14, 10, tzinfo=UTC))
    '2 hours ago'
    """
    seconds = max(0.0, (moment - datetime.fromisoformat(at)).total_seconds())
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def _balance(labels: Sequence[Label], standing: Standing) -> list[_Balance]:
    recalls = {} if standing.latest is None else standing.latest.recalls
    total = sum(label.texts for label in labels)
    most = max((label.texts for label in labels), default=0)
    if not total:
        return []
    ordered = sorted(labels, key=lambda label: -label.texts)
    return [_Balance(label, label.texts / total, label.texts / most, recalls.get(label.id)) for label in ordered]


def _train(visit: Visit) -> Response:
    visit.project.request_training()
    asked = Notice("Asked for: a model is trained as soon as there is something to learn from.")
    return visit.onward("/progress", asked)


def _cancel(visit: Visit) -> Response:
    visit.context.trainings.cancel()
    return visit.onward("/progress", Notice("Cancelled: the last good model stays in use."))


def _pick_at_random(visit: Visit) -> Response:
    visit.project.settings.change(visit.person.name, {"strategy": RANDOM})
    visit.project.request_training()
    told = Notice("From the next model on texts are picked at random; settings, training, turns that back.")
    return visit.onward("/progress", told)
