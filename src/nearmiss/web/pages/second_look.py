"""Labels that the model and the nearest labelled texts contradict: one key keeps a label, another gives the other."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from nearmiss.session.history import event_by_key
from nearmiss.session.items import Item
from nearmiss.session.labels import Label
from nearmiss.session.people import Person
from nearmiss.session.project import Project
from nearmiss.session.second_look import Doubt, SecondLook, give_second_label, read_second_look, still_open
from nearmiss.web.context import Context
from nearmiss.web.reasons import Reason, reason_of
from nearmiss.web.rows import FEW_LABELS, answer_in, fresh_key
from nearmiss.web.sight import seen
from nearmiss.web.visits import Notice, Visit, number_in, reading, writing

__all__ = ["routes"]

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Case:
    """One label to look at again.

    Attributes
    ----------
    item
        The text.
    given, suggested
        The label that holds, and the one suggested instead.
    given_probability, suggested_probability
        What a model that has not learned from this text says of the two.
    reason
        Why, in words, with the nearest texts that are labelled otherwise.
    key
        Names the act, so that it happens once.
    """

    item: Item
    given: Label
    suggested: Label
    given_probability: float
    suggested_probability: float
    reason: Reason
    key: str


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [reading(context, "/second-look", _show), writing(context, "/second-look", _settle)]


def _show(visit: Visit) -> Response:
    project = visit.project
    look = read_second_look(project)
    doubts = _listed(project, visit.person, look)
    page = max(1, number_in("page", visit.request.query_params.get("page", "1")))
    labels = project.labels.offered()
    facts = {
        "cases": _cases(project, doubts[(page - 1) * _SHOWN : page * _SHOWN]),
        "waiting": len(doubts),
        "look": look,
        "installed": importlib.util.find_spec("cleanlab") is not None,
        "page": page,
        "pages": max(1, -(-len(doubts) // _SHOWN)),
        "labels": labels,
        "few": len(labels) <= FEW_LABELS,
    }
    return visit.page("second_look.html", facts)


def _listed(project: Project, person: Person, look: SecondLook | None) -> list[Doubt]:
    """List the doubts that are still open, about texts whose answers this person may see."""
    doubts = () if look is None else still_open(project, look)
    visible = seen(project, person, [doubt.item for doubt in doubts])
    return [doubt for doubt in doubts if doubt.item in visible]


def _cases(project: Project, doubts: Sequence[Doubt]) -> list[_Case]:
    near = (neighbor.item for doubt in doubts for neighbor in doubt.origin.neighbors)
    texts = project.texts.many({*(doubt.item for doubt in doubts), *near})
    labels = {label.id: label for label in project.labels.every()}
    names = {number: label.name for number, label in labels.items()}
    cases = []
    for doubt in doubts:
        said = dict(zip(doubt.origin.labels, doubt.origin.probabilities, strict=True))
        cases.append(
            _Case(
                texts[doubt.item],
                labels[doubt.label],
                labels[doubt.suggested],
                said.get(doubt.label, 0.0),
                said.get(doubt.suggested, 0.0),
                reason_of(doubt.origin, names, texts, revealed=True),
                fresh_key(),
            )
        )
    return cases


def _settle(visit: Visit) -> Response:
    project, item = visit.project, visit.form.number("item")
    if item not in seen(project, visit.person, [item]):
        raise HTTPException(403, "Answer this text yourself first: others are still to see it.")
    look = read_second_look(project) or SecondLook()
    said = answer_in(project, visit.form, item)
    doubt = next((each for each in look.doubts if each.item == item), None)
    if doubt is None or not (_was_sent(project, said.key) or doubt in still_open(project, look)):
        raise HTTPException(400, f"The label of text {item} is not in doubt any more; its own page changes it still.")
    if said.label is None:
        raise HTTPException(400, "A second look ends on a label; choose one.")
    receipt = give_second_label(project, visit.person.name, doubt, said.label, key=said.key, note=said.note)
    names = {label.id: label.name for label in project.labels.every()}
    told = f"Kept: text {item} is" if said.label == doubt.label else f"Changed: text {item} is now"
    return visit.onward("/second-look", Notice(f"{told} “{names[said.label]}”.", receipt.event))


def _was_sent(project: Project, key: str | None) -> bool:
    with project.database.reading() as connection:
        return key is not None and event_by_key(connection, key) is not None
