"""Where people differ, or were unsure: who said what, and one key that settles it; and how far they agree at all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from nearmiss.session.answers import Answer
from nearmiss.session.browsing import Filter, State
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.items import Item
from nearmiss.session.labels import Label
from nearmiss.session.project import Project
from nearmiss.web.agreeing import team_agreement
from nearmiss.web.context import Context
from nearmiss.web.rows import FEW_LABELS, GuessTold, answer_in, fresh_key, guesses_told
from nearmiss.web.sight import found_by, seen
from nearmiss.web.visits import Notice, Visit, number_in, reading, writing

__all__ = ["routes"]

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Voter:
    """Somebody who answered, and the note they left."""

    name: str
    note: str


@dataclass(frozen=True, slots=True)
class _Side:
    """One thing that was said of a text, and by whom; no label for those who were unsure."""

    label: Label | None
    voters: tuple[_Voter, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One text to settle.

    Attributes
    ----------
    item
        The text.
    sides
        What was said, what most people said first.
    guess
        What the model says.
    choices
        The labels that one key settles on: those given, then the model's.
    key
        Names the act, so that it happens once.
    """

    item: Item
    sides: tuple[_Side, ...]
    guess: GuessTold | None
    choices: tuple[Label, ...]
    key: str


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [reading(context, "/settle", _show), writing(context, "/settle", _settle)]


def _show(visit: Visit) -> Response:
    project = visit.project
    waiting = found_by(project, visit.person, Filter(state=State.DISPUTED))
    page = max(1, number_in("page", visit.request.query_params.get("page", "1")))
    shown = waiting[(page - 1) * _SHOWN : page * _SHOWN]
    labels = project.labels.offered()
    facts = {
        "cases": _cases(project, shown),
        "waiting": len(waiting),
        "page": page,
        "pages": max(1, -(-len(waiting) // _SHOWN)),
        "labels": labels,
        "few": len(labels) <= FEW_LABELS,
        "team": team_agreement(project),
    }
    return visit.page("settle.html", facts)


def _cases(project: Project, items: Sequence[int]) -> list[_Case]:
    texts = project.texts.many(items)
    labels = {label.id: label for label in project.labels.offered()}
    guesses = guesses_told(project, items, 1, closed=frozenset(items))
    cases = []
    for item in items:
        guess = guesses[item][0] if guesses.get(item) else None
        sides = _sides(project.answers.of_item(item), labels)
        choices = [side.label for side in sides if side.label is not None]
        if guess is not None and guess.label in labels and labels[guess.label] not in choices:
            choices.append(labels[guess.label])
        cases.append(_Case(texts[item], sides, guess, tuple(choices), fresh_key()))
    return cases


def _sides(answers: Sequence[Answer], labels: Mapping[int, Label]) -> tuple[_Side, ...]:
    voters: dict[int | None, list[_Voter]] = defaultdict(list)
    for answer in answers:
        if answer.kind is AnswerKind.UNSURE or answer.label in labels:
            voters[answer.label].append(_Voter(answer.person, answer.note))
    sides = [_Side(None if label is None else labels[label], tuple(said)) for label, said in voters.items()]
    return tuple(sorted(sides, key=lambda side: (side.label is None, -len(side.voters))))


def _settle(visit: Visit) -> Response:
    project, item = visit.project, visit.form.number("item")
    if item not in seen(project, visit.person, [item]):
        raise HTTPException(403, "Answer this text yourself first: others are still to see it.")
    found = project.browser.find(item)
    if not (found.disputed or found.settled):
        raise HTTPException(400, f"Nobody differs on text {item}, and nobody is unsure: there is nothing to settle.")
    said = answer_in(project, visit.form, item)
    if said.label is None:
        raise HTTPException(400, "A disagreement is settled on a label; choose one.")
    receipt = project.answers.settle(visit.person.name, item, said.label, key=said.key, note=said.note)
    names = {label.id: label.name for label in project.labels.every()}
    return visit.onward("/settle", Notice(f"Settled: text {item} is “{names[said.label]}”.", receipt.event))
