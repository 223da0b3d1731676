"""Labelling all texts that a filter finds: first a preview, then exactly what was in it, undone as one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from nearmiss.errors import InvalidInput, UnknownName
from nearmiss.session.answers import Submission
from nearmiss.session.exchange.records import AnswerKind
from nearmiss.session.labels import Label
from nearmiss.session.origins import Origin, Source
from nearmiss.session.project import Project
from nearmiss.web.context import Context
from nearmiss.web.number_lists import read_numbers, written_numbers
from nearmiss.web.pages.browse import view_in, view_of
from nearmiss.web.rows import fresh_key, rows
from nearmiss.web.visits import Form, Notice, Visit, number_in, owners_only, reading, writing

__all__ = ["MOST", "routes"]

#: Texts at once: more would keep others waiting for the disk.
MOST = 5_000
_SAMPLE = 20


@dataclass(frozen=True, slots=True)
class _Standing:
    """How many of the texts have a label now; no name for those without one."""

    name: str
    texts: int


def routes(context: Context) -> Sequence[Route]:
    """List what the page answers."""
    return [
        reading(context, "/browse/bulk", owners_only(_preview)),
        writing(context, "/browse/bulk", owners_only(_apply)),
    ]


def _preview(visit: Visit) -> Response:
    project, view = visit.project, view_of(visit.request)
    label = _label_in(project, Form(dict(visit.request.query_params)))
    items = project.browser.ids(view.wanted)
    if not items:
        raise InvalidInput("no text passes this filter; widen it, then label what it finds")
    if len(items) > MOST:
        raise InvalidInput(f"{len(items)} texts pass this filter; narrow it to at most {MOST} at once")
    chosen = set(items)
    step = max(1, len(items) // _SAMPLE)
    facts = {
        "view": view,
        "label": label,
        "total": len(items),
        "standing": _standing(project, chosen),
        "others": _answered_by_others(project, chosen, visit.person.name),
        "rows": rows(project, visit.person, [project.browser.find(item) for item in items[::step][:_SAMPLE]]),
        "items": written_numbers(items),
        "key": fresh_key(),
    }
    return visit.page("bulk.html", facts)


def _apply(visit: Visit) -> Response:
    view = view_in(visit.form.text("view"))
    items = read_numbers(visit.form.text("items"), MOST)
    label, key = visit.form.number("give"), visit.form.text("key") or fresh_key()
    name = next((known.name for known in visit.project.labels.every() if known.id == label), "")
    said = [Submission(item, AnswerKind.LABEL, label, f"{key}-{item}") for item in items]
    receipt = visit.project.answers.submit_all(visit.person.name, said, Origin(Source.PERSON))
    texts = "1 text is" if len(items) == 1 else f"{len(items)} texts are"
    return visit.onward(view.address, Notice(f"Saved: {texts} now “{name}”.", receipt.event))


def _label_in(project: Project, form: Form) -> Label:
    """Find the label to give, chosen from a list or typed."""
    typed = form.text("name").strip()
    if not form.text("give"):
        return project.labels.named(typed)
    wanted = number_in("label", form.text("give"))
    for label in project.labels.offered():
        if label.id == wanted:
            return label
    raise UnknownName(f"no label number {wanted} is offered; choose another")


def _standing(project: Project, chosen: set[int]) -> list[_Standing]:
    """Count the labels that hold among the texts, those without one first, then the commonest."""
    names = {label.id: label.name for label in project.labels.every()}
    with project.database.reading() as connection:
        found = connection.execute("SELECT item, label FROM decision WHERE label IS NOT NULL")
        counts = Counter(names[row["label"]] for row in found if row["item"] in chosen)
    without = len(chosen) - counts.total()
    first = [_Standing("", without)] if without else []
    return [*first, *(_Standing(name, texts) for name, texts in counts.most_common())]


def _answered_by_others(project: Project, chosen: set[int], person: str) -> int:
    with project.database.reading() as connection:
        found = connection.execute("SELECT DISTINCT item FROM answer WHERE person <> ? AND stands", (person,))
        return sum(row["item"] in chosen for row in found)
